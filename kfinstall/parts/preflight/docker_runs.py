"""Settings of Docker's under which it does not start, or pods do not run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import DOCKER_CONFIG, option, options

_SOCKETS: Final = ("fd://", "unix://", "unix:///var/run/docker.sock", "unix:///run/docker.sock")
_GONE: Final[Mapping[str, int]] = {"aufs": 24, "overlay": 24, "devicemapper": 25}
"""Storage drivers to the major version of Docker that has them no more."""
_OWN_RUNTIME: Final = "runc"
_SHIMS: Final = "io.containerd."


def refuse(command: str, data: Mapping[str, Any], version: str) -> None:
    """`command`: how its unit starts it; `data`: daemon.json; `version`: Docker's, empty where it is not there yet.

    Raises:
        Refused: one of them.
    """
    parent = data.get("cgroup-parent") or option(command, "--cgroup-parent")
    if parent and not str(parent).endswith(".slice"):
        raise Refused(
            f"cgroup-parent is {parent} in Docker's configuration: the systemd cgroup driver, which Kubernetes needs, takes slices only, "
            "and starts no container under that name",
            f'write the name of a slice in {DOCKER_CONFIG}, "cgroup-parent": "custom.slice" say, or take it out',
        )
    _hosts(command, data)
    _runtime(command, data)
    driver = data.get("storage-driver") or option(command, "-s", "--storage-driver")
    gone = _GONE.get(str(driver))
    major = version.partition(".")[0]
    if gone and (not major.isdecimal() or int(major) >= gone):
        raise Refused(
            f"Docker's storage driver is {driver}, which Docker {gone} and later do not have: Docker does not start with it",
            f'write "storage-driver": "overlay2" in {DOCKER_CONFIG}; images and containers of {driver} have to be saved before (docker save), '
            "or write cluster: {runtime: containerd} into the answers",
        )


def _hosts(command: str, data: Mapping[str, Any]) -> None:
    """cri-dockerd and the command docker look for the socket at its usual path."""
    hosts = [*(data.get("hosts") or []), *options(command, "-H", "--host")]
    if hosts and not any(host in _SOCKETS for host in hosts):
        raise Refused(
            f"Docker is told to listen at {', '.join(hosts)} only: cri-dockerd looks for it at /var/run/docker.sock",
            f'add "unix:///var/run/docker.sock" to hosts in {DOCKER_CONFIG}, or to -H in its unit (sudo systemctl edit docker)',
        )


def _runtime(command: str, data: Mapping[str, Any]) -> None:
    name = data.get("default-runtime") or option(command, "--default-runtime")
    runtimes = data.get("runtimes")
    known = [
        *(runtimes if isinstance(runtimes, dict) else ()),
        *(item.partition("=")[0] for item in options(command, "--add-runtime")),
    ]
    if name and name != _OWN_RUNTIME and not str(name).startswith(_SHIMS) and name not in known:
        raise Refused(
            f"{name} is Docker's default-runtime, and no runtime of that name is described: Docker does not start so",
            f"describe it in runtimes of {DOCKER_CONFIG} (nvidia-ctk runtime configure --runtime=docker does for NVIDIA's), or take "
            "default-runtime out",
        )
