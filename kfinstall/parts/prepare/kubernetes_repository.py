"""prepare.kubernetes-repository: the signed package repository of the chosen Kubernetes minor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, View
from kfinstall.engine.wanted import File, Wanted
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight.apt_facts import AptFiles
from kfinstall.parts.preflight.apt_keys import flaw, others
from kfinstall.parts.preflight.apt_sources import OWN_LIST
from kfinstall.parts.prepare import limits

_KEY: Final = "/etc/apt/keyrings/kubernetes-apt-keyring.gpg"


class PrepareKubernetesRepository(NodeStep):
    """pkgs.k8s.io has one repository per minor; the guide's apt.kubernetes.io is gone since March 2024."""

    id: ClassVar[str] = "prepare.kubernetes-repository"
    title: ClassVar[str] = "Add the Kubernetes package repository"
    script: ClassVar[str] = "prepare-kubernetes-repository"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10
    hashes_wanted = False
    reads = (AptFiles,)

    @override
    def wanted(self, view: View) -> Wanted:
        """The list; the key's content is known once it is fetched."""
        url = view.release.artifacts["kubernetes-repository"].url.format(minor=view.minor)
        text, note = f"deb [signed-by={_KEY}] {url} /\n", f"for Kubernetes {view.minor}"
        return Wanted(files=(File(OWN_LIST, text, note=note, path_as="LIST_FILE", content_as="LIST"),))

    @override
    def watch(self, view: View) -> NodeQuery:
        """The key too."""
        return super().watch(view) | NodeQuery(files=frozenset({_KEY}))

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """Where the key comes from and goes to, and which keys may be in it."""
        key = view.release.artifacts["kubernetes-repository-key"]
        return {"KEY_URL": key.url.format(minor=view.minor), "KEY_FILE": _KEY, "FINGERPRINTS": " ".join(key.fingerprints)}

    @override
    def check(self, view: View) -> Check:
        """The key is there, apt can use it, and the list names this minor's repository."""
        file, key = view.facts.files.get(_KEY), view.fact(AptFiles).key(_KEY)
        pinned = view.release.artifacts["kubernetes-repository-key"].fingerprints
        why = flaw(key, view.facts.clock.epoch_seconds)[0] or others(key, pinned) if key else ""
        there = file is not None and file.size_bytes and not why
        return self.compare(
            view,
            before=() if there else (f"write {_KEY}{f' anew: the one that is there {why}' if why and file else ''}",),
            evidence=f"the repository of Kubernetes {view.minor} is there, signed by its key",
        )
