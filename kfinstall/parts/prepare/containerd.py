"""prepare.containerd: the container runtime, with the systemd cgroup driver and its CRI plugin on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.prepare import limits
from kfinstall.text import sha256

_RECORD: Final = f"{prepare_files.PROOFS}/prepare-containerd.json"
_UNIT: Final = "containerd.service"
_SOCKET: Final = "/run/containerd/containerd.sock"


class PrepareContainerd(Step):
    """The distribution's containerd with a small configuration of ours, in the form that its version reads (1.6 to 2.x)."""

    id: ClassVar[str] = "prepare.containerd"
    title: ClassVar[str] = "Set containerd up"
    script: ClassVar[str] = "prepare-containerd"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def applies(self, answers: Answers) -> bool:
        """With containerd as the runtime."""
        return answers.cluster.runtime == "containerd"

    @override
    def watch(self, view: View) -> NodeQuery:
        """Its files and its unit."""
        return NodeQuery(
            files=frozenset({prepare_files.CONTAINERD_CONFIG, prepare_files.CONTAINERD_LIMITS, _RECORD}),
            units=frozenset({_UNIT}),
        )

    def parameters(self, view: View) -> Mapping[str, str]:
        """Both forms of the configuration: which one fits is known when the package is there."""
        return {
            "FILE": prepare_files.CONTAINERD_CONFIG,
            "VERSION2": prepare_files.containerd_v2(view),
            "VERSION3": prepare_files.containerd_v3(view),
            "LIMITS_FILE": prepare_files.CONTAINERD_LIMITS,
            "LIMITS": prepare_files.containerd_limits(),
            "CERTS_D": prepare_files.CERTS_D,
        }

    def check(self, view: View) -> Check:
        """Installed, configured, running, and its CRI socket answers."""
        runtime = view.facts.runtime
        if not runtime.containerd_version:
            files = (prepare_files.CONTAINERD_CONFIG, prepare_files.CONTAINERD_LIMITS)
            return Needed(("apt-get install containerd", *(f"write {path}" for path in files)))
        wanted = {
            prepare_files.CONTAINERD_CONFIG: prepare_files.containerd_content(view),
            prepare_files.CONTAINERD_LIMITS: prepare_files.containerd_limits(),
        }
        changes = prepare_files.unwritten(view.facts, wanted)
        repaused = prepare_files.repaused(
            view, prepare_files.CONTAINERD_CONFIG, lambda image: prepare_files.containerd_content(view, image)
        )
        if repaused:
            changes[0] = repaused
        if not changes and not view.facts.has_file(_RECORD, sha256(prepare_files.containerd_record(view))):
            changes.append("restart containerd, which may still run with older settings")
        if not view.facts.runs(_UNIT) or view.facts.units[_UNIT].enabled != "enabled":
            changes.append("systemctl enable --now containerd")
        elif _SOCKET not in runtime.cri_sockets:
            changes.append("restart containerd until its CRI plugin answers")
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"containerd {runtime.containerd_version} runs, systemd cgroups, CRI answers")
