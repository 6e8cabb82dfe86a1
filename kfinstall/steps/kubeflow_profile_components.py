"""kubeflow.profile-components: what belongs into the user's profile goes there, now that its controller has made the namespace."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall import limits, releases, secret_store
from kfinstall.answers.model import Answers
from kfinstall.apply_waves import apply_waves
from kfinstall.cluster.base import Cluster, ClusterFacts, Document, Ref, Want
from kfinstall.cluster.reasons import workload_waiting
from kfinstall.cluster.workloads import wait_available
from kfinstall.kubeflow import choice, inventory
from kfinstall.kubeflow.inventory import Inventory
from kfinstall.stamp import ANNOTATION, LABELS, content
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.waves import clean_document

RECORD: Final = Ref("v1", "ConfigMap", "kubeflow-profile-inventory", secret_store.NAMESPACE)
_PASSWORD: Final = "kubeflow.model-registry.database-password"  # noqa: S105 (a name)
_PASSWORD_KEYS: Final = "_PASSWORD"  # noqa: S105 (the end of keys)


class KubeflowProfileComponents(Step):
    """The namespace is the profile controller's, so these objects can't be part of kubeflow.apply; its passwords are own ones too."""

    id: ClassVar[str] = "kubeflow.profile-components"
    title: ClassVar[str] = "Put components into the user's profile"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_APPLY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def applies(self, answers: Answers) -> bool:
        """Where a component that lives in the profile is chosen."""
        return answers.kubeflow.enabled and bool(choice.profile_paths(answers, releases.load(answers.cluster.release)))

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The record of what was applied, and the metadata of all kinds that Kubeflow has."""
        return inventory.wants()

    def parameters(self, view: View) -> Mapping[str, str]:
        """What the documents are made from, and where they go."""
        return {
            "RENDERING": choice.key(view),
            "FOLDERS": "\n".join(choice.profile_paths(view.answers, view.release)),
            "NAMESPACE": view.answers.profile_namespace,
        }

    def check(self, view: View) -> Check:
        """Every object is as it was applied, and every workload is available."""
        name, known = view.answers.profile_namespace, _known(view.cluster)
        if view.cluster is None or known.source != self.fingerprint(view):
            folders = choice.profile_paths(view.answers, view.release)
            return Needed((f"apply {len(folders)} folders into namespace {name}", "wait until their workloads are available"))
        changes = known.outstanding(view.cluster)
        workloads = [ref for ref in known.objects if (ref.api_version, ref.kind) in inventory.WORKLOADS]
        for ref in workloads:
            waiting = workload_waiting(view.cluster.objects.get(ref))
            if waiting and ref in view.cluster.objects:
                changes.append(f"wait for {ref}: {waiting.reason}")
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"{len(known.objects)} objects in {name} are as applied, {len(workloads)} workloads are available")

    async def apply(self, context: ApplyContext) -> None:
        """Send what differs, Secrets with own values first, wait, and keep the record."""
        view, cluster = context.view, await context.cluster()
        documents = [clean_document(document) for document in await choice.fetch(context, in_profile=True)]
        wanted = {Ref.of(document): content(document) for document in documents}
        live = await cluster.snapshot(inventory.wants())
        known = _known(live)
        present = known.present(live, wanted)
        context.say(f"{len(documents)} objects; {len(present)} are there as wanted")
        secrets = [document for document in documents if document["kind"] == "Secret"]
        for document in secrets:
            if Ref.of(document) not in present:
                await cluster.apply(await _own(document, context))
                context.say(f"{Ref.of(document)} holds its own value")
        rest = [document for document in documents if document not in secrets]
        result = await apply_waves(cluster, rest, context.say, present=present)
        workloads = [ref for ref in wanted if (ref.api_version, ref.kind) in inventory.WORKLOADS]
        await wait_available(
            cluster,
            workloads,
            timeout_seconds=limits.KUBEFLOW_AVAILABLE_TIMEOUT_SECONDS,
            say=context.say,
            count=lambda late, why: context.progress("workloads ready", len(workloads) - len(late), len(workloads), why),
        )
        fields = {ref: hashes[1] for ref, hashes in known.objects.items()} | {
            ref: done.fields for ref, done in result.applied.items()
        }
        objects = {ref: (digest, fields.get(ref, "")) for ref, digest in wanted.items()}
        await _record(cluster, Inventory(self.fingerprint(view), objects))


async def _own(document: Document, context: ApplyContext) -> Document:
    """A Secret with generated passwords in place of the published ones; marked by the hash of the published document."""
    data = dict(document.get("data") or {})
    for key in data:
        if key.endswith(_PASSWORD_KEYS):
            data[key] = base64.b64encode((await context.secret(_PASSWORD)).reveal().encode()).decode()
    metadata = {**document["metadata"], "labels": dict(LABELS), "annotations": {ANNOTATION: content(document)}}
    return {**document, "metadata": metadata, "data": data}


def _known(cluster: ClusterFacts | None) -> Inventory:
    record = cluster.objects.get(RECORD) if cluster else None
    return inventory.read(ClusterFacts(objects={inventory.CONFIG_MAP: record})) if record else Inventory()


async def _record(cluster: Cluster, done: Inventory) -> None:
    document = done.document()
    await cluster.apply(secret_store.namespace())
    await cluster.apply({**document, "metadata": {**document["metadata"], "name": RECORD.name}})
