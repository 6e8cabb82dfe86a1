"""What other installations left on the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import makers, membership
from kfinstall.parts.preflight.guests import Guests
from kfinstall.text import shell

_RESET: Final = "sudo kubeadm reset --force && sudo rm -rf /etc/cni/net.d /var/lib/etcd/member /etc/kubernetes/pki"
_IN_CONTAINERS: Final = (
    (("kindest/node",), "kind"),
    (("k8s-minikube/kicbase", "kicbase"), "minikube"),
    (("rancher/k3s", "k3d-"), "k3d"),
    (("rancher/hyperkube", "rancher/rke-tools"), "RKE"),
)
"""(words of an image's name, whose it is)"""
_DELETE: Final = {
    "kind": "kind delete clusters --all",
    "minikube": "minikube delete --all",
    "k3d": "k3d cluster delete --all",
    "RKE": "rke remove --config cluster.yml  # where that file is",
}
_SOCKETS: Final = {"containerd": "/run/containerd/containerd.sock", "docker": "/run/cri-dockerd.sock"}


def _trace(text: str) -> Finding:
    """A line of the facts that always tells something."""
    return makers.trace(text) or Finding(text, "", name="other-installation")


def _goes_on(view: View) -> bool:
    return membership.begun(view) and not membership.another_authority(view)


def _kubeadm(view: View) -> Iterator[Finding]:
    runtime = view.facts.runtime
    if not membership.kubeadm_was_here(view.facts) or membership.member(view) or _goes_on(view):
        return
    first = view.fleet.get(view.answers.first_control_plane.name)
    if runtime.node_name and first is not None and runtime.ca_sha256 and runtime.ca_sha256 == first.runtime.ca_sha256:
        text = f"the server is already a member of this cluster, under the name {runtime.node_name}"
        yield Finding(
            text, f"name it {runtime.node_name} in the answers, under nodes; or on the server: {_RESET}", name="other-cluster"
        )
        return
    what = ", ".join(f"/etc/kubernetes/{name}" for name in runtime.kubeadm_files[:3]) or "/var/lib/etcd/member"
    yield Finding(f"kubeadm was here: {what} belong to another cluster", _RESET, name="other-cluster")


def _sockets(view: View) -> Iterator[Finding]:
    own = _SOCKETS[view.answers.cluster.runtime]
    sockets = set(view.facts.runtime.sockets)
    if view.answers.cluster.runtime == "docker":
        sockets.discard(_SOCKETS["containerd"])  # Docker runs on containerd: its socket belongs there
    for socket in sorted(sockets - {own}):
        text = f"another container runtime listens at {socket}: kubeadm and crictl will ask which one is meant"
        yield Finding(text, f"{shell('sudo', 'lsof', socket)}  # then remove that runtime", warning=True, name="other-runtime")


def _others(view: View) -> Iterator[Finding]:
    ours = membership.member(view) or _goes_on(view)
    for text in dict.fromkeys(view.facts.runtime.leftovers):
        found = makers.trace(text, ours=ours)
        unused = view.answers.cluster.runtime == "containerd" and text.endswith(("/dockerd", "/docker.service"))
        if found is None or (unused and text.startswith("masked ")):
            continue
        # What a member has run beside for long does not stand in its way, nor a Docker that nobody asks for.
        beside = unused or (membership.member(view) and text.startswith(("program ", "snap ")))
        yield replace(found, warning=True) if beside else found
    guests = view.fact(Guests)
    if not ours:
        yield from (makers.rules(whose, count) for whose, count in sorted(guests.rules))
    for container in guests.containers:
        maker = next((maker for words, maker in _IN_CONTAINERS if any(word in container.image for word in words)), "")
        if maker:
            text = f"the container {container.name} ({container.image}) is a node of {maker}, a Kubernetes of its own"
            yield Finding(text, _DELETE[maker], warning=True, name="other-installation")


class PreflightLeftovers(Step):
    """Other Kubernetes (k3s, RKE, RKE2, MicroK8s, k0s, kubespray's, KubeKey's, minikube's), other pod networks and runtimes, programs and units that no package brought, or kubeadm's files of another cluster. What belongs to this cluster, or was begun for it, is none."""

    id: ClassVar[str] = "preflight.leftovers"
    title: ClassVar[str] = "Look for other installations"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Guests,)
    names = (
        "other-cluster",
        "other-installation",
        "other-network",
        "other-program",
        "other-runtime",
        "kubelet-flag",
        "masked-unit",
    )

    @override
    def watch(self, view: View) -> NodeQuery:
        """Who made the node a member."""
        return membership.WATCH

    def check(self, view: View) -> Check:
        """Satisfied where nothing of another Kubernetes is there; what belongs to this cluster is none."""
        missing = not_read(view)
        if missing is not None:
            return missing
        found = [*_others(view), *_kubeadm(view), *_sockets(view)]
        if membership.member(view):
            evidence = "a member of this cluster already"
        elif _goes_on(view):
            evidence = "an earlier run of kfinstall began the cluster here; it goes on from there"
        else:
            evidence = "no trace of another Kubernetes"
        return verdict(found, evidence)
