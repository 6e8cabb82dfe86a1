"""Host keys: the user's known_hosts and the cluster's own pins. Always checked; unknown is asked, changed is final."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from kfinstall.errors import ChangedHostKeyError, HostKeyError, StateError
from kfinstall.text import shell

if TYPE_CHECKING:
    from asyncssh import SSHKey

_DEFAULT_PORT = 22
_PIN_MODE = 0o600


def known_name(address: str, port: int) -> str:
    """How known_hosts names a server: the address, or [address]:port where the port is not 22."""
    return address if port == _DEFAULT_PORT else f"[{address}]:{port}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one server."""

    name: str
    trusted: tuple[Sequence[Any], ...]
    """asyncssh's form: host keys, CA keys, revoked keys, and four lists for X.509."""
    sources: tuple[Path, ...]
    """Files that a host key of it stands in."""
    files: tuple[Path, ...] = ()
    """All files that were looked into."""
    asked: tuple[str, ...] = ()
    """Host key algorithms to offer, where they are not those of its keys."""

    @property
    def keys(self) -> Sequence[SSHKey]:
        """Its host keys."""
        return self.trusted[0]

    @property
    def revoked(self) -> Sequence[SSHKey]:
        """Keys that it must never show."""
        return self.trusted[2]

    def algorithms(self) -> list[str]:
        """Host key algorithms to offer: those of known keys first, or the server would show a key that we can't compare.

        The others follow, so that a server which has no known key any more is seen as changed instead of failing cryptically.
        """
        if self.asked:
            return list(self.asked)
        known = [algorithm.decode() for key in self.keys for algorithm in key.sig_algorithms]
        if self.trusted[1]:
            known = [algorithm.decode() for algorithm in get_default_certificate_algs()] + known
        others = [algorithm.decode() for algorithm in get_default_public_key_algs()]
        return list(dict.fromkeys(known + others))


@dataclass(frozen=True, slots=True)
class HostKeys:
    """Looks servers up in the pins and in the user's own file; new keys only go to the pins."""

    pins: Path
    user_file: Path = field(default_factory=lambda: Path.home() / ".ssh" / "known_hosts")

    def lookup(self, address: str, port: int) -> Known:
        """All that both files know of a server.

        Raises:
            StateError: a file can't be read, or is not a known_hosts file.
        """
        name = known_name(address, port)
        merged: tuple[list[Any], ...] = tuple([] for _ in range(7))
        sources = []
        for path in (self.pins, self.user_file):
            found = _read(path).match(name, "", None)
            for into, more in zip(merged, found, strict=True):
                into.extend(more)
            if found[0]:
                sources.append(path)
        return Known(name, merged, tuple(sources), (self.pins, self.user_file))

    def pin(self, name: str, key: SSHKey) -> None:
        """Remember an accepted key, durably, in a file that only the user can read.

        Raises:
            StateError: it can't be written.
        """
        line = f"{name} {key.export_public_key('openssh').decode().strip()}\n".encode()
        try:
            self.pins.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.pins, os.O_RDWR | os.O_APPEND | os.O_CREAT, _PIN_MODE)
            try:
                size = os.fstat(handle).st_size
                # A line that a full disk or a crash left unfinished must not swallow this one.
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                os.write(handle, b"\n" + line if torn else line)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            hint = "free space there, or choose another place with --state-dir"
            raise StateError(f"{self.pins} can't be written", why=error.strerror or str(error), hint=hint) from error


def _read(path: Path) -> asyncssh.SSHKnownHosts:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise StateError(f"{path} can't be read", why=error.strerror or str(error), hint=f"check: ls -l {path}") from error
    return _parsed(text)


# Every login looks into the same two files, which name every node: parsed once, or the cost would grow with the square of the nodes.
@lru_cache(maxsize=4)
def _parsed(text: str) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.import_known_hosts(text)
    except ValueError:
        return asyncssh.import_known_hosts("\n".join(line for line in text.splitlines() if _readable(line)))


def _readable(line: str) -> bool:
    """Whether one line can be understood; OpenSSH passes over those that can't, and so do we."""
    try:
        asyncssh.import_known_hosts(line)
    except ValueError:
        return False
    return True


def unknown(node: str, where: str, name: str, key: SSHKey) -> HostKeyError:
    """The error for a server whose key nobody has seen before."""
    kind, fingerprint = key.get_algorithm(), key.get_fingerprint()
    return HostKeyError(
        f"the host key of {where} is not known",
        node=node,
        fingerprint=fingerprint,
        why=f"{name} shows {kind} {fingerprint}",
        hint="compare the fingerprint at its console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then run with --accept-new-host-keys",
    )


def refused(
    node: str, where: str, known: Known, *, shown: SSHKey | None, authority: SSHKey | None, plain: SSHKey | None
) -> HostKeyError:
    """The error for a key that was not accepted though something is known of its server.

    `shown` is a host key that is none of the known ones, `authority` who signed a certificate, if it is none of the known ones;
    where neither is there, `plain` is what the server shows to somebody who trusts no key, None where it shows nothing.
    """
    if shown is not None:
        return changed(node, where, known, shown)
    if authority is not None:
        return other_authority(node, where, known, authority)
    mark = next((key for key in known.trusted[1] if key in known.revoked), None)
    if known.revoked and (plain is None or plain in known.revoked or mark is not None):
        return revoked(node, where, known, plain if plain in known.revoked else mark)
    return HostKeyError(
        f"the host certificate or revoked key of {where} can't be trusted",
        node=node,
        hint=f"look at the @cert-authority and @revoked lines of known_hosts for {known.name}",
    )


def changed(node: str, where: str, known: Known, key: SSHKey) -> ChangedHostKeyError:
    """The error for a server that shows another key than the known one: a new installation, or an attack."""
    kind, fingerprint = key.get_algorithm(), key.get_fingerprint()
    places = list(_places(known))
    before = [f"known is {old.get_algorithm()} {old.get_fingerprint()}, from {path} line {line}" for path, line, old in places]
    unplaced = [f"known is {old.get_algorithm()} {old.get_fingerprint()}" for old in known.keys] if not places else []
    commands = removals(known)
    return ChangedHostKeyError(
        f"the host key of {where} has CHANGED; nothing was sent there",
        node=node,
        server=_server(node, where),
        fingerprint=fingerprint,
        why="\n".join([f"{known.name} shows {kind} {fingerprint}", *before, *unplaced]),
        hint="\n".join(["only if you know why (installed anew), compare the fingerprint at its console, then:", *commands]),
    )


def removals(known: Known) -> list[str]:
    """Commands that take the known host keys of a server out of their files."""
    return [shell("ssh-keygen", "-R", known.name, "-f", str(path)) for path in known.sources]


def revoked(node: str, where: str, known: Known, key: SSHKey | None) -> ChangedHostKeyError:
    """The error for a server that shows a key which somebody marked as revoked; `key` is None where it could not be seen again."""
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}" if key is not None else "it"
    marks = [(path, line) for path, line, old in _places(known, marker="revoked") if key is None or old == key]
    marked = [f"{path} line {line} marks it as @revoked" for path, line in marks]
    commands = [shell("sed", "-i.old", f"{line}d", str(path)) for path, line in marks]
    return ChangedHostKeyError(
        f"the host key of {where} is REVOKED; nothing was sent there",
        node=node,
        server=_server(node, where),
        fingerprint=key.get_fingerprint() if key is not None else "",
        why="\n".join([f"{known.name} shows {shown}", *marked]),
        hint="\n".join(["give the server a new host key; only if the mark is wrong, take its line out:", *commands]),
    )


def other_authority(node: str, where: str, known: Known, authority: SSHKey) -> ChangedHostKeyError:
    """The error for a server whose host certificate another authority signed than the known one."""
    places = [
        f"known is authority {old.get_algorithm()} {old.get_fingerprint()}, from {path} line {line}"
        for path, line, old in _places(known, marker="cert-authority")
    ]
    fingerprint = authority.get_fingerprint()
    return ChangedHostKeyError(
        f"the authority of the host certificate of {where} has CHANGED; nothing was sent there",
        node=node,
        server=_server(node, where),
        fingerprint=fingerprint,
        why="\n".join([f"{known.name} shows a certificate of {authority.get_algorithm()} {fingerprint}", *places]),
        hint=f"ask who runs that authority; if it is the right one, change the @cert-authority line of known_hosts for {known.name}",
    )


def _server(node: str, where: str) -> str:
    return node if where == "the node" else where


def _places(known: Known, marker: str = "") -> Iterator[tuple[Path, int, SSHKey]]:
    """(file, line, key) of each line that names the server with that marker; plain host keys for none."""
    at = {"": 0, "cert-authority": 1, "revoked": 2}[marker]
    for path in known.files:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if _readable(line):
                found: Sequence[Any] = asyncssh.import_known_hosts(line).match(known.name, "", None)[at]
                yield from ((path, number, key) for key in found)
