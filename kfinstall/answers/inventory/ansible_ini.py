"""An Ansible inventory in INI form: [group], [group:children], [group:vars], hosts with ranges and ports."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Final

from kfinstall.answers.inventory import ansible
from kfinstall.answers.inventory.found import Found, Imported, word
from kfinstall.answers.inventory.groups import ALL, UNGROUPED, Inventory, TooManyError, Var
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS
from kfinstall.answers.inventory.nodes import FILL_IN, imported

TITLE: Final = "an Ansible inventory"
NAME: Final = "ansible-ini"
_SECTION: Final = re.compile(r"\[(?P<group>[^\[\]:]+)(?::(?P<what>[^\[\]]*))?\]\s*(?:[#;].*)?")
_OF_A_TEMPLATE: Final = re.compile(r"\{\{|\{%|%\{|\[[$%]\{")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def looks_like(text: str) -> bool:
    """A section's head, or a variable of Ansible's behind a name."""
    return bool(
        re.search(r"(?m)^[ \t]*\[[A-Za-z0-9_.@-]+(:children|:vars)?\][ \t]*([#;].*)?\r?$", text)
        or re.search(r"(?m)^[^#;\s][^#;\n]*\sansible_\w+[ \t]*=", text)
    )


def read(text: str) -> Imported:
    """The hosts, groups and variables of an INI inventory."""
    found, inventory = Found(), Inventory()
    try:
        _Reader(found, inventory).lines(text)
    except TooManyError:
        return Imported(left=("more servers or groups than any cluster has",), kind=TITLE, form=NAME)
    ansible.servers(inventory, found)
    return imported(found, TITLE, NAME)


class _Reader:
    """Goes through the lines; what Ansible would refuse is left with its reason, the rest counts."""

    def __init__(self, found: Found, inventory: Inventory) -> None:
        self._found, self._inventory = found, inventory
        self._group, self._what = UNGROUPED, ""
        self._begun: set[str] = set()
        self._children: dict[tuple[str, str], int] = {}

    def lines(self, text: str) -> None:
        """All lines."""
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if len(line) > LONGEST_LINE_CHARACTERS:
                self._found.leave(f"is longer than {LONGEST_LINE_CHARACTERS} characters", number)
            elif (section := _SECTION.fullmatch(line)) and not _is_host(section):
                self._begin(section, number)
            elif _OF_A_TEMPLATE.match(line):
                self._found.alike("a line of a template, which was not filled in; import the file that is made of it", number)
                self._found.instead = FILL_IN
            elif self._what == "vars":
                self._var(line, number)
            elif self._what == "children":
                child = line.partition("#")[0].partition(";")[0].strip()
                self._inventory.add_child(self._group, child, number)
                self._children.setdefault((self._group, child), number)
            elif not self._what:
                self._host(line, number)
            else:
                self._found.alike(f"[{word(self._group)}:{word(self._what)}] is no section of an inventory", number)

        self._tell_children()

    def _tell_children(self) -> None:
        """Name the groups in groups that stand nowhere: hosts that were put among groups, other spellings, sentences."""
        for (group, child), number in self._children.items():
            if child not in self._begun and child not in (ALL, UNGROUPED):
                why = "a host, and only groups stand there" if child in self._inventory.hosts else "no such group is in it"
                self._found.leave(f"{word(child)} in [{word(group)}:children]: {why}", number)

    def _begin(self, section: re.Match[str], number: int) -> None:
        self._group, self._what = section["group"].strip(), (section["what"] or "").strip()
        if self._what in ("", "vars", "children"):
            self._inventory.group(self._group, number)
            self._begun.add(self._group)
        else:
            self._found.alike(f"[{word(self._group)}:{word(self._what)}] is no section of an inventory", number)

    def _var(self, line: str, number: int) -> None:
        key, equals, value = line.partition("=")
        if not equals or not _PLAIN_KEY.fullmatch(key.strip()):
            self._found.leave("is no 'name=value', as lines of variables are", number)
            return
        self._inventory.group(self._group, number).vars[key.strip()] = Var(_value(value.strip()), number)

    def _host(self, line: str, number: int) -> None:
        try:
            pattern, *settings = shlex.split(line, comments=True)
        except ValueError:
            self._found.leave("a quote is not closed", number)
            return
        try:
            hosts = self._inventory.add_hosts(pattern, self._group, number)
        except ValueError as error:
            self._found.leave(f"{word(pattern)} {error}", number)
            return
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals or not _PLAIN_KEY.fullmatch(key):
                self._found.leave(f"{word(pattern)}: a word that is no 'name=value' (not repeated: it may be a secret)", number)
                continue
            for host in hosts:
                host.vars[key] = Var(_value(value), number)


def _is_host(section: re.Match[str]) -> bool:
    """Whether it is an IPv6 address in brackets, which Ansible takes for a host."""
    return (
        section["what"] is not None
        and bool(re.fullmatch(r"[0-9a-fA-F:.]+", f"{section['group']}:{section['what']}"))
        and (section["what"] not in ("children", "vars"))
    )


def _value(text: str) -> str:
    """A value without its quotes and the comment behind it. Ansible itself takes a comment behind plain text for a part of it, which no login has."""
    if text[:1] in ("'", '"'):
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = text
        if isinstance(found, str):
            return found
    return re.split(r"\s[#;]", text, maxsplit=1)[0].strip()
