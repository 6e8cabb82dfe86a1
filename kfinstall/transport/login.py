"""Logging in to one server: host key, keys, agent, password. Every failure says which server and what was tried."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import asyncssh
from typing_extensions import override

from kfinstall.answers.model import Ssh
from kfinstall.errors import ChangedHostKeyError, LoginError, TransportError
from kfinstall.secrets import Secret
from kfinstall.text import clean
from kfinstall.transport import hostkeys, known_hosts_command, turned_away
from kfinstall.transport import limits as numbers
from kfinstall.transport.base import LoginListener, LoginNote
from kfinstall.transport.hostkeys import HostKeys, Known
from kfinstall.transport.keyring import KeyRing, SecretSource
from kfinstall.transport.local_address import local_address
from kfinstall.transport.offers import Offers, offers, refuse_closed
from kfinstall.transport.proxy_command import ProxyCommand
from kfinstall.transport.reasons import Tried, cut_off, explained
from kfinstall.transport.route import Target
from kfinstall.transport.ssh_settings import Settings
from kfinstall.transport.tuning import Limits

_CIPHERS: Final = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"
"""Before asyncssh's own order, which begins with chacha20-poly1305: that costs three times the CPU in Python, and Terrapin (CVE-2023-48795) was about it."""

_BANNER_CHARACTERS: Final = 2000


class _Client(asyncssh.SSHClient):
    """Answers what the server asks for while logging in, and remembers what was tried."""

    def __init__(self, keys: Sequence[tuple[str, Any]], password: Secret | None, where: str, tell: LoginListener | None) -> None:
        self._keys = list(keys)
        self._where = where
        self._tell = tell
        self._connection: asyncssh.SSHClientConnection | None = None
        self._open = ""
        """What was offered last, while the server has not answered it."""
        self._password = password
        self.password_sent = False
        self.tried: list[str] = []
        self.proxy: ProxyCommand | None = None
        """The program that the connection goes through, where it does."""
        self.proxy_words: Sequence[str] = ()
        self.shown: asyncssh.SSHKey | None = None
        """The host key, if it is none of the trusted ones."""
        self.lacking = False
        """Whether it asked for a password, and there is none for it."""
        self.greeting: turned_away.Greeting | None = None
        """What it said before its version line."""
        self.banner = ""
        """What it said before it let anybody in: its end, where PAM's reasons stand behind the file of sshd's Banner."""
        self.authority: asyncssh.SSHKey | None = None
        """Who signed the host certificate, if it is none of the trusted ones."""

    @override
    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn
        self.greeting = turned_away.listen(conn)
        self._note("reached")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.proxy is not None:
            self.proxy.stop()

    @property
    def left(self) -> list[tuple[str, Any]]:
        """Keys that it was not asked for."""
        return self._keys

    @override
    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.banner = (self.banner + msg)[-_BANNER_CHARACTERS:]

    @override
    def auth_completed(self) -> None:
        self._host_key()
        self._note("accepted", self._open or "without a key or password")
        self._open = ""

    def refused(self) -> None:
        """What was offered last was not taken."""
        if self._open:
            self._note("refused", self._open)
            self._open = ""

    def _offer(self, method: str) -> None:
        self._host_key()
        self.refused()
        self.tried.append(method)
        self._open = method
        self._note("offered", method)

    def _host_key(self) -> None:
        # asyncssh asks for the first method only once the host key has been accepted.
        key = self._connection.get_server_host_key() if self._connection is not None else None
        self._connection = None
        if key is not None:
            self._note("host-key", f"{key.get_algorithm()} {key.get_fingerprint()}")

    def _note(self, stage: Any, detail: str = "") -> None:
        if self._tell is not None:
            self._tell(LoginNote(self._where, stage, clean(detail)))

    @override
    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return False

    @override
    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.authority = key
        return False

    @override
    def public_key_auth_requested(self) -> Any:
        if not self._keys:
            return None
        name, key = self._keys.pop(0)
        self._offer(name)
        return [key]

    @override
    def password_auth_requested(self) -> str | None:
        return self._once("password")

    @override
    def kbdint_auth_requested(self) -> str | None:
        self.lacking = self.lacking or self._password is None
        return "" if self._password is not None and not self.password_sent else None

    @override
    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> Sequence[str] | None:
        if not prompts:
            return []
        prompt = clean(str(prompts[0][0])).strip()
        if len(prompts) > 1 or "assword" not in prompt:
            self.tried.append(f"keyboard-interactive (the server asked: {prompt})")
            return None
        answer = self._once("password (keyboard-interactive)")
        return None if answer is None else [answer]

    def _once(self, method: str) -> str | None:
        # Sent once: servers lock accounts after a few wrong passwords.
        self.lacking = self.lacking or self._password is None
        if self._password is None or self.password_sent:
            return None
        self.password_sent = True
        self._offer(method)
        return self._password.reveal()


@dataclass(frozen=True, slots=True)
class Login:
    """Everything that logging in needs besides the server."""

    ssh: Ssh
    secrets: SecretSource
    keys: KeyRing
    host_keys: HostKeys
    accept_new: bool
    limits: Limits
    tell: LoginListener | None = None
    on_changed: Callable[[ChangedHostKeyError], None] | None = None
    """Hears of a changed or revoked host key before the error is raised."""

    async def enter(self, target: Target, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        """Log in to a server.

        Raises:
            UnknownHostKeyError: its key is unknown, and new keys are not accepted unseen.
            ChangedHostKeyError: its key is not the known one, or is revoked.
            LoginError: it refused every method; says which.
            TransportError: it can't be reached, or does not answer.
        """
        async with AsyncExitStack() as stack:
            found = await offers(target, self.ssh, self.keys, self.secrets, stack)
            password = await self.secrets.resolve(target.password, target.purpose) if target.password else None
            if not found.keys and password is None:
                refuse_closed(found, target)
            known = await self._known(target)
            connection, client = await self._attempt(target, tunnel, found, password, known)
            plain = known.plain()
            if connection is None and self._falls_back(known, client):
                # As OpenSSH: a certificate that does not fit is no reason to forget the plain key.
                connection, client = await self._attempt(target, tunnel, found, password, plain)
                known = plain
            if connection is not None:
                return connection
            shown = client.shown
            if shown is None or (known.keys and not known.borrowed):
                raise await self._refused_key(target, tunnel, known, client)
            await self._accept(target, shown)
            known = (await self._known(target, shown)).plain()
            connection, client = await self._attempt(target, tunnel, found, password, known)
            if connection is None:
                raise await self._refused_key(target, tunnel, known, client)
            return connection

    async def _known(self, target: Target, shown: asyncssh.SSHKey | None = None) -> Known:
        name = (target.settings.alias if target.settings else "") or hostkeys.known_name(target.host, target.port)
        printed = await known_hosts_command.printed(target.settings, name, shown)
        try:
            return self.host_keys.lookup_as_ssh(target.host, target.port, target.settings, printed)
        except LoginError as error:
            error.node = target.node
            raise

    @staticmethod
    def _falls_back(known: Known, client: _Client) -> bool:
        if not known.authorities or any(key in known.revoked for key in known.authorities):
            return False
        return bool(known.keys) or client.authority is None

    async def _accept(self, target: Target, shown: asyncssh.SSHKey) -> None:
        async with self.keys.asking:
            known = await self._known(target, shown)
            if known.keys and not known.borrowed:
                # Accepted meanwhile for another node that goes the same way, or known to the user's own command.
                return
            pin = partial(self.host_keys.pin, known.name, shown)
            settings = target.settings
            if not (self.accept_new or (settings is not None and (settings.accepts_new or _unchecked(settings)))):
                raise hostkeys.unknown(target.node, target.label, known.name, shown, pin)
            pin()

    async def _refused_key(
        self, target: Target, tunnel: asyncssh.SSHClientConnection | None, known: Known, client: _Client
    ) -> TransportError:
        plain = None
        if client.shown is None and client.authority is None and known.revoked:
            plain = await self._plain_key(target, tunnel, known)
        error = hostkeys.refused(target.node, target.label, known, shown=client.shown, authority=client.authority, plain=plain)
        if self.on_changed is not None and isinstance(error, ChangedHostKeyError):
            self.on_changed(error)
        return error

    async def _plain_key(self, target: Target, tunnel: asyncssh.SSHClientConnection | None, known: Known) -> asyncssh.SSHKey | None:
        """The host key that a server shows to somebody who trusts none; None where it shows none now."""
        # The library tells which key it refused for all reasons but a mark as revoked.
        plain = tuple(name for name in known.algorithms() if "-cert-" not in name)
        nothing = Known(known.name, tuple([] for _ in range(7)), (), preferred=plain)
        with suppress(TransportError):
            _connection, client = await self._attempt(target, tunnel, Offers(), None, nothing)
            return client.shown
        return None

    async def _attempt(
        self, target: Target, tunnel: asyncssh.SSHClientConnection | None, found: Offers, password: Secret | None, known: Known
    ) -> tuple[asyncssh.SSHClientConnection | None, _Client]:
        """One login; no connection if the host key was not accepted."""
        keys, tried = found.keys, list[str]()
        for turn in range(numbers.SSH_LOGIN_TURNS):
            # With a password behind them, few: a server counts each key as a failure.
            at_once = numbers.SSH_KEYS_OFFERED if password is not None else len(keys)
            client = _Client(keys[:at_once], password, target.label, self.tell)
            client.tried = tried
            try:
                return await self._connect(target, tunnel, known, client), client
            except asyncssh.HostKeyNotVerifiable:
                return None, client
            except (asyncssh.Error, OSError) as error:
                client.refused()
                keys = [*client.left, *keys[at_once:]]
                password = None if client.password_sent else password
                if keys and turn + 1 < numbers.SSH_LOGIN_TURNS and self._again(error, tried):
                    continue
                failure = explained(target, self._tried(target, found, client), error)
                # A lost connection is made anew; what is not to be had on this computer is not.
                raise failure from (error if failure.retryable else None)
        raise AssertionError("the last turn returns or raises")

    @staticmethod
    def _again(error: Exception, tried: Sequence[str]) -> bool:
        return isinstance(error, asyncssh.PermissionDenied) or cut_off(error, tried)

    def _tried(self, target: Target, found: Offers, client: _Client) -> Tried:
        seconds = (target.settings.connect_seconds if target.settings else None) or self.limits.connect_seconds
        return Tried(
            client.tried,
            found.unusable,
            client.lacking,
            seconds,
            self.limits.login_seconds,
            client.proxy_words,
            client.proxy is not None and client.proxy.missing,
            client.greeting,
            client.banner,
        )

    async def _connect(
        self, target: Target, tunnel: asyncssh.SSHClientConnection | None, known: Known, client: _Client
    ) -> asyncssh.SSHClientConnection:
        host, port = target.dial or (target.host, target.port)
        options = self._options(target, known)
        settings = target.settings
        seconds = options["connect_timeout"] + self.limits.login_seconds
        try:
            async with asyncio.timeout(seconds):
                if settings and settings.proxy_command and tunnel is None and target.dial is None:
                    if os.name == "posix":
                        client.proxy = await ProxyCommand.start(
                            settings.proxy_command, passes_socket=settings.proxy_passes_socket, seconds=options["connect_timeout"]
                        )
                        options["sock"] = client.proxy.connection
                    else:
                        options["proxy_command"] = ["cmd", "/d", "/s", "/c", settings.proxy_command]
                elif settings and tunnel is None and target.dial is None:
                    options["family"] = settings.family
                    options["local_addr"] = local_address(settings)
                connection, _owner = await asyncssh.create_connection(lambda: client, host, port, tunnel=tunnel or (), **options)
        except BaseException:
            if client.proxy is not None:
                client.proxy.stop()
                client.proxy_words = await client.proxy.ended()
            raise
        return connection

    def _options(self, target: Target, known: Known) -> dict[str, Any]:
        settings = target.settings
        options: dict[str, Any] = {
            "known_hosts": known.trusted,
            "server_host_key_algs": known.algorithms(),
            # A certificate is for the name that ssh knows the server by, wherever TCP goes.
            "host_key_alias": (settings.alias if settings else "") or target.host,
            "config": None,
            "client_keys": None,
            "agent_path": None,
            # A server could reach back for a forwarded agent at any time, and nothing here needs one.
            "agent_forwarding": False,
            "gss_host": None,
            # A banner is whatever bytes its file has; ssh shows them as they are.
            "utf8_decode_errors": "replace",
            "connect_timeout": (settings.connect_seconds if settings else None) or self.limits.connect_seconds,
            "login_timeout": self.limits.login_seconds,
            "keepalive_interval": self.limits.keepalive_seconds,
            "keepalive_count_max": self.limits.keepalive_count,
            "encryption_algs": _CIPHERS,
        }
        if target.user is not None:
            options["username"] = target.user
        if settings:
            options |= {name: list(words) for name, words in settings.algorithms.items() if name != "server_host_key_algs"}
        return options


def _unchecked(settings: Settings) -> bool:
    """Whether ssh would not check this server's key at all, as it is this computer (NoHostAuthenticationForLocalhost)."""
    if not settings.unchecked_loopback:
        return False
    try:
        return settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return False


async def close_all(chain: Sequence[asyncssh.SSHClientConnection], *, wait: bool) -> None:
    """Close connections, the last one first; without `wait` at once."""
    for connection in reversed(chain):
        if wait:
            connection.close()
        else:
            connection.abort()
    if not wait:
        return
    for connection in reversed(chain):
        with suppress(OSError, asyncssh.Error, TimeoutError):
            async with asyncio.timeout(numbers.SSH_CLOSE_TIMEOUT_SECONDS):
                await connection.wait_closed()
        connection.abort()
