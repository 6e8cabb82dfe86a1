"""Why gates of the waves stay shut: 'Service a has no endpoints because Deployment b: image ...', said once while they do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from kfinstall.apply.waves import ADMISSION, Gate, Item
from kfinstall.diagnose import roots
from kfinstall.diagnose.known import Known, Planned, explained
from kfinstall.diagnose.roots import Root
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.diagnose.walk_webhooks import hook_cause
from kfinstall.diagnose.workloads import Telling, too_late
from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.base import Cluster, Ref

_HOOK: Final = re.compile(r'failed calling webhook "([^"]+)"')


def planned(items: Iterable[Item]) -> Planned:
    """What is still to be sent, with the Services behind the webhooks that it waits for."""

    def needs(item: Item) -> tuple[Ref, ...]:
        return tuple(Ref("v1", "Service", gate.service[1], gate.service[0]) for gate in item.gates if gate.kind == "webhook")

    return {item.ref: (item.document, needs(item)) for item in items}


async def why_shut(cluster: Cluster, gates: Sequence[Gate], to_come: Planned) -> list[Root]:
    """The causes of webhooks that can't be called, each once, with the chain from the webhook to it."""
    refs = {Ref(ADMISSION, gate.configuration, gate.name): gate for gate in gates if gate.kind == "webhook"}
    return await explained(cluster, lambda known: roots.find(known, refs, whole=True), Known(planned=to_come))


@asynccontextmanager
async def reporting(
    cluster: Cluster, shut: Callable[[], list[Gate]], to_come: Callable[[], Planned], telling: Telling, *, every_seconds: float
) -> AsyncIterator[None]:
    """While the body runs, look every so often why gates stay shut, and say it.

    Raises:
        BaseExceptionGroup: of a StepTimeoutError where waiting never ends it, or of the body's own.
    """

    async def look() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            gates = shut()
            found = [root for root in await why_shut(cluster, gates, to_come()) if not root.vague] if gates else []
            telling.tell(found)
            if telling.lost:
                lost = [root for root in found if root.waiting.hopeless]
                raise too_late(f"webhooks can't come up ({len(gates)} gates are shut since {telling.seconds:.0f} s)", lost)

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        yield
        looking.cancel()


async def stayed_shut(cluster: Cluster, gate: Gate, to_come: Planned, message: str, error: StepTimeoutError) -> StepTimeoutError:
    """The error for a gate that stayed shut: the root cause, where one is found."""
    found = await why_shut(cluster, [gate], to_come)
    if not found:
        return StepTimeoutError(message, why=error.why, hint=error.hint)
    return StepTimeoutError(message, why=found[0].waiting.reason, hint=found[0].waiting.hint or error.hint)


async def refusal(cluster: Cluster, ref: Ref, error: CommandError, to_come: Planned) -> CommandError:
    """The error for an object that was refused: with the reason why its webhook can't be called, where that is it."""
    hook = _HOOK.search(error.why)
    if hook is None:
        return error

    def ask(known: Known) -> Cause:
        return hook_cause(Walk(known, roots.RULES), ref, hook[1], error.why)

    found = (await explained(cluster, ask, Known(planned=to_come))).waiting
    return CommandError(error.message, why=f"{error.why}\n{found.reason}", hint=found.hint or error.hint, status=error.status)
