"""prepare.tools: kustomize in the pinned version, and git, on the first control plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, Conflict, Scope, View
from kfinstall.engine.wanted import Wanted
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.prepare import files, limits
from kfinstall.text import sha256

_BINARY: Final = "/usr/local/bin/kustomize"
_RECORD: Final = f"{files.PROOFS}/prepare-tools.json"


class PrepareTools(NodeStep):
    """Kubeflow's manifests are rendered there; another kustomize orders or refuses them differently."""

    id: ClassVar[str] = "prepare.tools"
    title: ClassVar[str] = "Install kustomize and git"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    script: ClassVar[str] = "prepare-tools"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 20
    hashes_wanted = False

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted, and not rendered already."""
        return answers.kubeflow.enabled and answers.kubeflow.bundle is None

    @override
    def wanted(self, view: View) -> Wanted:
        """git."""
        return Wanted(packages=("git",))

    @override
    def watch(self, view: View) -> NodeQuery:
        """The program, and the record of which one it is, too."""
        return super().watch(view) | NodeQuery(files=frozenset({_BINARY, _RECORD}))

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """The artifact."""
        artifact = files.artifact(view, "kustomize")
        return {"URL": artifact.url, "SHA256": artifact.sha256, "BINARY": _BINARY} if artifact else {}

    @override
    def check(self, view: View) -> Check:
        """git is installed, and kustomize is the one of the release."""
        facts, artifact = view.facts, files.artifact(view, "kustomize")
        if artifact is None:
            return Conflict(f"no kustomize is pinned for {facts.os.architecture}", "make an amd64 machine the first control plane")
        binary = facts.files.get(_BINARY)
        pinned = binary is not None and facts.has_file(_RECORD, sha256(f"{artifact.sha256}\n{binary.sha256}\n"))
        return self.compare(
            view,
            also=() if pinned else (f"install kustomize {artifact.version} as {_BINARY}",),
            evidence=f"kustomize {artifact.version} and git are there",
        )
