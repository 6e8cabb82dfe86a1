"""Files of keys that apt can't use: why, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection

from kfinstall.parts.preflight.apt_facts import Key
from kfinstall.text import shell


def others(key: Key, pinned: Collection[str]) -> str:
    """Which keys a file holds that are not among those pinned, in words that go on after it; empty where there are none, or it is not known."""
    found = [one for one in key.fingerprints if one not in pinned]
    return f"holds {', '.join(found)}, and the repository's is {', '.join(pinned)}" if found else ""


def flaw(key: Key, now: float) -> tuple[str, str]:
    """What is wrong with a file of keys, and a command; empty where nothing is known to be. `now`: the node's clock, epoch seconds."""
    if key.form == "missing":
        return "is not there", shell("ls", "-l", key.path)
    if key.form == "empty":
        return "is empty", shell("ls", "-l", key.path)
    if key.form == "page":
        return "holds a web page instead of a key", shell("head", "-n", "3", key.path)
    if not key.readable:
        return "can't be read by apt's own user _apt", shell("sudo", "chmod", "a+r", key.path)
    if key.form == "armored" and key.path.endswith(".gpg"):
        new = f"{key.path}.new"
        made = f"{shell('sudo', 'gpg', '--dearmor', '-o', new, key.path)} && {shell('sudo', 'mv', new, key.path)}"
        return "is text, and apt takes a .gpg for binary", made
    if 0 < key.ends < now:
        return "has expired", f"{shell('gpg', '--show-keys', key.path)}  # fetch it anew from whoever runs the repository"
    return "", ""
