"""kubeflow.apply: the rendered documents go on in waves, and every workload becomes available."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.waves import clean_document, without_stray_namespaces
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow import choice, inventory, own, recorded

_SHOWN_CHANGES: Final = 12


class KubeflowApply(recorded.RecordedObjectsStep):
    """No loop, no fixed sleep: each object as soon as the API server can take it, and nothing that is there already."""

    id: ClassVar[str] = "kubeflow.apply"
    title: ClassVar[str] = "Put Kubeflow on the cluster"
    estimate_seconds: ClassVar[float] = 600
    at: ClassVar[Ref] = inventory.CONFIG_MAP

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """What the documents are made from."""
        return {"RENDERING": choice.key(view), "SETTINGS": own.applied(view.answers)}

    @override
    def first(self, view: View) -> tuple[str, ...]:
        """All components."""
        tag, parts = choice.row(view.release).tag, len(choice.components(view.answers, view.release))
        return (f"apply {parts} components of Kubeflow {tag} in waves", "wait until all workloads are available")

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The first few of them: there may be hundreds."""
        changes = super().changes(view)
        more = len(changes) - _SHOWN_CHANGES
        return (*changes[:_SHOWN_CHANGES], *((f"and {more} more",) if more > 0 else ()))

    @override
    def evidence(self, view: View) -> str:
        """How many there are."""
        return self.applied(view, f"of Kubeflow {choice.row(view.release).tag}")

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Fetch, transform, send what differs, wait, and keep the inventory."""
        view, cluster = context.view, await context.cluster()
        fetched, live = await asyncio.gather(choice.fetch(context), cluster.snapshot(inventory.wants()))
        rendered = own.own_values(fetched.documents, view.answers)
        documents = without_stray_namespaces([clean_document(document) for document in rendered])
        await recorded.put(context, cluster, documents, live, at=self.at, source=self.fingerprint(view), folders=fetched.folders)
