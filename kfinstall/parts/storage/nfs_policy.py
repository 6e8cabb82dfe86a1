"""storage.nfs-policy: pods are kept from the NFS server; nodes mount for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine import pods, secret_store
from kfinstall.engine.step import ApplyContext, Check, Conflict, Needed, Satisfied, Scope, Step, View
from kfinstall.errors import CommandError
from kfinstall.kube.base import Cluster, Document, Want
from kfinstall.parts.storage import limits, policy
from kfinstall.parts.storage.facts import NfsServerName
from kfinstall.text import clean, kubectl

_PROOF: Final = "nfs-policy"
_PLURALS: Final = {"Tier": "tiers", "GlobalNetworkPolicy": "globalnetworkpolicies"}


class StorageNfsPolicy(Step):
    """A tier of Calico's by itself: policies of others are asked as before for all that it does not refuse."""

    id: ClassVar[str] = "storage.nfs-policy"
    title: ClassVar[str] = "Keep pods from the NFS server"
    scope: ClassVar[Scope] = Scope.CLUSTER
    reads = (NfsServerName,)
    timeout_seconds: ClassVar[float] = limits.STORAGE_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 15

    def applies(self, answers: Answers) -> bool:
        """Where volumes are NFS."""
        return answers.storage.type == "nfs"

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """Tier, policy and the record of the proof."""
        lists = (Want(policy.API, kind, metadata_only=True) for kind in _PLURALS)
        return (*lists, Want("v1", "ConfigMap", stamp.PROOFS_NAMESPACE))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The objects, by their hashes."""
        return {"OBJECTS": " ".join(stamp.content(document) for document in self.documents(view))}

    def documents(self, view: View) -> Sequence[Document]:
        """Tier and policy."""
        return policy.documents(view)

    def check(self, view: View) -> Check:
        """Both are as they would be written, and a pod was refused."""
        server = view.answers.nfs_address
        found = policy.addresses(view)
        if not found:
            return Conflict(
                f"no node knows the address of {server}: pods can't be kept from it, and reach it as the node that they run on",
                "write the server's IP address in the answers (storage.nfs.server), or put the name into DNS or the nodes' /etc/hosts",
                warning=True,
            )
        foreign = policy.foreign(view)
        if foreign is not None:
            return Conflict(
                f"{foreign} was made by somebody else",
                f"if nothing needs it: kubectl delete {_PLURALS[foreign.kind]}.{policy.API.partition('/')[0]} {foreign.name}",
            )
        changes = list(stamp.outdated(view.cluster, self.documents(view)))
        evidence = stamp.proven(view.cluster, _PROOF, self.fingerprint(view))
        if not evidence:
            changes.append(f"see that a pod does not reach {policy.target(view)}")
        return Needed(tuple(changes)) if changes else Satisfied(evidence)

    async def apply(self, context: ApplyContext) -> None:
        """Apply both, and let a pod try."""
        view, cluster = context.view, await context.cluster()
        for document in self.documents(view):
            await cluster.apply(stamp.stamped(document))
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
                    hint=f"{self._remedy(words)}; then: {invocation.again()}",
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

    def _remedy(self, words: str) -> str:
        if words.startswith("REFUSED"):
            return (
                "does the server listen (on it: ss -ltn sport = :2049)? or does Calico reject instead of drop? "
                "kubectl get felixconfigurations.crd.projectcalico.org default -o yaml"
            )
        job = policy.JOB
        return f"look at it: {kubectl('describe', 'job', namespace=job.namespace, names=[job.name])}"
