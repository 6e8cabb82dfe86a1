"""What a step wants of a node, and the one line an item that scripts and the simulator read of it."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.text import sha256, shell
from kfinstall.transport.base import unfit

PARAMETER: Final = "WANTED"
"""The script's parameter with the lines: `kf_wanted` of scripts/engine/lib.sh applies them."""
_ON: Final = frozenset({"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"})
"""For what systemctl is-enabled ends with 0."""
_OWNER: Final = re.compile(r"[^:\s]+:[^:\s]+")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory; one that is there stays as it is."""

    path: str
    private: bool = False
    """Whether what is made of its path is open to root alone; to everybody's eyes otherwise."""
    there: bool | None = None
    """Whether it is there, where a section of the facts tells it; None: it is watched as a file is."""
    path_as: str = ""
    """The script's parameter for the path, where the script itself names it."""

    @property
    def change(self) -> str:
        """The plan's line."""
        return f"make {self.path}, for root alone" if self.private else shell("mkdir", "-p", self.path)

    def missing(self, facts: Facts) -> bool:
        """Whether it is not there."""
        fact = facts.files.get(self.path)
        return not (self.there if self.there is not None else fact is not None and fact.kind == "directory")


@dataclass(frozen=True, slots=True)
class File:
    """A regular file with exactly this content, mode and owner."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root:root"
    """user:group."""
    note: str = ""
    """What the plan's line says behind the path: 'for 10.0.0.1'."""
    path_as: str = ""
    """The script's parameter for the path, where the script itself names it."""
    content_as: str = ""
    """The script's parameter for the content; FILE_1, FILE_2 ... where it is empty."""

    @property
    def change(self) -> str:
        """The plan's line."""
        return f"write {self.path} {self.note}".rstrip()

    def missing(self, facts: Facts) -> bool:
        """Whether it is not there, or differs."""
        return not facts.has_file(self.path, sha256(self.content), mode=self.mode) or facts.files[self.path].owner != self.owner


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit that starts at boot and runs now. One that runs is not restarted: a step that has to does so in its script."""

    name: str
    """With suffix."""
    words: str = ""
    """The plan's line, where it is not `systemctl enable --now`."""
    name_as: str = ""
    """The script's parameter for the name, where the script itself names it."""

    @property
    def change(self) -> str:
        """The plan's line."""
        return self.words or f"systemctl enable --now {self.name}"

    def missing(self, facts: Facts) -> bool:
        """Whether it does not run, or would not at boot."""
        return not facts.runs(self.name) or facts.units[self.name].enabled not in _ON


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be on a node. Its items are made in the order of the fields, and those of one kind in theirs."""

    packages: tuple[str, ...] = ()
    """Debian packages, in whichever version apt chooses."""
    directories: tuple[Directory, ...] = ()
    modules: tuple[str, ...] = ()
    """Kernel modules, now; at boot by a file in /etc/modules-load.d."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """(name, value), now; at boot by a file in /etc/sysctl.d."""
    files: tuple[File, ...] = ()
    units: tuple[Unit, ...] = ()

    @property
    def watch(self) -> NodeQuery:
        """What the facts must tell."""
        unknown = [item.path for item in self.directories if item.there is None]
        return NodeQuery(
            files=frozenset((*unknown, *(item.path for item in self.files))),
            packages=frozenset(self.packages),
            units=frozenset(unit.name for unit in self.units),
            sysctls=frozenset(name for name, _value in self.sysctls),
            modules=frozenset(self.modules),
        )

    def changes(self, facts: Facts) -> Iterator[str]:
        """One line for each item that is not as wanted; packages share one."""
        packages = [name for name in self.packages if not facts.installed(name)]
        if packages:
            yield f"apt-get install {' '.join(packages)}"
        yield from (item.change for item in self.directories if item.missing(facts))
        yield from (f"modprobe {name}" for name in self.modules if module_name(name) not in facts.modules)
        set_now = facts.sysctls
        yield from (f"sysctl {name}={value}" for name, value in self.sysctls if set_now.get(name) != " ".join(value.split()))
        yield from (item.change for item in self.files if item.missing(facts))
        yield from (item.change for item in self.units if item.missing(facts))

    @property
    def evidence(self) -> str:
        """What is there, once all is: '2 packages and 1 file are as wanted'."""
        counts = {
            "package": len(self.packages),
            "directory": len(self.directories),
            "module": len(self.modules),
            "kernel parameter": len(self.sysctls),
            "file": len(self.files),
            "unit": len(self.units),
        }
        parts = [f"{count} {_plural(word) if count > 1 else word}" for word, count in counts.items() if count]
        return f"{', '.join(parts) or 'all'} as wanted"

    @property
    def parameters(self) -> Mapping[str, str]:
        """The script's parameters: what the items name, the files' contents, and WANTED.

        Raises:
            ValueError: what is wanted can't be told to a script, or not be made: a text that does not fit into one field of a line,
                a parameter's name that is none or that is given twice, a value that no program can be given, something that is
                wanted twice, a path that is no plain absolute one, a mode, owner or unit that is none. It says which.
        """
        named = [(item.path_as, item.path) for item in self._placed if item.path_as]
        named += [(unit.name_as, unit.name) for unit in self.units if unit.name_as]
        contents = list(self._contents())
        given = [*named, *((name, file.content) for name, file in contents), (PARAMETER, "".join(self._lines(contents)))]
        mistakes = [*_mistaken_names(given), *self._mistaken_items(), *self._mistaken_paths(), *self._mistaken_forms()]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return dict(given)

    @property
    def _placed(self) -> tuple[Directory | File, ...]:
        return (*self.directories, *self.files)

    def _contents(self) -> Iterator[tuple[str, File]]:
        for number, file in enumerate(self.files, 1):
            yield file.content_as or f"FILE_{number}", file

    def _mistaken_items(self) -> Iterator[str]:
        yield from _twice("package", self.packages)
        yield from _twice("module", map(module_name, self.modules))
        yield from _twice("sysctl", (name for name, _value in self.sysctls))
        yield from _twice("unit", (unit.name for unit in self.units))

    def _mistaken_paths(self) -> Iterator[str]:
        paths = [item.path for item in self._placed]
        yield from (f"{path} is no absolute path" for path in paths if not path.startswith("/"))
        plain = [_plain(path) for path in paths]
        yield from (f"{file.path} is not the plain path of a file" for file in self.files if file.path != _plain(file.path))
        yield from _twice("", plain)
        yield from (
            f"{path} is to be in {file.path}, which is a file"
            for file in self.files
            for path in plain
            if path.startswith(f"{file.path}/")
        )

    def _mistaken_forms(self) -> Iterator[str]:
        for file in self.files:
            if not 0 <= file.mode <= 0o7777:
                yield f"{file.mode:#o} is no mode of {file.path}"
            if not _OWNER.fullmatch(file.owner):
                yield f"{file.owner!r} is no user:group for {file.path}"
        yield from (f"unit {unit.name} has no suffix" for unit in self.units if "." not in unit.name)

    def _lines(self, contents: Iterable[tuple[str, File]]) -> Iterator[str]:
        rows: list[tuple[str, ...]] = [("package", name) for name in self.packages]
        rows += [("directory", item.path, "private" if item.private else "open") for item in self.directories]
        rows += [("module", name) for name in self.modules]
        rows += [("sysctl", name, value) for name, value in self.sysctls]
        rows += [("file", file.path, f"{file.mode:04o}", file.owner, name) for name, file in contents]
        rows += [("unit", unit.name) for unit in self.units]
        for row in rows:
            if any(not text or "\t" in text or "\n" in text or "\0" in text for text in row):
                raise ValueError(f"{row} can't be told in one line")
            yield "\t".join(row) + "\n"


def module_name(name: str) -> str:
    """A kernel module's name as the facts have it: to the kernel '-' and '_' are the same."""
    return name.replace("-", "_")


def _plain(path: str) -> str:
    """Without doubled slashes, `.` and `..`, and no slash at its end."""
    return posixpath.normpath(f"/{path.lstrip('/')}")


def _twice(kind: str, names: Iterable[str]) -> Iterator[str]:
    yield from (f"{kind} {name} is wanted twice".lstrip() for name, count in Counter(names).items() if count > 1)


def _mistaken_names(given: Iterable[tuple[str, str]]) -> Iterator[str]:
    given = list(given)
    yield from (why for name, value in given if (why := unfit(name, value)))
    yield from (f"parameter {name} is given twice" for name, count in Counter(name for name, _value in given).items() if count > 1)


def _plural(word: str) -> str:
    return f"{word.removesuffix('y')}ies" if word.endswith("y") else f"{word}s"


def rows(parameters: Mapping[str, str]) -> list[list[str]]:
    """The lines of WANTED in these parameters, each as its fields.

    They are kind and name; then for a directory `private` or `open`, for a kernel parameter its value, and for a file its mode
    (octal), its owner and the parameter with its content.
    """
    return [line.split("\t") for line in parameters.get(PARAMETER, "").split("\n") if line]
