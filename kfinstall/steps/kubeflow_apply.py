"""kubeflow.apply: the rendered documents go on in waves, and every workload becomes available."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from kfinstall import limits, secret_store
from kfinstall.answers.model import Answers
from kfinstall.apply_waves import apply_waves
from kfinstall.cluster.base import Document, Ref, Want
from kfinstall.cluster.reasons import workload_waiting
from kfinstall.cluster.workloads import Count, wait_available
from kfinstall.kubeflow import choice, inventory, own
from kfinstall.stamp import content
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.waves import clean_document, split, without_stray_namespaces

_SHOWN_CHANGES = 12


class KubeflowApply(Step):
    """No loop, no fixed sleep: each object as soon as the API server can take it, and nothing that is there already."""

    id: ClassVar[str] = "kubeflow.apply"
    title: ClassVar[str] = "Put Kubeflow on the cluster"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_APPLY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 600

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The inventory of what was applied, and the metadata of all kinds that Kubeflow has."""
        return inventory.wants()

    def parameters(self, view: View) -> Mapping[str, str]:
        """What the documents are made from."""
        return {"RENDERING": choice.key(view), "SETTINGS": own.applied(view.answers)}

    def check(self, view: View) -> Check:
        """Every applied object is as it was applied, and every workload is available."""
        tag, parts = choice.row(view.release).tag, len(choice.components(view.answers, view.release))
        known = inventory.read(view.cluster)
        if view.cluster is None or known.source != _source(self, view):
            return Needed((f"apply {parts} components of Kubeflow {tag} in waves", "wait until all workloads are available"))
        changes = known.outstanding(view.cluster)
        workloads = [ref for ref in known.objects if (ref.api_version, ref.kind) in inventory.WORKLOADS]
        for ref in workloads:
            waiting = workload_waiting(view.cluster.objects.get(ref))
            if waiting and ref in view.cluster.objects:
                changes.append(f"wait for {ref}: {waiting.reason}")
        if changes:
            more = len(changes) - _SHOWN_CHANGES
            return Needed((*changes[:_SHOWN_CHANGES], *((f"and {more} more",) if more > 0 else ())))
        return Satisfied(f"{len(known.objects)} objects of Kubeflow {tag} are as applied, {len(workloads)} workloads are available")

    async def apply(self, context: ApplyContext) -> None:
        """Fetch, transform, send what differs, wait, and keep the inventory."""
        view, cluster = context.view, await context.cluster()
        fetched, live = await asyncio.gather(choice.fetch(context), cluster.snapshot(inventory.wants()))
        rendered = own.own_values(fetched, view.answers)
        documents = without_stray_namespaces([clean_document(document) for document in rendered])
        wanted = {Ref.of(document): content(document) for document in documents}
        known = inventory.read(live)
        present = known.present(live, wanted)
        context.say(f"{len(documents)} objects; {len(present)} are there as wanted")
        served = inventory.served_by(documents)
        fields = {ref: hashes[1] for ref in present if (hashes := inventory.live_hashes(live.objects.get(ref)))}
        # Written first, without a source: what a killed run sent can be told, and uninstalled.
        await cluster.apply(secret_store.namespace())
        begun = {ref: (digest, fields.get(ref, "")) for ref, digest in wanted.items()}
        await cluster.apply(known.followed_by("", begun, served).document())
        result = await apply_waves(
            cluster,
            documents,
            context.say,
            present=present,
            count=lambda done, total, wave: context.progress("objects applied", done, total, part=wave),
        )
        context.say(f"{len(result.applied)} objects sent in {result.seconds:.0f} s, {result.changed} made or changed")
        workloads = [ref for ref in wanted if (ref.api_version, ref.kind) in inventory.WORKLOADS]
        await wait_available(
            cluster,
            workloads,
            timeout_seconds=limits.KUBEFLOW_AVAILABLE_TIMEOUT_SECONDS,
            say=context.say,
            count=_counting(context, documents, workloads),
        )
        fields |= {ref: done.fields for ref, done in result.applied.items()}
        objects = {ref: (digest, fields.get(ref, "")) for ref, digest in wanted.items()}
        await cluster.apply(known.followed_by(_source(self, view), objects, served).document())


def _counting(context: ApplyContext, documents: Sequence[Document], workloads: Sequence[Ref]) -> Count:
    """Tells how many workloads are ready, of all and of each wave."""
    waves: dict[str, list[Ref]] = {}
    wanted = set(workloads)
    for item in split(documents):
        if item.ref in wanted:
            waves.setdefault(item.wave, []).append(item.ref)

    def count(not_ready: Sequence[Ref], why: Sequence[str]) -> None:
        late = set(not_ready)
        for wave, refs in waves.items():
            context.progress("workloads ready", len(refs) - len(late.intersection(refs)), len(refs), part=wave)
        context.progress("workloads ready", len(workloads) - len(late), len(workloads), why)

    return count


def _source(step: Step, view: View) -> str:
    return step.fingerprint(view)
