"""Logging in to one server: host key, keys, agent, password. Every failure says which server and what was tried."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncssh
from typing_extensions import override

from kfinstall.answers.model import Ssh
from kfinstall.errors import ChangedHostKeyError, LoginError, TransportError
from kfinstall.secrets import Secret
from kfinstall.text import clean
from kfinstall.transport import config_jumps, hostkeys, turned_away
from kfinstall.transport import limits as numbers
from kfinstall.transport.base import LoginListener, LoginNote
from kfinstall.transport.hostkeys import HostKeys, Known
from kfinstall.transport.keyring import Identity, KeyRing, SecretSource
from kfinstall.transport.route import Target
from kfinstall.transport.tuning import Limits

_CIPHERS: Final = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"
"""Before asyncssh's own order, which begins with chacha20-poly1305: that costs three times the CPU in Python, and Terrapin (CVE-2023-48795) was about it."""

_BANNER_CHARACTERS: Final = 2000
_TOO_MANY: Final = (asyncssh.DISC_PROTOCOL_ERROR, asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE)


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
        self._password_sent = False
        self.tried: list[str] = []
        self.shown: asyncssh.SSHKey | None = None
        """The host key, if it is none of the trusted ones."""
        self.reached = False
        """Whether it was this server that answered, and not one that stands before it."""
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
        self.reached = True
        self.greeting = turned_away.listen(conn)
        self._note("reached")

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
        return "" if self._password is not None and not self._password_sent else None

    @override
    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> Sequence[str] | None:
        if not prompts:
            return []
        asked = clean(str(prompts[0][0])).strip()
        if len(prompts) > 1 or "assword" not in asked:
            self.tried.append(f"keyboard-interactive (the server asked: {asked})")
            return None
        answer = self._once("password (keyboard-interactive)")
        return None if answer is None else [answer]

    def _once(self, method: str) -> str | None:
        # Sent once: servers lock accounts after a few wrong passwords.
        self.lacking = self.lacking or self._password is None
        if self._password is None or self._password_sent:
            return None
        self._password_sent = True
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
        identities = await self.keys.identities(target.keys, self.ssh.passphrase, self.secrets, target.node, target.keys_key)
        password = await self.secrets.resolve(target.password, target.purpose) if target.password else None
        known = self.host_keys.lookup(target.address, target.port)
        connection, client = await self._attempt(target, tunnel, identities, password, known)
        if connection is not None:
            return connection
        shown = client.shown
        if shown is None or known.keys:
            raise await self._refused_key(target, tunnel, known, client)
        await self._accept(target, shown)
        known = self.host_keys.lookup(target.address, target.port)
        connection, client = await self._attempt(target, tunnel, identities, password, known)
        if connection is None:
            raise await self._refused_key(target, tunnel, known, client)
        return connection

    async def _accept(self, target: Target, shown: asyncssh.SSHKey) -> None:
        async with self.keys.asking:
            known = self.host_keys.lookup(target.address, target.port)
            if known.keys:
                # Accepted meanwhile for another node that goes the same way.
                return
            pin = partial(self.host_keys.pin, known.name, shown)
            if not self.accept_new:
                raise hostkeys.unknown(target.node, target.label, known.name, shown, pin)
            pin()

    async def _refused_key(
        self, target: Target, tunnel: asyncssh.SSHClientConnection | None, known: Known, client: _Client
    ) -> TransportError:
        error = await self._why_refused(target, tunnel, known, client)
        if self.on_changed is not None and isinstance(error, ChangedHostKeyError):
            self.on_changed(error)
        return error

    async def _why_refused(
        self, target: Target, tunnel: asyncssh.SSHClientConnection | None, known: Known, client: _Client
    ) -> TransportError:
        if not client.reached:
            config = Path.home() / ".ssh" / "config"
            return config_jumps.refused(target.node, target.address, target.port, config, self.host_keys.user_file)
        plain = None
        if client.shown is None and client.authority is None and known.revoked:
            plain = await self._plain_key(target, tunnel, known)
        return hostkeys.refused(target.node, target.label, known, shown=client.shown, authority=client.authority, plain=plain)

    async def _plain_key(self, target: Target, tunnel: asyncssh.SSHClientConnection | None, known: Known) -> asyncssh.SSHKey | None:
        """The host key that a server shows to somebody who trusts none; None where it shows none now."""
        # The library tells which key it refused for all reasons but a mark as revoked.
        plain = tuple(name for name in known.algorithms() if "-cert-" not in name)
        nothing = Known(known.name, tuple([] for _ in range(7)), (), asked=plain)
        with suppress(TransportError):
            _connection, client = await self._attempt(target, tunnel, (), None, nothing)
            return client.shown
        return None

    async def _attempt(
        self,
        target: Target,
        tunnel: asyncssh.SSHClientConnection | None,
        identities: Sequence[Identity],
        password: Secret | None,
        known: Known,
    ) -> tuple[asyncssh.SSHClientConnection | None, _Client]:
        """One login; no connection if the host key was not accepted."""
        async with AsyncExitStack() as stack:
            client = _Client(await self._offered(target, identities, stack), password, target.label, self.tell)
            host, port = target.dial or (target.address, target.port)
            try:
                async with asyncio.timeout(self.limits.connect_seconds + self.limits.login_seconds):
                    connection, _owner = await asyncssh.create_connection(
                        lambda: client, host, port, tunnel=tunnel or (), **self._options(target, known)
                    )
            except asyncssh.HostKeyNotVerifiable:
                return None, client
            except (asyncssh.Error, OSError) as error:
                client.refused()
                raise self._explained(target, client, error) from error
            return connection, client

    def _options(self, target: Target, known: Known) -> dict[str, Any]:
        options: dict[str, Any] = {
            "known_hosts": known.trusted,
            "server_host_key_algs": known.algorithms(),
            "config": None,
            "client_keys": None,
            "agent_path": None,
            # A server could reach back for a forwarded agent at any time, and nothing here needs one.
            "agent_forwarding": False,
            "gss_host": None,
            # A banner is whatever bytes its file has; ssh shows them as they are.
            "utf8_decode_errors": "replace",
            "connect_timeout": self.limits.connect_seconds,
            "login_timeout": self.limits.login_seconds,
            "keepalive_interval": self.limits.keepalive_seconds,
            "keepalive_count_max": self.limits.keepalive_count,
        }
        if target.user is not None:
            options["username"] = target.user
        if not self.ssh.use_ssh_config:
            options["encryption_algs"] = _CIPHERS
        else:
            path = Path.home() / ".ssh" / "config"
            options["config"] = [str(path)] if path.exists() else None
            if not target.keys:
                # Keys that the file names come from asyncssh; closed ones are passed over.
                options["client_keys"] = ()
                if self.ssh.agent and not target.withheld:
                    options["agent_path"] = ()
        return options

    async def _offered(self, target: Target, identities: Sequence[Identity], stack: AsyncExitStack) -> list[tuple[str, Any]]:
        """Keys by name in the order they are offered: the files' first, few in all (a server counts each as a failure)."""
        agent_keys = await self._agent_keys(stack) if self.ssh.agent else []
        offered: dict[bytes, tuple[str, Any]] = {}
        closed: list[Path] = []
        by_public = {key.public_data: key for key in agent_keys}
        for identity in identities:
            if identity.pair is not None:
                offered.setdefault(identity.public, (f"key {identity.path}", identity.pair))
            elif identity.public in by_public:
                offered.setdefault(identity.public, (f"key {identity.path} (from the agent)", by_public[identity.public]))
            else:
                closed.append(identity.path)
        if closed and target.keys and not offered:
            hint = "set ssh.passphrase, for example to {prompt: true}, or run: ssh-add " + str(closed[0])
            raise LoginError(
                f"the private key {closed[0]} has a passphrase, and the answers give none", node=target.node, hint=hint
            )
        withheld = await self.keys.publics(target.withheld)
        for key in agent_keys:
            if key.public_data in withheld:
                continue
            offered.setdefault(key.public_data, (f"agent key {clean(key.get_comment() or key.get_algorithm())}", key))
        return list(offered.values())[: numbers.SSH_KEYS_OFFERED]

    async def _agent_keys(self, stack: AsyncExitStack) -> list[Any]:
        try:
            agent = await stack.enter_async_context(asyncssh.connect_agent())
            return list(await agent.get_keys())
        except (OSError, ValueError, asyncssh.Error):
            # No agent runs, or it does not speak: the other methods count.
            return []

    def _explained(self, target: Target, client: _Client, error: Exception) -> TransportError:
        if isinstance(error, asyncssh.PermissionDenied) and not client.reached:
            return _on_the_way(target, error)
        where = f"{target.label} ({hostkeys.known_name(target.address, target.port)})"
        away = turned_away.explained(client.greeting, node=target.node, where=where)
        if away is not None:
            return away
        why = clean(str(error) or type(error).__name__)
        cut_off = isinstance(error, asyncssh.DisconnectError) and error.code in _TOO_MANY and bool(client.tried)
        if isinstance(error, asyncssh.PermissionDenied) or cut_off:
            tried = "; ".join(client.tried) or "nothing: there is no key, no agent key and no password"
            if self.ssh.use_ssh_config and not target.keys:
                tried += "; keys of ~/.ssh/config and the agent"
            return LoginError(
                f"{target.label} refused the login of {target.user or 'the user'}",
                node=target.node,
                why="\n".join([why, *turned_away.said(client.banner), *_lacking(target, client), f"tried: {tried}"]),
                hint=f"try: {target.by_hand}\nthen set {_settings(target)}, or run: ssh-copy-id {target.by_hand.removeprefix('ssh ')}",
            )
        hint = f"is it on, and does its firewall let SSH in? try: {target.by_hand}"
        if isinstance(error, socket.gaierror):
            name = f"no name server knows {target.address}"
            return TransportError(
                name, node=target.node, why=why, hint="mend its address in the answers: an IP address, or a name that is known here"
            )
        if isinstance(error, asyncssh.ChannelOpenError):
            return TransportError(f"{where} can't be reached from the jump host before it", node=target.node, why=why, hint=hint)
        if isinstance(error, TimeoutError) or "timeout expired" in why:
            seconds = self.limits.connect_seconds if isinstance(error, TimeoutError) else self.limits.login_seconds
            return TransportError(
                f"{where} does not answer", node=target.node, why=f"nothing within {seconds:.0f} s ({why})", hint=hint
            )
        if isinstance(error, asyncssh.ConnectionLost) and client.reached and (client.tried or client.banner):
            return TransportError(
                f"{where} ended the connection while {target.user or 'the user'} logged in",
                node=target.node,
                why="\n".join([why, *turned_away.said(client.banner)]),
                hint=f"try: {target.by_hand}\nits log says why: sudo journalctl -u ssh -n 20",
            )
        return TransportError(f"{where} can't be reached", node=target.node, why=why, hint=hint)


def _lacking(target: Target, client: _Client) -> list[str]:
    """What is said where a server asked for a password that nobody wrote for it."""
    if not client.lacking:
        return []
    told = "" if target.is_node else ": a jump host is sent a password of its own only, never a node's"
    return [f"it asks for a password, and {target.password_key} is not set{told}"]


def _settings(target: Target) -> str:
    """The answers' keys that decide on a login."""
    user = "ssh.user" if target.is_node else f"{target.place}.user"
    keys = target.keys_key if target.is_node else f"{target.place}.keys"
    return f"{user}, {keys} or {target.password_key}"


def _on_the_way(target: Target, error: Exception) -> LoginError:
    """The error for a server that nothing is written of in the answers: the ProxyJump of the user's own configuration."""
    return LoginError(
        f"a jump host that ~/.ssh/config names on the way to {target.label} can't be passed",
        node=target.node,
        why=f"{clean(str(error) or type(error).__name__)}\nit is logged in to with what ~/.ssh/config and ~/.ssh hold for it, and with no password",
        hint=f"try: {target.by_hand}\nor write the way down as jumpHosts, with keys or a password",
    )


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
