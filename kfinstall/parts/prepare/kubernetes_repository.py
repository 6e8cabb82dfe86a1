"""prepare.kubernetes-repository: the signed package repository of the chosen Kubernetes minor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.prepare import limits
from kfinstall.text import sha256

_KEY: Final = "/etc/apt/keyrings/kubernetes-apt-keyring.gpg"
_LIST: Final = "/etc/apt/sources.list.d/kubernetes.list"


class PrepareKubernetesRepository(Step):
    """pkgs.k8s.io has one repository per minor; the guide's apt.kubernetes.io is gone since March 2024."""

    id: ClassVar[str] = "prepare.kubernetes-repository"
    title: ClassVar[str] = "Add the Kubernetes package repository"
    script: ClassVar[str] = "prepare-kubernetes-repository"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10

    def _line(self, view: View) -> str:
        url = view.release.artifacts["kubernetes-repository"].url.format(minor=view.minor)
        return f"deb [signed-by={_KEY}] {url} /\n"

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """Key and list."""
        return Watch(files=frozenset({_KEY, _LIST}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """Where both come from and go to."""
        key = view.release.artifacts["kubernetes-repository-key"].url.format(minor=view.minor)
        return {"KEY_URL": key, "KEY_FILE": _KEY, "LIST_FILE": _LIST, "LIST": self._line(view)}

    def check(self, view: View) -> Check:
        """The key is there and the list names this minor's repository."""
        facts = view.facts
        changes = []
        key = facts.files.get(_KEY)
        if key is None or not key.size_bytes:
            changes.append(f"write {_KEY}")
        if not facts.has_file(_LIST, sha256(self._line(view))):
            changes.append(f"write {_LIST} for Kubernetes {view.minor}")
        return (
            Needed(tuple(changes))
            if changes
            else Satisfied(f"the repository of Kubernetes {view.minor} is there, signed by its key")
        )
