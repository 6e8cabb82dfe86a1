"""Whether processor and memory carry the node's role, and the servers together carry Kubeflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from kfinstall import limits
from kfinstall.checks import Finding, not_read, verdict
from kfinstall.preflight import gibibytes
from kfinstall.releases import Component
from kfinstall.step import Check, Danger, Step, View


def _chosen(view: View) -> dict[str, Component]:
    """The chosen components of Kubeflow with all that they need, by id."""
    row = view.release.kubeflow
    if row is None or not view.answers.kubeflow.enabled:
        return {}
    wanted = view.answers.kubeflow.components
    open_ids = list(row.presets.get(wanted, ()) if isinstance(wanted, str) else wanted)
    chosen: dict[str, Component] = {}
    while open_ids:
        name = open_ids.pop()
        if name not in chosen and name in row.components:
            chosen[name] = row.components[name]
            open_ids += chosen[name].needs
    return chosen


def _cpu(view: View) -> Iterator[Finding]:
    hardware = view.facts.hardware
    if hardware.cpus < limits.PREFLIGHT_CPUS:
        control_plane = "control-plane" in view.node.roles
        why = "kubeadm refuses a control plane with fewer than 2" if control_plane else "pods will wait for each other"
        yield Finding(
            f"{hardware.cpus} CPU: {why}",
            f"give {view.target} at least {limits.PREFLIGHT_CPUS} CPUs in its hypervisor",
            warning=not control_plane,
        )
    if hardware.cpu_level == 1 and view.answers.kubeflow.enabled:
        yield Finding(
            "the processor does not reach x86-64-v2, and MySQL 8 of Kubeflow will not start on it",
            f"set the CPU type of {view.target} to host (host-passthrough) in its hypervisor",
        )


def _memory(view: View) -> Iterator[Finding]:
    have = view.facts.hardware.memory_bytes // 2**20
    if "control-plane" in view.node.roles:
        least, comfort = limits.PREFLIGHT_CONTROL_PLANE_MEBIBYTES, limits.PREFLIGHT_CONTROL_PLANE_COMFORT_MEBIBYTES
        role = "control plane"
    else:
        least, comfort = limits.PREFLIGHT_WORKER_MEBIBYTES, limits.PREFLIGHT_WORKER_COMFORT_MEBIBYTES
        role = "worker"
    if have < comfort:
        yield Finding(
            f"{have} MiB of memory; a {role} needs {least} MiB, better {comfort}",
            f"give {view.target} more memory in its hypervisor",
            warning=have >= least,
        )


def _fit(view: View) -> Iterator[Finding]:
    """The servers together against what the chosen components ask for; told once, on the first control plane."""
    chosen = _chosen(view)
    if not chosen or view.target != view.answers.first_control_plane.name:
        return
    nodes = [node for node in view.answers.nodes if "worker" in node.roles] or list(view.answers.nodes)
    facts = [view.fleet[node.name].hardware for node in nodes if node.name in view.fleet]
    room = sum(max(0, fact.memory_bytes // 2**20 - limits.PREFLIGHT_SYSTEM_MEBIBYTES_PER_NODE) for fact in facts)
    wanted = sum(component.memory_mebibytes for component in chosen.values())
    heavy = max(chosen.values(), key=lambda component: component.memory_mebibytes)
    advice = (
        f"kubeflow.components: take fewer ({heavy.title} asks for most: {heavy.memory_mebibytes} MiB), or add memory or a worker"
    )
    if wanted > room:
        yield Finding(
            f"Kubeflow's components ask for {wanted} MiB of memory, the workers together have {room} MiB for them", advice
        )
    processors = sum(fact.cpus for fact in facts) * 1000
    asked = sum(component.cpu_millicores for component in chosen.values())
    if asked > processors:
        text = f"Kubeflow's components ask for {asked / 1000:.1f} CPU, the workers together have {processors // 1000}"
        yield Finding(text, "kubeflow.components: take fewer, or add a worker", warning=True)
    pods = sum(component.pods for component in chosen.values())
    if pods > len(facts) * limits.PREFLIGHT_PODS_PER_NODE:
        yield Finding(f"{pods} pods do not fit on {len(facts)} worker(s)", "kubeflow.components: take fewer, or add a worker")


class PreflightHardware(Step):
    """Check CPU and memory."""

    id: ClassVar[str] = "preflight.hardware"
    title: ClassVar[str] = "Check CPU and memory"
    danger: ClassVar[Danger] = Danger.NONE

    def check(self, view: View) -> Check:
        """Satisfied where the node carries its role, and the workers together the chosen components."""
        missing = not_read(view)
        if missing is not None:
            return missing
        hardware = view.facts.hardware
        level = f", x86-64-v{hardware.cpu_level}" if hardware.cpu_level else ""
        evidence = f"{hardware.cpus} CPU{level}, {gibibytes(hardware.memory_bytes)} of memory"
        return verdict([*_cpu(view), *_memory(view), *_fit(view)], evidence)
