"""A plain list: one server a line, or addresses with commas between them."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.answers.inventory import mail, names, roles, ssh_words, words
from kfinstall.answers.inventory.found import Found, Imported
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS
from kfinstall.answers.inventory.lines import joined
from kfinstall.answers.inventory.nodes import imported

TITLE: Final = "a plain list"
NAME: Final = "list"
_BULLET: Final = re.compile(r"^\s*(?:[-*\u2022]\s+|\d{1,3}[.)]\s+)")
_PROMPT: Final = re.compile(r"^\s*\$\s+(?=ssh\s)")
_SEEN_BY_NMAP: Final = re.compile(r"\s*Nmap scan report for (\S+)(?: \((\S+)\))?\s*")
_DNS_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z0-9-]*\.?")
_BETWEEN: Final = re.compile(r"[\s,;|]+")


def read(text: str) -> Imported:
    """Lines `address`, `user@host:port`, `name address`, `name address role`, `ssh user@host`; '#' begins a comment."""
    found = Found()
    lines = joined(text)
    alone = sum(bool(_split(raw)) for raw in lines if len(raw) <= LONGEST_LINE_CHARACTERS) == 1
    addressed = any(_names_address(_split(raw)) for raw in lines if len(raw) <= LONGEST_LINE_CHARACTERS)
    only_addresses = _are_only_addresses([_split(raw) for raw in lines if len(raw) <= LONGEST_LINE_CHARACTERS])
    for number, raw in enumerate(lines, 1):
        if len(raw) > LONGEST_LINE_CHARACTERS and not _is_row_of_addresses(_split(raw)):
            found.leave(f"is longer than {LONGEST_LINE_CHARACTERS} characters", number)
            continue
        line = _PROMPT.sub("", _BULLET.sub("", re.split(r"(?:^|\s)#", raw, maxsplit=1)[0]).strip().strip("`"))
        if line.split()[:1] == ["ssh"]:
            _command(line, number, found)
            continue
        parts = _split(line)
        if not parts:
            continue
        if mail.is_mail(line, parts, only_addresses=only_addresses):
            found.leave(mail.WHY, number)
            continue
        # Two on each line of several are one server's outer and inner address.
        if _is_row_of_addresses(parts) and (len(parts) > 2 or alone or "," in raw):
            for part in parts:
                words.server([part], number, found)
        elif _is_title(parts, addressed=addressed):
            found.leave("names no address (a title?); write: name address role", number)
        else:
            words.server(parts, number, found)
    return imported(found, TITLE, NAME)


def _are_only_addresses(rows: list[list[str]]) -> bool:
    """Whether some lines have an IP address, and no login is written as user@host on any of them."""
    known = [row for row in rows if any(_is_address(part.partition("=")[2] or part) for part in row)]
    return bool(known) and not any("@" in part for row in known for part in row)


def _command(line: str, number: int, found: Found) -> None:
    try:
        words.server(ssh_words.split(line), number, found)
    except ssh_words.NotUnderstoodError as error:
        found.leave(f"a command of ssh in which {error}; nothing of it is taken", number)


def _split(line: str) -> list[str]:
    seen = _SEEN_BY_NMAP.fullmatch(line)
    if seen is not None:
        return [one for one in seen.groups() if one]
    parts = (part.strip("\"'`()") for part in _BETWEEN.split(names.without_interfaces(line)))
    return [names.without_prefix(part) for part in parts if part.strip("|")]


def _names_address(parts: list[str]) -> bool:
    """Whether a word is an IP address, a DNS name with a domain, a range, or user@host: what makes a line one of servers."""
    return any(
        _is_address(part.partition("=")[2] or part)
        or "@" in part
        or "[" in part
        or _DNS_NAME.fullmatch(part.rpartition(":")[0] or part)
        for part in parts
    )


def _is_title(parts: list[str], *, addressed: bool) -> bool:
    """Whether a line has no word that could be an address: among lines with addresses only a short name with a digit or '-' is one."""
    if _names_address(parts):
        return False
    if parts[-1].endswith(":") or (addressed and parts[-1].lower().endswith("s") and roles.of_word(parts[-1])):
        return True
    plain = list(parts)
    while len(plain) > 1 and (plain[-1].isdecimal() or roles.of_word(plain[-1])):
        plain.pop()
    if len(plain) > 2 or any("=" in one for one in plain):
        return False
    is_bare = plain[-1].isalpha() or plain[-1].isdecimal()
    return (addressed and (is_bare or len(plain) > 1)) or (len(plain) > 1 and is_bare)


def _is_row_of_addresses(parts: list[str]) -> bool:
    """Several addresses and nothing else are several servers."""
    return len(parts) > 1 and all(_is_address(part) for part in parts)


def _is_address(part: str) -> bool:
    place = names.place(part)
    return (place is not None and names.is_address(place.host)) or _is_range(part)


def _is_range(part: str) -> bool:
    try:
        return names.span(part.rpartition("@")[2]) is not None
    except ValueError:
        return False
