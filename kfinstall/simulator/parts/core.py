"""Effects of the read-only scripts that the engine itself sends."""

from __future__ import annotations

from collections.abc import Iterator

from kfinstall.simulator.nodes.model import ScriptError, SimNode, effect


@effect("ask/cluster-admin-conf")
def admin_conf(node: SimNode) -> Iterator[str]:
    """Print the administrator's kubeconfig."""
    file = node.files.get("/etc/kubernetes/admin.conf")
    if file is None or not file.content:
        raise ScriptError(3)
    yield from file.content.splitlines()
