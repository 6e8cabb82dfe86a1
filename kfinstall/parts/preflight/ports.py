"""TCP ports that Kubernetes and the registry will listen on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.fragment import setting
from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import membership
from kfinstall.parts.preflight.guests import Container, Guests
from kfinstall.text import shell

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
_REGISTRY_PROGRAMS: Final = frozenset({"registry", "docker-registry", "distribution"})
_REGISTRY_UNIT: Final = "kfinstall-registry.service"
_BY_DOCKER: Final = frozenset({"docker-proxy", "rootlesskit"})


@dataclass(frozen=True, slots=True)
class _Port:
    """A port that will be needed."""

    programs: frozenset[str]
    """Which may hold it already, where they are this cluster's."""
    ours: bool
    """Whether they are."""
    where: str = ""
    """The key of the answers that says which port it is, where one does."""


def _wanted(view: View) -> dict[int, _Port]:
    ports = dict(_EVERY_NODE)
    if "control-plane" in view.node.roles:
        ports |= _CONTROL_PLANE
    ours = membership.member(view) or membership.begun(view) or membership.done(view)
    wanted = {port: _Port(frozenset({name[:_COMMAND_CHARACTERS]}), ours) for port, name in ports.items()}
    registry = view.answers.registry
    if registry.enabled and view.answers.registry_node.name == view.target:
        programs = frozenset(name[:_COMMAND_CHARACTERS] for name in _REGISTRY_PROGRAMS)
        wanted[registry.port] = _Port(programs, membership.member(view) or view.facts.runs(_REGISTRY_UNIT), "registry.port")
    return wanted


def _stop(port: int, holder: str, wanted: _Port, containers: Iterable[Container]) -> tuple[str, str]:
    """Who holds it, in words, and a command that ends it."""
    names = [name for name in holder.split(",") if name]
    published = next((each for each in containers if port in each.ports), None)
    other = f"\n{setting(wanted.where, port + 1)}  # or another port" if wanted.where else ""
    if published is not None:
        who = f"the container {published.name} ({published.image})"
        return who, f"{shell('sudo', 'docker', 'rm', '-f', published.name)}{other}"
    if _BY_DOCKER & set(names):
        end = "sudo docker rm -f registry, if it is the one of older guides" if wanted.where else "sudo docker rm -f that name"
        return (
            "a container of Docker (docker-proxy)",
            f"sudo docker ps --filter publish={port}  # tells its name; then: {end}{other}",
        )
    who = " and ".join("a program that can't be named" if name == "?" else name for name in names)
    if all(name[:_COMMAND_CHARACTERS] in wanted.programs for name in names):
        who += ", which is not this cluster's"
    return who, f"sudo ss -ltnp 'sport = :{port}'  # then stop that program{other}"


def _finding(port: int, holder: str, wanted: _Port, containers: Iterable[Container]) -> Finding | None:
    holder = ",".join(name for name in holder.split(",") if name[:_COMMAND_CHARACTERS] not in _OUR_LISTENERS)
    if not holder or (wanted.ours and all(name[:_COMMAND_CHARACTERS] in wanted.programs for name in holder.split(","))):
        return None
    who, command = _stop(port, holder, wanted, containers)
    return Finding(f"TCP port {port} is held by {who}", command, name="port-held")


class PreflightPorts(Step):
    """TCP ports of Kubernetes and of the registry, by the server's role: free, or already held by this cluster's own."""

    id: ClassVar[str] = "preflight.ports"
    title: ClassVar[str] = "Check that the ports are free"
    danger: ClassVar[Danger] = Danger.NONE

    reads = (Guests,)
    names = ("port-held",)

    @override
    def watch(self, view: View) -> NodeQuery:
        """The ports of the node's role, the registry's unit, and who made the node a member."""
        return NodeQuery(ports=frozenset(_wanted(view)), units=frozenset({_REGISTRY_UNIT})) | membership.WATCH

    def check(self, view: View) -> Check:
        """Satisfied where each port is free, or held by what is this cluster's."""
        missing = not_read(view)
        if missing is not None:
            return missing
        wanted, listeners = _wanted(view), view.facts.network.listeners
        containers = view.fact(Guests).containers
        held_ports = [port for port in sorted(wanted) if port in listeners]
        found = [_finding(port, listeners[port], wanted[port], containers) for port in held_ports]
        held = len(held_ports)
        evidence = f"{len(wanted) - held} ports are free" + (f", {held} held by Kubernetes and the registry" if held else "")
        return verdict([finding for finding in found if finding], evidence)
