"""TCP ports that Kubernetes and the registry will listen on."""

from __future__ import annotations

from typing import ClassVar, Final

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Step, View
from kfinstall.facts.model import NodeQuery

_COMMAND_CHARACTERS: Final = 15
"""The kernel cuts a program's name there, and so does ss."""
_EVERY_NODE: Final = {10248: "kubelet", 10249: "kube-proxy", 10250: "kubelet", 10256: "kube-proxy"}
_CONTROL_PLANE: Final = {
    2379: "etcd",
    2380: "etcd",
    2381: "etcd",
    6443: "kube-apiserver",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}
_OUR_LISTENERS: Final = frozenset({"kf-reach"})
"""Those of preflight.reachability, of an installer that was killed or of another one: they end by themselves."""
_REGISTRY_PROGRAMS: Final = frozenset({"registry", "docker-registry", "distribution", "docker-proxy"})


def _wanted(view: View) -> dict[int, frozenset[str]]:
    """Port to the programs that may hold it."""
    ports = dict(_EVERY_NODE)
    if "control-plane" in view.node.roles:
        ports |= _CONTROL_PLANE
    wanted = {port: frozenset({name[:_COMMAND_CHARACTERS]}) for port, name in ports.items()}
    registry = view.answers.registry
    if registry.enabled and view.answers.registry_node.name == view.target:
        wanted[registry.port] = frozenset(name[:_COMMAND_CHARACTERS] for name in _REGISTRY_PROGRAMS)
    return wanted


def _finding(port: int, holder: str, allowed: frozenset[str]) -> Finding | None:
    foreign = [name for name in holder.split(",") if name[:_COMMAND_CHARACTERS] not in allowed | _OUR_LISTENERS]
    if not foreign:
        return None
    who = " and ".join("a program that can't be named" if name == "?" else name for name in foreign)
    return Finding(f"TCP port {port} is held by {who}", f"sudo ss -ltnp 'sport = :{port}'  # then stop that program")


class PreflightPorts(Step):
    """TCP ports of Kubernetes and of the registry, by the server's role: free, or already held by the program that they are for."""

    id: ClassVar[str] = "preflight.ports"
    title: ClassVar[str] = "Check that the ports are free"
    danger: ClassVar[Danger] = Danger.NONE

    def watch(self, view: View) -> NodeQuery:
        """The ports of the node's role."""
        return NodeQuery(ports=frozenset(_wanted(view)))

    def check(self, view: View) -> Check:
        """Satisfied where each port is free, or already held by the program that it is meant for."""
        missing = not_read(view)
        if missing is not None:
            return missing
        wanted, listeners = _wanted(view), view.facts.network.listeners
        found = [_finding(port, listeners[port], allowed) for port, allowed in sorted(wanted.items()) if port in listeners]
        held = sum(1 for port in wanted if port in listeners)
        evidence = f"{len(wanted) - held} ports are free" + (f", {held} held by Kubernetes and the registry" if held else "")
        return verdict([finding for finding in found if finding], evidence)
