"""Which keys a server is offered, and in what order: what is written for it first, as each one that is refused counts as a failure there."""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import asyncssh

from kfinstall.answers.model import Ssh
from kfinstall.errors import LoginError
from kfinstall.text import clean, shell
from kfinstall.transport import limits
from kfinstall.transport.keyring import Identity, KeyRing, SecretSource, certificates_of
from kfinstall.transport.route import Target

_CERTIFICATE: Final = b"-cert-v01@openssh.com"


@dataclass(slots=True)
class Offers:
    """What there is to log in with, besides a password."""

    keys: list[tuple[str, Any]] = field(default_factory=list)
    """By name, in the order that they are offered."""
    unusable: list[str] = field(default_factory=list)
    """Keys that can't be offered, each with its reason."""
    named_unusable: list[Identity] = field(default_factory=list)
    """Those of them that the answers name."""


@dataclass(frozen=True, slots=True)
class _Agent:
    keys: Sequence[Any] = ()
    trouble: str = ""
    plain: dict[bytes, Any] = field(default_factory=dict)
    """By the plain key's binary form."""
    certified: dict[bytes, list[Any]] = field(default_factory=dict)


async def offers(target: Target, ssh: Ssh, ring: KeyRing, secrets: SecretSource, stack: AsyncExitStack) -> Offers:
    """The keys for a server. The agent's connection lives as long as `stack`.

    Raises:
        LoginError: a key that the answers name can't be read.
        AnswersError: the passphrase can't be had.
    """
    settings = target.settings
    named = await ring.identities(target.keys, ssh.passphrase, secrets, target.node, target.keys_key)
    if settings and not settings.public_keys and not named:
        return Offers()
    written = await ring.found(settings.identities, ssh.passphrase, secrets) if settings else []
    usual: list[Identity] = []
    if not named and not (settings and settings.identities):
        usual = await ring.found((settings.usual if settings else ()) or ring.usual(), ssh.passphrase, secrets)
    agent = await _agent(target, ssh, stack)
    found = Offers()
    taken: dict[bytes, tuple[str, Any]] = {}
    extra = [one for path in settings.certificates for one in certificates_of(path)] if settings else []
    for identities in ([*named, *written], usual):
        # As ssh does: certificates, then the plain keys, as a server may take the one without the other.
        _add(taken, _certified(identities, extra, agent))
        for identity in identities:
            if not _plain(taken, identity, agent) and identity.public not in agent.certified:
                found.unusable.append(f"key {identity.path}: {identity.trouble}")
                found.named_unusable += [identity] * (identity in named)
    if not (settings and settings.identities_only):
        withheld = await ring.publics(target.withheld)
        others = [key for key in agent.keys if _public(key) not in withheld]
        _add(taken, ((f"agent key {_name(key)}", key) for key in others))
    found.unusable += [agent.trouble] * bool(agent.trouble)
    least = settings.least_rsa_bits if settings else 0
    for name, key in taken.values():
        bits = _rsa_bits(_public(key))
        if settings and bits is not None and bits < least:
            found.unusable.append(f"{name}: an RSA key of {bits} bits; {settings.least_rsa_place} asks for {least}")
        else:
            found.keys.append((name, key))
    return found


def refuse_closed(found: Offers, target: Target) -> None:
    """Say why nothing at all can be offered, where the answers name a key.

    Raises:
        LoginError: the key is of no use by itself.
    """
    if not found.named_unusable:
        return
    identity = found.named_unusable[0]
    if identity.trouble.startswith("it has a passphrase"):
        hint = f"set ssh.passphrase, for example to {{prompt: true}}, or run: {shell('ssh-add', str(identity.path))}"
        raise LoginError(
            f"the private key {identity.path} has a passphrase, and the answers give none",
            node=target.node,
            why="\n".join(found.unusable[1:]),
            hint=hint,
        )
    raise LoginError(
        f"the agent does not hold the key of {identity.path}",
        node=target.node,
        why="\n".join(found.unusable),
        hint=f"see which it holds: ssh-add -l; give it the key, or name the private key's file at {target.keys_key}",
    )


def _add(taken: dict[bytes, tuple[str, Any]], more: Iterable[tuple[str, Any]]) -> None:
    for name, pair in more:
        taken.setdefault(pair.public_data, (name, pair))


def _plain(taken: dict[bytes, tuple[str, Any]], identity: Identity, agent: _Agent) -> bool:
    if identity.pair is not None:
        taken.setdefault(identity.public, (f"key {identity.path}", identity.pair))
    elif identity.public in agent.plain:
        taken.setdefault(identity.public, (f"key {identity.path} (from the agent)", agent.plain[identity.public]))
    else:
        return False
    return True


def _certified(identities: Sequence[Identity], extra: Sequence[Any], agent: _Agent) -> Iterable[tuple[str, Any]]:
    for identity in identities:
        pair = identity.pair if identity.pair is not None else agent.plain.get(identity.public)
        for certificate in (*(one for one in extra if one.key.public_data == identity.public), *identity.certificates):
            if pair is not None:
                yield f"certificate of {identity.path}", _with(pair, certificate)
        for key in agent.certified.get(identity.public, ()):
            yield f"certificate of {identity.path} (from the agent)", key
    known = {identity.public for identity in identities}
    for certificate in extra:
        key = agent.plain.get(certificate.key.public_data)
        if key is not None and certificate.key.public_data not in known:
            yield f"certificate of agent key {_name(key)}", _with(key, certificate)


def _with(pair: Any, certificate: Any) -> Any:
    twin = copy.copy(pair)
    twin.set_certificate(certificate)
    return twin


async def _agent(target: Target, ssh: Ssh, stack: AsyncExitStack) -> _Agent:
    path = target.settings.agent if target.settings else None
    if not ssh.agent or path == "":
        return _Agent()
    where = path or os.environ.get("SSH_AUTH_SOCK", "")
    try:
        async with asyncio.timeout(limits.SSH_AGENT_SECONDS):
            agent = await stack.enter_async_context(asyncssh.connect_agent(path) if path else asyncssh.connect_agent())
            keys = await agent.get_keys()
    except (OSError, ValueError, asyncssh.Error) as error:
        # No agent runs, or it does not speak: the other methods count.
        why = clean(str(error)) or f"nothing within {limits.SSH_AGENT_SECONDS:.0f} s"
        return _Agent(trouble=f"the agent at {clean(where)} does not answer: {why}" if where else "")
    plain = {_public(key): key for key in keys if not _is_certificate(key)}
    certified: dict[bytes, list[Any]] = {}
    for key in keys:
        if _is_certificate(key):
            certified.setdefault(_public(key), []).append(key)
    return _Agent(keys, "", plain, certified)


def _name(key: Any) -> str:
    return clean(key.get_comment(errors="replace") or key.get_algorithm())


def _is_certificate(key: Any) -> bool:
    return bool(key.algorithm.endswith(_CERTIFICATE))


def _rsa_bits(public: bytes) -> int | None:
    """How long an RSA key is, by its public part in SSH's binary form (RFC 4253, 6.6); None for other kinds."""
    if not public.startswith(b"\0\0\0\x07ssh-rsa"):
        return None
    rest = public[11:]
    rest = rest[4 + int.from_bytes(rest[:4]) :]  # the exponent
    return int.from_bytes(rest[4:]).bit_length()


def _public(key: Any) -> bytes:
    """The plain key's binary form, also of a certificate that the agent holds."""
    if not _is_certificate(key):
        return bytes(key.public_data)
    try:
        return bytes(asyncssh.public_key.decode_ssh_certificate(key.public_data).key.public_data)
    except ValueError:
        return bytes(key.public_data)
