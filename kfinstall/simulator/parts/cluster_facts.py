"""Section cluster of a simulated node: the login user and its kubeconfig."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.simulator.nodes.lines import text_of
from kfinstall.simulator.nodes.model import SimNode

LOGIN: Final = "kfadmin"
HOME: Final = f"/home/{LOGIN}"
_ADMIN: Final = "/etc/kubernetes/admin.conf"
_CERTIFICATE: Final = re.compile(r"^\s*client-certificate-data:\s*(\S+)", re.MULTILINE)


def certificate(node: SimNode, path: str) -> str:
    """The client certificate of a kubeconfig, empty where there is none."""
    found = _CERTIFICATE.search(text_of(node, path))
    return found[1] if found else ""


def render(node: SimNode) -> str:
    """What scripts/cluster/facts.sh prints."""
    wanted = certificate(node, _ADMIN)
    if not wanted:
        return ""
    names = sorted(path for path in node.files if path.startswith(f"{HOME}/.kube/config"))
    own = next((path for path in names if certificate(node, path) == wanted and node.files[path].owner.startswith(f"{LOGIN}:")), "")
    return f"login={LOGIN}\n" + (f"kubeconfig={own}\n" if own else "")
