"""prepare.mirrors: where containerd gets images from, before kubeadm pulls the first one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.parts.preflight import hosts_folders, hosts_toml
from kfinstall.parts.preflight.changes import Change, described
from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import CERTS_D, RuntimeFiles


class PrepareMirrors(Step):
    """registry.mirrors of the answers as hosts.toml files, with a registry of the cluster's own and without one. Docker's mirror stands in daemon.json."""

    id: ClassVar[str] = "prepare.mirrors"
    title: ClassVar[str] = "Use the registry mirrors"
    script: ClassVar[str] = "prepare-mirrors"
    reads = (RuntimeFiles,)
    estimate_seconds: ClassVar[float] = 2

    @override
    def applies(self, answers: Answers) -> bool:
        """With containerd, where the answers name mirrors."""
        return answers.cluster.runtime == "containerd" and bool(answers.registry.mirrors)

    def _folders(self, view: View) -> tuple[str, ...]:
        return hosts_folders.looked_in(view.fact(RuntimeFiles), view.facts.runtime.containerd_version)

    def _home(self, view: View) -> str:
        return hosts_folders.home(view.fact(RuntimeFiles), view.facts.runtime.containerd_version)

    def _changes(self, view: View) -> list[Change]:
        found, folders = view.fact(RuntimeFiles), self._folders(view)
        made = (hosts_toml.wanted(found, registry, url, folders) for registry, url in sorted(view.answers.registry.mirrors.items()))
        return [change for change in made if change is not None]

    @override
    def parameters(self, view: View) -> Mapping[str, str]:
        """The changes of the files."""
        try:
            return {"EDITS": described(self._changes(view)), "CERTS_D": self._home(view)}
        except Refused:
            return {"EDITS": "", "CERTS_D": CERTS_D}  # the check says so before

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The mirrors, whatever stands there already."""
        return {registry: hosts_toml.mirror(registry, url) for registry, url in sorted(view.answers.registry.mirrors.items())}

    def check(self, view: View) -> Check:
        """Every mirror is a host of its registry."""
        try:
            folder = self._home(view)
            changes = [line for change in self._changes(view) for line in change.words]
        except Refused as error:
            return Conflict(error.reason, error.hint)
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"{folder} leads to the mirrors of {', '.join(sorted(view.answers.registry.mirrors))}")
