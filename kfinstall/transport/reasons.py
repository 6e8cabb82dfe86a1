"""Why a login failed, in words: what the server, the network or this computer did, each with its own next step."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncssh

from kfinstall.errors import LoginError, TransportError
from kfinstall.text import clean
from kfinstall.transport import forwarding, hostkeys, turned_away
from kfinstall.transport.route import Target
from kfinstall.transport.ssh_settings import Settings

_TOO_MANY: Final = (asyncssh.DISC_PROTOCOL_ERROR, asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE)
_NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Tried:
    """What went on before a login failed."""

    methods: Sequence[str]
    """Keys and methods that were offered."""
    unusable: Sequence[str]
    """Keys that could not be offered, each with its reason."""
    lacking: bool
    """Whether it asked for a password, and there is none for it."""
    connect_seconds: float
    login_seconds: float
    proxy: Sequence[str] = ()
    """The last words of the ProxyCommand; empty where there is none, or it goes on."""
    proxy_missing: bool = False
    greeting: turned_away.Greeting | None = None
    """What the server said before its version line; None where it was not reached."""
    banner: str = ""
    """The end of what it said to whoever logs in."""


def cut_off(error: Exception, methods: Sequence[str]) -> bool:
    """Whether a server ended the connection because of too many failures (MaxAuthTries)."""
    return isinstance(error, asyncssh.DisconnectError) and error.code in _TOO_MANY and bool(methods)


def explained(target: Target, tried: Tried, error: Exception) -> TransportError:
    """The error for a login that failed."""
    return _stated(target, tried, error) or _guessed(target, tried, error)


def _guessed(target: Target, tried: Tried, error: Exception) -> TransportError:
    """The error where only the library's own words tell of it."""
    why = clean(str(error) or type(error).__name__)
    if isinstance(error, asyncssh.PermissionDenied) or cut_off(error, tried.methods):
        return _refused(target, tried, why)
    if tried.proxy and target.settings:
        return _proxy(target, target.settings, tried, why)
    where = f"{target.label} ({hostkeys.known_name(target.host, target.port)})"
    hint = f"is it on, and does its firewall let SSH in? try: {target.by_hand}"
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return _no_common(target, where, why)
    if isinstance(error, socket.gaierror):
        return _no_name(target, why)
    if isinstance(error, OSError) and target.settings and error.errno in _NO_SUCH_ADDRESS:
        bound = target.settings.bind_address or target.settings.bind_interface
        if bound:
            option = "BindAddress" if target.settings.bind_address else "BindInterface"
            return LoginError(
                f"{target.settings.places.where(option, bound)} can't be used on the way to {where}",
                node=target.node,
                why=why,
                hint="name an address of this computer there, of the same family as the server's",
            )
    if isinstance(error, asyncssh.ChannelOpenError):
        return _not_forwarded(target, where, error, why, hint)
    if isinstance(error, TimeoutError) or "timeout expired" in why:
        seconds = tried.connect_seconds if isinstance(error, TimeoutError) else tried.login_seconds
        return TransportError(
            f"{where} does not answer", node=target.node, why=f"nothing within {seconds:.0f} s ({why})", hint=hint
        )
    return _no_connection(target, where, error, why, hint)


def _not_forwarded(target: Target, where: str, error: asyncssh.ChannelOpenError, why: str, hint: str) -> TransportError:
    """The error where the jump host opens no connection: its own settings forbid it, or it finds nobody there."""
    via = target.via or "the jump host before it"
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        to = hostkeys.known_name(target.host, target.port)
        return TransportError(
            f"{via} does not forward connections to {to}",
            node=target.node,
            why=f"its sshd says: {why}\n{target.label} itself was not asked",
            hint=forwarding.hint(""),
        )
    return TransportError(f"{where} can't be reached from {via}", node=target.node, why=why, hint=hint)


def _no_connection(target: Target, where: str, error: Exception, why: str, hint: str) -> TransportError:
    number = _number(error, why)
    if number == errno.ECONNREFUSED:
        return TransportError(
            f"{where} refuses connections",
            node=target.node,
            why=f"nothing listens on TCP port {target.port} there, or a firewall rejects it",
            hint=f"is the port right (ssh.port)? on the server: sudo systemctl status ssh ssh.socket\ntry: {target.by_hand}",
        )
    return TransportError(
        f"{where} can't be reached", node=target.node, why=os.strerror(number) if number else _NUMBERED.sub("", why), hint=hint
    )


_NUMBERED: Final = re.compile(r"^\[Errno -?\d+\] ")
"""What Python puts before the system's own words."""


def _number(error: Exception, why: str) -> int:
    """The system's number of why no connection came about; 0 where several addresses failed for several reasons, or it is no such error."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return error.errno
    several = set(re.findall(r"\[Errno (\d+)\] Connect call failed", why))
    return int(several.pop()) if len(several) == 1 else 0


def _stated(target: Target, tried: Tried, error: Exception) -> TransportError | None:
    """The error where the server itself says why it takes nobody, or ended it in the middle; None where it does neither."""
    where = f"{target.label} ({hostkeys.known_name(target.host, target.port)})"
    why = clean(str(error) or type(error).__name__)
    away = turned_away.explained(tried.greeting, node=target.node, where=where)
    if away is not None:
        return away
    if isinstance(error, asyncssh.ConnectionLost) and (tried.methods or tried.banner):
        return TransportError(
            f"{where} ended the connection while {target.user or 'the user'} logged in",
            node=target.node,
            why="\n".join([why, *turned_away.lines_of(tried.banner)]),
            hint=f"try: {target.by_hand}\nits log says why: sudo journalctl -u ssh -n 20",
        )
    if _before_keys(tried, error):
        return TransportError(
            f"{where} ended the connection before the keys were exchanged",
            node=target.node,
            why=f"{why}\nit answers as an SSH server, so the network lets SSH through; that it has no algorithm in common with kfinstall is one cause",
            hint=f"see what it offers: ssh -vv {target.by_hand.removeprefix('ssh ')}\nits log says why: sudo journalctl -u ssh -n 20",
        )
    return None


def _before_keys(tried: Tried, error: Exception) -> bool:
    lost = isinstance(error, asyncssh.ConnectionLost | ConnectionError)
    return lost and tried.greeting is not None and tried.greeting.versioned and not tried.methods


def _refused(target: Target, tried: Tried, why: str) -> LoginError:
    held = target.settings.keys_held_back if target.settings and not target.keys else ""
    none = "nothing: there is no password" if held else "nothing: there is no key, no agent key and no password"
    methods = "; ".join(tried.methods) or none
    lines = [
        why,
        *turned_away.lines_of(tried.banner),
        *_lacking(target, tried),
        f"tried: {methods}",
        *(f"not offered: {line}" for line in tried.unusable),
        *([f"{held}: keys are not offered"] if held else []),
    ]
    if target.settings:
        lines += target.settings.notes
    if target.of_config:
        hint = f"try: {target.by_hand}\nor write the way down as jumpHosts, with keys or a password"
        lines.append("~/.ssh/config names it: it is logged in to with what that file and ~/.ssh hold for it, and with no password")
    elif held:
        hint = f"try: {target.by_hand}\ntake {held} out for it, or set {target.password_key}"
    elif target.settings and target.settings.shared:
        # With its master running, ssh by hand would log in by that, whatever the server makes of the keys.
        hint = (
            f"try, without the shared connection: ssh -S none {target.by_hand.removeprefix('ssh ')}\nthen set {_settings(target)}"
        )
    else:
        hint = f"try: {target.by_hand}\nthen set {_settings(target)}, or run: ssh-copy-id {target.by_hand.removeprefix('ssh ')}"
    named = f"{target.label} of ~/.ssh/config" if target.of_config else target.label
    return LoginError(
        f"{named} refused the login of {target.user or 'the user'}", node=target.node, why="\n".join(lines), hint=hint
    )


def _lacking(target: Target, tried: Tried) -> list[str]:
    """What is said where a server asked for a password that nobody wrote for it."""
    if not tried.lacking:
        return []
    note = "" if target.is_node else ": a jump host is sent a password of its own only, never a node's"
    return [f"it asks for a password, and {target.password_key} is not set{note}"]


def _settings(target: Target) -> str:
    """The answers' keys that decide on a login."""
    user = "ssh.user" if target.is_node else f"{target.place}.user"
    keys = target.keys_key if target.is_node else f"{target.place}.keys"
    return f"{user}, {keys} or {target.password_key}"


def _proxy(target: Target, settings: Settings, tried: Tried, why: str) -> TransportError:
    """The error for a connection through a ProxyCommand, which has ended."""
    command = clean(settings.proxy_command)
    place = settings.places.where("ProxyCommand")
    lines = "\n".join([*tried.proxy, why])
    if tried.proxy_missing:
        return LoginError(
            f"{place} for {target.label} can't be run on this computer",
            node=target.node,
            why=f"{command}\n{lines}",
            hint=f"install that program here, or mend the line; it works when this does: {target.by_hand}",
        )
    return TransportError(
        f"{target.label} can't be reached through {place}",
        node=target.node,
        why=f"{command}\n{lines}",
        hint=f"run the command by hand to see what it says; then: {target.by_hand}",
    )


def _no_common(target: Target, where: str, why: str) -> LoginError:
    options = ("KexAlgorithms", "Ciphers", "MACs", "HostKeyAlgorithms")
    chosen = target.settings.algorithms if target.settings else {}
    places = [target.settings.places.where(option) for option in options if target.settings and target.settings.places.find(option)]
    hint = f"allow there what the server offers: {', '.join(places)}" if chosen and places else ""
    return LoginError(
        f"{where} and kfinstall have no algorithm in common",
        node=target.node,
        why=why,
        hint=hint
        or f"see what the server offers: ssh -vv {target.by_hand.removeprefix('ssh ')}; then allow a usual one in its sshd_config",
    )


def _no_name(target: Target, why: str) -> TransportError:
    hint = "mend its address in the answers: an IP address, or a name that is known here"
    if target.settings and target.host != target.address:
        hint = f"mend {target.settings.places.where('HostName')}, which stands for {target.address}, or its address in the answers"
    elif target.of_config and target.settings:
        hint = "mend ProxyJump in ~/.ssh/config, or write the way down as jumpHosts"
    return TransportError(f"no name server knows {target.host}", node=target.node, why=why, hint=hint)
