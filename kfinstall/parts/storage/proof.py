"""storage.proof: a claim is bound, written and read back, from two nodes where the class is for many."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.apply.proof_step import ProofStep
from kfinstall.engine import pods
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Ref
from kfinstall.parts.storage import limits, proof_pods, provisioner


class StorageProof(ProofStep):
    """As an ordinary user of a pod, not as root. Claim and pods are removed; the record stays."""

    id: ClassVar[str] = "storage.proof"
    title: ClassVar[str] = "Prove storage"
    timeout_seconds: ClassVar[float] = 2 * limits.STORAGE_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30
    record: ClassVar[str] = "storage"

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The class, and the nodes that write and read."""
        writes, reads = proof_pods.places(view.answers)
        return {"CLASS": stamp.content(provisioner.storage_class(view)), "WRITES": writes, "READS": reads}

    @override
    def intent(self, view: View) -> str:
        """A volume of the class."""
        return f"claim, write and read back a volume of {view.answers.storage_class}"

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Claim, write, read, remove."""
        view, cluster = context.view, await context.cluster()
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
        return f"a volume of {view.answers.storage_class} ({mode}) was bound, written {where}"
