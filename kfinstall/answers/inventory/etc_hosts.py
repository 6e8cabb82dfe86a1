"""Lines of /etc/hosts: the address first, then the name, then other names of the same machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kfinstall.answers.inventory import names, roles, words
from kfinstall.answers.inventory.found import Found, Imported, word
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS
from kfinstall.answers.inventory.nodes import imported, reach

TITLE: Final = "lines of /etc/hosts"
NAME: Final = "hosts"
_OWN_NAMES: Final = re.compile(r"(?i)localhost.*|ip6-.*|broadcasthost|(?:kubernetes|host|gateway)\.docker\.internal")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, raw in enumerate(text.splitlines(), 1):
        parts = raw.partition("#")[0].split()
        if parts:
            yield number, parts


def looks_like(text: str) -> bool:
    """Every line is an address and a name; where all of them are role words and some are the same, they are roles and it is a list."""
    seconds: list[str] = []
    for _number, parts in _rows(text):
        if len(parts) < 2 or not names.is_address(parts[0].partition("%")[0]) or "," in parts[0]:
            return False
        seconds.append(parts[1])
    repeated = len(set(seconds)) < len(seconds)
    return (
        bool(seconds)
        and not (repeated and all(roles.of_word(one) for one in seconds))
        and not all(names.is_address(one) for one in seconds)
    )


def read(text: str) -> Imported:
    """Each line as a server, but for what is each machine's own: loopback, ip6-*, multicast."""
    found = Found()
    known: dict[str, str] = {}
    for number, parts in _rows(text):
        if len(" ".join(parts)) > LONGEST_LINE_CHARACTERS:
            found.leave(f"is longer than {LONGEST_LINE_CHARACTERS} characters", number)
            continue
        if len(parts) < 2:
            found.leave("an address without a name; write: address name", number)
            continue
        address = parts[0].partition("%")[0]
        useless = reach(address) if names.is_address(address) else "is no IP address"
        if useless:
            found.leave(f"{word(parts[1])}: {word(address)} {useless}", number)
        elif _OWN_NAMES.fullmatch(parts[1]):
            found.leave(f"{word(parts[1])}: each machine's own name for itself", number)
        elif known.get(parts[1]) and (":" in known[parts[1]]) is not (":" in address):
            found.second("another family of addresses", parts[1], address, known[parts[1]], number)
        else:
            known.setdefault(parts[1], address)
            words.host_line([address, *parts[1:]], number, found)
    return imported(found, TITLE, NAME)
