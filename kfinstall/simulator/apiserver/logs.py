"""What containers of the simulated pods have written, as the API server and the kubelet behind it give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from kfinstall.simulator.apiserver.status import StatusError
from kfinstall.simulator.apiserver.store import Store

Document = dict[str, Any]

LOGS: Final = "simulated-logs"
"""Key of the store that pods' logs are kept under."""


def log(store: Store, pod: Document, query: Mapping[str, str]) -> web.Response:
    """The answer to GET .../pods/<pod>/log; only the first container writes.

    Raises:
        ApiError: 400 for no or an unknown container, and for one that waits to start.
    """
    name = pod["metadata"]["name"]
    container = _container(pod, query.get("container", ""))
    if not pod["spec"].get("nodeName"):
        return web.Response(status=204)
    if pod["status"].get("phase") == "Pending":
        raise StatusError(400, f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating')
    saved = store.get(LOGS, pod["metadata"]["namespace"], name)
    first = pod["spec"]["containers"][0]["name"]
    lines = str(saved["text"]).splitlines(keepends=True) if saved and container == first else []
    tail = query.get("tailLines")
    return web.Response(text="".join(lines[-int(tail) :] if tail else lines))


def _container(pod: Document, requested: str) -> str:
    """The one that is asked for, or the only one; init containers (native sidecars too) don't make it ambiguous."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    every = [item["name"] for part in ("initContainers", "containers", "ephemeralContainers") for item in spec.get(part) or []]
    if requested and requested not in every:
        raise StatusError(400, f"container {requested} is not valid for pod {name}")
    if not requested and len(spec["containers"]) > 1:
        raise StatusError(400, f"a container name must be specified for pod {name}, choose one of: [{' '.join(every)}]")
    return requested or str(spec["containers"][0]["name"])
