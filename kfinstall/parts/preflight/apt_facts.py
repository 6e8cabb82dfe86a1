"""What is read of apt's own configuration: sources, keys, pins and proxies of whoever was here before, and what answers at the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.facts.lines import SectionError, columns, number
from kfinstall.facts.section import FactSection


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of apt's configuration; logins in its URLs are replaced by ***."""

    path: str
    sha256: str = ""
    lines: tuple[str, ...] = ()
    whole: bool = True
    """False where it was too long to be read."""


@dataclass(frozen=True, slots=True)
class Key:
    """A file of keys that a source names, or that counts for all of them."""

    path: str
    form: str
    """binary, armored, empty, page (a web page was saved instead of a key), missing."""
    readable: bool = True
    """Whether apt's own user can read it."""
    ends: int = -1
    """When the last of its keys expires, epoch seconds; 0: never; -1: not known."""
    fingerprints: tuple[str, ...] = ()
    """Of its primary keys, hex digits; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class AptProxy:
    """A proxy in apt's configuration."""

    scheme: str
    """http or https."""
    url: str
    path: str


@dataclass(frozen=True, slots=True)
class AptFiles(FactSection):
    """apt's configuration, in the order in which apt reads it."""

    section: ClassVar[str] = "apt-files"
    script: ClassVar[str] = "preflight/facts-apt"
    order: ClassVar[int] = 10

    sources: tuple[TextFile, ...] = ()
    keys: tuple[Key, ...] = ()
    pins: tuple[TextFile, ...] = ()
    proxies: tuple[AptProxy, ...] = ()
    interrupted: bool = False
    """dpkg was interrupted before it could write down what it had done."""
    loose: tuple[str, ...] = ()
    """Packages that a step of kfinstall, which was killed, took off hold."""

    def key(self, path: str) -> Key | None:
        """What is known of a file of keys; None where it was not looked at."""
        return next((key for key in self.keys if key.path == path), None)

    @override
    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `file sha256 path`, `pins path`, and under them `line text` or `cut path`; `key form ends fingerprints path` (with commas between them, or '-'), `proxy scheme url path`, `loose name`, `interrupted yes`."""
        files: dict[str, list[tuple[str, str, list[str], list[bool]]]] = {"file": [], "pins": []}
        current: tuple[str, str, list[str], list[bool]] = ("", "", [], [])
        keys: list[Key] = []
        proxies: list[AptProxy] = []
        loose: list[str] = []
        interrupted = False
        for line in lines:
            kind, rest = columns(cls.section, line, 2)
            if kind in files:
                sum_, path = columns(cls.section, rest, 2) if kind == "file" else ("", rest)
                current = (path, sum_, [], [])
                files[kind].append(current)
            elif kind == "line":
                current[2].append(rest)
            elif kind == "cut":
                current[3].append(True)
            elif kind == "key":
                form, ends, prints, path = columns(cls.section, rest, 4)
                word, _comma, state = form.partition(",")
                known = () if prints == "-" else tuple(prints.split(","))
                keys.append(Key(path, word, state != "unreadable", number(cls.section, ends, int), known))
            elif kind == "proxy":
                proxies.append(AptProxy(*columns(cls.section, rest, 3)))
            elif kind == "loose":
                loose.append(rest)
            elif kind == "interrupted":
                interrupted = True
            else:
                raise SectionError(cls.section, line)
        sources, pins = (
            tuple(TextFile(path, sum_, tuple(text), not cut) for path, sum_, text, cut in files[kind]) for kind in ("file", "pins")
        )
        return cls(sources, tuple(keys), pins, tuple(proxies), interrupted, tuple(loose))


@dataclass(frozen=True, slots=True)
class Tried:
    """What answered where a source's Release file must be."""

    path: str
    """The file that names the source."""
    release: str
    uri: str
    status: int
    """HTTP status; 0: not tried, or nothing answered."""


@dataclass(frozen=True, slots=True)
class AptTried(FactSection):
    """apt's own words about its sources, and each one's Release file as it was asked for; nothing is downloaded."""

    section: ClassVar[str] = "apt-tried"
    script: ClassVar[str] = "preflight/facts-apt-tried"
    order: ClassVar[int] = 95
    once: ClassVar[bool] = True

    messages: tuple[str, ...] = ()
    """Errors in apt's words, without 'E: '."""
    tried: tuple[Tried, ...] = ()
    """Two for a source: InRelease and Release."""

    @override
    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """That it is to be done: preflight/facts-apt begins it."""
        return {"APT_TRIES": "yes"}

    @override
    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `said E: text` and `tried path:number release status uri`."""
        messages: dict[str, None] = {}
        tried: list[Tried] = []
        for line in lines:
            kind, rest = columns(cls.section, line, 2)
            if kind == "said":
                messages[rest.removeprefix("E: ")] = None
            elif kind == "tried":
                entry, release, status, uri = columns(cls.section, rest, 4)
                tried.append(Tried(entry.rpartition(":")[0], release, uri, number(cls.section, status, int)))
            else:
                raise SectionError(cls.section, line)
        return cls(tuple(messages), tuple(tried))
