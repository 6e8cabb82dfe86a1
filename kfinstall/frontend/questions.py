"""What the engine asks while it works: host keys and secrets. A front end answers; until then only the asker waits."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from dataclasses import dataclass, field

from kfinstall.secrets import Secret
from kfinstall.transport.base import UnknownKey


@dataclass(frozen=True, slots=True)
class HostKeysAsked:
    """Servers show keys that nobody has seen before. The answer: are all of them right?"""

    keys: tuple[UnknownKey, ...]
    """At least one."""
    answer: concurrent.futures.Future[bool] = field(default_factory=concurrent.futures.Future)


@dataclass(frozen=True, slots=True)
class SecretAsked:
    """A secret that the answers want to be asked for. The answer: the secret, or None to give up."""

    purpose: str
    """The answers' key: ssh.password."""
    answer: concurrent.futures.Future[Secret | None] = field(default_factory=concurrent.futures.Future)


@dataclass(frozen=True, slots=True)
class FixAsked:
    """What kfinstall can fix before it goes on. The answer: do it."""

    offers: tuple[tuple[str, str, str], ...]
    """(server, check, what would be done)."""
    answer: concurrent.futures.Future[bool] = field(default_factory=concurrent.futures.Future)


Question = HostKeysAsked | SecretAsked | FixAsked
Ask = Callable[[Question], None]
"""Hands a question to the front end, from any thread."""
