"""Rendered Kubeflow onto a real kube-apiserver: the guide's loop against kfinstall's waves, side by side, in one run.

Run: python -m tests.bench.bench_kubeflow --documents FILE.yaml[.gz] [--delays 15,60] [--cases loop,waves]
Needs root, and KUBEBUILDER_ASSETS with kube-apiserver, etcd, kube-controller-manager, kube-scheduler and kubectl in it. Nodes
and webhook backends are stand-ins (tests/fakes): a pod is ready so many seconds after it was scheduled, a webhook refuses
until its pod is. A case ends when every Deployment and StatefulSet is available.
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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfinstall.cluster.api import ApiCluster, open_cluster
from kfinstall.cluster.base import Want
from kfinstall.cluster.reasons import workload_waiting
from tests.fakes.apiserver import ControlPlane, control_plane, missing, program
from tests.fakes.webhooks import SIDECAR

Document = dict[str, Any]
_NEEDED = ("kube-controller-manager", "kube-scheduler", "kubectl")
_LIMIT_SECONDS = 480
_LOOK_SECONDS = 1.0
_WORKLOADS = (Want("apps/v1", "Deployment"), Want("apps/v1", "StatefulSet"))
_CLASS: Document = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "stand-in", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
}
_VOLUMES = 8


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
    said: list[str] = field(default_factory=list)

    def row(self) -> str:
        """As a line of the table."""
        numbers = f"{self.seconds:6.0f} s {self.client_seconds:6.0f} s {self.server_cpu:6.0f} s {self.client_cpu:6.1f} s"
        return f"{self.case:<7} {self.delay:4.0f} s {numbers} {self.client_mib:6.0f} MiB  {self.sidecars}"


HEAD = "case    ready  available  client    server    client     client   pods with sidecar\n        in                  ends      CPU       CPU        memory"


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
            while len(await cluster.list(Want("v1", "Node"))) < 2:
                await asyncio.sleep(_LOOK_SECONDS)
            while not await cluster.list(Want("v1", "ServiceAccount", "default")):
                await asyncio.sleep(_LOOK_SECONDS)
            yield plane, cluster


async def measure(plane: ControlPlane, cluster: ApiCluster, figures: Figures, command: Sequence[str], *, workloads: int) -> None:
    """Run a client, wait until what it sent is available, and fill in what that took."""
    before, begin = plane.cpu_seconds("kube-apiserver"), time.monotonic()
    output = plane.folder / f"client-{figures.case}.log"
    with output.open("wb") as log:
        client = plane.inside.popen(list(command), stdout=log, stderr=subprocess.STDOUT, env=plane.environment(), cwd=plane.folder)
    ended = asyncio.create_task(asyncio.to_thread(os.wait4, client.pid, 0))
    ready = 0
    while ready < workloads or not ended.done():
        if ended.done() and not figures.client_seconds:
            figures.client_seconds = time.monotonic() - begin
        if time.monotonic() - begin > _LIMIT_SECONDS:
            figures.said.append(f"gave up: {ready} of {workloads} are available")
            client.kill()
            break
        await asyncio.sleep(_LOOK_SECONDS)
        found = [item for want in _WORKLOADS for item in await cluster.list(want)]
        ready = sum(workload_waiting(item) is None for item in found)
    figures.seconds = time.monotonic() - begin
    _pid, status, usage = await ended
    figures.client_seconds = figures.client_seconds or figures.seconds
    figures.server_cpu = plane.cpu_seconds("kube-apiserver") - before
    figures.client_cpu, figures.client_mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    figures.said += output.read_text(encoding="utf-8", errors="replace").splitlines()
    if status:
        figures.said.append(f"the client ended with {os.waitstatus_to_exitcode(status)}")


async def sidecars(cluster: ApiCluster) -> str:
    """How many pods that istiod should have seen it did see."""
    namespaces = {
        item["metadata"]["name"]
        for item in await cluster.list(Want("v1", "Namespace"))
        if (item["metadata"].get("labels") or {}).get("istio-injection") == "enabled"
    }
    pods = [pod for pod in await cluster.list(Want("v1", "Pod")) if pod["metadata"]["namespace"] in namespaces]
    wanted = [pod for pod in pods if _injected(pod)]
    seen = sum(SIDECAR in (pod["metadata"].get("annotations") or {}) for pod in wanted)
    return f"{seen} of {len(wanted)}"


def _injected(pod: Document) -> bool:
    metadata = pod["metadata"]
    own = (metadata.get("labels") or {}).get("sidecar.istio.io/inject") or (metadata.get("annotations") or {}).get(
        "sidecar.istio.io/inject"
    )
    return own != "false" and not pod["spec"].get("hostNetwork")


async def run(case: str, delay: float, path: Path, workloads: int, folder: Path) -> list[Figures]:
    """One case on a cluster of its own; after waves, the same again with nothing to change."""
    async with cluster_with_nodes(folder, delay) as (plane, cluster):
        kubectl = program("kubectl") or "kubectl"
        loop = [sys.executable, "-m", "tests.bench.kubeflow_client", "loop", str(path), kubectl]
        waves = [sys.executable, "-m", "tests.bench.kubeflow_client", "waves", str(path)]
        done = Figures(case, delay)
        await measure(plane, cluster, done, loop if case == "loop" else waves, workloads=workloads)
        done.sidecars = await sidecars(cluster)
        again = Figures(f"{case}+", delay)
        await measure(plane, cluster, again, loop if case == "loop" else waves, workloads=0)
        return [done, again]


async def main(options: argparse.Namespace) -> None:
    opener = gzip.open if options.documents.suffix == ".gz" else open
    with opener(options.documents, "rb") as file:
        text = file.read()
    rows: list[Figures] = []
    print(HEAD)
    # In memory: what is measured is the API server, not this machine's disk.
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as where:
        path = Path(where) / "all.yaml"
        path.write_bytes(text)
        workloads = text.count(b"\nkind: Deployment\n") + text.count(b"\nkind: StatefulSet\n")
        for delay in options.delays.split(","):
            for case in options.cases.split(","):
                for figures in await run(case, float(delay), path, workloads, Path(where) / f"{case}-{delay}"):
                    rows.append(figures)
                    print(figures.row(), flush=True)
                    if options.verbose or (figures.said and figures.said[-1].startswith(("gave up", "the client"))):
                        print("\n".join(f"    {line}" for line in figures.said), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_kubeflow", description=__doc__)
    parser.add_argument("--documents", type=Path, required=True, help="rendered Kubeflow, .yaml or .yaml.gz")
    parser.add_argument("--delays", default="15,60", help="seconds until a pod is ready")
    parser.add_argument("--cases", default="loop,waves")
    parser.add_argument("--verbose", action="store_true", help="show what the clients say")
    if reason := missing(*_NEEDED):
        sys.exit(f"bench: {reason}")
    asyncio.run(main(parser.parse_args()))
