"""Waits for many workloads at once, and says why those that are not ready are not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kfinstall.cluster.base import Cluster, Document, Ref, Waiting, Want
from kfinstall.cluster.reasons import event_waiting, pod_waiting, roots, workload_waiting
from kfinstall.errors import KfError, StepTimeoutError

_LOOK_SECONDS: Final = 2.0
_EXPLAIN_EVERY_SECONDS: Final = 10.0
_SHOWN_BLOCKED: Final = 3
_SHOWN_ROOTS: Final = 5
Count = Callable[[int, int, Sequence[str]], None]
"""(available, of how many, why the first few are not)."""
_HOPELESS_SECONDS: Final = 120.0
"""How long a reason that waiting never ends is looked at, in case a registry or mirror is just being filled."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What explains a workload that is not ready: pods, their owners, events, claims of the same namespaces."""

    pods: Sequence[Document] = ()
    replica_sets: Sequence[Document] = ()
    events: Sequence[Document] = ()
    claims: Sequence[Document] = ()
    last_logs: Mapping[Ref, str] = field(default_factory=dict)
    """Pod to the last line of its crashing container's log."""


def explain(workload: Document, around: Surroundings) -> Waiting | None:
    """The root reason why a workload is not ready, found along its owners; None where it is ready."""
    waiting = workload_waiting(workload)
    if waiting is None:
        return None
    ref = Ref.of(workload)
    owners = {_uid(workload)} | {_uid(item) for item in around.replica_sets if _owned(item, {_uid(workload)})}
    for pod in around.pods:
        if _owned(pod, owners):
            claims = {Ref.of(claim).name: claim for claim in around.claims if Ref.of(claim).namespace == ref.namespace}
            names = {("Pod", Ref.of(pod).name), *(("PersistentVolumeClaim", name) for name in claims)}
            events = [event for event in around.events if _about(event, ref.namespace, names)]
            found = pod_waiting(pod, events=events, claims=claims, last_log=around.last_logs.get(Ref.of(pod), ""))
            if found:
                return found
    makers = {("ReplicaSet", Ref.of(item).name) for item in around.replica_sets if _owned(item, {_uid(workload)})}
    makers.add((ref.kind, ref.name))
    for event in reversed(around.events):
        found = event_waiting(str(event.get("message") or "")) if _about(event, ref.namespace, makers) else None
        if found:
            return found
    return waiting


def _uid(document: Document) -> str:
    return str((document.get("metadata") or {}).get("uid") or "")


def _owned(document: Document, owners: set[str]) -> bool:
    return any(owner.get("uid") in owners for owner in (document.get("metadata") or {}).get("ownerReferences") or [])


def _about(event: Document, namespace: str, names: Collection[tuple[str, str]]) -> bool:
    """Whether an event is about one of these (kind, name): a claim may be called as its Deployment is."""
    target = event.get("involvedObject") or {}
    return target.get("namespace", namespace) == namespace and (target.get("kind"), target.get("name")) in names


async def _lists(cluster: Cluster, refs: Iterable[Ref]) -> dict[Ref, Document]:
    wants = sorted({(ref.api_version, ref.kind) for ref in refs})
    found = await asyncio.gather(*(cluster.list(Want(version, kind)) for version, kind in wants))
    return {Ref.of(document): document for documents in found for document in documents}


async def _surroundings(cluster: Cluster, namespaces: Iterable[str]) -> Surroundings:
    """Pods and what belongs to them, of the namespaces that have something to explain."""
    kinds = (("v1", "Pod"), ("apps/v1", "ReplicaSet"), ("v1", "Event"), ("v1", "PersistentVolumeClaim"))
    wants = [Want(version, kind, namespace) for namespace in sorted(namespaces) for version, kind in kinds]
    lists = dict(zip(wants, await asyncio.gather(*(cluster.list(want) for want in wants)), strict=True))

    def of(kind: str) -> list[Document]:
        return [document for want, documents in lists.items() if want.kind == kind for document in documents]

    pods = of("Pod")
    return Surroundings(pods, of("ReplicaSet"), of("Event"), of("PersistentVolumeClaim"), await _last_logs(cluster, pods))


async def _last_logs(cluster: Cluster, pods: Sequence[Document]) -> dict[Ref, str]:
    found: dict[Ref, str] = {}
    for pod in pods:
        ref = Ref.of(pod)
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            if ((status.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff":
                try:
                    lines = await cluster.logs(ref.namespace, ref.name, container=str(status.get("name")), tail_lines=5)
                except KfError:  # it explains; without it the exit status has to do
                    continue
                found[ref] = next((line for line in reversed(lines) if line.strip()), "")
    return found


async def why_not(cluster: Cluster, refs: Iterable[Ref]) -> dict[Ref, Waiting]:
    """The root reason for each of these workloads that is not ready."""
    wanted = tuple(refs)
    live = await _lists(cluster, wanted)
    open_ = {ref: live.get(ref) for ref in wanted if workload_waiting(live.get(ref)) is not None}
    around = await _surroundings(cluster, {ref.namespace for ref in open_}) if open_ else Surroundings()
    reasons: dict[Ref, Waiting] = {}
    for ref, document in open_.items():
        waiting = explain(document, around) if document else workload_waiting(None)
        if waiting:
            reasons[ref] = waiting
    return reasons


async def wait_available(
    cluster: Cluster,
    refs: Iterable[Ref],
    *,
    timeout_seconds: float,
    say: Callable[[str], None],
    hopeless_seconds: float = _HOPELESS_SECONDS,
    count: Count | None = None,
) -> None:
    """Wait until all workloads are available; each root cause is said once, with what it blocks and since when.

    Raises:
        StepTimeoutError: with the reasons, the most blocking one first, and its remedy; before its time where a reason
            that waiting never ends stays for `hopeless_seconds`.
    """
    wanted = tuple(refs)
    begin = time.monotonic()
    explained = begin
    said: set[str] = set()
    hopeless: dict[str, float] = {}
    available = -1
    while True:
        live = await _lists(cluster, wanted)
        open_ = [ref for ref in wanted if workload_waiting(live.get(ref)) is not None]
        now = time.monotonic()
        if len(wanted) - len(open_) != available:
            available = len(wanted) - len(open_)
            say(f"{available} of {len(wanted)} workloads are available ({now - begin:.0f} s)")
            if count is not None:
                count(available, len(wanted), ())
        if not open_:
            return
        if now - explained >= min(_EXPLAIN_EVERY_SECONDS, hopeless_seconds) or now - begin >= timeout_seconds:
            explained = now
            found = roots(await why_not(cluster, open_))
            for waiting, blocked in found:
                if waiting.reason not in said:
                    said.add(waiting.reason)
                    say(_line(waiting, blocked, now - begin))
            if count is not None:
                count(available, len(wanted), [_line(waiting, blocked, now - begin) for waiting, blocked in found[:_SHOWN_ROOTS]])
            hopeless = {waiting.reason: hopeless.get(waiting.reason, now) for waiting, _blocked in found if waiting.hopeless}
            lost = any(now - since >= hopeless_seconds for since in hopeless.values())
            if lost or now - begin >= timeout_seconds:
                raise _late(found, len(open_), now - begin)
        await asyncio.sleep(min(_LOOK_SECONDS, max(timeout_seconds - (now - begin), 0.0)))


def _names(blocked: Sequence[Ref]) -> str:
    names = ", ".join(f"{ref.namespace}/{ref.name}" for ref in blocked[:_SHOWN_BLOCKED])
    more = len(blocked) - _SHOWN_BLOCKED
    return names + (f" and {more} more" if more > 0 else "")


def _line(waiting: Waiting, blocked: Sequence[Ref], seconds: float) -> str:
    remedy = f"; {waiting.remedy}" if waiting.remedy else ""
    return f"{_names(blocked)} since {seconds:.0f} s: {waiting.reason}{remedy}"


def _late(found: Sequence[tuple[Waiting, list[Ref]]], count: int, timeout_seconds: float) -> StepTimeoutError:
    why = "\n".join(f"{_names(blocked)}: {waiting.reason}" for waiting, blocked in found[:8])
    hint = next((waiting.remedy for waiting, _blocked in found if waiting.remedy), "kubectl get pods -A | grep -v Running")
    return StepTimeoutError(f"{count} workloads were not available within {timeout_seconds:.0f} s", why=why, hint=hint)
