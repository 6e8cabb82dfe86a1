"""Whether what is configured of the container runtime can stay beside what Kubernetes needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Step, View
from kfinstall.parts.preflight import containerd_merge, daemon_json, hosts_folders, hosts_toml
from kfinstall.parts.preflight.containerd_read import Refused, read
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, DOCKER_CONFIG, RuntimeFiles


def _looks(view: View) -> Iterator[Callable[[], object]]:
    """What the steps of phase prepare will do, tried on what is there."""
    found, mirrors = view.fact(RuntimeFiles), view.answers.registry.mirrors
    version = view.facts.runtime.containerd_version
    if view.answers.cluster.runtime == "docker":
        wanted = (mirrors["docker.io"],) if "docker.io" in mirrors else ()
        yield partial(daemon_json.changes, found, wanted, view.facts.runtime.docker_version)
        return
    if version:
        yield partial(containerd_merge.changes, found, version, view.release.pause_image(view.minor), "")
    else:
        yield partial(read, found, version)
    for registry, url in sorted(mirrors.items()):
        yield partial(_mirror, found, version, registry, url)
    if view.answers.registry.enabled or mirrors:
        yield partial(hosts_folders.home, found, version)


def _mirror(found: RuntimeFiles, version: str, registry: str, url: str) -> None:
    hosts_toml.wanted(found, registry, url, hosts_folders.looked_in(found, version))


def _findings(view: View) -> Iterator[Finding]:
    said = set[str]()
    for look in _looks(view):
        try:
            look()
        except Refused as error:
            if error.reason not in said:
                yield Finding(error.reason, error.hint, name="configuration")
            said.add(error.reason)


class PreflightRuntime(Step):
    """The configuration that containerd or Docker has already: that it is understood, stays, and goes with Kubernetes."""

    id: ClassVar[str] = "preflight.runtime"
    title: ClassVar[str] = "Look at the container runtime's configuration"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (RuntimeFiles,)
    names = ("configuration",)

    def check(self, view: View) -> Check:
        """Satisfied where there is none yet, or what is there can stay."""
        missing = not_read(view)
        if missing is not None:
            return missing
        path = DOCKER_CONFIG if view.answers.cluster.runtime == "docker" else CONTAINERD_CONFIG
        there = path in view.fact(RuntimeFiles).contents
        return verdict(_findings(view), f"what {path} says stays" if there else f"there is no {path} yet")
