"""kubeflow.prune: what an earlier choice of components, or an older release, applied goes from the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.apply.waves import WORKLOAD_KINDS
from kfinstall.engine.step import ApplyContext, Check, Conflict, Danger, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Cluster, ClusterFacts, ListQuery, Ref
from kfinstall.parts.kubeflow import dropped, inventory, limits
from kfinstall.parts.kubeflow.dropped import Group
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.deleting import delete_all, refuse

_LAST: Final = (removal.CLAIM, removal.DEFINITION, "Namespace")


class KubeflowPrune(Step):
    """What holds data of users stays, is told, and goes with --prune."""

    id: ClassVar[str] = "kubeflow.prune"
    title: ClassVar[str] = "Remove components that are not chosen any more"
    scope: ClassVar[Scope] = Scope.CLUSTER
    estimate_seconds: ClassVar[float] = 5
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_UNINSTALL_TIMEOUT_SECONDS
    data: ClassVar[bool] = False
    """Volumes and users' objects go too."""

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted; to take all of it off is an uninstallation's."""
        return answers.kubeflow.enabled

    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """What was applied; where some of it was dropped, also the objects of its kinds."""
        return removal.wants(view) if dropped.groups(view, data=self.data) else inventory.wants()

    def check(self, view: View) -> Check:
        """Of what was applied nothing is there that is not wanted any more."""
        found = dropped.groups(view, data=self.data)
        changes = tuple(line for group in found for line in _changes(group))
        if changes:
            return Needed(changes)
        stays = [f"{group.title} is not chosen any more and stays: {'; '.join(group.stays)}" for group in found]
        if not stays:
            return Satisfied("nothing of another choice of components is left")
        if self.data:
            return Conflict("; ".join(stays), "kubectl get all,configmaps,secrets --namespace NAMESPACE", warning=True)
        hint = f"to delete it with its data: {invocation.command('install', '--prune')}"
        return Conflict("; ".join(stays), hint, warning=True)

    async def apply(self, context: ApplyContext) -> None:
        """Delete it: webhooks, users' objects while their controllers run, workloads and settings, data, definitions, namespaces.

        Raises:
            CommandError: something stays; with what holds it.
        """
        cluster, view = await context.cluster(), context.view
        live = await cluster.snapshot(removal.wants(view))
        view = replace(view, cluster=ClusterFacts(live.version, live.objects))
        deleted: list[Ref] = []
        for group in dropped.groups(view, data=self.data, planned=False):
            for refs in _turns(group):
                await self._delete(context, cluster, refs)
                deleted += refs
            if group.goes:
                context.say(f"{group.title}: {removal.tally((*group.goes, *group.users))} deleted")
        after = await cluster.snapshot(removal.wants(view))
        for at in removal.RECORDS:
            before = inventory.read(after, at)
            now = dropped.gone(before, after.objects, deleted)
            if now != before:
                await cluster.apply(now.document(at))

    async def _delete(self, context: ApplyContext, cluster: Cluster, refs: Sequence[Ref]) -> None:
        seconds = limits.KUBEFLOW_FINALIZERS_SECONDS if refs and refs[0].kind not in _LAST else limits.KUBEFLOW_LEAVING_SECONDS
        stayed = await delete_all(
            cluster, refs, timeout_seconds=seconds, count=lambda done, total: context.progress("objects deleted", done, total)
        )
        refuse(
            stayed,
            "objects",
            f"is the controller that owns the finalizers running? kubectl get pods -A; then: {invocation.again()}",
        )


class KubeflowPruneData(KubeflowPrune):
    """The same, where somebody asked for it: volumes and users' objects of dropped components go too."""

    title: ClassVar[str] = "Remove components that are not chosen any more, with their data"
    danger: ClassVar[Danger] = Danger.POINT_OF_NO_RETURN
    data: ClassVar[bool] = True


def _changes(group: Group) -> list[str]:
    plain = [ref for ref in group.goes if ref.kind != removal.CLAIM]
    lines = [f"delete {removal.tally(plain)} of {group.title}"] if plain else []
    lines += [f"delete {ref} and what is in it" for ref in group.goes if ref.kind == removal.CLAIM]
    lines += [f"delete {removal.tally(group.users)} of {group.title}, which users made"] if group.users else []
    return lines


def _custom(version: str) -> bool:
    """Whether a definition serves it, and no part of Kubernetes itself."""
    group = version.rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def _turns(group: Group) -> list[list[Ref]]:
    """What is deleted together, in order."""

    def those(wanted: Callable[[Ref], bool]) -> list[Ref]:
        return [ref for ref in group.goes if wanted(ref)]

    hooks = those(lambda ref: ref.kind.endswith("WebhookConfiguration"))
    custom = those(lambda ref: _custom(ref.api_version))
    workloads = those(lambda ref: ref.kind in WORKLOAD_KINDS)
    rest = those(lambda ref: ref not in {*hooks, *custom, *workloads} and ref.kind not in _LAST)
    last = [[ref for ref in group.goes if ref.kind == kind] for kind in _LAST]
    return [turn for turn in (hooks, list(group.users), custom, workloads, rest, *last) if turn]
