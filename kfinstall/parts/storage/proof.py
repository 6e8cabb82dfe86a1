"""storage.proof: a claim is bound, written and read back, from two nodes where the class is for many."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import ClassVar

from kfinstall.apply import stamp
from kfinstall.engine import pods, secret_store
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Ref, Want
from kfinstall.parts.storage import limits, proof_pods, provisioner


class StorageProof(Step):
    """As an ordinary user of a pod, not as root. Claim and pods are removed; the record stays."""

    id: ClassVar[str] = "storage.proof"
    title: ClassVar[str] = "Prove storage"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = 2 * limits.STORAGE_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30
    proof: ClassVar[bool] = True

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The record."""
        return (Want("v1", "ConfigMap", stamp.PROOFS_NAMESPACE),)

    def parameters(self, view: View) -> Mapping[str, str]:
        """The class, and the nodes that write and read."""
        writes, reads = proof_pods.places(view.answers)
        return {"CLASS": stamp.content(provisioner.storage_class(view)), "WRITES": writes, "READS": reads}

    def check(self, view: View) -> Check:
        """A proof of this class is on record."""
        evidence = stamp.proven(view.cluster, "storage", self.fingerprint(view))
        return (
            Satisfied(evidence) if evidence else Needed((f"claim, write and read back a volume of {view.answers.storage_class}",))
        )

    async def apply(self, context: ApplyContext) -> None:
        """Claim, write, read, remove, record."""
        view, cluster = context.view, await context.cluster()
        await cluster.apply(secret_store.namespace())
        writes, reads = proof_pods.places(view.answers)
        content = secrets.token_hex(8)
        jobs = [proof_pods.job(view, role, node, content) for role, node in (("write", writes), ("read", reads))]
        # What an earlier try left would keep its volume, or its wrong content.
        for job in jobs:
            await cluster.delete(Ref.of(job))
        await cluster.delete(proof_pods.CLAIM)
        await cluster.apply(proof_pods.claim(view))
        for job in jobs:
            for line in await pods.run_job(context, cluster, job, timeout_seconds=limits.STORAGE_PROOF_TIMEOUT_SECONDS):
                context.say(line)
        for job in jobs:
            await cluster.delete(Ref.of(job))
        await cluster.delete(proof_pods.CLAIM)
        where = f"on {writes}, read on {reads}" if writes != reads else "and read back"
        mode = "ReadWriteMany" if proof_pods.many(view.answers) else "ReadWriteOnce"
        evidence = f"a volume of {view.answers.storage_class} ({mode}) was bound, written {where}"
        await cluster.apply(stamp.proof("storage", self.fingerprint(view), evidence))
