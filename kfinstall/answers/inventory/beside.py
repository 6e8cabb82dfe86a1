"""What lies beside an inventory's file and belongs to it: keys by relative paths, and Ansible's variables in group_vars and host_vars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kfinstall.answers.inventory import ansible_ini, ansible_yaml
from kfinstall.answers.inventory.found import Imported, word
from kfinstall.answers.inventory.limits import LARGEST_BYTES, MOST_VARIABLE_FILES

_OF_ANSIBLE: Final = frozenset({ansible_ini.NAME, ansible_yaml.NAME})
_FOLDERS: Final = ("group_vars", "host_vars")
_SETS: Final = re.compile(
    r"(?m)^(ansible_(?:user|host|port|password|connection|ssh_(?:user|host|port|pass|private_key_file|common_args|extra_args|args)|private_key_file|"
    r"become_pass(?:word)?|become_method|become_user))\s*[:=]"
)


def completed(found: Imported, folder: Path) -> Imported:
    """The import with what its folder adds: keys that are there get their whole path, variables in other files are told."""
    nodes: list[dict[str, Any]] = []
    left = list(found.left)
    lost: dict[str, None] = {}
    for node in found.nodes:
        ssh = node.get("ssh")
        nodes.append(node if not ssh else {**node, "ssh": _anchored(ssh, folder, lost)})
    left += [f"key {word(key)}: no such file here; it is looked for from the folder of the answers file" for key in lost]
    if found.form in _OF_ANSIBLE:
        left += [
            f"{path.relative_to(folder)}: sets {', '.join(names)}, and is not read; write ssh in the answers"
            for path, names in _variables(folder)
        ]
    return replace(found, nodes=tuple(nodes), left=tuple(left))


def _anchored(ssh: dict[str, Any], folder: Path, lost: dict[str, None]) -> dict[str, Any]:
    result = dict(ssh)
    if "keys" in ssh:
        result["keys"] = [_whole(key, folder, lost) for key in ssh["keys"]]
    if "jumpHosts" in ssh:
        result["jumpHosts"] = [
            hop if "keys" not in hop else {**hop, "keys": [_whole(key, folder, lost) for key in hop["keys"]]}
            for hop in ssh["jumpHosts"]
        ]
    return result


def _whole(key: str, folder: Path, lost: dict[str, None]) -> str:
    """A relative path as a whole one, seen from the inventory's folder or from where we are, wherever that file is."""
    if key.startswith("~") or Path(key).is_absolute():
        return key
    for base in (folder, Path()):
        try:
            path = (base / key).absolute()
            if path.is_file():
                return str(path)
        except (OSError, ValueError):
            continue
    lost[key] = None
    return key


def _variables(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Files of group_vars and host_vars that say how to log in, and which variables they set."""
    files = (path for name in _FOLDERS for path in _files(folder / name))
    for _number, path in zip(range(MOST_VARIABLE_FILES), files, strict=False):
        try:
            if path.stat().st_size > LARGEST_BYTES:
                continue
            names = list(dict.fromkeys(_SETS.findall(path.read_text(encoding="utf-8", errors="replace"))))
        except OSError:
            continue
        if names:
            yield path, names


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.is_file() and not entry.is_symlink():
            yield entry
        elif entry.is_dir() and not entry.is_symlink():
            yield from (inner for inner in sorted(entry.iterdir()) if inner.is_file() and not inner.is_symlink())
