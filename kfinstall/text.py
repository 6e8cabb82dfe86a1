"""Remote text is hostile: it is cleaned in the two funnels that everything passes, the event bus and the terminal.

`clean` is for one line, `clean_text` for several, `cleaned` for whatever is made of texts; `shell` writes commands to copy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

TEXT_LINE_CHARACTERS: Final = 4096
TEXT_CHARACTERS: Final = 65_536
"""Of one text in an event, an error or the journal, whoever said it."""
TEXT_ITEMS: Final = 10_000
"""Of one list in an event."""

T = TypeVar("T")

_CONTROL: Final = re.compile(
    # Sequences with what belongs to them, in seven bits and in eight; then every control character but the tab.
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\\\|\x9c)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
    # What turns the direction of writing, what is not seen (soft hyphen, joiners, fillers, tags, selectors), what ends a line for some readers.
    "|[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]"
    "|[\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_UNSEEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0\U000e0100-\U000e01ef]")
"""What Python counts as printable, and nobody sees."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def is_clean(text: str) -> bool:
    """Whether there is nothing in one line to be cleaned, as in all but a few; a text with tabs or line ends is looked at as if there were."""
    return text.isprintable() and (text.isascii() or _UNSEEN.search(text) is None)


def printable(line: str) -> str:
    """One line without terminal control sequences, direction marks and unseen characters; what the last carriage return left visible.

    Tabs stay. Half a character (a lone surrogate, which no file and no terminal takes) becomes U+FFFD.
    """
    if is_clean(line):
        return line
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", line.rstrip("\r\n").rpartition("\r")[2]))


def clean(line: str) -> str:
    """`printable`, and a line longer than TEXT_LINE_CHARACTERS is cut, so that one line can't fill memory or a screen."""
    if len(line) <= TEXT_LINE_CHARACTERS:
        return printable(line)
    visible = printable(line.rstrip("\r\n").rpartition("\r")[2][:TEXT_CHARACTERS])
    return visible if len(visible) <= TEXT_LINE_CHARACTERS else visible[:TEXT_LINE_CHARACTERS] + "…"


def clean_lines(text: str) -> tuple[str, ...]:
    """`clean` for every line of a text."""
    return tuple(clean(line) for line in text.split("\n")) if text else ()


def clean_text(text: str) -> str:
    """`clean` for every line of a text, whose line ends stay; all of it is cut at TEXT_CHARACTERS."""
    if len(text) <= TEXT_LINE_CHARACTERS and is_clean(text):
        return text
    whole = "\n".join(clean(line) for line in text[:TEXT_CHARACTERS].split("\n"))
    return whole if len(text) <= TEXT_CHARACTERS else whole + "\n…"


def hanging(text: str, columns: int) -> str:
    """A text in a place of one line: its further lines are set in, so that none can pass for a line of the program's own."""
    return text.replace("\n", "\n" + " " * columns)


def cleaned(value: T) -> T:
    """A value with every text in it cleaned, in lists, tuples and mappings too; the same object where nothing was to be cleaned."""
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, (tuple, list)):
        parts = [_cleaned(item) for item in value[:TEXT_ITEMS]]
        same = len(parts) == len(value) and all(new is old for new, old in zip(parts, value, strict=True))
        return value if same else type(value)(parts)
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(item) for key, item in list(value.items())[:TEXT_ITEMS]}
    return value


def cleaned_fields(record: T) -> T:
    """A dataclass's object with every text in its fields cleaned; the same object where nothing was to be cleaned."""
    found = {item.name: getattr(record, item.name) for item in dataclasses.fields(record)}  # type: ignore[arg-type]
    changes = {name: new for name, value in found.items() if (new := _cleaned(value)) is not value and new != value}
    return dataclasses.replace(record, **changes) if changes else record  # type: ignore[type-var]


def shell(*words: str) -> str:
    """A command to copy: each word quoted where a shell would take it for more than a word, and without what can't be seen."""
    return shlex.join(clean(word) for word in words)


def kubectl(*words: str, namespace: str = "", names: Sequence[str] = (), options: Sequence[str] = ()) -> str:
    """A command of kubectl to copy: 'kubectl -n NAMESPACE WORDS NAMES OPTIONS'.

    `names` come from an API server: one that looks like an option (--all) is kept from being one.
    """
    where = ("-n", namespace) if namespace else ()
    if any(name.startswith("-") for name in map(clean, names)):
        return shell("kubectl", *where, *words, *options, "--", *names)
    return shell("kubectl", *where, *words, *names, *options)


def counted(number: int, noun: str) -> str:
    """1 node, 3 nodes. For nouns whose plural takes an s."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


_NUMBERED: Final = re.compile(r"(.*?)([0-9]{1,9})(\D*)", re.ASCII | re.DOTALL)
_FEW_NAMES: Final = 4
_LEAST_ROW: Final = 3


def names_in_words(names: Sequence[str]) -> str:
    """Every name, none left out: few as they are, of more those that are numbered in a row as 'worker1 to worker9'."""
    names = list(dict.fromkeys(names))
    if len(names) <= _FEW_NAMES:
        return ", ".join(names)
    rows: list[list[str]] = []
    for name in names:
        if rows and _next(rows[-1][-1]) == name:
            rows[-1].append(name)
        else:
            rows.append([name])
    words = [[f"{row[0]} to {row[-1]}"] if len(row) >= _LEAST_ROW else row for row in rows]
    return ", ".join(word for row in words for word in row)


def _next(name: str) -> str | None:
    """What comes after a name that is numbered: worker9's is worker10, node09's is node10."""
    found = _NUMBERED.fullmatch(name)
    return f"{found[1]}{int(found[2]) + 1:0{len(found[2])}d}{found[3]}" if found is not None else None


def duration(seconds: float) -> str:
    """4 s, 2 min 05 s, 1 h 03 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def from_home(path: Path) -> str:
    """A path as a shell takes it and people read it: ~/... where it is below the home directory, else whole."""
    whole = path.absolute()
    try:
        return str(Path("~") / whole.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # it is elsewhere; nobody has a home here
        return str(whole)


def sha256(text: str) -> str:
    """Hex SHA-256 of a text in UTF-8, as facts report it for files."""
    return hashlib.sha256(text.encode()).hexdigest()
