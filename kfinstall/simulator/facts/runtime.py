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
_PROGRAM: Final = re.compile(r"/(?:usr/local/s?bin|opt/bin)/(?:kubelet|kubeadm|kubectl|containerd|runc|crictl|dockerd|docker|etcd)")
_UNIT: Final = re.compile(r"/etc/systemd/system/(?:kubelet|containerd|docker|etcd|crio)\.service")
_CRI_OFF: Final = re.compile(r"""^\s*disabled_plugins\s*=\s*\[[^]]*["']cri["']""", re.MULTILINE)


def _sockets(node: SimNode) -> list[str]:
    lines = []
    for unit, socket in _SOCKETS.items():
        if active(node, unit):
            lines.append(pair("socket", socket))
            if unit != "containerd.service" or not _CRI_OFF.search(text_of(node, "/etc/containerd/config.toml")):
                lines.append(pair("cri", socket))
    return lines


def _programs(node: SimNode) -> list[str]:
    """Programs and units that no package brought."""
    lines = [pair("leftover", f"program {path}") for path in sorted(node.files) if _PROGRAM.fullmatch(path)]
    for path in sorted(path for path in node.files if _UNIT.fullmatch(path)):
        start = re.findall(r"^ExecStart=(\S+)", text_of(node, path), re.MULTILINE)
        lines += [pair("leftover", f"unit {start[-1]} {path}")] if start else []
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
    lines += _programs(node)
    lines += [
        pair("leftover", f"cni-configuration {path}")
        for path in sorted(node.files)
        if path.startswith("/etc/cni/net.d/") and path.endswith((".conf", ".conflist")) and not path.endswith("/10-calico.conflist")
    ]
    return "".join(lines)
