"""A look at one server while its row is being filled in: host key, login, sudo, and what it is made of. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kfinstall.answers.model import Answers
from kfinstall.engine.fleet import Fleet, OpenCluster
from kfinstall.engine.secret_store import Resolve, SecretStore
from kfinstall.facts.model import Facts
from kfinstall.releases import load as load_release
from kfinstall.secrets import Redactor
from kfinstall.transport.base import Host, HostKeyQuestion, LoginListener, LoginNote
from kfinstall.transport.connect import connect_node
from kfinstall.transport.keyring import KeyRing
from kfinstall.transport.tuning import Limits
from kfinstall.workflows.installation import PHASES

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Visitor:
    """How to get into a server outside of a run."""

    pins: Path
    """Where accepted host keys are kept."""
    resolve: Resolve
    open_cluster: OpenCluster
    question: HostKeyQuestion | None
    dial: Mapping[str, tuple[str, int]]
    patience: Limits
    keys: KeyRing
    node_keys: tuple[str, ...] = ()
    """Key files that are written for single nodes: no jump host is offered one of them."""

    async def visit(
        self,
        answers: Answers,
        name: str,
        task: Callable[[Fleet, Host], Awaitable[Found]],
        tell: LoginListener | None = None,
    ) -> Found:
        """Log in to one node of the answers, do the task, and leave; `tell` hears each stage as it is passed.

        Raises:
            KfError: says what stands in the way: address, host key, login (with what was tried), sudo.
        """
        fleet = Fleet(answers, load_release(answers.cluster.release), PHASES, self.open_cluster)
        secrets = SecretStore(answers, self.resolve, Redactor(), fleet.cluster)
        try:
            host = await connect_node(
                answers.node(name),
                answers.ssh,
                secrets,
                pins=self.pins,
                on_unknown_key=self.question,
                dial=self.dial.get(name),
                keys=self.keys,
                limits=self.patience,
                tell=tell,
                node_keys=self.node_keys,
            )
            fleet.hosts[name] = host
            found = await task(fleet, host)
            if tell is not None:
                # Becoming root is part of the first program that runs there.
                tell(LoginNote("the node", "root"))
            return found
        finally:
            await fleet.close()

    async def facts(self, answers: Answers, name: str, tell: LoginListener | None = None) -> Facts:
        """Read a node's facts (see `visit`)."""

        async def read(fleet: Fleet, host: Host) -> Facts:
            return await fleet.read_node(host.name)

        return await self.visit(answers, name, read, tell)


def heard_here(tell: LoginListener | None) -> LoginListener | None:
    """The listener, called in the loop of now instead of the engine's."""
    if tell is None:
        return None
    here, hear = asyncio.get_running_loop(), tell

    def hand_over(note: LoginNote) -> None:
        # The front end may be gone, its loop closed, while the engine still logs in.
        with suppress(RuntimeError):
            here.call_soon_threadsafe(hear, note)

    return hand_over
