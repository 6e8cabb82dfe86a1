"""prepare.apt: fresh package lists, and nothing half-installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import apt_sources
from kfinstall.parts.preflight.apt_facts import AptFiles
from kfinstall.parts.prepare import files, limits


class PrepareApt(Step):
    """Reads the package lists where they are old and something is still to be installed; repairs half-installed packages; turns others' sources of Kubernetes off."""

    id: ClassVar[str] = "prepare.apt"
    title: ClassVar[str] = "Update the package lists"
    script: ClassVar[str] = "prepare-apt"
    reads = (AptFiles,)
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 20

    def _packages(self) -> tuple[str, ...]:
        return (*files.BASE_PACKAGES, *files.KUBERNETES_PACKAGES)

    @override
    def watch(self, view: View) -> NodeQuery:
        """The packages that later steps install."""
        return NodeQuery(packages=frozenset(self._packages()))

    @override
    def parameters(self, view: View) -> Mapping[str, str]:
        """How old the lists may be, and which sources go."""
        found = view.fact(AptFiles)
        off = [source for source, _why in apt_sources.judge(apt_sources.sources(found.sources)).off]
        return {**self.inputs(view), "OFF": apt_sources.listed(found.sources, off)}

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """How old the lists may be."""
        return {"MAX_AGE": str(limits.PREPARE_LISTS_AGE_SECONDS)}

    def check(self, view: View) -> Check:
        """Nothing is broken, no source of Kubernetes but ours is on, and the lists are fresh or not needed any more."""
        known = view.fact(AptFiles)
        off = apt_sources.judge(apt_sources.sources(known.sources)).off
        first = [f"turn off in {source.path} {why}: {source}" for source, why in off]
        if known.loose:
            first.append(f"apt-mark hold {' '.join(known.loose)}")
        found = self._lists(view)
        return found if not first else Needed((*first, *(found.changes if isinstance(found, Needed) else ())))

    def _lists(self, view: View) -> Satisfied | Needed:
        apt = view.facts.apt
        if apt.broken:
            return Needed((f"repair half-installed packages: {', '.join(apt.broken)}",))
        runtime = view.facts.runtime
        # Whichever package brought it: containerd.io, containerd-stable and docker-ce are as good.
        ready = runtime.containerd_version if view.answers.cluster.runtime == "containerd" else runtime.docker_version
        if ready and all(view.facts.installed(name) for name in self._packages()):
            return Satisfied("all packages that later steps need are installed")
        age = apt.updated_age_seconds
        if age is not None and 0 <= age < limits.PREPARE_LISTS_AGE_SECONDS:
            return Satisfied("the package lists are younger than a day")
        return Needed(("apt-get update",))
