"""What the scripts of phase prepare do to a simulated node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from kfinstall.engine.wanted import rows
from kfinstall.parts.preflight.changes import played
from kfinstall.parts.prepare.files import PROOFS, major
from kfinstall.simulator.nodes.model import ScriptError, SimNode, SimPackage, SimUnit, effect
from kfinstall.simulator.nodes.sources import sources_gone, sources_off

_CONTAINERD: Final = "2.2.1-0ubuntu1"
_DOCKER: Final = "29.1.3-0ubuntu1"
_CLOCKS: Final = ("chrony.service", "ntpsec.service", "ntp.service", "openntpd.service", "systemd-timesyncd.service")


def _done(node: SimNode, name: str, content: str) -> Iterator[str]:
    node.write(f"{PROOFS}/{name}.json", content, 0o600)
    yield from ()


def _on(node: SimNode, *units: str) -> None:
    for unit in units:
        node.units[unit] = SimUnit(active=True, enabled=True)


def _mask(node: SimNode, unit: str) -> Iterator[str]:
    if node.units[unit].active or node.units[unit].enabled:
        node.units[unit] = SimUnit()
        yield f"masked {unit}"


def _edit(node: SimNode, path: str, off: Callable[[str], bool], note: str) -> Iterator[str]:
    """Turn the lines off that `off` says."""
    file = node.files[path]
    lines = [f"# kfinstall turned {note}: {line}" if off(line) else line for line in (file.content or "").splitlines()]
    if "\n".join(lines) != (file.content or "").rstrip("\n"):
        yield from node.put(path, "\n".join(lines) + "\n", file.mode)


@effect("prepare-apt")
def apt(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Turn others' sources of Kubernetes off, and read the package lists."""
    yield from hold_again(node)
    yield from sources_off(node, parameters.get("OFF", ""))
    yield from sources_gone(node)
    for number, suite in enumerate(("noble", "noble-updates", "noble-security"), 1):
        yield f"Get:{number} http://archive.ubuntu.com/ubuntu {suite} InRelease"
    yield "Reading package lists..."
    node.apt_updated = True


_SWAP_SERVICES: Final = ("zramswap.service", "zram-config.service", "dphys-swapfile.service", "swapspace.service")


@effect("prepare-swap-off")
def swap_off(node: SimNode) -> Iterator[str]:
    """Comment fstab's lines out, by field, mask units and zram, and turn swap off."""
    if "/etc/fstab" in node.files:
        yield from _edit(node, "/etc/fstab", lambda line: line[:1] != "#" and line.split()[2:3] == ["swap"], "swap off")
    for unit in [name for name in node.units if name.endswith(".swap") or name in _SWAP_SERVICES]:
        yield from _mask(node, unit)
    if node.swap_active:
        node.swap_active.clear()
        yield "turned swap off"


@effect("prepare-modules")
def modules(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Load Istio's too, and write the file."""
    node.modules |= set(parameters["OPTIONAL"].split())
    lines = [parameters["HEAD"], *parameters["REQUIRED"].split(), *parameters["OPTIONAL"].split()]
    yield from node.put(parameters["FILE"], "\n".join(lines) + "\n")


@effect("prepare-sysctl")
def sysctl(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Turn lower values off in files that are read later."""
    wanted = {name: value for kind, name, value, *_more in rows(parameters) if kind == "sysctl"}

    def lower(line: str) -> bool:
        name, found, value = line.strip().lstrip("-").partition("=")
        name, value = name.strip().replace("/", "."), value.strip()
        return bool(found) and name in wanted and value.isdigit() and int(value) < int(wanted[name])

    for path in [path for path in node.files if path.startswith("/etc/sysctl.d/") and path > parameters["FILE"]]:
        yield from _edit(node, path, lower, "it off")


@effect("prepare-clock")
def clock(node: SimNode) -> Iterator[str]:
    """Turn on what is installed; timesyncd where nothing is."""
    there = next((unit for unit in _CLOCKS if unit in node.units), "")
    if not there:
        there = _CLOCKS[-1]
        yield from node.install({"systemd-timesyncd": "255.4-1ubuntu8.8"})
    unit = node.units.setdefault(there, SimUnit())
    if not unit.enabled:
        yield f"enabled {there}"
    if not unit.active:
        yield f"started {there}"
    _on(node, there)


def _edit_files(node: SimNode, edits: str) -> Iterator[str]:
    """As kf_edit of scripts/engine/lib.sh."""
    contents = {path: file.content for path, file in node.files.items() if file.content is not None}
    try:
        changed = played(edits, contents)
    except ValueError as error:
        raise ScriptError(65, f"kf-error: {error} was changed by somebody else while this step began") from None
    for path, content in changed.items():
        old = node.files.get(path)
        yield from node.put(path, content, *((old.mode, old.owner) if old else ()))


@effect("prepare-containerd")
def containerd(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Install containerd where there is none, and change its files in the form that its version reads."""
    if not {"containerd", "containerd.io", "containerd-stable"} & set(node.packages):
        yield from node.install({"runc": "1.3.4-0ubuntu1", "containerd": _CONTAINERD})
    node.commands["containerd"] = "/usr/bin/containerd"
    installed = next(name for name in ("containerd", "containerd.io", "containerd-stable") if name in node.packages)
    number = major(node.packages[installed].version)
    form = "2" if number >= 2 else "1"
    if parameters[f"REFUSED{form}"]:
        reason, hint = parameters[f"REFUSED{form}"].split("\n", 1)
        raise ScriptError(13, f"kf-error: {reason}", f"kf-hint: {hint}")
    yield from _edit_files(node, parameters[f"EDITS{form}"])
    yield from node.put(parameters["LIMITS_FILE"], parameters["LIMITS"])
    yield f"restarting containerd {number}"
    _on(node, "containerd.service")
    yield from _done(node, "prepare-containerd", parameters["RECORD"])


@effect("prepare-mirrors")
def mirrors(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Change hosts.toml files."""
    yield from _edit_files(node, parameters["EDITS"])


@effect("prepare-docker")
def docker(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Install Docker and cri-dockerd."""
    yield from node.install({"runc": "1.3.4-0ubuntu1", "containerd": _CONTAINERD, "docker.io": _DOCKER})
    if node.os_id == "debian" and "docker" not in node.commands:
        yield from node.install({"docker-cli": _DOCKER})
    node.commands |= {"docker": "/usr/bin/docker", "containerd": "/usr/bin/containerd"}
    yield from _edit_files(node, parameters["EDITS"])
    yield f"downloaded {parameters['URL'].rpartition('/')[2]}"
    yield from node.put(parameters["BINARY"], "cri-dockerd", 0o755)
    yield from node.put(parameters["SERVICE_FILE"], parameters["SERVICE"])
    yield from node.put(parameters["SOCKET_FILE"], parameters["SOCKET"])
    _on(node, "containerd.service", "docker.service", "cri-docker.socket", "cri-docker.service")
    yield from _done(node, "prepare-docker", parameters["RECORD"] + "\n")


@effect("prepare-kubernetes-repository")
def repository(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Write the key, if it is the one that is pinned."""
    pinned = parameters["FINGERPRINTS"]
    if node.other_key and node.other_key not in pinned.split():
        url = parameters["KEY_URL"]
        raise ScriptError(
            23,
            f"kf-error: the key at {url} is another one: its fingerprint is {node.other_key}, and the repository's is {pinned}; it was not taken",
            f"kf-hint: something on the way may answer instead of it (a proxy, a mirror); compare: curl -L {url} | gpg --show-keys",
        )
    yield from node.put(parameters["KEY_FILE"], f"key of the Kubernetes project, {pinned}")
    yield "Reading package lists..."


def hold_again(node: SimNode) -> Iterator[str]:
    """As kf_hold_again of scripts/engine/lib.sh."""
    names = [name for name in node.loose if name in node.packages]
    for name in names:
        node.packages[name].held = True
    node.loose.clear()
    if names:
        yield f"on hold again: {' '.join(names)}"


@effect("prepare-kubernetes-packages")
def packages(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Install the version and hold it; what older guides hold is let go for it, and held again."""
    yield from hold_again(node)
    version = f"{parameters['VERSION']}-1.1"
    held = [
        name
        for name in (*parameters["PACKAGES"].split(), "kubernetes-cni", "cri-tools")
        if name in node.packages and node.packages[name].held
    ]
    if held and any(node.packages.get(name, SimPackage("")).version != version for name in parameters["PACKAGES"].split()):
        node.loose[:] = held
        for name in held:
            node.packages[name].held = False
        yield f"not on hold for now: {' '.join(held)}"
    yield from node.install({"kubernetes-cni": "1.7.1-1.1", "cri-tools": f"{version.rpartition('.')[0].rpartition('.')[0]}.0-1.1"})
    for name in parameters["PACKAGES"].split():
        if node.packages.get(name, SimPackage("")).version != version:
            yield f"Setting up {name} ({version}) ..."
        node.packages[name] = SimPackage(version, held=True)
    yield from hold_again(node)
    node.units["kubelet.service"] = SimUnit(active=node.units.get("kubelet.service", SimUnit()).active, enabled=True)


@effect("prepare-tools")
def tools(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Install kustomize."""
    yield f"downloaded {parameters['URL'].rpartition('/')[2]}"
    yield from node.put(parameters["BINARY"], "kustomize", 0o755)
    yield from _done(node, "prepare-tools", f"{parameters['SHA256']}\n{node.files[parameters['BINARY']].sha256}\n")
