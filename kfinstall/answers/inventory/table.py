"""Tables with a heading: CSV with ',', ';', tabs or '|', and lists of records in YAML or JSON whose keys say what they are."""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.answers.inventory import columns, names, roles, ssh_words, tools, tree
from kfinstall.answers.inventory.found import Found, Hop, Imported, Server, word
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS, MOST_TITLE_LINES
from kfinstall.answers.inventory.lines import joined
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map, Seq

TITLE: Final = "a table"
NAME: Final = "csv"
TITLE_RECORDS: Final = "a list of servers in YAML or JSON"
NAME_RECORDS: Final = "records"
_COLUMNS_APART: Final = "  "
_BLANK: Final = " "
_DELIMITERS: Final = (",", ";", "\t", "|", _COLUMNS_APART, _BLANK)
_APART: Final = re.compile(r"\S+(?: \S+)*")
_LOGINS: Final = ("ssh", "login", "connection", "credentials", "auth")
"""Keys of records whose mapping says how to log in."""
_SEPARATOR: Final = re.compile(r"""(?i)["']?sep=.?["']?""")
"""What spreadsheets write and read as a first line."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the heading stands, and how the rows are divided."""

    delimiter: str
    line: int
    heading: tuple[str, ...]
    above: tuple[int, ...] = ()
    """Lines of a title."""


def _heading(cells: Sequence[str], delimiter: str) -> bool:
    """Whether a row is a heading: it says where the address or the name stands, and holds no address itself."""
    known = [columns.meaning(cell) for cell in cells]
    if len([cell for cell in cells if cell.strip()]) < 2 or any(names.is_address(cell.strip()) for cell in cells):
        return False
    if delimiter == _BLANK:
        return "address" in known and all(known)
    return "address" in known or ("name" in known and len([one for one in known if one]) > 1)


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not set(line.strip()) <= set("|-+: ")


def _table(text: str) -> _Table | None:
    """The heading, below a title or not; None where there is none."""
    lines = joined(text)
    above: list[int] = []
    for number, line in enumerate(lines, 1):
        if not _is_row(line) or _SEPARATOR.fullmatch(line.strip()):
            continue
        comment = line.lstrip().startswith("#")
        for delimiter in _DELIMITERS:
            cells = _cells(line, delimiter) if delimiter in line and len(line) <= LONGEST_LINE_CHARACTERS else []
            if _heading(cells, delimiter) and (not comment or cells[0] == "#") and _goes_on(lines[number:], cells, delimiter):
                return _Table(delimiter, number, tuple(cells), tuple(above))
        if comment:
            continue
        if len(above) >= MOST_TITLE_LINES or any(_is_place(one) for one in re.split(r"[\s,;|]+", line[:LONGEST_LINE_CHARACTERS])):
            return None
        above.append(number)
    return None


def _goes_on(below: Sequence[str], cells: Sequence[str], delimiter: str) -> bool:
    """Blanks divide all texts: they are a table's where the next line has as many, and columns where it has no more than the heading."""
    if delimiter not in (_BLANK, _COLUMNS_APART):
        return True
    row = next((line for line in below if _is_row(line) and not line.lstrip().startswith("#")), "")
    return len(row.split()) == len(cells) if delimiter == _BLANK else len(_cells(row, delimiter)) <= len(cells)


def _is_place(text: str) -> bool:
    place = names.place(text.strip("()"))
    return place is not None and names.is_address(names.without_prefix(place.host))


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == _BLANK:
        return line.split()
    if delimiter == _COLUMNS_APART:
        return re.split(r"\s{2,}", line.strip())
    if delimiter == "|":
        line = line.strip().strip("|")
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []


def looks_like(text: str) -> bool:
    """It has a heading, at its top or below a title."""
    return _table(text) is not None


def read(text: str) -> Imported:
    """The rows below the heading."""
    found = Found()
    table = _table(text)
    if table is None:
        return Imported(left=("no heading says which column is the address (such as: name,address,role)",), kind=TITLE, form=NAME)
    for number in table.above:
        found.leave("stands above the table's heading; not taken", number)
    lines = joined(text)
    last: Server | None = None
    for number, line in enumerate(lines[table.line :], table.line + 1):
        if not _is_row(line) or line.lstrip().startswith("#"):
            continue
        cells = _cells(line, table.delimiter)
        if len(cells) > len(table.heading) and any(cells[len(table.heading) :]):
            found.leave(f"{len(cells)} cells, and the heading has {len(table.heading)}; not taken", number)
            continue
        if tuple(cells) == table.heading:
            found.leave("the heading again", number)
            continue
        if table.delimiter == _COLUMNS_APART and len(cells) < len(table.heading):
            cells = _by_place(line, lines[table.line - 1], cells, table.heading)
        cells += [""] * (len(table.heading) - len(cells))
        pairs = list(zip(table.heading, cells, strict=False))
        if table.delimiter in ("|", _COLUMNS_APART) and _goes_on_from_above(pairs):
            _further_addresses(pairs, last, number, found)
            continue
        before = len(found.servers)
        _record(pairs, number, dict.fromkeys(table.heading, table.line), found)
        last = found.servers[-1] if len(found.servers) > before else None
    return imported(found, TITLE, NAME)


def _by_place(line: str, above: str, cells: list[str], heading: Sequence[str]) -> list[str]:
    """The cells of a row that lacks some, below the headings where they stand; as they follow each other where that makes no sense."""
    if line[:1].isspace() and not above[:1].isspace() and all(map(_is_place, cells)):
        index = next((at for at, name in enumerate(heading) if columns.meaning(name) == "address"), 0)
        return [""] * index + [", ".join(cells)]
    starts = [one.start() for one in _APART.finditer(above)]
    placed = [""] * len(heading)
    for one in _APART.finditer(line):
        index = bisect_right(starts, one.start()) - 1
        if not 0 <= index < len(placed) or placed[index]:
            return cells
        placed[index] = one[0]
    odd = any(_is_place(cell) and columns.meaning(name) != "address" for name, cell in zip(heading, placed, strict=True))
    return cells if odd else placed


def _goes_on_from_above(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether a row has nothing but addresses in a table with names: more of the server above."""
    given = {columns.meaning(heading) for heading, cell in pairs if cell}
    return given == {"address"} and any(columns.meaning(heading) == "name" for heading, _cell in pairs)


def _further_addresses(pairs: Sequence[tuple[str, str]], last: Server | None, line: int, found: Found) -> None:
    for heading, cell in pairs:
        for one in columns.addresses(cell) if cell else ():
            if last is None:
                found.leave(f"{word(one)}: belongs to a row above that is not taken, or to none", line)
            else:
                found.second(heading, last.name, one, last.address, line)


def fits(data: Any) -> bool:
    """A list of mappings, alone or below one key, most of which have an address."""
    return _records(data) is not None


def read_records(data: Any) -> Imported:
    """Each mapping of the list as a server."""
    found = Found()
    for item, line in tree.items(_records(data)):
        if not isinstance(item, Map):
            found.leave("an item that is no mapping", line)
            continue
        login = next((tree.mapping(item[key]) for key in _LOGINS if isinstance(item.get(key), Map)), None)
        own = [(key, _text(value)) for key, value in item.items() if login is None or value is not login]
        values = own + ([(key, _text(value)) for key, value in login.items()] if login is not None else [])
        for key, value in item.items():
            if isinstance(value, Map) and value is not login and not _text(value):
                found.unused(key, item.lines.get(key, line))
        _record(values, line, item.lines, found)
    return imported(found, TITLE_RECORDS, NAME_RECORDS)


def _text(value: Any) -> str:
    """A value in words; of a mapping what it is about, as exports of databases write addresses and roles."""
    inner = tree.mapping(value)
    return ", ".join(tree.words(value)) or tree.text(inner.get("address")) or tree.text(inner.get("name"))


def _records(data: Any) -> Seq | None:
    if isinstance(data, Map) and "apiVersion" not in data:
        lists = [
            data[key]
            for key in ("nodes", "hosts", "servers", "machines", "instances", "devices", "results")
            if isinstance(data.get(key), Seq)
        ]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, Seq) or not data:
        return None
    fit = [item for item in data if isinstance(item, Map) and any(columns.is_address_key(key, _text(item[key])) for key in item)]
    return data if len(fit) * 2 > len(data) else None


def _record(values: Sequence[tuple[str, str]], line: int, lines: Mapping[str, int], found: Found) -> None:
    """One row, by its headings."""
    got = columns.of_row(values, line, lines, found)
    name = got.get("name", "")
    # Beside a column of addresses a short name is none: it may be a title, or a sum.
    named = "." in name or not any(columns.meaning(heading) == "address" for heading, _cell in values)
    place = names.place(got.get("address", "") or (name if named else ""))
    if place is None or not place.host:
        found.leave(f"{f'{word(name)}: ' if name else ''}no address in it", line)
        return
    if "/" in place.host:
        found.leave(f"{word(place.host)} is a network, not one server's address", line)
        return
    if place.secret:
        found.secret("a password", "ssh.password", line)
    what = word(got.get("name", "") or place.host)
    role = tools.roles_of(_role_words(got.get("roles", "")), what, line, found)
    if role is None:
        return
    user, port = got.get("user", "") or place.user, got.get("port", "") or place.port
    keys = (got["key"],) if "key" in got else ()
    found.add(Server(got.get("name", ""), place.host, line, role, user, port, keys, _hops(got.get("jump", ""), line, found)))


def _role_words(text: str) -> list[str]:
    if roles.of_word(text):
        return [text]
    parts = [part.strip() for part in re.split(r"[,+&/;|]", text)]
    return [one for part in parts for one in ([part] if roles.of_word(part) or roles.is_other(part) else part.split()) if one]


def _hops(text: str, line: int, found: Found) -> tuple[Hop, ...] | None:
    if not text or text.lower() in ("no", "false", "-", "0"):
        return None
    try:
        return ssh_words.jumps(text)
    except ssh_words.NotUnderstoodError as error:
        found.leave(f"{error}; write ssh.jumpHosts", line)
        return None
