"""prepare.containerd: the container runtime, with the systemd cgroup driver and its CRI plugin on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import hosts_folders
from kfinstall.parts.preflight.changes import described
from kfinstall.parts.preflight.containerd_read import Refused, containerd_root
from kfinstall.parts.preflight.runtime_files import CERTS_D, CONTAINERD_CONFIG, RuntimeFiles
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.prepare import limits
from kfinstall.text import sha256

_RECORD: Final = f"{prepare_files.PROOFS}/prepare-containerd.json"
_UNIT: Final = "containerd.service"
_SOCKET: Final = "/run/containerd/containerd.sock"
_VERSIONS: Final = {"1": "1.7.0", "2": "2.1.0"}
"""Which of them comes is known when the package is there."""


class PrepareContainerd(Step):
    """The distribution's containerd with what Kubernetes needs of it, in the form that its version reads (1.6 to 2.x). What others set there stays: other runtimes, root, registries."""

    id: ClassVar[str] = "prepare.containerd"
    title: ClassVar[str] = "Set containerd up"
    script: ClassVar[str] = "prepare-containerd"
    reads = (RuntimeFiles,)
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def applies(self, answers: Answers) -> bool:
        """With containerd as the runtime."""
        return answers.cluster.runtime == "containerd"

    @override
    def watch(self, view: View) -> NodeQuery:
        """Its files and its unit."""
        return NodeQuery(
            files=frozenset({CONTAINERD_CONFIG, prepare_files.CONTAINERD_LIMITS, _RECORD}),
            units=frozenset({_UNIT}),
        )

    def _edits(self, view: View) -> Iterator[tuple[str, str]]:
        """For each major version that may be there then: the changes, or why there are none."""
        installed = view.facts.runtime.containerd_version
        for major, assumed in _VERSIONS.items():
            edits, refused = "", ""
            if not installed or min(prepare_files.major(installed), 2) == int(major):
                try:
                    edits = described(prepare_files.containerd_changes(view, installed or assumed))
                except Refused as error:
                    refused = f"{error.reason}\n{error.hint}"
            yield f"EDITS{major}", edits
            yield f"REFUSED{major}", refused

    @staticmethod
    def _home(view: View) -> str:
        try:
            return hosts_folders.home(view.fact(RuntimeFiles), view.facts.runtime.containerd_version)
        except Refused:
            return CERTS_D  # the check says so before

    def parameters(self, view: View) -> Mapping[str, str]:
        """The changes of its configuration, for either form."""
        return {
            **dict(self._edits(view)),
            "ROOT": containerd_root(view.fact(RuntimeFiles), view.facts.runtime.containerd_version),
            "LIMITS_FILE": prepare_files.CONTAINERD_LIMITS,
            "LIMITS": prepare_files.containerd_limits(),
            "CERTS_D": self._home(view),
            "RECORD": prepare_files.containerd_record(view),
        }

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """What is wanted, whatever stands there already."""
        return {
            "VERSION2": prepare_files.containerd_v2(view),
            "VERSION3": prepare_files.containerd_v3(view),
            "LIMITS": prepare_files.containerd_limits(),
        }

    def check(self, view: View) -> Check:
        """Installed, configured, running, and its CRI socket answers."""
        runtime = view.facts.runtime
        try:
            found = prepare_files.containerd_changes(view, runtime.containerd_version or _VERSIONS["1"])
        except Refused as error:
            return Conflict(error.reason, error.hint)
        changes = [line for change in found for line in change.words]
        changes += prepare_files.unwritten(view.facts, {prepare_files.CONTAINERD_LIMITS: prepare_files.containerd_limits()})
        if not runtime.containerd_version:
            return Needed(("apt-get install containerd", *changes))
        if not changes and not view.facts.has_file(_RECORD, sha256(prepare_files.containerd_record(view))):
            changes.append("restart containerd, which may still run with older settings")
        if not view.facts.runs(_UNIT) or view.facts.units[_UNIT].enabled != "enabled":
            changes.append("systemctl enable --now containerd")
        elif _SOCKET not in runtime.cri_sockets:
            changes.append("restart containerd until its CRI plugin answers")
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"containerd {runtime.containerd_version} runs, systemd cgroups, CRI answers")
