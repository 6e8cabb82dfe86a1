"""Tables with a heading: CSV with ',', ';', tabs or '|', and lists of records in YAML or JSON whose keys say what they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kfinstall.answers.inventory import names, roles, ssh_words, tools, tree
from kfinstall.answers.inventory.found import Found, Hop, Imported, Server, word
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map, Seq

TITLE: Final = "a table"
NAME: Final = "csv"
TITLE_RECORDS: Final = "a list of servers in YAML or JSON"
NAME_RECORDS: Final = "records"
_COLUMNS_APART: Final = "  "
_DELIMITERS: Final = (",", ";", "\t", "|", _COLUMNS_APART)
_COLUMNS: Final = {
    "address": "address ip ipaddress ipaddr ipv4 ipv4address ipv6 addr ansiblehost fqdn dns dnsname sshhost sshaddress publicip publicaddress publicipv4 "
    "externalip floatingip privateip privateaddress internalip internaladdress",
    "name": "name hostname host node nodename server servername vm vmname machine machinename instance instancename",
    "roles": "role roles noderole noderoles kubernetesrole type group groups",
    "user": "user username login loginname sshuser ansibleuser remoteuser account",
    "port": "port sshport ansibleport",
    "key": "key keyfile keypath sshkey sshkeyfile sshkeypath identityfile privatekey privatekeyfile privatekeypath",
    "jump": "jump jumphost jumphosts bastion bastionhost proxyjump proxy via gateway",
    "password": "password pass passwd pw sshpass sshpassword loginpassword ansiblepassword rootpassword secret",
    "sudo": "sudopassword becomepassword becomepass sudopass ansiblebecomepassword ansiblebecomepass",
    "passphrase": "passphrase keypassphrase",
}
_MEANINGS: Final = {one: column for column, text in _COLUMNS.items() for one in text.split()}
_ADDRESS_ORDER: Final = tuple(_COLUMNS["address"].split())
_PARTS: Final = (
    ("password", frozenset({"password", "passwd", "passphrase", "pass"})),
    ("user", frozenset({"user", "username", "login"})),
    ("address", frozenset({"ip", "ips", "ipv4", "address", "addr", "fqdn"})),
    ("roles", frozenset({"role", "roles"})),
    ("port", frozenset({"port"})),
    ("name", frozenset({"hostname"})),
)
_OTHER_PARTS: Final = frozenset(
    {
        "mac",
        "email",
        "mail",
        "bmc",
        "ipmi",
        "ilo",
        "idrac",
        "netmask",
        "subnet",
        "mask",
        "switch",
        "pdu",
        "location",
        "street",
        "api",
    }
)
"""Words of columns that are about something else than the way to the server."""
_HEADING: Final = re.compile(r"(?i)(?:[a-z _/().#-]|ipv[46])+")
"""Words without numbers: a server may be called ip-10-0-0-1."""
_SECRETS: Final = {"password": "ssh.password", "sudo": "ssh.sudoPassword", "passphrase": "ssh.passphrase"}


def _plain(heading: str) -> str:
    return re.sub(r"[^a-z0-9]", "", heading.strip().lower())


def _meaning(heading: str) -> str:
    """What a column holds: by its whole name, else by a word of it; empty where that is not known."""
    known = _MEANINGS.get(_plain(heading), "")
    parts = set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading).lower()))
    if known or parts & _OTHER_PARTS or not _HEADING.fullmatch(heading.strip()):
        return known
    return next((column for column, words in _PARTS if parts & words), "")


def _heading(cells: Sequence[str]) -> bool:
    """Whether a row is a heading: it says where the address or the name stands, and holds no address itself."""
    known = [_meaning(cell) for cell in cells]
    if len([cell for cell in cells if cell.strip()]) < 2 or any(names.is_address(cell.strip()) for cell in cells):
        return False
    return "address" in known or ("name" in known and len([one for one in known if one]) > 1)


def _rows(text: str) -> tuple[str, int] | None:
    """The delimiter of a table and the line of its heading; None where there is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or set(line.strip()) <= set("|-+: "):
            continue
        for delimiter in _DELIMITERS:
            if delimiter in line and _heading(_cells(line, delimiter)):
                return delimiter, number
        return None
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == _COLUMNS_APART:
        return re.split(r"\s{2,}", line.strip())
    if delimiter == "|":
        line = line.strip().strip("|")
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []


def looks_like(text: str) -> bool:
    """Its first row is a heading."""
    return _rows(text) is not None


def read(text: str) -> Imported:
    """The rows below the heading."""
    found = Found()
    place = _rows(text)
    if place is None:
        return Imported(left=("no heading says which column is the address (such as: name,address,role)",), kind=TITLE, form=NAME)
    delimiter, begin = place
    lines = text.splitlines()
    heading = _cells(lines[begin - 1], delimiter)
    for number, line in enumerate(lines[begin:], begin + 1):
        if not line.strip() or line.lstrip().startswith("#") or set(line.strip()) <= set("|-+: "):
            continue
        cells = _cells(line, delimiter)
        if len(cells) > len(heading) and any(cells[len(heading) :]):
            found.leave(f"{len(cells)} cells, and the heading has {len(heading)}; not taken", number)
            continue
        _record(dict(zip(heading, cells, strict=False)), number, dict.fromkeys(heading, begin), found)
    return imported(found, TITLE, NAME)


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
        values = {key: ", ".join(tree.words(value)) for key, value in item.items()}
        for key, value in item.items():
            if isinstance(value, Map):
                found.unused(key, item.lines.get(key, line))
        _record(values, line, item.lines, found)
    return imported(found, TITLE_RECORDS, NAME_RECORDS)


def _records(data: Any) -> Seq | None:
    if isinstance(data, Map) and "apiVersion" not in data:
        lists = [
            data[key] for key in ("nodes", "hosts", "servers", "machines", "instances", "devices") if isinstance(data.get(key), Seq)
        ]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, Seq) or not data:
        return None
    fit = [item for item in data if isinstance(item, Map) and any(_meaning(key) == "address" for key in item)]
    return data if len(fit) * 2 > len(data) else None


def _record(values: Mapping[str, str], line: int, lines: Mapping[str, int], found: Found) -> None:
    """One row, by its headings."""
    got = _columns(values, line, lines, found)
    place = names.place(got.get("address", "") or got.get("name", ""))
    if place is None or not place.host:
        found.leave("no address in it", line)
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


def _columns(values: Mapping[str, str], line: int, lines: Mapping[str, int], found: Found) -> dict[str, str]:
    """The cells by what they are; the best of several addresses, and each other one told."""
    got: dict[str, str] = {}
    for heading, value in sorted(values.items(), key=lambda item: _order(item[0])):
        column = _meaning(heading) if value and value != "-" else "-"
        if column in _SECRETS:
            found.secret(heading, _SECRETS[column], line)
        elif not column:
            found.unused(f"column {word(heading)}", lines.get(heading, line))
        elif column == "address" and got.get("address", value) != value:
            found.second(heading, got.get("name", ""), value, got["address"], line)
        else:
            got.setdefault(column, value)
    return got


def _role_words(text: str) -> list[str]:
    return [text] if roles.of_word(text) else [part for part in re.split(r"[,+&/;| ]+", text) if part]


def _order(heading: str) -> int:
    plain = _plain(heading)
    if _meaning(heading) != "address":
        return -1
    return _ADDRESS_ORDER.index(plain) if plain in _ADDRESS_ORDER else len(_ADDRESS_ORDER) + ("public" not in plain)


def _hops(text: str, line: int, found: Found) -> tuple[Hop, ...] | None:
    if not text or text.lower() in ("no", "false", "-", "0"):
        return None
    try:
        return ssh_words.jumps(text)
    except ssh_words.NotUnderstoodError as error:
        found.leave(f"{error}; write ssh.jumpHosts", line)
        return None
