"""A step that proves something of the cluster and records it there: the record, the check against it and its writing are given."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import ListQuery


class ProofStep(Step):
    """It is proven once for the same inputs. Subclasses say `inputs`, `intent` and `prove`."""

    scope: ClassVar[Scope] = Scope.CLUSTER
    proof: ClassVar[bool] = True
    record: ClassVar[str]
    """ConfigMap kfinstall/proof-<record> holds the evidence, and the fingerprint of what was proven."""

    def intent(self, view: View) -> str:
        """What it is going to do, in the imperative: the plan's line."""
        raise NotImplementedError

    async def prove(self, context: ApplyContext) -> str:
        """Do it; gives the evidence. Namespace kfinstall is there by then.

        Raises:
            KfError: it did not work.
        """
        raise NotImplementedError

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """The records."""
        return (stamp.RECORDS,)

    @override
    def check(self, view: View) -> Check:
        """A proof from these inputs is on record."""
        evidence = stamp.proven(view.cluster, self.record, self.fingerprint(view))
        return Satisfied(evidence) if evidence else Needed((self.intent(view),))

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Prove it, and record that at the end: what was killed before is proven again."""
        cluster = await context.cluster()
        await cluster.apply(secret_store.namespace())
        evidence = await self.prove(context)
        await cluster.apply(stamp.proof(self.record, self.fingerprint(context.view), evidence))
