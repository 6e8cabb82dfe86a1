"""What other installers leave on a server, whose it is, whether it stands in the way, and its maker's own way to take it off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kfinstall.engine.checks import Finding
from kfinstall.engine.step import Fix
from kfinstall.text import shell

_KUBEADM_RESET: Final = "sudo kubeadm reset --force"


@dataclass(frozen=True, slots=True)
class Maker:
    """An installer of a whole Kubernetes."""

    name: str
    hint: str


MAKERS: Final[Mapping[str, Maker]] = {
    "k3s": Maker(
        "k3s", "sudo k3s-uninstall.sh || sudo k3s-agent-uninstall.sh || sudo rm -rf /etc/rancher/k3s /var/lib/rancher/k3s"
    ),
    "rke2": Maker("RKE2", "sudo rke2-uninstall.sh || sudo rm -rf /etc/rancher/rke2 /var/lib/rancher/rke2"),
    "microk8s": Maker("MicroK8s", "sudo snap remove --purge microk8s"),
    "k0s": Maker("k0s", "sudo k0s stop; sudo k0s reset"),
    "k8s-snap": Maker("Canonical Kubernetes", "sudo snap remove --purge k8s"),
    "rke": Maker(
        "RKE",
        "rke remove --config cluster.yml  # where that file is; then on the server: sudo docker rm -f $(sudo docker ps -aq --filter name=kube) "
        "&& sudo rm -rf /opt/rke /var/lib/rancher /etc/kubernetes /var/lib/etcd",
    ),
    "kubekey": Maker("KubeKey", "kk delete cluster -f config.yaml  # where that file is"),
    "kubespray": Maker("kubespray", "ansible-playbook -i inventory/hosts.yaml --become reset.yml  # in kubespray's folder"),
    "minikube": Maker("minikube", "minikube delete --all --purge; sudo rm -rf /var/lib/minikube"),
    "rancher-agent": Maker("Rancher's agent", "sudo rancher-system-agent-uninstall.sh"),
}
_CNI: Final = (
    (("flannel", "cbr0"), "Flannel"),
    (("weave",), "Weave Net"),
    (("cilium",), "Cilium"),
    (("calico",), "Calico"),
    (("canal",), "Canal"),
    (("kuberouter", "kube-router"), "kube-router"),
    (("antrea",), "Antrea"),
    (("ovn", "kube-ovn"), "OVN"),
    (("multus",), "Multus"),
    (("crio",), "CRI-O"),
    (("podman",), "Podman"),
    (("nerdctl", "containerd-net"), "nerdctl or containerd's own example"),
)
_INTERFACES: Final = {
    "cni0": "Flannel's, or another's by the bridge plugin",
    "flannel": "Flannel's",
    "cilium": "Cilium's",
    "weave": "Weave Net's",
    "vxlan-6784": "Weave Net's",
    "kube-bridge": "kube-router's",
    "kube-router": "kube-router's",
    "antrea": "Antrea's",
    "ovn": "OVN's",
    "kube-ipvs0": "kube-proxy's, of an earlier cluster",
    "nodelocaldns": "NodeLocal DNSCache's, of an earlier cluster",
    "vxlan.calico": "Calico's, of an earlier cluster",
}
_RUN_BY_SYSTEMD: Final = frozenset({"containerd", "containerd-shim-runc-v2", "runc", "dockerd"})
"""Found by the daemons themselves, which look in /usr/local first."""
_RULES: Final = {
    "KUBE": ("kube-proxy's", "KUBE-"),
    "CILIUM": ("Cilium's", "CILIUM_"),
    "cali": ("Calico's", "cali-"),
    "FLANNEL": ("Flannel's", "FLANNEL-"),
    "WEAVE": ("Weave Net's", "WEAVE"),
    "CNI": ("the portmap plugin's", "CNI-"),
    "KUBE-ROUTER": ("kube-router's", "KUBE-"),
    "ANTREA": ("Antrea's", "ANTREA-"),
}
_FILTER: Final = frozenset({"CILIUM", "WEAVE", "KUBE-ROUTER", "ANTREA"})
"""Theirs drop packets; kube-proxy and Calico write those of their names anew."""
_OWN_CNI: Final = "10-calico.conflist"
_OWN_KIND: Final = ("kube-ipvs0", "nodelocaldns", "vxlan.calico")


def _cni(name: str) -> str:
    low = name.lower()
    return next((maker for words, maker in _CNI if any(word in low for word in words)), "")


def _away(path: str, unit: str = "") -> Fix:
    return Fix(f"take {path} away, and keep it", "mend-leftover", (("FILE", path), ("SERVICE", unit)))


def _program(path: str) -> Finding:
    name = path.rpartition("/")[2]
    new = shell("sudo", "mv", path, f"{path}.old")
    if name in _RUN_BY_SYSTEMD:
        text = f"{path} is no package's (kubespray, KubeKey or a hand put it there), and would run instead of the packages' {name}"
        return Finding(text, new, fix=_away(path), name="other-program")
    text = f"{path} is no package's (kubespray, KubeKey or a hand put it there): kfinstall runs the packages' {name}, and a shell this one"
    return Finding(text, new, warning=True, fix=_away(path), name="other-program")


def _unit(detail: str) -> Finding | None:
    start, _blank, path = detail.partition(" ")
    if start.startswith(("/usr/bin/", "/bin/", "/usr/sbin/")):
        return None
    name = path.split("/system/", 1)[-1].split("/", 1)[0].removesuffix(".d")
    text = f"{path} starts {start} as {name}, instead of the program that a package brings (kubespray, KubeKey or a hand wrote it)"
    command = f"{shell('sudo', 'systemctl', 'disable', '--now', name)}; {shell('sudo', 'mv', path, f'{path}.old')}; sudo systemctl daemon-reload"
    if name == "etcd.service":
        text = f"{path} runs an etcd of its own ({start}): it holds the ports that Kubernetes' etcd needs"
    return Finding(text, command, fix=_away(path, name), name="other-program")


def _flag(detail: str) -> Finding:
    flag, _blank, path = detail.partition(" ")
    text = f"{path} starts the kubelet with {flag}, which it no longer knows: it would not start"
    return Finding(text, f"{shell('sudoedit', path)}  # take {flag} out; then: sudo systemctl daemon-reload", name="kubelet-flag")


def _masked(path: str) -> Finding | None:
    name = path.rpartition("/")[2]
    if name in ("etcd.service", "crio.service"):
        return None
    return Finding(f"{name} is masked: it can't be started", shell("sudo", "systemctl", "unmask", name), name="masked-unit")


def _snap(name: str) -> Finding:
    expected = name in ("kubectl", "kubeadm", "docker")
    text = f"{name} is installed as a snap" + ("" if expected else ": it runs beside what kfinstall installs, on the same ports")
    return Finding(text, shell("sudo", "snap", "remove", "--purge", name), warning=expected, name="other-installation")


def _cni_configuration(path: str) -> Finding:
    name = path.rpartition("/")[2]
    maker, later = _cni(name), name > _OWN_CNI
    text = f"{path} is another pod network's configuration{f' ({maker})' if maker else ''}"
    return Finding(
        text,
        shell("sudo", "rm", path),
        warning=later,
        fix=Fix(f"take {path} away, and keep it", "mend-cni-file", (("FILE", path),)),
        name="other-network",
    )


def _cni_interface(path: str) -> Finding:
    name = path.rpartition("/")[2]
    whose = next((whose for word, whose in _INTERFACES.items() if name.startswith(word)), "")
    text = f"the network interface {name} is another pod network's{f': {whose}' if whose else ''}"
    return Finding(text, shell("sudo", "ip", "link", "delete", name), warning=name in _OWN_KIND, name="other-network")


def _state(path: str) -> Finding:
    maker = _cni(path)
    text = f"{path} is what another network of pods or containers{f' ({maker})' if maker else ''} kept"
    return Finding(text, shell("sudo", "rm", "-rf", path), warning=True, name="other-network")


def _kubernetes_state(path: str) -> Finding:
    command = f"{_KUBEADM_RESET}; {shell('sudo', 'rm', '-rf', path)}"
    return Finding(f"{path} is what another Kubernetes left", command, warning=True, name="other-cluster")


_KINDS: Final[Mapping[str, Callable[[str], Finding | None]]] = {
    "program": _program,
    "unit": _unit,
    "drop-in": _unit,
    "flag": _flag,
    "masked": _masked,
    "snap": _snap,
    "cni-configuration": _cni_configuration,
    "cni-interface": _cni_interface,
    "cni-state": _state,
    "kubernetes-state": _kubernetes_state,
}
_MEMBERS_OWN: Final = frozenset({"cni-state", "kubernetes-state"})
"""Also what a member of this cluster has."""


def trace(text: str, *, ours: bool = False) -> Finding | None:
    """What one line of the facts means: 'kind detail'. None where it is nothing to tell. `ours`: the node belongs to this cluster, or was begun for it."""
    kind, _blank, detail = text.partition(" ")
    if ours and (kind in _MEMBERS_OWN or detail.rpartition("/")[2] in _OWN_KIND):
        return None
    if kind in _KINDS:
        return _KINDS[kind](detail)
    maker = MAKERS.get(kind)
    if maker is None:
        return Finding(f"{kind} is or was installed ({detail})", shell("ls", "-l", detail), name="other-installation")
    return Finding(f"{maker.name} is or was installed ({detail})", maker.hint, name="other-installation")


def rules(whose: str, count: int) -> Finding:
    """Chains of the packet filter that a pod network left."""
    owner, prefix = _RULES.get(whose, (f"{whose}'s", whose))
    text = f"{count} chains of iptables are {owner}, and no such pod network is there any more"
    command = f"sudo iptables-save | grep -v {shell(prefix)} | sudo iptables-restore"
    return Finding(text, command, warning=whose not in _FILTER, name="other-network")
