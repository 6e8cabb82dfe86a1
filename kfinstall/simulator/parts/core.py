"""Effects of the read-only scripts that the engine itself sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kfinstall.simulator.nodes.model import ScriptError, SimNode, World, effect


@effect("ask/cluster-admin-conf")
def admin_conf(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Print the administrator's kubeconfig."""
    file = node.files.get("/etc/kubernetes/admin.conf")
    if file is None or not file.content:
        raise ScriptError(3)
    yield from file.content.splitlines()
