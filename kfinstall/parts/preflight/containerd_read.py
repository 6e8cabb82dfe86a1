"""What containerd makes of its configuration files: which it loads, in which form, and what holds in the end. Pure.

containerd 1.x and 2.x differ where two files speak of one plugin: the later file's whole table counts in 1.x, and its fields in 2.x.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, RuntimeFiles, absolute, option
from kfinstall.text import shell

Table = dict[str, Any]
Keys = tuple[str, ...]

MERGES_FIELDS: Final = 2
"""Major version from which on an imported file's fields are merged into a plugin's table."""
_FORMS: Final = {1: (1, 2), 2: (1, 2, 3)}
"""Forms of the configuration (its key `version`) that a major version reads."""
_CRI: Final[Mapping[int, tuple[Keys, Keys]]] = {
    1: (("plugins", "cri"), ("plugins", "cri")),
    2: (("plugins", "io.containerd.grpc.v1.cri"), ("plugins", "io.containerd.grpc.v1.cri")),
    3: (("plugins", "io.containerd.cri.v1.runtime"), ("plugins", "io.containerd.cri.v1.images")),
}
_CRI_NAMES: Final = ("cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images")
_SOCKETS: Final = ("", "/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock")
_MOST_FILES: Final = 64


class Refused(Exception):  # noqa: N818 (an answer, not a failure)
    """What stands there can't be kept together with what Kubernetes needs, or is not understood."""

    def __init__(self, reason: str, hint: str) -> None:
        """`reason`: what, and in which file; `hint`: what to run or to write."""
        super().__init__(reason)
        self.reason, self.hint = reason, hint


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that containerd loads."""

    path: str
    text: str
    data: Table


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that containerd loads, in its order."""

    files: tuple[Loaded, ...]
    form: int
    """1 to 3: the names of plugins are another one's in each. 1 where there is no file."""
    major: int
    """containerd's major version."""

    @property
    def runtime(self) -> Keys:
        """Where the CRI's settings of runtimes stand."""
        return _CRI[self.form][0]

    @property
    def images(self) -> Keys:
        """Where the CRI's settings of images stand."""
        return _CRI[self.form][1]

    def without(self, path: str) -> Configuration:
        """The same but for one file."""
        return Configuration(tuple(file for file in self.files if file.path != path), self.form, self.major)

    def holding(self) -> Loaded | None:
        """Of 1.x: the file whose table of the CRI counts; the first file where none has one; None where there is no file."""
        having = [file for file in self.files if get(file.data, self.runtime) is not None]
        return having[-1] if having else next(iter(self.files), None)

    @property
    def effective(self) -> Table:
        """What holds."""
        found: Table = {}
        for file in self.files:
            for key, value in file.data.items():
                if key == "plugins" and isinstance(value, dict):
                    plugins = found.setdefault("plugins", {})
                    if self.major >= MERGES_FIELDS:
                        found["plugins"] = merged(plugins, value)
                    else:
                        plugins.update(value)
                elif isinstance(value, list) and isinstance(found.get(key), list):
                    found[key] = [*found[key], *value]
                elif isinstance(value, dict) and isinstance(found.get(key), dict):
                    found[key] = merged(found[key], value)
                elif value not in ("", 0, []) or key not in found:
                    found[key] = value
        return found


def get(table: object, keys: Keys) -> Any:
    """The value at a path of keys, None where there is none."""
    for key in keys:
        if not isinstance(table, dict) or key not in table:
            return None
        table = table[key]
    return table


def merged(first: Table, second: Table) -> Table:
    """Two tables by field; the second one's values count."""
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def parsed(path: str, content: bytes) -> Loaded:
    """A file as TOML.

    Raises:
        Refused: it is none.
    """
    hint = f"mend it there: {shell('sudo', 'containerd', '--config', path, 'config', 'dump')}"
    try:
        text = content.decode()
        return Loaded(path, text, tomllib.loads(text))
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8", hint) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(f"{path} is not valid TOML: {why}", hint) from None


def _imports(file: Loaded) -> list[str]:
    value = file.data.get("imports", [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        hint = f"mend it there: {shell('sudo', 'grep', '-n', 'imports', file.path)}"
        raise Refused(f"imports in {file.path} is not a list of paths", hint)
    return [absolute(item, file.path) for item in value]


def _followed(found: RuntimeFiles, file: Loaded) -> Iterator[str]:
    for pattern in _imports(file):
        paths = found.matching(pattern)
        if pattern not in found.imports:
            text = f"imports in {file.path} names {pattern}, which can't be followed"
            raise Refused(text, 'write imports as one list of quoted paths: imports = ["/etc/containerd/conf.d/*.toml"]')
        if not paths and not any(mark in pattern for mark in "*?["):
            raise Refused(
                f"imports in {file.path} names {pattern}, which is not there: containerd does not start so",
                f"take it out of imports, or bring the file back: {shell('ls', '-l', pattern)}",
            )
        yield from paths


def _files(found: RuntimeFiles) -> tuple[Loaded, ...]:
    loaded: dict[str, Loaded] = {}
    pending = [CONTAINERD_CONFIG] if CONTAINERD_CONFIG in (*found.contents, *found.unread) else []
    while pending:
        path = pending.pop(0)
        if path in loaded:
            continue
        if path in found.unread or len(loaded) >= _MOST_FILES:
            raise Refused(f"{path} is too large to be looked at, or no file that can be read", shell("ls", "-l", path))
        loaded[path] = parsed(path, found.contents[path])
        pending += _followed(found, loaded[path])
    return tuple(loaded.values())


def _version(file: Loaded) -> int | None:
    value = file.data.get("version")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value not in _CRI:
        raise Refused(
            f"{file.path} is of version {repr(value)[:40]}, a form of containerd's configuration that is not known here",
            "kfinstall knows the versions 1 to 3; write one of these, or write cluster: {runtime: docker} into the answers",
        )
    return value


def _form(files: tuple[Loaded, ...], major: int, version: str) -> int:
    versions = {file.path: _version(file) for file in files}
    form = max((value for value in versions.values() if value), default=1)
    if form not in _FORMS.get(min(major, 2), (1, 2, 3)):
        path = next(path for path, value in versions.items() if value == form)
        text = f"{path} is of version {form}, which containerd {version} does not read"
        raise Refused(text, f"write it in the form of version 2: {shell('containerd', 'config', 'default')} shows it")
    for file in files:
        own = versions[file.path] or (1 if file is files[0] else form)
        if own != form and file.data.get("plugins"):
            other = next(path for path, value in versions.items() if value == form)
            raise Refused(
                f"{file.path} is of version {own} and {other} of version {form}: containerd takes all for the higher one, and what "
                f"the other says of plugins is lost",
                "write both in one form, with the names that plugins have in it, and the same version at the top of each",
            )
    if form == 1 and major >= MERGES_FIELDS and any(file.data.get("plugins") for file in files):
        raise Refused(
            f"{files[0].path} has plugins under their names of version 1, which containerd {version} ignores",
            'write its tables as plugins."io.containerd.grpc.v1.cri" and the like, with version = 2 at the top',
        )
    return form


def read(found: RuntimeFiles, version: str) -> Configuration:
    """The configuration of containerd of this version; empty where it is not installed, then of any form.

    Raises:
        Refused: something in it is not understood, or containerd is started in a way that ours can't be.
    """
    digits = version.partition(".")[0]
    major = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 4 else 0
    elsewhere = option(found.commands.get("containerd.service", ""), "--config", "-c")
    if elsewhere not in ("", CONTAINERD_CONFIG):
        raise Refused(
            f"containerd is started with the configuration {elsewhere}, which kfinstall does not change",
            f"start it with {CONTAINERD_CONFIG}: {shell('sudo', 'systemctl', 'edit', 'containerd')}",
        )
    files = _files(found)
    made = Configuration(files, _form(files, major, version), major)
    address = get(made.effective, ("grpc", "address"))
    if address is not None and address not in _SOCKETS:
        raise Refused(
            f"containerd is told to listen at {address}: kubeadm and the kubelet look for it at {_SOCKETS[1]}",
            f"take address out of [grpc] there: {shell('sudo', 'grep', '-rn', 'address', '/etc/containerd')}",
        )
    return made


def disabled(data: Table) -> list[str]:
    """Of a file: the names under which it turns the CRI off."""
    value = data.get("disabled_plugins", [])
    return [name for name in value if name in _CRI_NAMES] if isinstance(value, list) else []


def containerd_root(found: RuntimeFiles, version: str) -> str:
    """Where containerd keeps images and containers."""
    default = "/var/lib/containerd"
    command = option(found.commands.get("containerd.service", ""), "--root")
    try:
        root = read(found, version).effective.get("root")
    except Refused:
        root = None  # told by another check
    return command or (root if isinstance(root, str) and root.startswith("/") else default)
