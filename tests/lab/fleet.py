"""Steps on real nodes without the whole engine around them: read facts, check, apply, and a hand on the nodes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfinstall import releases, resources
from kfinstall.answers.model import Answers, Node
from kfinstall.engine.programs import failed, step_program
from kfinstall.engine.step import Check, Step, View
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.kube.base import Cluster
from kfinstall.releases import Artifact
from kfinstall.secrets import Secret
from kfinstall.transport.base import Completed, Host, Program
from kfinstall.transport.connect import connect_node
from tests.fakes.sshd import Known
from tests.lab.nodes import Lab


@dataclass
class Fleet:
    """Connected nodes node1, node2 ..., the answers about them, and the secrets that steps ask for."""

    answers: Answers
    hosts: Mapping[str, Host]
    secrets: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    ran: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)
    """Scripts that were run: name, parameters, standard input."""
    downloads: Mapping[str, Artifact] = field(default_factory=dict)
    """What is fetched from a site of the lab instead of the release's."""

    async def view(self, step: Step, name: str) -> View:
        """The target's facts, and those of the registry's node, which other nodes' steps look at."""
        answers = self.answers
        reads = queries(step.reads, answers)
        release = releases.load(answers.cluster.release)
        release = release.model_copy(update={"artifacts": {**release.artifacts, **self.downloads}})
        facts = {}
        for node in {name, answers.registry_node.name} & set(self.hosts):
            mark = secrets.token_hex(8)
            done = await self.hosts[node].ask(
                facts_program(step.watch(View(answers, release, name)), reads, mark), timeout_seconds=120
            )
            facts[node] = parse_facts(node, mark, "\n".join(done.lines), time.time(), reads)
        return View(answers, release, name, facts)

    async def check(self, step: Step, name: str) -> Check:
        return step.check(await self.view(step, name))

    async def apply(self, step: Step, name: str) -> None:
        await step.apply(Context(self, await self.view(step, name)))

    async def shell(self, name: str, text: str, *, timeout_seconds: float = 300) -> str:
        """A hand on a node; what it printed. Fails where the hand did."""
        done = await self.hosts[name].ask(Program("ask", "test", f"exec 2>&1\n{text}"), timeout_seconds=timeout_seconds)
        assert done.status == 0, done.lines[-20:]
        return "\n".join(done.lines)


@dataclass
class Context:
    """What a step may do, on a fleet without a cluster."""

    fleet: Fleet
    view: View

    def say(self, text: str) -> None:
        self.fleet.lines.append(text)

    def host(self, name: str) -> Host:
        return self.fleet.hosts[name]

    async def cluster(self) -> Cluster:
        raise NotImplementedError

    async def secret(self, name: str) -> Secret:
        return Secret(self.fleet.secrets[name])

    def register(self, secret: Secret) -> Secret:
        return secret

    async def run_script(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        on: str = "",
        stdin: Secret | None = None,
        timeout_seconds: float | None = None,
    ) -> Completed:
        target = on or self.view.target
        program = step_program(name, parameters, stdin)
        self.fleet.ran.append((name, parameters, "" if stdin is None else stdin.reveal()))
        done = await self.host(target).run(program, timeout_seconds=timeout_seconds or 600, on_line=self.say)
        if done.status != 0:
            raise failed(name, target, done)
        return done

    async def ask_script(self, name: str, parameters: Mapping[str, str], *, on: str = "", timeout_seconds: float = 60) -> Completed:
        program = Program("ask", name, resources.script(resources.ask_script(name)), parameters)
        return await self.host(on or self.view.target).ask(program, timeout_seconds=timeout_seconds)


@asynccontextmanager
async def fleet(lab: Lab, folder: Path, *, numbers: Sequence[int] = (), **sections: Any) -> AsyncIterator[Fleet]:
    """Nodes of the lab, connected, all unless `numbers` says which; `sections` are the answers beside nodes and ssh."""
    chosen = numbers or range(1, len(lab.addresses) + 1)
    nodes = [{"name": f"node{number}", "address": lab.address(number)} for number in chosen]
    ssh = {"user": "kfadmin", "agent": False, "keys": [lab.key], "useSshConfig": False}
    answers = Answers.model_validate({"nodes": nodes, "ssh": ssh, "spark": {"enabled": False}} | sections)
    places = {"pins": folder / "pins", "user_known_hosts": folder / "none"}
    async with AsyncExitStack() as stack:

        async def entered(node: Node) -> Host:
            host = await connect_node(node, answers.ssh, Known(), accept_new=True, **places)
            stack.push_async_callback(host.close)
            return host

        found = await asyncio.gather(*map(entered, answers.nodes))
        yield Fleet(answers, {node.name: host for node, host in zip(answers.nodes, found, strict=True)})
