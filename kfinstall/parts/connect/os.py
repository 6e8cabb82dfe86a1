"""Which operating systems and processors the rest of the steps know."""

from __future__ import annotations

from typing import ClassVar, Final

from kfinstall.answers.fragment import accepted
from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Severity, Step, View

SUPPORTED: Final = {"ubuntu": ("22.04", "24.04", "26.04"), "debian": ("12", "13")}
_CONTAINERS: Final = frozenset({"docker", "podman", "lxc", "lxc-libvirt", "openvz", "wsl", "container-other"})


def _system(view: View) -> Finding | None:
    os = view.facts.os
    if os.version_id in SUPPORTED.get(os.id, ()):
        return None
    known = "Ubuntu 22.04, 24.04 or 26.04, or Debian 12 or 13"
    name = os.pretty or f"{os.id} {os.version_id}".strip() or "an unknown system"
    hint = f"install {known} on {view.node.address}, or take the server out of nodes"
    return Finding(f"{name} is not supported: {known}", hint, name="operating-system")


def _architecture(view: View) -> Finding | None:
    name = view.facts.os.architecture
    if name == "amd64":
        return None
    if name != "arm64":
        return Finding(f"the processor is {name or 'unknown'}, not amd64", f"take {view.target} out of nodes", name="processor")
    if view.answers.kubeflow.enabled:
        without = {"kubeflow.enabled": False}
        off = accepted(view.answers, [without, without | {"spark.operator": False}])
        hint = off or "turn Kubeflow off in the answers (kubeflow.enabled)"
        return Finding("Kubeflow's images exist for amd64 only, the server is arm64", hint, name="processor")
    return Finding("arm64 is not tested", f"take {view.target} out of nodes if something fails", warning=True, name="processor")


def _system_manager(view: View) -> Finding | None:
    if not view.facts.units:
        text = "systemd does not run there: it may be a container"
        return Finding(text, "take a virtual or a real machine", name="system-manager", severity=Severity.BLOCKING)
    kind = view.facts.os.virtualization
    if kind in _CONTAINERS:
        return Finding(
            f"the server is a container ({kind})", "take a virtual or a real machine", warning=True, name="system-manager"
        )
    return None


class ConnectOs(Step):
    """Ubuntu 22.04, 24.04 or 26.04, Debian 12 or 13, on amd64 with systemd. Kubeflow's images rule arm64 out; a container is a warning."""

    id: ClassVar[str] = "connect.os"
    title: ClassVar[str] = "Look at the operating system"
    danger: ClassVar[Danger] = Danger.NONE
    names = ("operating-system", "processor", "system-manager")

    def check(self, view: View) -> Check:
        """Satisfied on a supported Ubuntu or Debian on amd64 with systemd."""
        missing = not_read(view)
        if missing is not None:
            return missing
        found = [finding for finding in (_system(view), _architecture(view), _system_manager(view)) if finding]
        os = view.facts.os
        return verdict(found, f"{os.pretty}, {os.architecture}, kernel {os.kernel}")
