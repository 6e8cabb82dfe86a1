"""What a step gets to work with: its target's view, scripts, the cluster, secrets, and a voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kfinstall import resources
from kfinstall.engine.fleet import Fleet
from kfinstall.engine.programs import failed, step_program
from kfinstall.engine.secret_store import SecretStore
from kfinstall.engine.step import Step, View
from kfinstall.events import EventBus, OutputLine, Progress
from kfinstall.kube.base import Cluster
from kfinstall.secrets import Secret
from kfinstall.transport.base import Completed, Host, Program


@dataclass(frozen=True, slots=True)
class Context:
    """The ApplyContext of one step on one target (see kfinstall.engine.step)."""

    step: Step
    view: View
    fleet: Fleet
    bus: EventBus
    secrets: SecretStore

    def say(self, text: str) -> None:
        """Show one line in the target's pane."""
        self.bus.emit(OutputLine(step=self.step.id, target=self.view.target, text=text))

    def progress(self, label: str, done: int, total: int, waiting: Sequence[str] = (), *, part: str = "") -> None:
        """Tell how far a count has come."""
        step, target = self.step.id, self.view.target
        self.bus.emit(Progress(step=step, target=target, label=label, done=done, total=total, waiting=tuple(waiting), part=part))

    def host(self, name: str) -> Host:
        """The connection to a node."""
        return self.fleet.hosts[name]

    async def cluster(self) -> Cluster:
        """The Kubernetes API."""
        return await self.fleet.cluster()

    async def secret(self, name: str) -> Secret:
        """A secret by its name."""
        return await self.secrets.secret(name)

    async def next_value(self, name: str) -> Secret:
        """The value that is to take the place of a generated secret."""
        return await self.secrets.next_value(name)

    async def commit(self, name: str) -> None:
        """Put the successor in its place."""
        await self.secrets.commit(name)

    def register(self, secret: Secret) -> Secret:
        """Make a secret of one use known to the redactor."""
        return self.secrets.register(secret)

    async def run_script(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        on: str = "",
        stdin: Secret | None = None,
        timeout_seconds: float | None = None,
    ) -> Completed:
        """Run the script of that name detached; its lines appear in the target's pane.

        Raises:
            CommandError: it ended with another status than 0.
        """
        node = on or self.view.script_node
        limit = timeout_seconds or self.step.timeout_seconds
        done = await self.host(node).run(step_program(name, parameters, stdin), timeout_seconds=limit, on_line=self.say)
        if done.status != 0:
            raise failed(name, node, done)
        return done

    async def ask_script(
        self, name: str, parameters: Mapping[str, str], *, on: str = "", stdin: Secret | None = None, timeout_seconds: float = 60
    ) -> Completed:
        """Run the question of that name (resources.ask_script) in one exec, and give what it printed."""
        program = Program("ask", name, resources.script(resources.ask_script(name)), parameters, stdin)
        return await self.host(on or self.view.script_node).ask(program, timeout_seconds=timeout_seconds)
