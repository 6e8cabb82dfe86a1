"""handoff.card: what was proven and where everything is, kept in the cluster too."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import ClusterFacts, Document, ListQuery
from kfinstall.parts.handoff import proof_card
from kfinstall.parts.preflight.runtime_files import RuntimeFiles


class HandoffCard(ObjectsStep):
    """ConfigMap kfinstall/handoff; the files of the state directory are written by the session."""

    id: ClassVar[str] = "handoff.card"
    title: ClassVar[str] = "Write the proof card"
    reads = (RuntimeFiles,)
    estimate_seconds: ClassVar[float] = 1
    lists: ClassVar[tuple[ListQuery, ...]] = (stamp.RECORDS,)

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """The proofs' records, and the gateway's address where a load balancer gives it one."""
        balanced = view.answers.kubeflow.enabled and view.answers.kubeflow.access.type == "loadBalancer"
        return (*super().wants(view), *((ListQuery("v1", "Service", "istio-system"),) if balanced else ()))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The card's own fingerprint."""
        return {"CARD": proof_card.card(view, at=0).fingerprint}

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The ConfigMap holds the card as it would be written now; when that was does not count, so that it is none of `documents`."""
        wanted = proof_card.card(view, at=0)
        record = view.cluster.get("v1", "ConfigMap", proof_card.NAME, secret_store.NAMESPACE) if view.cluster else None
        if ((record or {}).get("data") or {}).get("fingerprint") == wanted.fingerprint:
            return ()
        return (f"write ConfigMap {secret_store.NAMESPACE}/{proof_card.NAME}",)

    @override
    def evidence(self, view: View) -> str:
        """How many proofs there are."""
        return f"proofs on the card: {len(proof_card.card(view, at=0).proofs)}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Look again, for proofs that were recorded since, and write the ConfigMap."""
        cluster = await context.cluster()
        view = context.view
        fresh = await cluster.snapshot(self.wants(view))
        old = view.cluster.objects if view.cluster else {}
        view = dataclasses.replace(view, cluster=ClusterFacts(fresh.version, {**old, **fresh.objects}))
        card = proof_card.card(view)
        document: Document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": proof_card.NAME, "namespace": secret_store.NAMESPACE, "labels": dict(stamp.LABELS)},
            "data": {"fingerprint": card.fingerprint, "card.json": json.dumps(card.to_json(), indent=2, sort_keys=True)},
        }
        await cluster.apply(secret_store.namespace())
        await cluster.apply(document)
        for line in card.lines():
            context.say(line)
