"""Host keys: the user's known_hosts and the cluster's own pins. Always checked; unknown is asked, changed is final."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs, import_public_key

from kfinstall.errors import ChangedHostKeyError, HostKeyError, LoginError, StateError
from kfinstall.text import shell
from kfinstall.transport import known_hosts
from kfinstall.transport.base import UnknownKey
from kfinstall.transport.unknown_keys import UnknownHostKeyError

if TYPE_CHECKING:
    from asyncssh import SSHKey

    from kfinstall.transport.known_hosts import Match
    from kfinstall.transport.ssh_settings import Settings

_DEFAULT_PORT = 22
_KRL = b"SSHKRL\n\0"
_PIN_MODE = 0o600
_SHOWN_NAMES = 5
_LONGEST_ADDRESSED = 300


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
    preferred: tuple[str, ...] = ()
    """Host key algorithms to offer, where they are not those of its keys."""
    allowed: tuple[str, ...] = ()
    """Host key algorithms that the user's configuration has (HostKeyAlgorithms); all where it says nothing."""
    borrowed: bool = False
    """Its keys are those of the same address at port 22, which ssh takes too; another key is then unknown, not changed."""

    @property
    def keys(self) -> Sequence[SSHKey]:
        """Its host keys."""
        return self.trusted[0]

    @property
    def authorities(self) -> Sequence[SSHKey]:
        """Who may sign its host certificate."""
        return self.trusted[1]

    @property
    def revoked(self) -> Sequence[SSHKey]:
        """Keys that it must never show."""
        return self.trusted[2]

    def algorithms(self) -> list[str]:
        """Host key algorithms to offer: those of known keys first, or the server would show a key that we can't compare.

        The others follow, so that a server which has no known key any more is seen as changed instead of failing cryptically.
        """
        if self.preferred:
            return list(self.preferred)
        known = [algorithm.decode() for key in self.keys for algorithm in key.sig_algorithms]
        if self.authorities:
            known = [algorithm.decode() for algorithm in get_default_certificate_algs()] + known
        others = [algorithm.decode() for algorithm in get_default_public_key_algs()]
        # The key that people compare, where there is none to compare with.
        others.sort(key=lambda name: name != "ssh-ed25519")
        if self.allowed:
            known = [algorithm for algorithm in known if algorithm in self.allowed]
            others = [algorithm for algorithm in self.allowed if "-cert-" not in algorithm]
        return list(dict.fromkeys(known + others))

    def plain(self) -> Known:
        """The same without its authorities: only plain host keys count."""
        return replace(self, trusted=(self.trusted[0], [], *self.trusted[2:]))


@dataclass(frozen=True, slots=True)
class HostKeys:
    """Looks servers up in the pins and in the user's own file; new keys only go to the pins."""

    pins: Path
    user_file: Path = field(default_factory=lambda: Path.home() / ".ssh" / "known_hosts")

    def lookup(self, address: str, port: int, settings: Settings | None = None, printed: str = "") -> Known:
        """All that the pins and the user's files know of a server; `settings` name the files and the server's name where they are there.

        `printed`: what a KnownHostsCommand said.

        Raises:
            StateError: a file can't be read.
            LoginError: RevokedHostKeys can't be used.
        """
        return self._find((settings.alias if settings else "") or known_name(address, port), settings, printed)

    def lookup_as_ssh(self, address: str, port: int, settings: Settings | None = None, printed: str = "") -> Known:
        """The same; where nothing is known of a server at another port than 22, what is known of the address alone.

        Raises:
            StateError: a file can't be read.
            LoginError: RevokedHostKeys can't be used.
        """
        known = self.lookup(address, port, settings, printed)
        if port == _DEFAULT_PORT or (settings and settings.alias) or known.keys or known.authorities:
            return known
        at_22 = self._find(address, settings, printed)
        return replace(at_22.plain(), name=known.name, sources=(), borrowed=True) if at_22.keys else known

    def _files(self, settings: Settings | None) -> tuple[Path, ...]:
        if settings is None:
            return (self.user_file,)
        own = settings.known_hosts
        if own is None:
            # The second name is OpenSSH's of long ago, and still looked at.
            own = (self.user_file, self.user_file.with_name(f"{self.user_file.name}2"))
        return (*own, *settings.machine_known_hosts)

    def _find(self, name: str, settings: Settings | None, printed: str) -> Known:
        merged: tuple[list[Any], ...] = tuple([] for _ in range(7))
        sources = []
        files = (self.pins, *self._files(settings))
        for path in files:
            # OpenSSH passes over files that it can't read.
            with suppress(*((StateError,) if settings and path != self.pins else ())):
                found = known_hosts.read(path).find(name)
                _merge(merged, found)
                if any(match.line.keys[0] for match in found):
                    sources.append(path)
        if printed:
            _merge(merged, known_hosts.KnownHosts(printed).find(name))
        for path in settings.revoked if settings else ():
            merged[2].extend(_revoked_keys(path, settings.places.where("RevokedHostKeys") if settings else ""))
        allowed = settings.algorithms.get("server_host_key_algs", ()) if settings else ()
        return Known(name, merged, tuple(sources), files, allowed=allowed)

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


def _merge(merged: tuple[list[Any], ...], found: Sequence[Match]) -> None:
    for match in found:
        for into, more in zip(merged, match.line.keys, strict=True):
            into.extend(more)


def _revoked_keys(path: Path, where: str) -> list[SSHKey]:
    """The keys of a RevokedHostKeys file: one a line.

    Raises:
        LoginError: it can't be read, or is a KRL in OpenSSH's binary form.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        # OpenSSH refuses every server then.
        why, hint = error.strerror or str(error), f"check: {shell('ls', '-l', str(path))}"
        raise LoginError(f"{where} names {path}, which can't be read", why=why, hint=hint) from error
    if data.startswith(_KRL):
        raise LoginError(
            f"{where} names {path}, a key revocation list in OpenSSH's binary form, which kfinstall can't read",
            hint=f"see what it revokes: {shell('ssh-keygen', '-Q', '-l', '-f', str(path))}\nname a file with the revoked public keys there, one a line",
        )
    keys = []
    for line in data.decode("utf-8", "replace").splitlines():
        with suppress(ValueError):
            keys.append(import_public_key(line))
    return keys


def unknown(node: str, where: str, name: str, key: SSHKey, pin: Callable[[], None]) -> UnknownHostKeyError:
    """The error for a server whose key nobody has seen before; `pin` remembers it as that server's."""
    shown = UnknownKey(_server(node, where), name, key.get_algorithm(), key.get_fingerprint())
    return UnknownHostKeyError(
        f"the host key of {where} is not known",
        shown,
        pin,
        node=node,
        why=f"{name} shows {shown.kind} {shown.fingerprint}",
        hint=f"compare the fingerprint at its console ({shown.command}), then run with --accept-new-host-keys",
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
    """Commands that take the known host keys of a server out of their files; before each, what else its line is for."""
    return [line for path in known.sources for line in _removals(path, known)]


def _removals(path: Path, known: Known) -> Iterator[str]:
    matches = list(_matches(path, known))
    if not matches:
        yield shell("ssh-keygen", "-R", known.name, "-f", str(path))
    if any(match.line.hidden for match in matches):
        yield shell("sed", "-i.old", r"1s/^\xef\xbb\xbf//", str(path))
    # First, or ssh-keygen would forget the whole pattern with the server's own line.
    for match in matches:
        if match.pattern:
            yield f"{_shared(path, match)}; the command takes only {', '.join(match.spelled)} out:"
            yield shell("sed", "-i.old", _excluded(match), str(path))
    own = [match for match in matches if not match.pattern]
    yield from (f"{_shared(path, match)}; the command forgets their key as well:" for match in own if match.others)
    for name in dict.fromkeys(match.spelled[0] for match in own):
        yield shell("ssh-keygen", "-R", name, "-f", str(path))


def _shared(path: Path, match: Match) -> str:
    shown, more = match.others[:_SHOWN_NAMES], len(match.others) - _SHOWN_NAMES
    return f"{path} line {match.line.number} is for {', '.join(shown)}{f' and {more} others' if more > 0 else ''} too"


def _excluded(match: Match) -> str:
    """What sed does to a line so that it no longer stands for one server."""
    names = "".join(f",!{name}" for name in match.spelled)
    names = re.sub(r"[\\&/]", r"\\\g<0>", names)
    hosts = match.line.hosts
    if len(hosts) > _LONGEST_ADDRESSED or not hosts.isascii():
        return rf"{match.line.number}s/^[[:blank:]]*[^[:blank:]]*/&{names}/"
    # By its words, not its number: commands for other servers may be pasted before, and add to it or take lines away.
    hosts = re.sub(r"[\\.*\[\]^$/]", r"\\\g<0>", hosts)
    return rf"s/^\([[:blank:]]*{hosts}\)\([,[:blank:]]\)/\1{names}\2/"


def revoked(node: str, where: str, known: Known, key: SSHKey | None) -> ChangedHostKeyError:
    """The error for a server that shows a key which somebody marked as revoked; `key` is None where it could not be seen again."""
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}" if key is not None else "it"
    marks = [
        (path, match)
        for path in known.files
        for match in _matches(path, known, "revoked")
        if key is None or any(old == key for old in match.line.keys[2])
    ]
    marked = [f"{path} line {match.line.number} marks it as @revoked" for path, match in marks]
    commands = []
    # From the end, or each command would change the numbers of the next.
    for path, match in reversed(marks):
        if match.others:
            commands.append(f"{_shared(path, match)}; the command takes their mark out as well:")
        commands.append(shell("sed", "-i.old", f"{match.line.number}d", str(path)))
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
        for match in _matches(path, known, marker):
            yield from ((path, match.line.number, key) for key in match.line.keys[at])


def _matches(path: Path, known: Known, marker: str = "") -> Iterator[Match]:
    """Lines of a file that name the server with that marker; none where it can't be read any more."""
    with suppress(StateError):
        yield from (match for match in known_hosts.read(path).find(known.name) if match.line.marker == marker)
