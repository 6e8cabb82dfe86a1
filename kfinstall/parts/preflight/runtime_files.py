"""What is configured of container runtimes on a node already: their files, read whole, and where their data lies."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from kfinstall.answers.model import Answers
from kfinstall.facts.lines import SectionError, columns, number
from kfinstall.facts.model import SpaceFact
from kfinstall.facts.section import FactSection

CONTAINERD_CONFIG: Final = "/etc/containerd/config.toml"
DOCKER_CONFIG: Final = "/etc/docker/daemon.json"
CERTS_D: Final = "/etc/containerd/certs.d"
"""The folder of hosts.toml files that kfinstall has containerd look in."""


@dataclass(frozen=True, slots=True)
class RuntimeFiles(FactSection):
    """The configuration files of containerd and Docker, of whatever they import, and hosts.toml of the hosts that the answers name."""

    section: ClassVar[str] = "runtime-files"
    script: ClassVar[str] = "preflight/facts-runtime"
    order: ClassVar[int] = 62

    contents: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    """Path to the whole content."""
    unread: tuple[str, ...] = ()
    """Files that are there and are not told: too large, or no regular file that can be read."""
    pristine: tuple[str, ...] = ()
    """Files that are just as a package brought them: nobody has written in them."""
    imports: tuple[str, ...] = ()
    """Patterns of containerd's imports that were followed, absolute."""
    commands: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Unit to the command line that it starts, as systemd shows it, with the values of its variables; one that can't be read stays as `$NAME`.
    Only of units that are there."""
    space: Mapping[str, SpaceFact] = field(default_factory=dict, hash=False)
    """Free space of each directory that a file or a unit names as the place of the data."""
    closed: tuple[str, ...] = ()
    """Folders that containerd is told to look in for hosts.toml files, and in which nothing can be written: a read-only file system, say."""

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """The registries whose hosts.toml is asked for: the mirrored ones, and the cluster's own."""
        own = {answers.registry_host} if answers.registry.enabled and answers.cluster.runtime == "containerd" else set()
        hosts = sorted({*answers.registry.mirrors, *own})
        return {"REGISTRY_HOSTS": "\n".join(hosts)} if hosts else {}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `file path`, each followed by its `data` lines; `large`, `unread`, `pristine`, `import`, `closed`, `exec` and `space`."""
        encoded: dict[str, list[str]] = {}
        values: dict[str, list[str]] = {"large": [], "unread": [], "pristine": [], "import": [], "closed": [], "exec": []}
        space: dict[str, SpaceFact] = {}
        path = ""
        for line in lines:
            kind, rest = columns(cls.section, line, 2)
            if kind == "file":
                path = rest
                encoded[path] = []
            elif kind == "data" and path:
                encoded[path].append(rest)
            elif kind == "space":
                directory, mount, *sizes = columns(cls.section, rest, 5)
                block, total, free = (number(cls.section, size, int) for size in sizes)
                space[directory] = SpaceFact(mount, total * block, free * block)
            elif kind in values:
                values[kind].append(rest)
            else:
                raise SectionError(cls.section, line)
        commands = dict(line.split(" ", 1) for line in values["exec"] if " " in line)
        contents = {name: _decoded(cls.section, parts) for name, parts in encoded.items()}
        unread = (*values["large"], *values["unread"])
        return cls(contents, unread, tuple(values["pristine"]), tuple(values["import"]), commands, space, tuple(values["closed"]))

    def writable(self, folders: Sequence[str]) -> str:
        """The first of some folders in which something can be written; the first where that is none of them."""
        return next((folder for folder in folders if folder not in self.closed), folders[0])

    def matching(self, pattern: str) -> list[str]:
        """Files that were told and that a pattern of an import means, in containerd's order."""
        parts = pattern.split("/")
        known = (*self.contents, *self.unread)
        return sorted(
            {
                path
                for path in known
                if len(names := path.split("/")) == len(parts)
                and all(fnmatch.fnmatchcase(name, part) for name, part in zip(names, parts, strict=True))
            }
        )


def _decoded(section: str, parts: Sequence[str]) -> bytes:
    try:
        return base64.b64decode("".join(parts), validate=True)
    except (binascii.Error, ValueError):
        raise SectionError(section, "data") from None


def option(command: str, *names: str) -> str:
    """The value of an option in a command line of a unit: `--root=/data` or `--root /data`; empty where it is not there."""
    return next(options(command, *names), "")


def options(command: str, *names: str) -> Iterator[str]:
    """The values of an option that may be given more than once."""
    words = [word.strip("\"'") for word in command.split()]
    for at, word in enumerate(words):
        name, separator, value = word.partition("=")
        if name in names:
            yield value if separator else (words[at + 1] if at + 1 < len(words) else "")


def absolute(path: str, beside: str) -> str:
    """A path of a configuration file, which may be relative to the file that names it."""
    return path if path.startswith("/") else posixpath.join(posixpath.dirname(beside), path)
