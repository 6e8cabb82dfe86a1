"""prepare.docker: Docker as the runtime, with cri-dockerd between it and the kubelet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall import limits, prepare_site
from kfinstall.answers.model import Answers
from kfinstall.facts.model import Watch
from kfinstall.step import Check, Conflict, Needed, Satisfied, Step, View, sha256

_DAEMON: Final = "/etc/docker/daemon.json"
_BINARY: Final = "/usr/local/bin/cri-dockerd"
_RECORD: Final = "/var/lib/kfinstall/proofs/prepare-docker"
_SERVICE: Final = "/etc/systemd/system/cri-docker.service"
_SOCKET: Final = "/etc/systemd/system/cri-docker.socket"


class PrepareDocker(Step):
    """The distribution's docker.io with the guide's settings, and cri-dockerd, since Kubernetes 1.24 has no dockershim."""

    id: ClassVar[str] = "prepare.docker"
    title: ClassVar[str] = "Set Docker and cri-dockerd up"
    script: ClassVar[str] = "prepare-docker"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 90

    def applies(self, answers: Answers) -> bool:
        """With docker as the runtime."""
        return answers.cluster.runtime == "docker"

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """Its files, package and units."""
        return Watch(
            files=frozenset({_DAEMON, _BINARY, _RECORD, _SERVICE, _SOCKET}),
            packages=frozenset({"docker.io"}),
            units=frozenset({"docker.service", "cri-docker.socket", "cri-docker.service"}),
        )

    def _units(self, view: View) -> dict[str, str]:
        service = (
            "# Written by kfinstall\n[Unit]\nDescription=CRI for Docker\nAfter=network-online.target docker.service\n"
            "Wants=network-online.target\nRequires=cri-docker.socket docker.service\n\n[Service]\nType=notify\n"
            f"ExecStart={_BINARY} --container-runtime-endpoint fd:// --network-plugin=cni "
            f"--pod-infra-container-image={prepare_site.pause_image(view)}\nExecReload=/bin/kill -s HUP $MAINPID\n"
            f"TimeoutSec=0\nRestartSec=2\nRestart=always\nLimitNOFILE={limits.PREPARE_OPEN_FILES}\nDelegate=yes\nKillMode=process\n\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )
        socket = (
            "# Written by kfinstall\n[Unit]\nDescription=CRI socket for Docker\nPartOf=cri-docker.service\n\n[Socket]\n"
            "ListenStream=/run/cri-dockerd.sock\nSocketMode=0660\nSocketUser=root\nSocketGroup=docker\n\n[Install]\nWantedBy=sockets.target\n"
        )
        return {_SERVICE: service, _SOCKET: socket}

    def parameters(self, view: View) -> Mapping[str, str]:
        """The artifact, the units, and the settings to merge into daemon.json."""
        artifact = view.release.artifacts["cri-dockerd-amd64"]
        return {
            "URL": artifact.url,
            "SHA256": artifact.sha256,
            "BINARY": _BINARY,
            "DAEMON": _DAEMON,
            "RECORD": _RECORD,
            "SERVICE_FILE": _SERVICE,
            "SERVICE": self._units(view)[_SERVICE],
            "SOCKET_FILE": _SOCKET,
            "SOCKET": self._units(view)[_SOCKET],
        }

    def check(self, view: View) -> Check:
        """Installed, configured, and the CRI answers through cri-dockerd."""
        facts = view.facts
        if facts.os.architecture not in ("", "amd64"):
            return Conflict("cri-dockerd is pinned for amd64 only", "set cluster.runtime: containerd in the answers")
        changes = [] if prepare_site.installed(facts, "docker.io") else ["apt-get install docker.io"]
        changes += prepare_site.unwritten(facts, self._units(view))
        artifact = view.release.artifacts["cri-dockerd-amd64"]
        if _BINARY not in facts.files or not facts.has_file(_RECORD, sha256(artifact.sha256 + "\n")):
            changes.append(f"install cri-dockerd {artifact.version} and set {_DAEMON}")
        for name in ("docker.service", "cri-docker.socket"):
            unit = facts.units.get(name)
            if unit is None or unit.active != "active" or unit.enabled != "enabled":
                changes.append(f"systemctl enable --now {name}")
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"Docker {facts.runtime.docker_version} with cri-dockerd {artifact.version} runs")
