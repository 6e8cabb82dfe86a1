"""prepare.docker: Docker as the runtime, with cri-dockerd between it and the kubelet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.parts.preflight import daemon_json
from kfinstall.parts.preflight.changes import Change, described
from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from kfinstall.parts.prepare import files, limits
from kfinstall.releases import Artifact
from kfinstall.text import sha256

_BINARY: Final = "/usr/local/bin/cri-dockerd"
_RECORD: Final = f"{files.PROOFS}/prepare-docker.json"
_SERVICE: Final = "/etc/systemd/system/cri-docker.service"
_SOCKET: Final = "/etc/systemd/system/cri-docker.socket"
_UNITS: Final = ("docker.service", "cri-docker.socket", "cri-docker.service")
_OWN_CLIENT_DEBIAN: Final = 13
_CRI_SOCKET: Final = "/run/cri-dockerd.sock"


class PrepareDocker(Step):
    """The distribution's docker.io, and cri-dockerd, since Kubernetes 1.24 has no dockershim. In daemon.json only what Kubernetes needs is set, with the mirror of docker.io."""

    id: ClassVar[str] = "prepare.docker"
    title: ClassVar[str] = "Set Docker and cri-dockerd up"
    script: ClassVar[str] = "prepare-docker"
    reads = (RuntimeFiles,)
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 90

    def applies(self, answers: Answers) -> bool:
        """With docker as the runtime."""
        return answers.cluster.runtime == "docker"

    @override
    def watch(self, view: View) -> NodeQuery:
        """Its files and units, and what tells which packages are missing."""
        return NodeQuery(
            files=frozenset({_BINARY, _RECORD, _SERVICE, _SOCKET}),
            units=frozenset(_UNITS),
            commands=frozenset({"docker"}),
        )

    def _packages(self, facts: Facts) -> list[str]:
        """What apt-get will install; since Debian 13 the client is in a package of its own."""
        missing = [] if facts.runtime.docker_version else ["docker.io"]
        own_client = facts.os.id == "debian" and files.major(facts.os.version_id) >= _OWN_CLIENT_DEBIAN
        return missing + (["docker-cli"] if own_client and "docker" not in facts.commands else [])

    def _units(self, view: View, pause: str = "") -> dict[str, str]:
        values = {
            "BINARY": _BINARY,
            "PAUSE_IMAGE": pause or files.pause_image(view),
            "OPEN_FILES": str(limits.PREPARE_OPEN_FILES),
        }
        return {
            _SERVICE: resources.filled("prepare/cri-docker.service", values),
            _SOCKET: resources.filled("prepare/cri-docker.socket"),
        }

    def _record(self, artifact: Artifact) -> str:
        return artifact.sha256

    def _changes(self, view: View) -> tuple[Change, ...]:
        mirrors = (view.answers.registry.mirrors["docker.io"],) if "docker.io" in view.answers.registry.mirrors else ()
        return daemon_json.changes(view.fact(RuntimeFiles), mirrors, view.facts.runtime.docker_version)

    def parameters(self, view: View) -> Mapping[str, str]:
        """The artifact, the units, and the changes of daemon.json."""
        artifact = files.artifact(view, "cri-dockerd")
        if artifact is None:
            return {}
        try:
            edits = described(self._changes(view))
        except Refused:
            edits = ""  # the check says so before
        return {
            "URL": artifact.url,
            "SHA256": artifact.sha256,
            "BINARY": _BINARY,
            "EDITS": edits,
            "ROOT": daemon_json.data_root(view.fact(RuntimeFiles)),
            "MINIMUM": str(limits.PREPARE_DOCKER_MAJOR),
            "SERVICE_FILE": _SERVICE,
            "SERVICE": self._units(view)[_SERVICE],
            "SOCKET_FILE": _SOCKET,
            "SOCKET": self._units(view)[_SOCKET],
            "RECORD": self._record(artifact),
        }

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """What is wanted, whatever stands in daemon.json already."""
        wanted = {
            "SETTINGS": json.dumps(daemon_json.settings({}, ())),
            "MIRROR": view.answers.registry.mirrors.get("docker.io", ""),
        }
        return {name: value for name, value in self.parameters(view).items() if name not in ("EDITS", "ROOT")} | wanted

    def _refused(self, facts: Facts) -> Conflict | None:
        present, least = facts.runtime.docker_version, limits.PREPARE_DOCKER_MAJOR
        fix = "write cluster: {runtime: containerd} into the answers, or install Docker's own docker-ce there first"
        if present and files.major(present) < least:
            return Conflict(f"Docker {present} is too old for cri-dockerd, which needs {least}", fix)
        if not present and (facts.os.id, facts.os.version_id) == ("debian", "12"):
            return Conflict(f"Debian 12 has Docker 20.10, and cri-dockerd needs {least}", fix)
        return None

    def _files(self, view: View, artifact: Artifact) -> list[str]:
        """What is to be written.

        Raises:
            Refused: daemon.json can't be kept beside what Kubernetes needs.
        """
        changes = files.unwritten(view.facts, self._units(view))
        repaused = files.repaused(view, _SERVICE, lambda image: self._units(view, image)[_SERVICE])
        if repaused:
            changes[0] = repaused
        changes += [line for change in self._changes(view) for line in change.words]
        recorded = view.facts.has_file(_RECORD, sha256(self._record(artifact) + "\n"))
        if _BINARY not in view.facts.files or not recorded:
            changes.append(f"install cri-dockerd {artifact.version} as {_BINARY}")
        return changes

    def check(self, view: View) -> Check:
        """Installed, configured, and the CRI answers through cri-dockerd."""
        facts, artifact = view.facts, files.artifact(view, "cri-dockerd")
        if artifact is None:
            return Conflict(
                f"no cri-dockerd is pinned for {facts.os.architecture}", "write cluster: {runtime: containerd} into the answers"
            )
        if refused := self._refused(facts):
            return refused
        try:
            changes = self._files(view, artifact)
        except Refused as error:
            return Conflict(error.reason, error.hint)
        for name in _UNITS:
            if not facts.runs(name) or facts.units[name].enabled != "enabled":
                changes.append(f"systemctl enable --now {name}")
        if not changes and _CRI_SOCKET not in facts.runtime.cri_sockets:
            changes.append("restart cri-dockerd until it answers")
        packages = self._packages(facts) if changes or not facts.runtime.docker_version else []
        if packages:
            changes.insert(0, f"apt-get install {' '.join(packages)}")
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"Docker {facts.runtime.docker_version} with cri-dockerd {artifact.version} runs, its CRI answers")
