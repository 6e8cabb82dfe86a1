"""One row of words: what each of them is by its look. Lists, tables without a heading and pasted commands come down to this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kfinstall.answers.inventory import names, roles, ssh_words
from kfinstall.answers.inventory.found import Found, Server, at, word

_USERS: Final = frozenset(
    {
        "root",
        "ubuntu",
        "debian",
        "admin",
        "administrator",
        "ec2-user",
        "centos",
        "vagrant",
        "opc",
        "azureuser",
        "user",
        "pi",
        "core",
    }
)
_OTHER_COMMAND_WORDS: Final = "mosh scp sftp rsync sshpass plink putty pscp ssh-copy-id ssh-keyscan autossh sudo ping curl wget telnet nmap ansible kubectl vagrant"
_OTHER_COMMANDS: Final = frozenset(_OTHER_COMMAND_WORDS.split())
_MOST_ROLE_WORDS: Final = 5
_HOW: Final = "write: name address role"
_SETTINGS: Final = frozenset({"user", "port", "key", "role", "name", "password", "pass"})


@dataclass(slots=True)
class _Row:
    """What was told of a row besides its name and its address."""

    line: int
    role: frozenset[str] = frozenset()
    port: str = ""
    settings: dict[str, str] = field(default_factory=dict)


def server(words: Sequence[str], line: int, found: Found) -> None:
    """Take a row for one server, or several where its one word is a range; leave it with its reason otherwise."""
    if words[:1] == ["ssh"] and len(words) > 1:
        _command(words[1:], line, found)
        return
    if len(words) > 1 and words[0].rpartition("/")[2].removesuffix(".exe") in _OTHER_COMMANDS:
        found.leave(f"a command ({word(words[0])}), and only ssh is read; nothing of it is taken", line)
        return
    row = _Row(line)
    plain = []
    for one in words:
        key, equals, value = one.partition("=")
        if equals and key.removeprefix("ansible_") in _SETTINGS:
            row.settings[key.removeprefix("ansible_")] = value
        elif equals and names.is_address(value):
            plain += [key, value]
        else:
            plain.append(one)
    row.role = _roles_behind(plain)
    if len(plain) > 1 and plain[-1].isdecimal():
        row.port = plain.pop()
    if not plain:
        found.leave(f"has no address; {_HOW}", line)
    elif len(plain) == 1:
        _single(plain[0], row, found)
    else:
        _several(plain, row, found)


def _roles_behind(plain: list[str]) -> frozenset[str]:
    """The roles that the last words name, which are taken away: `worker`, `Control Plane + Worker`."""
    result: frozenset[str] = frozenset()
    while True:
        most = min(len(plain) - 1, _MOST_ROLE_WORDS)
        count = next((one for one in range(most, 0, -1) if roles.of_word(" ".join(plain[-one:]))), 0)
        if not count:
            return result
        result |= roles.of_word(" ".join(plain[-count:]))
        del plain[-count:]


def _several(plain: list[str], row: _Row, found: Found) -> None:
    places = [names.place(one) for one in plain]
    numbers = [index for index, one in enumerate(places) if one is not None and names.is_address(one.host)]
    if len(numbers) == 2 and len(plain) <= 3:
        second = word(plain[numbers[1]])
        found.leave(f"a second address ({second}); kfinstall and the other servers use one address, the first", row.line)
        del plain[numbers[1]]
        numbers = numbers[:1]
    if len(plain) == 1:
        _single(plain[0], row, found)
    elif numbers == [0]:
        host_line(plain, row.line, found, role=row.role, port=row.port)
    elif len(plain) == 2:
        _named(plain[0].rstrip(":"), plain[1], row, found)
    else:
        found.leave(f"{len(plain) + bool(row.role) + bool(row.port)} words; {_HOW}", row.line)


def host_line(plain: Sequence[str], line: int, found: Found, *, role: frozenset[str] = frozenset(), port: str = "") -> None:
    """A row as in /etc/hosts: address, name, other names."""
    place = names.place(plain[0])
    name = plain[1]
    if name.lower() in _USERS:
        found.leave("an address, a login name and perhaps a password, which is not repeated; write user@address", line)
        return
    if place is None or place.secret:
        found.leave(f"no address at its beginning; {_HOW}", line)
        return
    aliases = [one for one in plain[2:] if names.node_name(one) == one and not one.isdigit()]
    hidden = len(plain) - 2 - len(aliases)
    if hidden:
        found.leave(f"{word(name)}: {hidden} more word(s) that are no names of a server (not repeated)", line)
    if aliases:
        found.notes.append(f"{at(line)}{word(name)} has other names too, which are not needed: {', '.join(map(word, aliases[:5]))}")
    found.add(Server(name, place.host, line, role, place.user, place.port or port))


def _named(name: str, address: str, row: _Row, found: Found) -> None:
    place = names.place(address)
    if place is None:
        found.leave(f"{word(name)}: no address behind it; {_HOW}", row.line)
    elif "[" in name or "[" in place.host:
        found.leave(f"{word(name)}: a range beside a name; write one server a line", row.line)
    else:
        _add(name, place, row, found)


def _single(text: str, row: _Row, found: Found) -> None:
    if "=" in text:
        found.leave("a setting, and no address (not repeated: it may be a secret)", row.line)
        return
    user, sign, host = text.rpartition("@")
    try:
        spread = names.span(host)
        if spread is None:
            spread = names.expand(host) if "[" in host and not host.startswith("[") else [host]
    except ValueError as error:
        found.leave(f"{word(host)} {error}", row.line)
        return
    for one in spread:
        place = names.place(f"{user}{sign}{one}")
        if place is None:
            found.leave("is no address, and no user@host:port", row.line)
            return
        if "/" in place.host:
            found.leave("is a network or a path, not one server's address", row.line)
            return
        _add("", place, row, found)


def _add(name: str, place: names.Place, row: _Row, found: Found) -> None:
    if place.secret or {"password", "pass"} & set(row.settings):
        found.secret("a password", "ssh.password", row.line)
    port = place.port or row.port or row.settings.get("port", "")
    if port and not port.isdecimal():
        found.leave("what stands behind ':' is no port (not repeated: it may be a secret); write user@host:port", row.line)
        return
    key = row.settings.get("key", "")
    found.add(
        Server(
            name or row.settings.get("name", ""),
            place.host,
            row.line,
            row.role | roles.of_word(row.settings.get("role", "")),
            place.user or row.settings.get("user", ""),
            port,
            (key,) if key else (),
        )
    )


def _command(words: Sequence[str], line: int, found: Found) -> None:
    """A command line of ssh, as providers' consoles show it."""
    parsed = ssh_words.parse(words)
    place = names.place(parsed.destination)
    if place is None or not place.host:
        found.leave("a command of ssh without a host", line)
        return
    for broken in parsed.broken:
        found.leave(f"{word(place.host)}: {broken}; write ssh.jumpHosts", line)
    if parsed.command:
        found.unused("what the command of ssh does on the server", line)
    for unused, hint in parsed.unused:
        found.unused(unused, line, hint)
    if parsed.file:
        found.leave(f"{word(place.host)}: an ssh_config of its own (-F), which is not read here; import that file too", line)
    login = Server("", place.host, line, user=place.user or parsed.user, port=place.port or parsed.port)
    found.add(replace(login, keys=tuple(parsed.keys), hops=parsed.hops))
