"""Sends documents to a cluster in waves: no retry loop, no fixed sleep, nothing sent twice but what a webhook refused."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kfinstall.apply import claims, gates
from kfinstall.apply.limits import KUBEFLOW_LEAVING_TIMEOUT_SECONDS
from kfinstall.apply.stamp import stamped
from kfinstall.apply.waves import ADMISSION, IN_ORDER, Gate, Item, Wave, split
from kfinstall.diagnose import reasons
from kfinstall.diagnose.known import Planned
from kfinstall.diagnose.workloads import EXPLAIN_EVERY_SECONDS, HOPELESS_SECONDS, Telling, wait_explained
from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.base import Applied, Cluster, Document, NotReady, Ref

Say = Callable[[str], None]
Count = Callable[[int, int, str], None]
"""(sent, of how many, of which wave; of all if empty): called now and then."""
_COUNT_EVERY = 10
_APIEXTENSIONS: Final = "apiextensions.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, and how long."""

    at_once: int = 8
    """Requests under way; the API server is the limit, more of them gain nothing."""
    gate_seconds: float = 1800
    """How long one gate may stay shut: images are pulled meanwhile."""
    leaving_seconds: float = KUBEFLOW_LEAVING_TIMEOUT_SECONDS
    """How long what was deleted may take to go away: a namespace of an earlier try, a claim that a pod uses."""
    object_seconds: float = 180
    """How long one object is tried while a webhook refuses it."""
    explain_seconds: float = EXPLAIN_EVERY_SECONDS
    """How often it is found out why gates stay shut."""
    hopeless_seconds: float = HOPELESS_SECONDS
    """How long a reason is looked at that waiting never ends."""


@dataclass(slots=True)
class ApplyResult:
    """What was sent and what that did."""

    applied: dict[Ref, Applied] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def changed(self) -> int:
        """How many objects were made or changed."""
        return sum(1 for applied in self.applied.values() if applied.changed)


class _Sender:
    def __init__(self, cluster: Cluster, say: Say, limits: Limits) -> None:
        self.cluster = cluster
        self.say = say
        self.limits = limits
        self.count: Count | None = None
        self.items: Sequence[Item] = ()
        self.leaving: frozenset[Ref] = frozenset()
        self.total = 0
        self.result = ApplyResult()
        self.of_wave: Counter[Wave] = Counter()
        self._sent: Counter[Wave] = Counter()
        self._slots = asyncio.Semaphore(limits.at_once)
        self._gates: dict[Gate, asyncio.Task[None]] = {}

    async def send(self, item: Item) -> None:
        await self._settled(item)
        try:
            async with self._slots:
                document = await self._as_taken(item)
                applied = await self.cluster.apply(document, timeout_seconds=self.limits.object_seconds)
        except CommandError as error:
            raise await gates.refusal(self.cluster, item.ref, error, self.planned()) from error
        self.result.applied[item.ref] = applied
        self._tell(item.wave)
        if applied.conflicts:
            self.say(f"{item.ref}: took over fields of {', '.join(applied.conflicts)}")

    async def _as_taken(self, item: Item) -> Document:
        """What is sent: stamped as what is wanted, and a claim that is there with the spec that it has."""
        document = stamped(item.document)
        if item.ref.kind != claims.CLAIM:
            return document
        kept = claims.kept(document, await self.cluster.get(item.ref))
        if claims.size(kept) != claims.size(document):
            self.say(f"{item.ref} keeps its size of {claims.size(kept)} ({claims.size(document)} is asked for)")
        return kept

    def _tell(self, wave: Wave) -> None:
        self._sent[wave] += 1
        if self.count is None:
            return
        sent, of_wave = len(self.result.applied), self.of_wave[wave]
        if sent % _COUNT_EVERY == 0 or sent == self.total:
            self.count(sent, self.total, "")
        if self._sent[wave] % _COUNT_EVERY == 0 or self._sent[wave] == of_wave:
            self.count(self._sent[wave], of_wave, wave)

    async def send_all(self, items: Sequence[Item]) -> None:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(self.send(item))

    async def _settled(self, item: Item) -> None:
        """Wait for what an earlier try left to go away: in a namespace that ends nothing can be made, and what was deleted goes."""
        if item.wave is Wave.NAMESPACES or item.ref in self.leaving:
            await wait_explained(
                self.cluster, item.ref, reasons.leaving_waiting, timeout_seconds=self.limits.leaving_seconds, say=self.say
            )

    async def behind(self, gates: tuple[Gate, ...], items: Sequence[Item]) -> None:
        """The items that wait for the same gates, once those are open."""
        for gate in gates:
            await self._open(gate)
        await self.send_all(items)

    def watch(self, gates: Sequence[Gate], group: asyncio.TaskGroup) -> None:
        """Wait for every gate at the same time, each once, whoever needs it."""
        for gate in gates:
            if gate not in self._gates:
                self._gates[gate] = group.create_task(self._pass(gate))

    def planned(self) -> Planned:
        """What is still to be sent."""
        return gates.planned(item for item in self.items if item.ref not in self.result.applied)

    def shut(self) -> list[Gate]:
        """The gates that are waited for."""
        return [gate for gate, task in self._gates.items() if not task.done()]

    async def _open(self, gate: Gate) -> None:
        await asyncio.shield(self._gates[gate])

    async def _pass(self, gate: Gate) -> None:
        begin = time.monotonic()
        try:
            for ref, probe in _probes(gate):
                await self.cluster.wait(ref, probe, timeout_seconds=self.limits.gate_seconds, say=lambda _text: None)
        except StepTimeoutError as error:
            late = f"{gate} was not ready within {self.limits.gate_seconds:.0f} s"
            raise await gates.stayed_shut(self.cluster, gate, self.planned(), late, error) from error
        if gate.kind != "definition":
            self.say(f"{gate} is ready after {time.monotonic() - begin:.0f} s")


def _probes(gate: Gate) -> list[tuple[Ref, Callable[[Document | None], NotReady | None]]]:
    if gate.kind == "definition":
        return [(Ref(_APIEXTENSIONS, "CustomResourceDefinition", gate.name), reasons.workload_waiting)]
    if gate.kind == "namespace":
        return [(Ref("v1", "Namespace", gate.name), reasons.made_waiting)]
    namespace, service = gate.service
    return [
        (Ref("v1", "Endpoints", service, namespace), reasons.endpoints_waiting),
        (Ref(ADMISSION, gate.configuration, gate.name), lambda document: reasons.bundle_waiting(document, gate.service)),
    ]


async def apply_waves(
    cluster: Cluster,
    documents: Sequence[Document],
    say: Say,
    limits: Limits | None = None,
    *,
    present: frozenset[Ref] = frozenset(),
    leaving: frozenset[Ref] = frozenset(),
    count: Count | None = None,
) -> ApplyResult:
    """Send all documents but those in `present`, each as soon as the API server can take it.

    `leaving`: objects that were deleted and are still there; they are gone before they are made anew.

    Raises:
        StepTimeoutError: a gate stayed shut; with the reason.
        CommandError: the server refused an object for good.
    """
    begin = time.monotonic()
    sender = _Sender(cluster, say, limits or Limits())
    items = [item for item in split(documents) if item.ref not in present]
    sender.items, sender.leaving, sender.count, sender.total = items, leaving, count, len(items)
    sender.of_wave.update(item.wave for item in items)
    hooked = {gate for item in items if item.wave is Wave.HOOKED_WORKLOADS for gate in item.gates}
    try:
        telling = Telling(say, sender.limits.hopeless_seconds)
        reporting = gates.reporting(cluster, sender.shut, sender.planned, telling, every_seconds=sender.limits.explain_seconds)
        async with reporting, asyncio.TaskGroup() as group:
            # Looked at from the beginning: what is behind these gates takes the longest way to be ready.
            sender.watch(sorted(hooked), group)
            for wave in IN_ORDER:
                ready = [item for item in items if item.wave is wave]
                if ready:
                    await sender.send_all(ready)
                    say(f"{wave}: {len(ready)} sent ({time.monotonic() - begin:.0f} s)")
            _gated(sender, [item for item in items if item.wave not in IN_ORDER], group)
    except BaseExceptionGroup as several:
        raise _first(several) from None
    sender.result.seconds = time.monotonic() - begin
    return sender.result


def _gated(sender: _Sender, items: Sequence[Item], group: asyncio.TaskGroup) -> None:
    """Send the items that wait for the same gates once those are open."""
    bundles: dict[tuple[Gate, ...], list[Item]] = {}
    for item in items:
        bundles.setdefault(item.gates, []).append(item)
    for needed in bundles:
        sender.watch(needed, group)
    for needed, behind in bundles.items():
        group.create_task(sender.behind(needed, behind))


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that is no consequence of another."""
    for error in several.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return several
