"""Rendered Kubeflow onto a real kube-apiserver: the guide's loop against kfinstall's waves, side by side, in one run.

Run: python -m tests.bench.bench_kubeflow --documents FILE.yaml[.gz] [--delays 15,60] [--cases loop,waves,twice]
Needs root, and KUBEBUILDER_ASSETS with kube-apiserver, etcd, kube-controller-manager, kube-scheduler and kubectl in it. Nodes
and webhook backends are stand-ins (tests/fakes): a pod is ready so many seconds after it was scheduled, a webhook refuses
until its pod is. A case ends when every Deployment and StatefulSet is available. After the waves, on the same cluster with
nothing to change: the waves again, kfinstall's plan, `kubectl diff`, and one `kubectl apply`. At the end each ratio stands beside its aim.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.kube.api import ApiCluster, open_cluster
from kfinstall.kube.base import ListQuery
from tests.bench.kubeflow_twice import twice
from tests.fakes.apiserver import ControlPlane, control_plane, missing, program
from tests.fakes.follow import follow
from tests.fakes.webhooks import SIDECAR

Document = dict[str, Any]
_NEEDED = ("kube-controller-manager", "kube-scheduler", "kubectl")
_LIMIT_SECONDS = 480
_LOOK_SECONDS = 1.0
_LONG_SECONDS = 60
_WORKLOADS = {"Deployment": "/apis/apps/v1/deployments", "StatefulSet": "/apis/apps/v1/statefulsets"}
_CLASS: Document = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "stand-in", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
}
_VOLUMES = 12


@dataclass
class Figures:
    """What one case took."""

    case: str
    delay: float
    seconds: float = 0.0
    client_seconds: float = 0.0
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    client_mib: float = 0.0
    sidecars: str = ""
    lines: list[str] = field(default_factory=list)

    def figure(self, name: str) -> float | None:
        """A figure that the client itself told, the last word of its line."""
        line = next((line for line in self.lines if line.startswith(f"figure {name} ")), None)
        return float(line.split()[-1]) if line else None

    def row(self) -> str:
        """As a line of the table."""
        numbers = f"{self.seconds:6.0f} s {self.client_seconds:6.0f} s {self.server_cpu:6.0f} s {self.client_cpu:6.1f} s"
        return f"{self.case:<12} {self.delay:4.0f} s {numbers} {self.client_mib:6.0f} MiB  {self.sidecars}"


HEAD = (
    "case         ready  available  client    server    client     client   pods with sidecar\n"
    "             in                  ends      CPU       CPU        memory"
)


def volume(number: int) -> Document:
    """A volume that any claim can have."""
    spec = {
        "capacity": {"storage": "100Gi"},
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "storageClassName": "stand-in",
        "hostPath": {"path": "/nowhere"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"stand-in-{number}"}, "spec": spec}


@asynccontextmanager
async def cluster_with_nodes(folder: Path, delay: float) -> AsyncIterator[tuple[ControlPlane, ApiCluster]]:
    """A control plane with stand-ins for nodes, volumes and webhook backends, all of them up."""
    async with control_plane(folder) as plane:
        plane.start("kubelets", sys.executable, "-m", "tests.fakes.kubelets", "--delay", str(delay))
        plane.start("webhooks", sys.executable, "-m", "tests.fakes.webhooks")
        async with open_cluster(plane.kubeconfig, plane.port) as cluster:
            for document in (_CLASS, *(volume(number) for number in range(_VOLUMES))):
                await cluster.apply(document)
            while len(await cluster.list(ListQuery("v1", "Node"))) < 2:
                await asyncio.sleep(_LOOK_SECONDS)
            while not await cluster.list(ListQuery("v1", "ServiceAccount", "default")):
                await asyncio.sleep(_LOOK_SECONDS)
            yield plane, cluster


async def measure(plane: ControlPlane, cluster: ApiCluster, figures: Figures, command: Sequence[str], *, workloads: int) -> None:
    """Run a client, wait until what it sent is available, and fill in what that took.

    The workloads are watched, not asked for again and again: what the API server spends on the bench counts in both cases.
    """
    before, begin = plane.cpu_seconds("kube-apiserver"), time.monotonic()
    output = plane.folder / f"client-{figures.case}.log"
    with output.open("wb") as log:
        client = plane.inside.popen(list(command), stdout=log, stderr=subprocess.STDOUT, env=plane.environment(), cwd=plane.folder)
    ended = asyncio.create_task(asyncio.to_thread(os.wait4, client.pid, 0))
    waiting: dict[str, bool] = {}
    moved = asyncio.Event()

    def hear(kind: str, found: Document) -> None:
        waiting.pop(found["metadata"]["uid"], None)
        if kind != "DELETED":
            waiting[found["metadata"]["uid"]] = workload_waiting(found) is not None
        moved.set()

    def named(kind: str) -> Callable[[str, Document], None]:
        return lambda what, found: hear(what, {**found, "apiVersion": "apps/v1", "kind": kind})

    watches = [asyncio.create_task(follow(cluster._connection, path, named(kind))) for kind, path in _WORKLOADS.items()]
    ended.add_done_callback(lambda _task: moved.set())
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            while not ended.done() or (workloads and (len(waiting) < workloads or any(waiting.values()))):
                moved.clear()
                await moved.wait()
                if ended.done() and not figures.client_seconds:
                    figures.client_seconds = time.monotonic() - begin
    except TimeoutError:
        figures.lines.append(f"gave up: {list(waiting.values()).count(False)} of {workloads} are available")
        client.kill()
    finally:
        for watch in watches:
            watch.cancel()
    figures.seconds = time.monotonic() - begin
    _pid, status, usage = await ended
    figures.client_seconds = figures.client_seconds or figures.seconds
    figures.server_cpu = plane.cpu_seconds("kube-apiserver") - before
    figures.client_cpu = usage.ru_utime + usage.ru_stime
    figures.lines += output.read_text(encoding="utf-8", errors="replace").splitlines()
    figures.client_mib = figures.figure("mib") or 0.0
    if status:
        figures.lines.append(f"the client ended with {os.waitstatus_to_exitcode(status)}")


async def sidecars(cluster: ApiCluster) -> str:
    """How many pods that istiod should have seen it did see."""
    namespaces = {
        item["metadata"]["name"]
        for item in await cluster.list(ListQuery("v1", "Namespace"))
        if any(
            key.startswith("istio-injection") and value == "enabled"
            for key, value in (item["metadata"].get("labels") or {}).items()
        )
    }
    pods = [pod for pod in await cluster.list(ListQuery("v1", "Pod")) if pod["metadata"]["namespace"] in namespaces]
    wanted = [pod for pod in pods if _injected(pod)]
    seen = sum(SIDECAR in (pod["metadata"].get("annotations") or {}) for pod in wanted)
    return f"{seen} of {len(wanted)}"


def _injected(pod: Document) -> bool:
    metadata = pod["metadata"]
    own = (metadata.get("labels") or {}).get("sidecar.istio.io/inject") or (metadata.get("annotations") or {}).get(
        "sidecar.istio.io/inject"
    )
    return own != "false" and not pod["spec"].get("hostNetwork")


async def run(case: str, delay: float, path: Path, workloads: int, folder: Path) -> AsyncIterator[Figures]:
    """One case on a cluster of its own; after waves, what there is to do with nothing to change."""
    kubectl = program("kubectl") or "kubectl"

    def command(mode: str) -> list[str]:
        return [sys.executable, "-m", "tests.bench.kubeflow_client", mode, str(path), kubectl]

    async with cluster_with_nodes(folder, delay) as (plane, cluster):
        done = Figures(case, delay)
        await measure(plane, cluster, done, command("loop" if case == "loop" else "waves"), workloads=workloads)
        done.sidecars = await sidecars(cluster)
        yield done
        for mode in ("waves", "plan", "diff", "pass") if case == "waves" else ():
            again = Figures(f"again {mode}", delay)
            await measure(plane, cluster, again, command(mode), workloads=0)
            yield again


def verdicts(rows: Sequence[Figures]) -> list[str]:
    """Each ratio of the issue beside its aim, as far as the cases were measured."""
    by = {(row.case, row.delay): row for row in rows}
    lines: list[str] = []

    def ratio(text: str, aim: float, ours: float | None, theirs: float | None) -> None:
        if ours is not None and theirs:
            lines.append(f"{text:<66} {ours / theirs:5.2f}  (aim: at most {aim:.2f})")

    for delay in sorted({row.delay for row in rows}):
        loop, waves, doubled = (by.get((case, delay)) for case in ("loop", "waves", "twice"))
        when = f"pods ready in {delay:.0f} s"
        if loop and waves:
            ratio(f"available, waves / loop, {when}", 0.55 if delay < _LONG_SECONDS else 0.65, waves.seconds, loop.seconds)
            if delay >= _LONG_SECONDS:
                ratio(f"API server's CPU, waves / loop, {when}", 0.4, waves.server_cpu, loop.server_cpu)
            passes = loop.figure("passes") or 1
            ratio(f"client's CPU, waves / two passes of kubectl apply, {when}", 1.0, waves.client_cpu, 2 * loop.client_cpu / passes)
        if waves and doubled:
            ratio(f"available, twice the objects / once, {when}", 2.2, doubled.seconds, waves.seconds)
        again = {mode: by.get((f"again {mode}", delay)) for mode in ("waves", "plan", "diff", "pass")}
        if (ours := again["waves"]) and (theirs := again["pass"]):
            ratio(f"nothing to change, waves / kubectl apply, {when}", 0.2, ours.client_seconds, theirs.client_seconds)
        if (ours := again["plan"]) and (theirs := again["diff"]):
            ratio(f"nothing to change, plan / kubectl diff, {when}", 1.0, ours.client_seconds, theirs.client_seconds)
        if waves:
            lines.append(f"first object on its way after {waves.figure('first') or 0:.2f} s, {when}  (aim: at most 2)")
            sent = next((line for line in waves.lines if line.startswith("figure sent ")), "figure sent 0 0").split()
            lines.append(
                f"objects {sent[2]}, times that one was sent {sent[3]}, {when}  (aim: the same, but for webhooks' refusals)"
            )
            lines.append(f"client's memory {waves.client_mib:.0f} MiB, {when}  (aim: under 150)")
    return lines


def prepared(options: argparse.Namespace, where: Path) -> dict[str, tuple[Path, int]]:
    """Case to (file, how many workloads it has)."""
    opener = gzip.open if options.documents.suffix == ".gz" else open
    with opener(options.documents, "rb") as file:
        text = file.read()
    once = where / "all.yaml"
    once.write_bytes(text)
    files = dict.fromkeys(("loop", "waves"), (once, _workloads(text)))
    if "twice" in options.cases.split(","):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        loaded = [item for item in yaml.load_all(text, Loader=loader) if item]
        doubled = where / "twice.yaml"
        doubled.write_text(yaml.dump_all(twice(loaded), Dumper=dumper, sort_keys=False), encoding="utf-8")
        files["twice"] = (doubled, 2 * _workloads(text))
    return files


def _workloads(text: bytes) -> int:
    return text.count(b"\nkind: Deployment\n") + text.count(b"\nkind: StatefulSet\n")


async def main(options: argparse.Namespace) -> None:
    rows: list[Figures] = []
    print(HEAD)
    # In memory: what is measured is the API server, not this machine's disk.
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as where:
        files = prepared(options, Path(where))
        for delay in options.delays.split(","):
            for case in options.cases.split(","):
                path, workloads = files[case]
                async for figures in run(case, float(delay), path, workloads, Path(where) / f"{case}-{delay}"):
                    rows.append(figures)
                    print(figures.row(), flush=True)
                    if options.verbose or (figures.lines and figures.lines[-1].startswith(("gave up", "the client"))):
                        print("\n".join(f"    {line}" for line in figures.lines), flush=True)
    print("\n".join(["", *verdicts(rows)]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_kubeflow", description=__doc__)
    parser.add_argument("--documents", type=Path, required=True, help="rendered Kubeflow, .yaml or .yaml.gz")
    parser.add_argument("--delays", default="15,60", help="seconds until a pod is ready")
    parser.add_argument("--cases", default="loop,waves,twice")
    parser.add_argument("--verbose", action="store_true", help="show what the clients say")
    if reason := missing(*_NEEDED):
        sys.exit(f"bench: {reason}")
    asyncio.run(main(parser.parse_args()))
