"""What the steps of uninstall share: refs to delete, all at once, waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kfinstall import invocation
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Cluster, ListQuery, Ref
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.deleting import delete_all, refuse


class Removal(Step):
    """Base of the steps that delete a list of objects."""

    scope = Scope.CLUSTER
    timeout_seconds = limits.KUBEFLOW_UNINSTALL_TIMEOUT_SECONDS
    nothing: ClassVar[str] = "nothing is left"
    """Evidence where there is nothing to delete."""

    def refs(self, view: View) -> Sequence[Ref]:
        """What to delete, in any order."""
        raise NotImplementedError

    async def after(self, context: ApplyContext, cluster: Cluster) -> None:
        """What else there is to do once they are gone."""

    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """Everything that Kubeflow consists of."""
        return removal.wants(view)

    def check(self, view: View) -> Check:
        """None of them is there."""
        refs = self.refs(view)
        return removal.unreachable(view) or (Needed((f"delete {removal.tally(refs)}",)) if refs else Satisfied(self.nothing))

    async def apply(self, context: ApplyContext) -> None:
        """Delete them and wait.

        Raises:
            CommandError: something stays; with what holds it.
        """
        cluster, refs = await context.cluster(), self.refs(context.view)
        stayed = await delete_all(
            cluster,
            refs,
            timeout_seconds=limits.KUBEFLOW_LEAVING_SECONDS,
            count=lambda done, total: context.progress("objects deleted", done, total),
        )
        look = f"kubectl get namespaces; is the controller that owns the finalizers running? then: {invocation.again()}"
        refuse(stayed, "objects", look)
        if refs:
            context.say(f"{removal.tally(refs)} deleted")
        await self.after(context, cluster)
