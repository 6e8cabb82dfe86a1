"""A control plane with stand-ins for nodes and webhook backends, and a client for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kfinstall.kube.api import ApiCluster, open_cluster
from kfinstall.kube.base import NotReady, Ref
from tests.fakes.apiserver import ControlPlane, control_plane

Document = dict[str, Any]


def there(document: Document | None) -> NotReady | None:
    return None if document else NotReady("it is not there")


@asynccontextmanager
async def cluster(
    folder: Path, *, delay: float = 0.2, stuck: str = "", webhooks: bool = False, mounts: bool = False, volumes: bool = False
) -> AsyncIterator[tuple[ControlPlane, ApiCluster]]:
    """Pods become ready `delay` seconds after they were scheduled. `volumes`: claims get some, and pods with claims run."""
    async with control_plane(folder) as plane:
        more = ["--mounts"] if mounts else []
        if volumes:
            (folder / "volumes").mkdir()
            more.append(f"--volumes={folder / 'volumes'}")
            plane.start("provisioner", sys.executable, "-m", "tests.fakes.provisioner", more[-1])
        plane.start("kubelets", sys.executable, "-m", "tests.fakes.kubelets", "--delay", str(delay), "--stuck", stuck, *more)
        if webhooks:
            plane.start("webhooks", sys.executable, "-m", "tests.fakes.webhooks")
        async with open_cluster(plane.kubeconfig, plane.port) as client:
            await client.wait(Ref("v1", "ServiceAccount", "default", "default"), there, timeout_seconds=60, say=lambda _text: None)
            for number in range(2):
                await client.wait(Ref("v1", "Node", f"stand-in-{number}"), open_, timeout_seconds=60, say=lambda _text: None)
            yield plane, client


def open_(node: Document | None) -> NotReady | None:
    """Whether pods are given to a node."""
    conditions = ((node or {}).get("status") or {}).get("conditions") or []
    ready = any((item["type"], item["status"]) == ("Ready", "True") for item in conditions)
    return None if ready and not ((node or {}).get("spec") or {}).get("taints") else NotReady("it takes no pods yet")


def deployment(name: str, image: str = "registry.example/x:1", namespace: str = "default", **pod: Any) -> Document:
    labels = {"app": name}
    spec = {"containers": [{"name": "main", "image": image}], **pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def config_map(name: str, namespace: str = "default", **data: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


async def command(plane: ControlPlane, *arguments: str) -> str:
    """Run a program inside, to its end; what it printed."""
    process = await asyncio.create_subprocess_exec(
        *plane.inside.command(*arguments),
        pass_fds=[plane.inside.handle],
        env=plane.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _none = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
