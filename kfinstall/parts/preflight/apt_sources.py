"""apt's sources in both of their forms, and which of them are Kubernetes' that have to go before ours comes: pure functions of the files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import urlsplit

from kfinstall.parts.preflight.apt_facts import TextFile
from kfinstall.text import sha256

OWN_LIST: Final = "/etc/apt/sources.list.d/kubernetes.list"
"""Ours, and the name that Kubernetes' documentation gives it."""
INLINE: Final = "a key in the file itself"
_LINE: Final = re.compile(r"\s*deb(?:-src)?\s+(?:\[([^\]]*)\]\s*)?(cdrom:\[[^\]]*\]\S*|\S+)\s+(\S+)")
_OPTION: Final = re.compile(r'(?:"[^"]*"|[^\s"])+')
_OFF: Final = frozenset({"no", "false", "without", "off", "disable", "0"})
_GONE_HOST: Final = re.compile(r"apt\.kubernetes\.io")
_GONE_PATH: Final = re.compile(r"packages\.cloud\.google\.com/apt/?$")
_OFFICIAL: Final = re.compile(r"(?:pkgs\.k8s\.io|prod-cdn\.packages\.k8s\.io|packages\.k8s\.io)")


@dataclass(frozen=True, slots=True)
class Source:
    """A line of a .list, or a stanza of a .sources."""

    path: str
    line: int
    """Where it begins: 1 for the first of the file."""
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    signed_by: tuple[str, ...] = ()
    """Key files or fingerprints; INLINE and a digest for keys that stand there; none: the keys that count for all sources."""
    enabled: bool = True

    @property
    def places(self) -> Iterator[tuple[str, str]]:
        """Each URI with each suite: what apt reads."""
        yield from ((uri.rstrip("/"), suite) for uri in self.uris for suite in self.suites)

    def __str__(self) -> str:
        """URIs and suites, for people."""
        return " ".join((*self.uris, *self.suites))


def _listed(file: TextFile) -> Iterator[Source]:
    for number, text in enumerate(file.lines, 1):
        if match := _LINE.match(text):
            words = [word.replace('"', "") for word in _OPTION.findall((match[1] or "").replace("+=", "="))]
            options = dict(word.split("=", 1) for word in words if "=" in word)
            keys = tuple(filter(None, options.get("signed-by", "").split(",")))
            yield Source(file.path, number, (match[2],), (match[3],), keys)


def stanzas(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line where it begins, fields by their names in small letters) as apt reads them: only a line with nothing in it ends a stanza."""
    fields: dict[str, str] = {}
    begin, name = 0, ""
    for number, text in enumerate((*lines, ""), 1):
        if not text:
            if fields:
                yield begin, fields
            fields, begin, name = {}, 0, ""
        elif text[0] == "#":
            continue
        elif text[0] in " \t":
            if name:
                fields[name] += "\n" + text
        else:
            name, _colon, value = text.partition(":")
            name = name.strip().lower()
            fields[name] = value
            begin = begin or number


def _signed(value: str) -> tuple[str, ...]:
    if "BEGIN PGP" in value:
        return (f"{INLINE} ({sha256(' '.join(value.split()))[:8]})",)
    return tuple(word for word in re.split(r"[\s,]+", value) if word)


def _deb822(file: TextFile) -> Iterator[Source]:
    for line, fields in stanzas(file.lines):
        uris, suites = (tuple(fields.get(name, "").split()) for name in ("uris", "suites"))
        if uris and suites:
            enabled = fields.get("enabled", "").strip().lower() not in _OFF
            yield Source(file.path, line, uris, suites, _signed(fields.get("signed-by", "")), enabled)


def sources(files: Iterable[TextFile]) -> tuple[Source, ...]:
    """All sources of these files, also those that are turned off in a .sources."""
    found: list[Source] = []
    for file in files:
        found += _deb822(file) if file.path.endswith(".sources") else _listed(file)
    return tuple(found)


def gone(uri: str, suite: str) -> bool:
    """Whether it is one of the repositories of Kubernetes that were shut in March 2024. kf_sources of scripts/engine/lib.sh says the same."""
    return bool(_GONE_HOST.search(uri) or (_GONE_PATH.search(uri) and suite.startswith("kubernetes-")))


def official(uri: str) -> bool:
    """Whether it is Kubernetes' own repository of some minor. Others are on the same host, CRI-O's for one: those are nothing to us."""
    parts = urlsplit(uri)
    return bool(_OFFICIAL.fullmatch(parts.hostname or "")) and parts.path.startswith("/core:")


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of the sources."""

    off: tuple[tuple[Source, str], ...] = ()
    """To be turned off, each with why: those of Kubernetes that are gone, or that stand beside ours."""
    mixed: tuple[Source, ...] = ()
    """A stanza that names such a repository, and others: it can't be turned off as a whole."""
    guests: tuple[Source, ...] = ()
    """Others' sources in the file that is ours to write."""
    stay: tuple[Source, ...] = ()
    """All others that are on."""


def judge(found: Iterable[Source]) -> Judged:
    """Which sources go, which are in the way, which stay."""
    off: list[tuple[Source, str]] = []
    mixed, guests, stay = [], [], []
    for source in (source for source in found if source.enabled):
        dead = [gone(*place) for place in source.places]
        ours = [old or official(uri) for old, (uri, _suite) in zip(dead, source.places, strict=True)]
        if all(dead):
            off.append((source, "the repository of Kubernetes that is gone"))
        elif source.path == OWN_LIST:
            if not all(ours) and not _like(source):
                guests.append(source)
        elif all(ours):
            off.append((source, "another source of Kubernetes' packages"))
        elif any(ours):
            mixed.append(source)
        else:
            stay.append(source)
    return Judged(tuple(off), tuple(mixed), tuple(guests), tuple(stay))


def _like(source: Source) -> bool:
    """Whether a mirror's path says that it carries Kubernetes' packages: only asked of a file that has Kubernetes' name."""
    return any(re.search(r"kubernetes|k8s|core:?/", uri) or suite.startswith("kubernetes-") for uri, suite in source.places)


def conflicts(found: Iterable[Source]) -> tuple[tuple[Source, Source], ...]:
    """Pairs of which apt says 'Conflicting values set for option Signed-By': the same repository, by http or https, with another key."""
    by_place: dict[tuple[str, str], list[Source]] = {}
    for source in found:
        for uri, suite in source.places:
            by_place.setdefault((re.sub(r"^https?://", "", uri), suite), []).append(source)
    pairs: dict[tuple[Source, Source], None] = {}
    for same in by_place.values():
        for one, other in pairwise(same):
            if one.signed_by != other.signed_by:
                pairs[one, other] = None
    return tuple(pairs)


def listed(files: Iterable[TextFile], off: Iterable[Source]) -> str:
    """What kf_sources_off of scripts/engine/lib.sh reads: a line for each file, which it leaves alone where it has changed since."""
    sums, lines = {file.path: file.sha256 for file in files}, dict[str, list[str]]()
    for source in off:
        lines.setdefault(source.path, []).append(str(source.line))
    return "".join(f"{path}\t{sums[path]}\t{' '.join(numbers)}\n" for path, numbers in lines.items())


def turned_off(file: TextFile, lines: Iterable[int]) -> str:
    """The file with what begins at these lines turned off: what kf_source_off of scripts/engine/lib.sh makes of it."""
    meant, form = set(lines), file.path.endswith(".sources")
    known = {source.line: source for source in sources([file])}
    ends = [number for number, text in enumerate(file.lines, 1) if not text]
    inside = {source.line: next((end for end in ends if end > source.line), len(file.lines) + 1) for source in known.values()}
    made: list[str] = []
    enabled_in: set[int] = set()
    for number in meant & known.keys():
        enabled_in |= {at for at in range(number, inside[number]) if re.match(r"enabled\s*:", file.lines[at - 1], re.IGNORECASE)}
    for number, text in enumerate(file.lines, 1):
        source = known.get(number)
        dead = source is not None and all(gone(*place) for place in source.places)
        note = "kfinstall turned it off" + (", this repository is gone" if dead else "")
        if number in meant and source is not None and form:
            made += [f"# {note}", "Enabled: no"]
        if not (form and number in enabled_in):
            made.append(f"# {note}: {text}" if number in meant and source is not None and not form else text)
    return "\n".join(made) + "\n"
