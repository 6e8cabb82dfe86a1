"""uninstall.custom-resources: the users' own first, then profiles, then the rest, while their controllers still run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from kfinstall import invocation
from kfinstall.engine.step import ApplyContext, Danger, View
from kfinstall.kube.base import Cluster, ClusterFacts, Ref
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.base import Removal
from kfinstall.parts.kubeflow.uninstall.deleting import delete_all, refuse


class UninstallCustomResources(Removal):
    """Profiles lose their object only: their namespaces, with the volumes in them, stay."""

    id: ClassVar[str] = "uninstall.custom-resources"
    title: ClassVar[str] = "Delete custom resources"
    danger: ClassVar[Danger] = Danger.POINT_OF_NO_RETURN
    estimate_seconds: ClassVar[float] = 60
    nothing: ClassVar[str] = "no custom resource of Kubeflow's kinds is left"
    takes_finalizers: ClassVar[bool] = False
    """What controllers do not let go in time is let go all the same."""

    def refs(self, view: View) -> Sequence[Ref]:
        """All of them, whoever made them."""
        return removal.customs(view)

    async def apply(self, context: ApplyContext) -> None:
        """Delete them in three goes, each on what is there by then.

        Raises:
            CommandError: finalizers hold some; with their names, and the command that takes them off.
        """
        cluster = await context.cluster()
        for chosen in (_users, _profiles, _rest):
            view = await _fresh(cluster, context.view)
            refs = chosen(view)
            await self._delete(context, cluster, refs, orphan=chosen is _profiles)
            if refs:
                context.say(f"{removal.tally(refs)} deleted")

    async def _delete(self, context: ApplyContext, cluster: Cluster, refs: Sequence[Ref], *, orphan: bool) -> None:
        def count(done: int, total: int) -> None:
            context.progress("custom resources deleted", done, total)

        seconds = limits.KUBEFLOW_FINALIZERS_SECONDS
        stayed = await delete_all(cluster, refs, timeout_seconds=seconds, orphan=orphan, count=count)
        if stayed and self.takes_finalizers:
            for ref, why in stayed.items():
                if await cluster.release(ref):
                    context.say(f"{ref}: finalizers taken off ({why})")
            stayed = await delete_all(cluster, list(stayed), timeout_seconds=seconds, count=count)
        refuse(
            stayed,
            "custom resources",
            f"is their controller running? kubectl get pods -A; or take the finalizers off: {invocation.command('uninstall', '--force-finalizers')}",
        )


class UninstallHeldResources(UninstallCustomResources):
    """The same, where somebody asked for it: what their controllers do not let go in time, kfinstall lets go."""

    title: ClassVar[str] = "Delete custom resources, and take finalizers off those that stay"
    takes_finalizers: ClassVar[bool] = True


async def _fresh(cluster: Cluster, view: View) -> View:
    """The view with what is there now; the record of what was applied does not change meanwhile."""
    facts = await cluster.snapshot(removal.wants(view))
    return replace(view, cluster=ClusterFacts(facts.version, facts.objects))


def _users(view: View) -> list[Ref]:
    """What no other object owns, and was not applied: notebooks, runs, experiments, services."""
    applied = removal.known(view).objects
    customs = removal.customs(view)
    return [ref for ref in customs if ref.kind != removal.PROFILE and ref not in applied and not removal.owned(view, ref)]


def _profiles(view: View) -> list[Ref]:
    return [ref for ref in removal.customs(view) if ref.kind == removal.PROFILE]


def _rest(view: View) -> list[Ref]:
    return removal.customs(view)
