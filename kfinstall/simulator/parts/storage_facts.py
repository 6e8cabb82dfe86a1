"""Section nfs: the NFS server as a simulated node sees it."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.parts.storage import facts, provisioner
from kfinstall.simulator.nodes.lines import active, text_of
from kfinstall.simulator.nodes.model import SimNode


def clients(node: SimNode, path: str) -> list[str]:
    """Who a directory is exported to, as the kernel knows it: the file as far as the server runs."""
    if not active(node, provisioner.SERVER_UNIT):
        return []
    lines = [line.split() for line in text_of(node, provisioner.EXPORTS_FILE).splitlines() if not line.startswith("#")]
    wanted = facts.export_path(path)
    return [client.partition("(")[0] for words in lines if words and words[0] == wanted for client in words[1:]]


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """What scripts/storage/facts.sh prints."""
    path = parameters.get("NFS_PATH", "")
    if not path or "nfs-common" not in node.packages:
        return ""
    directory = f"directory={node.files[path].mode:o} {node.files[path].owner}\n" if path in node.files else ""
    foreign = ""
    if any(line.split()[:1] == [facts.export_path(path)] for line in text_of(node, "/etc/exports").splitlines()):
        foreign = "foreign=/etc/exports\n"
    return f"{directory}clients={' '.join(clients(node, path))}\n{foreign}"
