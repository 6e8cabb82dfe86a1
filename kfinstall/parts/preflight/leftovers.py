"""What other installations left on the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import membership
from kfinstall.text import shell

_REMEDIES: Final = {
    "k3s": "sudo k3s-uninstall.sh || sudo k3s-agent-uninstall.sh || sudo rm -rf /etc/rancher/k3s /var/lib/rancher/k3s",
    "rke2": "sudo rke2-uninstall.sh || sudo rm -rf /etc/rancher/rke2 /var/lib/rancher/rke2",
    "microk8s": "sudo snap remove --purge microk8s",
    "k0s": "sudo k0s stop; sudo k0s reset",
    "k8s-snap": "sudo snap remove --purge k8s",
}
_OWN_CNI: Final = "10-calico.conflist"
_RESET: Final = "sudo kubeadm reset --force && sudo rm -rf /etc/cni/net.d /var/lib/etcd/member /etc/kubernetes/pki"
_SOCKETS: Final = {"containerd": "/run/containerd/containerd.sock", "docker": "/run/cri-dockerd.sock"}


def _trace(text: str) -> Finding:
    kind, _, path = text.partition(" ")
    if kind == "cni-configuration":
        later = path.rpartition("/")[2] > _OWN_CNI
        mend = Fix(f"take {path} away, and keep it", "mend-cni-file", (("FILE", path),))
        return Finding(f"{path} is another pod network's configuration", shell("sudo", "rm", path), warning=later, fix=mend)
    if kind == "cni-interface":
        name = path.rpartition("/")[2]
        return Finding(f"the network interface {name} is another pod network's", shell("sudo", "ip", "link", "delete", name))
    return Finding(f"{kind} is or was installed ({path})", _REMEDIES.get(kind, shell("ls", "-l", path)))


def _goes_on(view: View) -> bool:
    return membership.begun(view) and not membership.another_authority(view)


def _kubeadm(view: View) -> Iterator[Finding]:
    runtime = view.facts.runtime
    if not membership.kubeadm_was_here(view.facts) or membership.member(view) or _goes_on(view):
        return
    first = view.fleet.get(view.answers.first_control_plane.name)
    if runtime.node_name and first is not None and runtime.ca_sha256 and runtime.ca_sha256 == first.runtime.ca_sha256:
        text = f"the server is already a member of this cluster, under the name {runtime.node_name}"
        yield Finding(text, f"nodes: name it {runtime.node_name}, or on the server: {_RESET}")
        return
    what = ", ".join(f"/etc/kubernetes/{name}" for name in runtime.kubeadm_files[:3]) or "/var/lib/etcd/member"
    yield Finding(f"kubeadm was here: {what} belong to another cluster", _RESET)


def _sockets(view: View) -> Iterator[Finding]:
    own = _SOCKETS[view.answers.cluster.runtime]
    sockets = set(view.facts.runtime.sockets)
    if view.answers.cluster.runtime == "docker":
        sockets.discard(_SOCKETS["containerd"])  # Docker runs on containerd: its socket belongs there
    for socket in sorted(sockets - {own}):
        text = f"another container runtime listens at {socket}: kubeadm and crictl will ask which one is meant"
        yield Finding(text, f"{shell('sudo', 'lsof', socket)}  # then remove that runtime", warning=True)


class PreflightLeftovers(Step):
    """k3s, RKE2, MicroK8s, k0s, other pod networks and runtimes, or kubeadm's files of another cluster. What belongs to this cluster, or was begun for it, is none."""

    id: ClassVar[str] = "preflight.leftovers"
    title: ClassVar[str] = "Look for other installations"
    danger: ClassVar[Danger] = Danger.NONE

    @override
    def watch(self, view: View) -> NodeQuery:
        """Who made the node a member."""
        return membership.WATCH

    def check(self, view: View) -> Check:
        """Satisfied where nothing of another Kubernetes is there; what belongs to this cluster is none."""
        missing = not_read(view)
        if missing is not None:
            return missing
        found = [*(_trace(text) for text in view.facts.runtime.leftovers), *_kubeadm(view), *_sockets(view)]
        if membership.member(view):
            evidence = "a member of this cluster already"
        elif _goes_on(view):
            evidence = "an earlier run of kfinstall began the cluster here; it goes on from there"
        else:
            evidence = "no trace of another Kubernetes"
        return verdict(found, evidence)
