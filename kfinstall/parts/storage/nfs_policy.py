"""storage.nfs-policy: pods are kept from the NFS server; nodes mount for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine import pods, secret_store
from kfinstall.engine.step import ApplyContext, Conflict, View
from kfinstall.errors import CommandError
from kfinstall.kube.base import Cluster, Document, ListQuery
from kfinstall.parts.storage import limits, policy
from kfinstall.parts.storage.facts import NfsServerName
from kfinstall.text import clean, kubectl

_PROOF: Final = "nfs-policy"
_PLURALS: Final = {"Tier": "tiers", "GlobalNetworkPolicy": "globalnetworkpolicies"}


class StorageNfsPolicy(ObjectsStep):
    """A tier of Calico's by itself: policies of others are asked as before for all that it does not refuse."""

    id: ClassVar[str] = "storage.nfs-policy"
    title: ClassVar[str] = "Keep pods from the NFS server"
    reads = (NfsServerName,)
    timeout_seconds: ClassVar[float] = limits.STORAGE_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 15
    lists: ClassVar[tuple[ListQuery, ...]] = (
        *(ListQuery(policy.API, kind, metadata_only=True) for kind in _PLURALS),
        stamp.RECORDS,
    )

    @override
    def applies(self, answers: Answers) -> bool:
        """Where volumes are NFS."""
        return answers.storage.type == "nfs"

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """Tier and policy."""
        return policy.documents(view)

    @override
    def conflict(self, view: View) -> Conflict | None:
        """Nobody knows the server's address, or somebody else made one of the two."""
        server = view.answers.nfs_address
        found = policy.addresses(view)
        if not found:
            return Conflict(
                f"no node knows the address of {server}: pods can't be kept from it, and reach it as the node that they run on",
                "write the server's IP address in the answers (storage.nfs.server), or put the name into DNS or the nodes' /etc/hosts",
                warning=True,
            )
        foreign = policy.foreign(view)
        if foreign is None:
            return None
        return Conflict(
            f"{foreign} was made by somebody else",
            f"if nothing needs it: kubectl delete {_PLURALS[foreign.kind]}.{policy.API.partition('/')[0]} {foreign.name}",
        )

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """Both are as they would be written, and a pod was refused."""
        tried = () if self.evidence(view) else (f"see that a pod does not reach {policy.target(view)}",)
        return (*super().changes(view), *tried)

    @override
    def evidence(self, view: View) -> str:
        """The record of the pod that was refused; empty where there is none."""
        return stamp.proven(view.cluster, _PROOF, self.fingerprint(view))

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Apply both, and let a pod try."""
        await super().apply(context)
        view, cluster = context.view, await context.cluster()
        await cluster.apply(secret_store.namespace())
        await self._refused(context, cluster)
        count = len(policy.addresses(view))
        where = policy.target(view) + (f" and {count - 1} more of its addresses" if count > 1 else "")
        await cluster.apply(stamp.proof(_PROOF, self.fingerprint(view), f"pods are kept from {where}: one was refused"))

    async def _refused(self, context: ApplyContext, cluster: Cluster) -> None:
        """Let a pod try.

        Raises:
            CommandError: it got through, or its try ended with something else than a refusal.
        """
        try:
            limit = limits.STORAGE_PROOF_TIMEOUT_SECONDS
            for line in await pods.run_job(context, cluster, policy.job(context.view), timeout_seconds=limit):
                context.say(line)
        except CommandError as error:
            target = policy.target(context.view)
            unknown = next((line for line in error.tail if line.startswith(policy.UNKNOWN)), "")
            if unknown:
                words = unknown.partition(f"{target}:")[2]
                words = clean(words).strip() or "no words"
                raise CommandError(
                    f"whether pods are kept from the NFS server at {target} is not known: a pod's try ended with {words}",
                    why="a policy of Calico leaves a try without an answer (TIMEOUT); this is another end",
                    hint=f"{self._hint(words)}; then: {invocation.again()}",
                    tail=error.tail,
                ) from None
            if not any(line.startswith(policy.REACHED) for line in error.tail):
                raise
            raise CommandError(
                f"a pod still reaches the NFS server at {target}",
                why=error.why,
                hint=f"is calico-node ready on every node? kubectl -n calico-system get pods -o wide; then: {invocation.again()}",
                tail=error.tail,
            ) from None
        await cluster.delete(policy.JOB)

    def _hint(self, words: str) -> str:
        if words.startswith("REFUSED"):
            return (
                "does the server listen (on it: ss -ltn sport = :2049)? or does Calico reject instead of drop? "
                "kubectl get felixconfigurations.crd.projectcalico.org default -o yaml"
            )
        job = policy.JOB
        return f"look at it: {kubectl('describe', 'job', namespace=job.namespace, names=[job.name])}"
