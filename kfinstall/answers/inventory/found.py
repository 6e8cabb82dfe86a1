"""What a form found: servers as they stand there, and each thing that was not taken, with its line and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfinstall.answers.inventory.limits import LONGEST_WORD_CHARACTERS, MOST_LEFT_LINES, MOST_PLACES
from kfinstall.text import clean


@dataclass(frozen=True, slots=True)
class Hop:
    """A jump host, its fields as text that is not looked at yet."""

    address: str
    user: str = ""
    port: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One server as a form tells it, its fields as text that is not looked at yet."""

    name: str
    """Empty where the form has an address only."""
    address: str
    line: int = 0
    """Counted from 1; 0 where it is not known."""
    roles: frozenset[str] = frozenset()
    """Of kfinstall.answers.inventory.roles; a bastion is no node."""
    user: str = ""
    port: str = ""
    keys: tuple[str, ...] = ()
    hops: tuple[Hop, ...] | None = None
    """None: nothing is said; empty: straight there, whatever holds for the others."""
    local: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    """Plain data that only our own answers have: references to secrets."""
    alias: str = ""
    """What ssh has to call it, where settings hang on that; empty where its address will do."""


@dataclass(frozen=True, slots=True)
class Clash:
    """A row whose name another one has already, and something else is said there."""

    name: str
    line: int
    node: Mapping[str, Any]
    """The row that was not taken, as the answers would have it."""

    def words(self, first: Mapping[str, Any], line: int) -> str:
        """What both rows say, without the line of this one; `first` and `line`: the one that has the name already."""
        before = f"in line {line}" if line else "before"
        if first["address"] != self.node["address"]:
            return f"{self.name}: stands twice, as {first['address']} {before} and as {self.node['address']} here"
        return f"{self.name}: stands twice, with something else here than {before}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What could be taken, and what could not, each with its reason."""

    nodes: tuple[dict[str, Any], ...] = ()
    """Nodes as the answers have them."""
    left: tuple[str, ...] = ()
    """'line 3: why': whatever stood there and is in no node."""
    kind: str = ""
    """What it was taken for, in words."""
    notes: tuple[str, ...] = ()
    """What was understood in a way that should be known: names that were changed, nodes that others go through."""
    about_roles: tuple[str, ...] = ()
    """What becomes of nodes whose roles nobody said, if these are all there are."""
    clashes: tuple[Clash, ...] = ()
    form: str = ""
    """The form's name, as --format takes it; empty where none was recognised."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where each node stood, by its name."""
    instead: str = ""
    """Where nothing can be taken: what to do, in words that go on after 'next:'; empty where that is not known."""
    guessed: frozenset[str] = frozenset()
    """The nodes whose roles nobody said: they follow from their names, or from those of the others."""


def word(text: object) -> str:
    """Somebody else's text inside a line of ours: one line, clean, short."""
    plain = clean(str(text).replace("\n", " "))
    return plain if len(plain) <= LONGEST_WORD_CHARACTERS else plain[:LONGEST_WORD_CHARACTERS] + "…"


def at(line: int) -> str:
    """The words in front of a reason."""
    return f"line {line}: " if line else ""


@dataclass(slots=True)
class Found:
    """Collects; a form fills it from top to bottom."""

    servers: list[Server] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    by_default: tuple[Hop, ...] | None = None
    """The way to every server that says none of its own."""
    instead: str = ""
    """What to do where nothing can be taken (see Imported)."""
    _left: list[tuple[int, str]] = field(default_factory=list)
    _alike: dict[str, list[int]] = field(default_factory=dict)
    _seconds: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    _dropped: int = 0

    def add(self, server: Server) -> None:
        """One more server."""
        self.servers.append(server)

    def leave(self, why: str, line: int = 0) -> None:
        """Something that is not taken over, and why."""
        if len(self._left) < MOST_LEFT_LINES:
            self._left.append((line, f"{at(line)}{clean(why)}"))
        else:
            self._dropped += 1

    def alike(self, why: str, line: int = 0) -> None:
        """The same reason for possibly many lines: told once, with all of their numbers."""
        if why in self._alike or len(self._alike) < MOST_LEFT_LINES:
            self._alike.setdefault(why, []).append(line)
        else:
            self._dropped += 1

    def secret(self, what: str, key: str, line: int = 0) -> None:
        """A secret that stood there: named, never copied or shown; `key` is where the answers take a reference to it, or the path of a key."""
        if key.endswith("keys"):
            self.alike(f"{word(what)}: a private key is never copied; put it into a file of its own, and its path into {key}", line)
            return
        self.alike(
            f"{word(what)}: a secret is never copied; write {key} in the answers as {{env: NAME}}, {{file: path}} or {{prompt: true}}",
            line,
        )

    def unused(self, what: str, line: int = 0, hint: str = "") -> None:
        """A setting that kfinstall has no use for."""
        self.alike(f"{word(what)}: not taken over{f'; {hint}' if hint else ''}", line)

    def second(self, key: str, name: str, address: str, taken: str, line: int = 0) -> None:
        """A server's other address, where it is not the one that is taken."""
        if address and address != taken:
            self._seconds.setdefault(key, []).append((name, address, line))

    def _tell_seconds(self) -> None:
        for key, others in self._seconds.items():
            shown = ", ".join(
                f"{word(address)} of {word(name)}" if name else word(address) for name, address, _line in others[:MOST_PLACES]
            )
            more = f" and {len(others) - MOST_PLACES} more" if len(others) > MOST_PLACES else ""
            why = f"{word(key)}: a second address ({shown}{more}); kfinstall and the other servers use one address, the one for SSH"
            for _name, _address, line in others:
                self.alike(why, line)
        self._seconds.clear()

    def left(self) -> tuple[str, ...]:
        """All reasons, by line; what has no line comes last."""
        self._tell_seconds()
        lines = list(self._left)
        for why, places in self._alike.items():
            known = sorted({place for place in places if place})
            more = len(known) - MOST_PLACES
            numbers = ", ".join(map(str, known[:MOST_PLACES])) + (f" and {more} more" if more > 0 else "")
            head = f"line{'s' if len(known) > 1 else ''} {numbers}: " if known else ""
            lines.append((known[0] if known else 0, head + clean(why)))
        lines.sort(key=lambda item: (item[0] == 0, item[0]))
        texts = [text for _line, text in lines]
        return (*texts, f"and {self._dropped} more lines of this kind") if self._dropped else tuple(texts)
