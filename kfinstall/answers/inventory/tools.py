"""What the files of other installers have in common: a list of hosts, each with its login and its roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kfinstall.answers.inventory import roles, tree
from kfinstall.answers.inventory.found import Found, Hop, word
from kfinstall.answers.inventory.tree import Map


def roles_of(words: Iterable[str], what: str, line: int, found: Found) -> frozenset[str] | None:
    """The roles that role words give; None where they are all known and none of Kubernetes' nodes. Unknown words are told."""
    given = [one for one in words if one]
    result: frozenset[str] = frozenset()
    for one in given:
        role = roles.of_word(one)
        if not role and not roles.is_other(one):
            found.leave(f"{what}: {word(one)} is no role that is known", line)
        result |= role
    if given and not result and all(roles.is_other(one) for one in given):
        found.leave(f"{what}: only {', '.join(map(word, given))}, which makes no Kubernetes node", line)
        return None
    return result


def unused(data: Map, known: Iterable[str], found: Found, prefix: str = "", hints: Mapping[str, str] | None = None) -> None:
    """Tell the keys of a mapping that are not among those known."""
    taken = set(known)
    for key in data:
        if key not in taken:
            found.unused(f"{prefix}{key}", data.lines.get(key, data.line), (hints or {}).get(key, ""))
    for key, line in data.twice.items():
        found.leave(f"{prefix}{word(key)} stands twice in one mapping; only the last counts", line)


def secrets(data: Map, known: Mapping[str, str], found: Found, prefix: str = "") -> None:
    """Name the secrets of a mapping, as {key: key of the answers}."""
    for key, home in known.items():
        if data.get(key) is not None:
            found.secret(f"{prefix}{key}", home, data.lines.get(key, data.line))


def hop(data: Any, keys: Mapping[str, str], found: Found, what: str) -> Hop | None:
    """A bastion's mapping, its fields called as in `keys` ({address, user, port, key}: their names); None where it has no address."""
    found_map = tree.mapping(data)
    address = tree.text(found_map.get(keys["address"]))
    if not address:
        return None
    key = tree.text(found_map.get(keys["key"]))
    unused(found_map, {*keys.values(), "bastion", "hostKey", "password", "ssh_key", "ssh_agent_auth"}, found, f"{what}.")
    secrets(found_map, {"password": "ssh.jumpHosts[].password", "ssh_key": "ssh.jumpHosts[].keys"}, found, f"{what}.")
    return Hop(address, tree.text(found_map.get(keys["user"])), tree.text(found_map.get(keys["port"])), (key,) if key else ())
