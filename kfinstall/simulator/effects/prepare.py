"""What the scripts of phase prepare do to a simulated node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kfinstall.prepare_site import PROOFS
from kfinstall.simulator.model import SimNode, SimPackage, SimUnit, World, effect
from kfinstall.step import sha256

_CONTAINERD: Final = "2.2.1-0ubuntu1"
_DOCKER: Final = "29.1.3-0ubuntu1"


def _put(node: SimNode, path: str, content: str, mode: int = 0o644) -> Iterator[str]:
    old = node.files.get(path)
    if old is None or old.content != content or old.mode != mode:
        node.write(path, content, mode)
        yield path


def _done(node: SimNode, name: str, content: str) -> Iterator[str]:
    node.write(f"{PROOFS}/{name}.json", content, 0o600)
    yield from ()


def _on(node: SimNode, *units: str) -> None:
    for unit in units:
        node.units[unit] = SimUnit(active=True, enabled=True)


@effect("prepare-proxy")
def proxy(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Write the files."""
    for name in ("UNIT_FILE", "DROP_IN"), ("ENV_FILE", "ENV"), ("APT_FILE", "APT"):
        yield from _put(node, parameters[name[0]], parameters[name[1]])


@effect("prepare-apt")
def apt(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Read the package lists."""
    for number, suite in enumerate(("noble", "noble-updates", "noble-security"), 1):
        yield f"Get:{number} http://archive.ubuntu.com/ubuntu {suite} InRelease"
    yield "Reading package lists..."
    node.apt_updated = True


@effect("prepare-base-packages")
def base_packages(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Install them."""
    yield from node.install(dict.fromkeys(parameters["PACKAGES"].split(), "1.0-1ubuntu1"))


@effect("prepare-swap-off")
def swap_off(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Comment fstab's lines out, by field, and turn swap off."""
    fstab = node.files.get("/etc/fstab")
    if fstab is not None and fstab.content is not None:
        lines = [
            f"# kfinstall turned swap off: {line}" if not line.startswith("#") and line.split()[2:3] == ["swap"] else line
            for line in fstab.content.splitlines()
        ]
        yield from _put(node, "/etc/fstab", "\n".join(lines) + "\n")
    if node.swap_active:
        node.swap_active.clear()
        yield "turned swap off"


@effect("prepare-modules")
def modules(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Load them and write the file."""
    node.modules |= set(parameters["REQUIRED"].split()) | set(parameters["OPTIONAL"].split())
    lines = [parameters["HEAD"], *parameters["REQUIRED"].split(), *parameters["OPTIONAL"].split()]
    yield from _put(node, parameters["FILE"], "\n".join(lines) + "\n")


@effect("prepare-sysctl")
def sysctl(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Write the file and set the values."""
    yield from _put(node, parameters["FILE"], parameters["CONTENT"])
    for line in parameters["CONTENT"].splitlines():
        name, found, value = line.partition(" = ")
        if found:
            node.sysctls[name] = value


@effect("prepare-clock")
def clock(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Turn timesyncd on."""
    yield "started systemd-timesyncd.service"
    _on(node, "systemd-timesyncd.service")


@effect("prepare-containerd")
def containerd(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Install containerd 2 and write its files."""
    yield from node.install({"runc": "1.3.4-0ubuntu1", "containerd": _CONTAINERD})
    node.commands["containerd"] = "/usr/bin/containerd"
    yield from _put(node, parameters["LIMITS_FILE"], parameters["LIMITS"])
    yield from _put(node, parameters["FILE"], parameters["VERSION3"])
    yield "restarting containerd 2"
    _on(node, "containerd.service")
    yield from _done(node, "prepare-containerd", f"{sha256(parameters['VERSION3'])}\n{sha256(parameters['LIMITS'])}\n")


@effect("prepare-docker")
def docker(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Install Docker and cri-dockerd."""
    yield from node.install({"runc": "1.3.4-0ubuntu1", "containerd": _CONTAINERD, "docker.io": _DOCKER})
    node.commands |= {"docker": "/usr/bin/docker", "containerd": "/usr/bin/containerd"}
    yield from _put(node, parameters["DAEMON"], '{\n  "exec-opts": [\n    "native.cgroupdriver=systemd"\n  ]\n}\n')
    yield f"downloaded {parameters['URL'].rpartition('/')[2]}"
    yield from _put(node, parameters["BINARY"], "cri-dockerd", 0o755)
    yield from _put(node, parameters["SERVICE_FILE"], parameters["SERVICE"])
    yield from _put(node, parameters["SOCKET_FILE"], parameters["SOCKET"])
    _on(node, "containerd.service", "docker.service", "cri-docker.socket", "cri-docker.service")
    yield from _done(node, "prepare-docker", parameters["RECORD"] + "\n")


@effect("prepare-kubernetes-repository")
def repository(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Write key and list."""
    yield from _put(node, parameters["KEY_FILE"], "key of the Kubernetes project")
    yield from _put(node, parameters["LIST_FILE"], parameters["LIST"])
    yield "Reading package lists..."


@effect("prepare-kubernetes-packages")
def packages(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Install the version and hold it."""
    version = f"{parameters['VERSION']}-1.1"
    for name in parameters["PACKAGES"].split():
        yield f"Setting up {name} ({version}) ..."
        node.packages[name] = SimPackage(version, held=True)
    node.units["kubelet.service"] = SimUnit(active=node.units.get("kubelet.service", SimUnit()).active, enabled=True)


@effect("prepare-tools")
def tools(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Install git and kustomize."""
    yield from node.install({"git": "1:2.43.0-1ubuntu7"})
    yield f"downloaded {parameters['URL'].rpartition('/')[2]}"
    yield from _put(node, parameters["BINARY"], "kustomize", 0o755)
    yield from _done(node, "prepare-tools", f"{parameters['SHA256']}\n{node.files[parameters['BINARY']].sha256}\n")
