"""kubeflow.apply: the rendered documents go on in waves, and every workload becomes available."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.apply.waves import clean_document, without_stray_namespaces
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Want
from kfinstall.parts.kubeflow import choice, inventory, limits, own, recorded

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
        if view.cluster is None or known.source != self.fingerprint(view):
            return Needed((f"apply {parts} components of Kubeflow {tag} in waves", "wait until all workloads are available"))
        changes = recorded.to_do(known, view.cluster)
        if changes:
            more = len(changes) - _SHOWN_CHANGES
            return Needed((*changes[:_SHOWN_CHANGES], *((f"and {more} more",) if more > 0 else ())))
        available = len(recorded.workloads(known.objects))
        return Satisfied(f"{len(known.objects)} objects of Kubeflow {tag} are as applied, {available} workloads are available")

    async def apply(self, context: ApplyContext) -> None:
        """Fetch, transform, send what differs, wait, and keep the inventory."""
        view, cluster = context.view, await context.cluster()
        fetched, live = await asyncio.gather(choice.fetch(context), cluster.snapshot(inventory.wants()))
        rendered = own.own_values(fetched, view.answers)
        documents = without_stray_namespaces([clean_document(document) for document in rendered])
        await recorded.put(context, cluster, documents, live, at=inventory.CONFIG_MAP, source=self.fingerprint(view))
