"""Section runtime of a simulated node."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.simulator.nodes.lines import active, pair, text_of
from kfinstall.simulator.nodes.model import SimNode

_SOCKETS: Final = {
    "containerd.service": "/run/containerd/containerd.sock",
    "cri-docker.service": "/run/cri-dockerd.sock",
}
_KUBEADM: Final = re.compile(r"/etc/kubernetes/((admin|kubelet|bootstrap-kubelet)\.conf|pki/ca\.crt|manifests/[^/]+\.yaml)")
_CRI_OFF: Final = re.compile(r"""^\s*disabled_plugins\s*=\s*\[[^]]*["']cri["']""", re.MULTILINE)


def _sockets(node: SimNode) -> list[str]:
    lines = []
    for unit, socket in _SOCKETS.items():
        if active(node, unit):
            lines.append(pair("socket", socket))
            if unit != "containerd.service" or not _CRI_OFF.search(text_of(node, "/etc/containerd/config.toml")):
                lines.append(pair("cri", socket))
    return lines


def render(node: SimNode) -> str:
    """Print what scripts/facts/runtime.sh does; versions come from the section packages."""
    lines = _sockets(node)
    lines += [pair("kubeadm", match[1]) for path in sorted(node.files) if (match := _KUBEADM.fullmatch(path))]
    if "/var/lib/etcd/member" in node.files:
        lines.append(pair("etcd", "yes"))
    if "/etc/kubernetes/pki/ca.crt" in node.files:
        lines.append(pair("ca", node.files["/etc/kubernetes/pki/ca.crt"].sha256))
    if "/etc/kubernetes/kubelet.conf" in node.files:
        named = re.search(r"system:node:([a-z0-9.-]+)", text_of(node, "/etc/kubernetes/kubelet.conf"))
        lines.append(pair("node_name", named[1] if named else node.name))
    if "/usr/local/bin/k3s" in node.files:
        lines.append(pair("leftover", "k3s /usr/local/bin/k3s"))
    lines += [
        pair("leftover", f"cni-configuration {path}")
        for path in sorted(node.files)
        if path.startswith("/etc/cni/net.d/") and path.endswith((".conf", ".conflist")) and not path.endswith("/10-calico.conflist")
    ]
    return "".join(lines)
