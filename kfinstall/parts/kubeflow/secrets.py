"""kubeflow.secrets: own values for the Secrets whose published ones everybody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.apply import limits
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.diagnose import reasons
from kfinstall.diagnose.workloads import wait_explained
from kfinstall.engine.step import ApplyContext, Conflict, View
from kfinstall.kube.base import Cluster, ListQuery, Ref
from kfinstall.parts.kubeflow import inventory, own, secret_values
from kfinstall.parts.kubeflow.rotate import secrets as rotate_secrets


class KubeflowSecrets(ObjectsStep):
    """Written straight into the cluster before anything reads them; on no disk but etcd's."""

    id: ClassVar[str] = "kubeflow.secrets"
    title: ClassVar[str] = "Make Kubeflow's passwords and keys"
    estimate_seconds: ClassVar[float] = 3
    lists: ClassVar[tuple[ListQuery, ...]] = (ListQuery("v1", "Namespace", metadata_only=True), rotate_secrets.RECORDS)

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """Also the metadata of the Secrets."""
        return (*super().wants(view), *(ListQuery("v1", "Secret", name, metadata_only=True) for name in _namespaces(view)))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Where the password comes from, and which Secrets there are: never a value."""
        refs = secret_values.wanted(view)
        return {"PASSWORD": secret_values.reference(view.answers), "SECRETS": "\n".join(map(str, refs))}

    @override
    def conflict(self, view: View) -> Conflict | None:
        """One of them is being replaced."""
        begun = rotate_secrets.unfinished(view.cluster)
        if not begun:
            return None
        return Conflict(
            f"the rotation of {', '.join(begun)} was begun and not finished",
            f"finish it: {invocation.command('rotate', '--only', *begun)}",
        )

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """Each Secret is there and marked as made from these answers."""
        mark, missing = secret_values.mark(view.answers), []
        going = inventory.going(view.cluster) if view.cluster else frozenset()
        for ref in secret_values.wanted(view):
            metadata = ((view.cluster.objects.get(ref) if view.cluster else None) or {}).get("metadata") or {}
            if ref in going or (metadata.get("annotations") or {}).get(secret_values.ANNOTATION) != mark:
                missing.append(f"write {ref} with an own value")
        return tuple(missing)

    @override
    def evidence(self, view: View) -> str:
        """How many there are."""
        return f"{len(secret_values.wanted(view))} Secrets hold own values, none of the published ones"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Write them; what was generated once stays the same. dex starts anew where its password changed."""
        view, cluster = context.view, await context.cluster()
        mark, refs = secret_values.mark(view.answers), secret_values.wanted(view)
        for namespace in _namespaces(view):
            await _made(cluster, namespace, context)
        for ref in refs:
            current = await cluster.get(ref) if ref == own.DEX_PASSWORDS else None
            held, changed = await secret_values.values(context.secret, ref, current)
            await cluster.apply(secret_values.document(ref, held, mark))
            context.say(f"{ref} holds its own value")
            if changed:
                await _restart(cluster, context)


def _namespaces(view: View) -> list[str]:
    return sorted({ref.namespace for ref in secret_values.wanted(view)})


async def _made(cluster: Cluster, namespace: str, context: ApplyContext) -> None:
    """The namespace is there; one that ends is waited for first, since nothing can be made in it."""
    ref, seconds = Ref("v1", "Namespace", namespace), limits.KUBEFLOW_LEAVING_TIMEOUT_SECONDS
    found = await wait_explained(cluster, ref, reasons.leaving_waiting, timeout_seconds=seconds, say=context.say)
    if found is None:
        await cluster.apply({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": namespace}})


async def _restart(cluster: Cluster, context: ApplyContext) -> None:
    """dex reads its password only when it starts."""
    for pod in await cluster.list(ListQuery("v1", "Pod", own.DEX_PASSWORDS.namespace), label_selector="app=dex"):
        ref = Ref.of(pod)
        await cluster.delete(ref)
        context.say(f"{ref} starts anew with the changed password")
