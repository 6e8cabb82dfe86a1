"""One client that puts rendered Kubeflow on a cluster, in a process of its own, so that its CPU and memory can be measured.

Run inside the control plane's namespace: python -m tests.bench.kubeflow_client waves|plan|loop|pass|diff FILE [KUBECTL];
KUBECONFIG names the cluster. Lines of standard output that begin with `figure` are read by the bench.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kfinstall.apply.send import apply_waves
from kfinstall.apply.stamp import content
from kfinstall.apply.waves import clean_document, without_stray_namespaces
from kfinstall.kube import raw
from kfinstall.kube.api import ApiCluster, open_cluster
from kfinstall.kube.base import Applied, Document, Ref
from kfinstall.parts.kubeflow import inventory
from kfinstall.parts.kubeflow.inventory import Inventory

_LOOP_SECONDS = 20
"""What the guide's loop sleeps between two passes."""


def documents(path: Path) -> list[Document]:
    """The rendered documents, as the engine takes them."""
    loaded = [item for item in raw.read(path.read_text(encoding="utf-8")) if item]
    return without_stray_namespaces([clean_document(item) for item in loaded])


async def waves(path: Path) -> None:
    """What kubeflow.apply does with what it fetched: all of it, or again only what differs."""
    begin = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begin:.1f} {text}", flush=True)

    async with _opened() as cluster:
        found, live = await asyncio.gather(asyncio.to_thread(documents, path), cluster.snapshot(inventory.wants()))
        say(f"{len(found)} documents read, and what the cluster has")
        wanted = {Ref.of(document): content(document) for document in found}
        known = inventory.read(live)
        present = known.present(live, wanted)
        say(f"{len(present)} are there as wanted")
        began = _Began(cluster)
        result = await apply_waves(began, found, say, present=present)
        if began.at is not None:
            print(f"figure first {began.at - begin:.2f}", flush=True)
        print(f"figure sent {len(result.applied)} {began.sent}", flush=True)
        fields = {ref: hashes[1] for ref, hashes in known.objects.items()} | {
            ref: done.fields for ref, done in result.applied.items()
        }
        objects = {ref: (digest, fields.get(ref, "")) for ref, digest in wanted.items()}
        await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kfinstall"}})
        await cluster.apply(Inventory("bench", objects, served=inventory.served_by(found)).document())
        say(f"{len(result.applied)} sent, {result.changed} made or changed")


class _Began:
    """The cluster, which notes when the first object is sent, and how many are."""

    def __init__(self, cluster: ApiCluster) -> None:
        self._cluster = cluster
        self.at: float | None = None
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, document: Document, *, timeout_seconds: float = 60) -> Applied:
        self.at = self.at or time.monotonic()
        self.sent += 1
        return await self._cluster.apply(document, timeout_seconds=timeout_seconds)


@asynccontextmanager
async def _opened() -> AsyncIterator[ApiCluster]:
    kubeconfig = Path(os.environ["KUBECONFIG"]).read_text(encoding="ascii")
    port = urlsplit(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"]).port
    async with open_cluster(kubeconfig, port or 0) as cluster:
        yield cluster


async def plan() -> None:
    """What `kfinstall plan` asks the cluster about Kubeflow: what is missing, what was changed. Nothing is written."""
    async with _opened() as cluster:
        live = await cluster.snapshot(inventory.wants())
        known = inventory.read(live)
        print(f"{len(known.objects)} objects known, {len(known.outstanding(live))} to apply", flush=True)


def kubectl_once(verb: str, path: Path, kubectl: str) -> None:
    """One pass of kubectl: `apply`, or `diff`, whose 1 says that something differs."""
    done = subprocess.run(
        [kubectl, verb, "--server-side", "--force-conflicts", "-f", str(path)], capture_output=True, check=False, text=True
    )
    print(f"{verb} ended with {done.returncode}; {len(done.stdout.splitlines())} lines", flush=True)
    if done.returncode > (verb == "diff"):
        print(done.stderr[-2000:], flush=True)


def loop(path: Path, kubectl: str) -> None:
    """The guide's loop, with server-side apply, without which it never ends for this release."""
    passes = 1
    while subprocess.run(
        [kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(path)], capture_output=True, check=False
    ).returncode:
        time.sleep(_LOOP_SECONDS)
        passes += 1
    print(f"figure passes {passes}", flush=True)


def memory_mib() -> float:
    """The most that this process, or one that it started, had at once; not what it was forked from."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    own = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


if __name__ == "__main__":
    mode, file = sys.argv[1], Path(sys.argv[2])
    if mode == "waves":
        asyncio.run(waves(file))
    elif mode == "plan":
        asyncio.run(plan())
    elif mode == "loop":
        loop(file, sys.argv[3])
    else:
        kubectl_once({"pass": "apply", "diff": "diff"}[mode], file, sys.argv[3])
    print(f"figure mib {memory_mib():.0f}", flush=True)
