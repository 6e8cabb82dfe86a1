"""Whether processor and memory carry the node's role, and the servers together carry Kubeflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from kfinstall.answers.fragment import accepted
from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Severity, Step, View
from kfinstall.parts.preflight import fit, limits
from kfinstall.parts.preflight.facts import Host
from kfinstall.parts.preflight.reach import Reach
from kfinstall.parts.preflight.verdict import gibibytes

_FEWEST: Final = "mini"
"""The preset with the fewest components."""


def _cpu(view: View) -> Iterator[Finding]:
    hardware = view.facts.hardware
    if hardware.cpus < limits.PREFLIGHT_CPUS:
        control_plane = "control-plane" in view.node.roles
        why = "kubeadm refuses a control plane with fewer than 2" if control_plane else "pods will wait for each other"
        yield Finding(
            f"{hardware.cpus} CPU: {why}",
            f"give {view.target} at least {limits.PREFLIGHT_CPUS} CPUs in its hypervisor",
            warning=not control_plane,
            name="cpus",
            severity=Severity.BLOCKING if control_plane else None,
        )
    if hardware.cpu_level == 1 and view.answers.kubeflow.enabled:
        yield Finding(
            "the processor does not reach x86-64-v2, and MySQL 8 of Kubeflow will not start on it",
            f"set the CPU type of {view.target} to host (host-passthrough) in its hypervisor",
            name="cpu-level",
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
        huge = view.facts.hardware.huge_bytes // 2**20
        besides = f" (and {huge} MiB set apart as huge pages, which pods don't get)" if huge else ""
        free = "sudo sysctl -w vm.nr_hugepages=0  # and out of /etc/sysctl.d and the kernel's command line; or:\n" if huge else ""
        yield Finding(
            f"{have} MiB of memory{besides}; a {role} needs {least} MiB, better {comfort}",
            f"{free}give {view.target} more memory in its hypervisor",
            warning=have >= least,
            name="memory",
            severity=Severity.BLOCKING if have < least and role == "control plane" else None,
        )


_MAKERS: Final = {"0x10de": "NVIDIA", "0x1002": "AMD"}


def _graphics(view: View) -> Iterator[Finding]:
    host = view.fact(Host)
    for (maker, driver), count in Counter(host.gpus).items():
        what = f"{count} graphics processor{'s' if count > 1 else ''} of {_MAKERS.get(maker, maker)}"
        if host.nvidia and driver == "nvidia":
            state, hint = f"driver: {host.nvidia[:80]}", "nvidia-smi"
        elif driver in ("nvidia", "amdgpu"):
            state, hint = f"driver {driver}", f"cat /sys/module/{driver}/version"
        else:
            state = f"with the driver {driver}, which computes nothing" if driver else "without a driver"
            hint = "sudo apt-get install nvidia-driver" if view.facts.os.id == "debian" else "sudo ubuntu-drivers install --gpgpu"
            hint = hint if maker == "0x10de" else "sudo modprobe amdgpu"
        yield Finding(f"{what}, {state}", hint, name="graphics", severity=Severity.INFO)


def _bits(view: View) -> float | None:
    """The slowest of the streams that were measured between the servers, bits a second."""
    reach = view.survey(Reach)
    return min((path.bits_per_second for path in reach.paths.values() if path.bits_per_second), default=None) if reach else None


def _fewer(view: View, named: Sequence[str], leave_out: Sequence[str]) -> str:
    """What to write into the answers so that it fits; behind it, as a comment, what else can be said."""
    left = [name for name in named if name not in leave_out] if leave_out else []
    without = f"it fits without {', '.join(leave_out)}"
    # The operator of Spark is one of the components: where it goes, the answers must not ask for it.
    choices = [{"kubeflow.components": each} for each in (left, _FEWEST) if each and each != view.answers.kubeflow.components]
    found = accepted(view.answers, (each for choice in choices for each in (choice, choice | {"spark.operator": False})))
    if found:
        return f"{found}  # {without if leave_out else 'the fewest'}"
    return f"write fewer components into the answers (kubeflow.components){f': {without}' if leave_out else ''}"


def fit_findings(view: View) -> Iterator[Finding]:
    """The servers together against what the chosen components ask for; told once, on the first control plane.

    What Spark and the control plane of a lone server take besides is advice of the wizard, and nothing to refuse.
    """
    row, wanted = view.release.kubeflow, view.answers.kubeflow
    if row is None or not wanted.enabled or view.target != view.answers.first_control_plane.name:
        return
    named = row.presets.get(wanted.components, ()) if isinstance(wanted.components, str) else wanted.components
    chosen = [row.components[name] for name in fit.with_needs(row.components, *named)]
    if not chosen:
        return
    nodes = [node.name for node in view.answers.nodes if "worker" in node.roles] or [node.name for node in view.answers.nodes]
    judged = fit.fit(
        row.components,
        named,
        spark=False,
        facts=view.fleet,
        workers=nodes,
        pulls=row.pulls,
        pulls_mebibytes=row.pulls_mebibytes,
    )
    needed, room = judged.needed, judged.available or fit.Amount()
    heavy = max(chosen, key=lambda component: component.memory_mebibytes)
    less = _fewer(view, named, judged.leave_out)
    advice = f"{less}, or add memory or a worker ({heavy.title} asks for most: {heavy.memory_mebibytes} MiB)"
    yield Finding(
        f"Kubeflow's components ask for {needed.pods} pods, {needed.cpu_millicores / 1000:.1f} CPU, {needed.memory_mebibytes / 1024:.1f} GiB of "
        f"memory and {needed.volumes_gibibytes} GiB of volumes; it {judged.of_images(_bits(view))}",
        "",
        name="kubeflow-fit",
        severity=Severity.INFO,
    )
    if not judged.stored:
        text = f"the images take {needed.images_mebibytes / 1024:.1f} GiB, and a worker has only {(judged.free_mebibytes or 0) / 1024:.1f} GiB for them"
        yield Finding(text, f"{less}, or a larger disk", name="kubeflow-disk")
    if needed.memory_mebibytes > room.memory_mebibytes:
        text = f"Kubeflow's components ask for {needed.memory_mebibytes} MiB of memory, "
        yield Finding(f"{text}the workers together have {room.memory_mebibytes} MiB for them", advice, name="kubeflow-memory")
    if needed.cpu_millicores > room.cpu_millicores:
        text = f"Kubeflow's components ask for {needed.cpu_millicores / 1000:.1f} CPU, "
        text += f"the workers together have {room.cpu_millicores / 1000:.1f} for them"
        yield Finding(text, f"{less}, or add a worker", warning=True, name="kubeflow-cpu")
    if needed.pods > room.pods:
        known = len(nodes) - len(judged.unknown)
        text = f"{needed.pods} pods do not fit on {known} worker(s)"
        yield Finding(text, f"{less}, or add a worker", name="kubeflow-pods")


class PreflightHardware(Step):
    """Each server against what kubeadm asks of its role, and the workers together against what the chosen components ask for. MySQL 8 needs x86-64-v2."""

    id: ClassVar[str] = "preflight.hardware"
    title: ClassVar[str] = "Check CPU and memory"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Host,)
    names = (
        "cpus",
        "cpu-level",
        "memory",
        "graphics",
        "kubeflow-memory",
        "kubeflow-cpu",
        "kubeflow-pods",
        "kubeflow-fit",
        "kubeflow-disk",
    )

    def check(self, view: View) -> Check:
        """Satisfied where the node carries its role, and the workers together the chosen components."""
        missing = not_read(view)
        if missing is not None:
            return missing
        hardware = view.facts.hardware
        level = f", x86-64-v{hardware.cpu_level}" if hardware.cpu_level else ""
        huge = f", {gibibytes(hardware.huge_bytes)} more as huge pages" if hardware.huge_bytes else ""
        evidence = f"{hardware.cpus} CPU{level}, {gibibytes(hardware.memory_bytes)} of memory{huge}"
        return verdict([*_cpu(view), *_memory(view), *_graphics(view), *fit_findings(view)], evidence)
