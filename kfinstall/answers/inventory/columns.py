"""Which column of a table, or key of a record, is the address, the name, the role: by its heading, and where two mean the same, which counts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from kfinstall.answers.inventory import names, roles
from kfinstall.answers.inventory.found import Found, word

_COLUMNS: Final = {
    "address": "address ip ipaddress ipaddr ipv4 ipv4address ipv6 addr ansiblehost fqdn dns dnsname sshhost sshaddress publicip publicaddress publicipv4 "
    "externalip floatingip primaryip4 primaryipv4 primaryip primaryip6 primaryipv6 privateip privateaddress internalip internaladdress networks adresse",
    "name": "name hostname host node nodename server servername vm vmname machine machinename instance instancename rechner rechnername",
    "roles": "role roles noderole noderoles kubernetesrole rolle rollen type kind group groups",
    "user": "user username login loginname sshuser ansibleuser remoteuser account benutzer benutzername utilisateur usuario",
    "port": "port sshport ansibleport",
    "key": "key keyfile keypath sshkey sshkeyfile sshkeypath identityfile privatekey privatekeyfile privatekeypath",
    "jump": "jump jumphost jumphosts bastion bastionhost proxyjump via",
    "password": "password pass passwd pw sshpass sshpassword loginpassword ansiblepassword rootpassword secret passwort kennwort motdepasse contrasena contrasea",
    "sudo": "sudopassword becomepassword becomepass sudopass ansiblebecomepassword ansiblebecomepass",
    "passphrase": "passphrase keypassphrase",
}
_MEANINGS: Final = {one: column for column, text in _COLUMNS.items() for one in text.split()}
_ORDER: Final = {column: tuple(text.split()) for column, text in _COLUMNS.items()}
_WEAK_ROLES: Final = frozenset({"type", "kind", "group", "groups"})
"""Headings that hold a role only where no column is called so."""
_HOSTS: Final = ("host", "hostname", "server", "servername")
"""Headings of names that are an address where another column has the name, the likeliest first."""
_EMPTY: Final = frozenset({"", "-", "--", "n/a", "none", "<none>", "null"})
_PARTS: Final = (
    ("password", frozenset({"password", "passwd", "passphrase", "pass"})),
    ("user", frozenset({"user", "username", "login"})),
    ("address", frozenset({"ip", "ips", "ipv4", "ip4", "ip6", "address", "addr", "fqdn"})),
    ("roles", frozenset({"role", "roles"})),
    ("port", frozenset({"port"})),
    ("name", frozenset({"hostname"})),
)
_NO_WAY: Final = frozenset({"gateway", "gateways", "gw", "proxy"})
_OTHER_WORDS: Final = "mac email mail bmc ipmi ilo idrac oob netmask subnet mask broadcast vip nameserver nameservers switch pdu location street api iam"
_OTHER_PARTS: Final = _NO_WAY | frozenset(_OTHER_WORDS.split())
"""Words of columns that are about something else than the way to the server."""
_HEADING: Final = re.compile(r"(?i)(?:[a-z _/().#-]|ipv?[46])+")
"""Words without numbers: a server may be called ip-10-0-0-1."""
_SECRETS: Final = {"password": "ssh.password", "sudo": "ssh.sudoPassword", "passphrase": "ssh.passphrase"}


def _plain(heading: str) -> str:
    return re.sub(r"[^a-z0-9]", "", heading.strip().lower())


def meaning(heading: str) -> str:
    """What a column holds: by its whole name, else by a word of it; empty where that is not known."""
    known = _MEANINGS.get(_plain(heading), "")
    parts = set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading).lower()))
    if known or parts & _OTHER_PARTS or not _HEADING.fullmatch(heading.strip()):
        return known
    return next((column for column, words in _PARTS if parts & words), "")


def is_address_key(heading: str, value: str) -> bool:
    """Whether a key of a record has the address, also as `host: 10.0.0.1`."""
    means = meaning(heading)
    return means == "address" or (means == "name" and _plain(heading) in _HOSTS and names.place(value) is not None)


def of_row(cells: Sequence[tuple[str, str]], line: int, lines: Mapping[str, int], found: Found) -> dict[str, str]:
    """What a row's (heading, cell) pairs are, by meaning. Each cell that is not taken is told; `lines`: where each heading stands."""
    by: dict[str, list[tuple[str, str]]] = {}
    for heading, value in cells:
        column = meaning(heading)
        if value.lower() in _EMPTY:
            continue
        if column in _SECRETS:
            found.secret(heading, _SECRETS[column], line)
        elif not column:
            found.unused(f"column {word(heading)}", lines.get(heading, line), _hint(heading))
        else:
            by.setdefault(column, []).append((heading, value))
    _explicit_roles([heading for heading, _value in cells], by, line, found)
    by["address"] = [(heading, one) for heading, value in by.get("address", ()) for one in addresses(value)]
    for column, several in by.items():
        several.sort(key=lambda item: _rank(column, *item))
    _address_among_names(by)
    name = by["name"][0][1] if by.get("name") else ""
    for column, several in by.items():
        for heading, value in several[1:]:
            if column == "address":
                found.second(heading, name, value, several[0][1], line)
            elif value != several[0][1]:
                found.unused(f"column {word(heading)}", line, f"column {word(several[0][0])} is taken")
    return {column: several[0][1] for column, several in by.items() if several}


def _hint(heading: str) -> str:
    parts = set(re.findall(r"[a-z0-9]+", heading.lower()))
    return "a network's gateway or proxy is no jump host; call the column 'jump host' where it is one" if parts & _NO_WAY else ""


def _explicit_roles(headings: Sequence[str], by: dict[str, list[tuple[str, str]]], line: int, found: Found) -> None:
    """Where a column is called role, a type or a group is none, also in rows where the role is empty."""
    strong = [one for one in headings if meaning(one) == "roles" and _plain(one) not in _WEAK_ROLES]
    if not strong or "roles" not in by:
        return
    for heading, _value in by["roles"]:
        if _plain(heading) in _WEAK_ROLES:
            found.unused(f"column {word(heading)}", line, f"column {word(strong[0])} is taken")
    by["roles"] = [item for item in by["roles"] if _plain(item[0]) not in _WEAK_ROLES]


def _rank(column: str, heading: str, value: str) -> tuple[int, int]:
    """Less is more explicit; what the heading does not tell, the value may."""
    plain, order = _plain(heading), _ORDER[column]
    known = order.index(plain) if plain in order else len(order) + ("public" not in plain)
    unlike = column == "roles" and not roles.of_word(value)
    return (int(unlike), known)


def _address_among_names(by: dict[str, list[tuple[str, str]]]) -> None:
    """A host or a server is the address where no other column is: by its value, else by its heading beside another name."""
    several = by.get("name", [])
    if by["address"] or not several:
        return
    chosen = next((item for item in several if _is_address(item[1])), None)
    if chosen is None and len(several) > 1:
        hosts = [item for item in several if _plain(item[0]) in _HOSTS]
        chosen = min(hosts, key=lambda item: _HOSTS.index(_plain(item[0])), default=None)
    if chosen is not None:
        several.remove(chosen)
        by["address"] = [(chosen[0], one) for one in addresses(chosen[1])]


def _is_address(value: str) -> bool:
    place = names.place(addresses(value)[0])
    return place is not None and names.is_address(place.host)


def addresses(cell: str) -> list[str]:
    """The addresses of a cell, without the length of their network and the interface behind them: 10.0.0.5/24, 10.0.0.5 (eth0)."""
    words = re.split(r"[,;\s]+", names.without_interfaces(cell))
    # OpenStack writes the network in front: private=10.0.0.5, 203.0.113.5
    parts = [names.without_prefix(re.sub(r"^[A-Za-z][A-Za-z0-9_.-]*=", "", part)) for part in words if part]
    return parts if len(parts) == 1 or (parts and all(names.is_address(part) for part in parts)) else [cell.strip()]
