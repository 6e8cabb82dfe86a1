"""One client that puts rendered Kubeflow on a cluster, in a process of its own, so that its CPU and memory can be measured.

Run inside the control plane's namespace: python -m tests.bench.kubeflow_client waves|loop|again FILE; KUBECONFIG names the cluster.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from kfinstall.apply_waves import apply_waves
from kfinstall.cluster import raw
from kfinstall.cluster.api import open_cluster
from kfinstall.cluster.base import Document, Ref
from kfinstall.kubeflow import inventory
from kfinstall.kubeflow.inventory import Inventory
from kfinstall.stamp import content
from kfinstall.waves import clean_document, without_stray_namespaces

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

    kubeconfig = Path(os.environ["KUBECONFIG"]).read_text(encoding="ascii")
    port = urlsplit(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"]).port
    found = documents(path)
    say(f"{len(found)} documents read")
    async with open_cluster(kubeconfig, port or 0) as cluster:
        wanted = {Ref.of(document): content(document) for document in found}
        live = await cluster.snapshot(inventory.wants())
        known = inventory.read(live)
        present = known.present(live, wanted)
        say(f"{len(present)} are there as wanted")
        result = await apply_waves(cluster, found, say, present=present)
        fields = {ref: hashes[1] for ref, hashes in known.objects.items()} | {
            ref: done.fields for ref, done in result.applied.items()
        }
        objects = {ref: (digest, fields.get(ref, "")) for ref, digest in wanted.items()}
        await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kfinstall"}})
        await cluster.apply(Inventory("bench", objects).document())
        say(f"{len(result.applied)} sent, {result.changed} made or changed")


def loop(path: Path, kubectl: str) -> None:
    """The guide's loop, with server-side apply, without which it never ends for this release."""
    passes = 1
    while subprocess.run(
        [kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(path)], capture_output=True, check=False
    ).returncode:
        time.sleep(_LOOP_SECONDS)
        passes += 1
    print(f"{passes} passes", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "waves":
        asyncio.run(waves(Path(sys.argv[2])))
    else:
        loop(Path(sys.argv[2]), sys.argv[3])
