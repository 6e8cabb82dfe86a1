"""Applies documents in waves and keeps the inventory of them, before the first is sent and when all of them are available."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.apply.send import apply_waves
from kfinstall.apply.stamp import content
from kfinstall.apply.waves import split
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.workloads import Count, wait_available
from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Cluster, ClusterFacts, Document, ListQuery, Ref
from kfinstall.parts.kubeflow import inventory, limits
from kfinstall.parts.kubeflow.inventory import Inventory


class RecordedObjectsStep(ObjectsStep):
    """Its documents are rendered on a node, so that it knows only from its inventory which there are: none of them is in `documents`."""

    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_APPLY_TIMEOUT_SECONDS
    lists: ClassVar[tuple[ListQuery, ...]] = inventory.wants()
    at: ClassVar[Ref]
    """The ConfigMap of its inventory."""

    def first(self, view: View) -> tuple[str, ...]:
        """What is to be done where nothing was applied from these inputs, one line each."""
        raise NotImplementedError

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """Every applied object is as it was applied, and every workload is available."""
        known = inventory.read(view.cluster, self.at)
        if view.cluster is None or known.source != self.fingerprint(view):
            return self.first(view)
        return tuple(to_do(known, view.cluster))

    def applied(self, view: View, what: str) -> str:
        """The evidence, by what its objects are of or in."""
        known = inventory.read(view.cluster, self.at)
        return f"{len(known.objects)} objects {what} are as applied, {len(workloads(known.objects))} workloads are available"


def to_do(known: Inventory, cluster: ClusterFacts) -> list[str]:
    """One line for each recorded object that is missing or was changed, and for each workload that is not available."""
    changes = known.outstanding(cluster)
    for ref in workloads(known.objects):
        waiting = workload_waiting(cluster.objects.get(ref))
        if waiting and ref in cluster.objects:
            changes.append(f"wait for {ref}: {waiting.reason}")
    return changes


def workloads(refs: Iterable[Ref]) -> list[Ref]:
    """Those that become available."""
    return [ref for ref in refs if (ref.api_version, ref.kind) in inventory.WORKLOADS]


def present(documents: Sequence[Document], live: ClusterFacts, at: Ref) -> frozenset[Ref]:
    """Those of the documents that the cluster holds as wanted."""
    return inventory.read(live, at).present(live, {Ref.of(document): content(document) for document in documents})


async def put(
    context: ApplyContext,
    cluster: Cluster,
    documents: Sequence[Document],
    live: ClusterFacts,
    *,
    at: Ref,
    source: str,
    sent: Sequence[Document] = (),
    folders: Mapping[Ref, str] | None = None,
) -> None:
    """Send what differs from what the cluster has, wait until all workloads are available, and keep the record at `at`.

    The record is written first, without its source: what a killed run sent can be told, and uninstalled. `sent`: what the
    caller sends itself, with its values, and is only recorded here, without them. `folders`: which one each is from.

    Raises:
        KfError: the cluster refused something, or a workload does not become available; with the root reason.
    """
    wanted = {Ref.of(document): content(document) for document in (*documents, *sent)}
    known, there = inventory.read(live, at), present(documents, live, at)
    context.say(f"{len(documents)} objects; {len(there)} are there as wanted")
    served = inventory.served_by(documents)
    fields = {ref: hashes[1] for ref in there if (hashes := inventory.live_hashes(live.objects.get(ref)))}

    async def record(named: str) -> None:
        objects = {ref: (digest, fields.get(ref, "")) for ref, digest in wanted.items()}
        await cluster.apply(known.followed_by(named, objects, served, folders).document(at))

    await cluster.apply(secret_store.namespace())
    await record("")
    result = await apply_waves(
        cluster,
        documents,
        context.say,
        present=there,
        leaving=inventory.leaving(live),
        count=lambda done, total, wave: context.progress("objects applied", done, total, part=wave),
    )
    context.say(f"{len(result.applied)} objects sent in {result.seconds:.0f} s, {result.changed} made or changed")
    await wait_available(
        cluster,
        workloads(wanted),
        timeout_seconds=limits.KUBEFLOW_AVAILABLE_TIMEOUT_SECONDS,
        say=context.say,
        count=_counting(context, documents, workloads(wanted)),
    )
    fields |= {ref: done.fields for ref, done in result.applied.items()}
    await record(source)


def _counting(context: ApplyContext, documents: Sequence[Document], wanted: Sequence[Ref]) -> Count:
    """Tells how many workloads are ready, of all and of each wave."""
    waves: dict[str, list[Ref]] = {}
    for item in split(documents):
        if item.ref in wanted:
            waves.setdefault(item.wave, []).append(item.ref)

    def count(not_ready: Sequence[Ref], why: Sequence[str]) -> None:
        late = set(not_ready)
        for wave, refs in waves.items():
            context.progress("workloads ready", len(refs) - len(late.intersection(refs)), len(refs), part=wave)
        context.progress("workloads ready", len(wanted) - len(late), len(wanted), why)

    return count
