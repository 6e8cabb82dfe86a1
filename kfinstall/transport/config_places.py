"""Where in OpenSSH's configuration an option stands: a look of our own, only to name file and line. OpenSSH decides what holds."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from kfinstall.transport import limits

_LINE: Final = re.compile(r'\s*"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+)(.*)')


@dataclass(frozen=True, slots=True)
class Place:
    """One line."""

    file: Path
    number: int
    """From 1."""
    option: str
    """Lower case."""
    value: str
    """As it is written, without quotes around all of it."""
    written: str
    """The same with all of its quotes."""
    applies: bool | None
    """Whether its Host block names the server; None in a Match block, which only OpenSSH can decide."""

    @property
    def text(self) -> str:
        """For people: file and line."""
        return f"{self.file} line {self.number}"


@dataclass(frozen=True, slots=True)
class Places:
    """The lines that could hold for one address."""

    files: tuple[Path, ...]
    """The user's configuration, then the machine's."""
    host: str
    """The address as it was typed."""
    home: Path = field(default_factory=Path.home)

    def where(self, option: str, value: str = "") -> str:
        """'OPTION (FILE line N)' where it can be told, else the option's name; `value` as OpenSSH prints it, if it was given one."""
        place = self.find(option, value)
        return f"{option} ({place.text})" if place else option

    def find(self, option: str, value: str = "") -> Place | None:
        """The line that decides on an option; None where none does, or several could."""
        found = [place for place in self.lines() if place.option == option.lower() and place.applies is not False]
        same = [place for place in found if value and place.value.casefold() == value.casefold()]
        if same:
            return same[0]
        # OpenSSH takes the first that it obtains.
        return found[0] if found and (found[0].applies or len(found) == 1) else None

    def words(self, option: str, printed: str) -> list[str]:
        """The words of the line that gives an option the value that OpenSSH prints, where quotes are gone; none where no line does."""
        for place in self.lines():
            if place.option == option.lower() and place.applies is not False:
                words = _words(place.written)
                if " ".join(words) == printed:
                    return words
        return []

    def spelled(self) -> str:
        """The address as a Host line spells it: the answers keep names in lower case, and OpenSSH's patterns have capitals."""
        for place in self.lines():
            if place.option == "host" and place.applies is False:
                for word in _words(place.value):
                    if word.lower() == self.host and word != self.host:
                        return word
        return self.host

    def lines(self) -> Iterator[Place]:
        """Every option of every file, in the order that OpenSSH reads them; none of files that can't be read."""
        seen: list[Path] = []
        for file in self.files:
            yield from self._of(file, 0, seen, applies=True)

    def _of(self, file: Path, depth: int, seen: list[Path], *, applies: bool | None) -> Iterator[Place]:
        if depth > limits.SSH_CONFIG_DEPTH or len(seen) >= limits.SSH_CONFIG_FILES:
            return
        seen.append(file)
        try:
            with file.open("rb") as stream:
                text = stream.read(limits.SSH_CONFIG_BYTES).decode("utf-8", "replace")
        except OSError:
            return
        outer = applies
        for number, line in enumerate(text.split("\n"), 1):
            written = _LINE.fullmatch(line.rstrip())
            if written is None:
                continue
            option, value = written[1].lower(), written[2].strip()
            if option == "host":
                applies = _both(outer=outer, inner=named(self.host, _words(value)))
            elif option == "match":
                applies = _both(outer=outer, inner=True if value.lower() == "all" else None)
            yield Place(file, number, option, _bare(value), value, applies)
            if option == "include" and applies is not False:
                for inner in self._included(value, file):
                    yield from self._of(inner, depth + 1, seen, applies=applies)

    def _included(self, value: str, file: Path) -> Iterator[Path]:
        base = Path("/etc/ssh") if file.is_relative_to("/etc/ssh") else self.home / ".ssh"
        for word in _words(value):
            pattern = str(self.home / word[2:]) if word.startswith("~/") else word
            found = sorted(glob.glob(pattern if Path(pattern).is_absolute() else str(base / pattern)))  # noqa: PTH207 (patterns may be absolute)
            yield from (Path(one) for one in found)


def named(host: str, patterns: Sequence[str]) -> bool:
    """Whether the patterns of a Host line name an address (ssh_config(5), PATTERNS)."""
    hit = False
    for pattern in patterns:
        if fnmatchcase(host, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit


def _both(*, outer: bool | None, inner: bool | None) -> bool | None:
    if outer is False or inner is False:
        return False
    return None if outer is None or inner is None else True


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError:
        return value.split()


def _bare(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in value[1:-1] else value
