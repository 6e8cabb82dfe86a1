"""kubeflow.profile-components: what belongs into the user's profile goes there, now that its controller has made the namespace."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.apply.stamp import ANNOTATION, LABELS, content
from kfinstall.apply.waves import clean_document
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Document, Ref, Want
from kfinstall.parts.kubeflow import choice, inventory, limits, recorded

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
        name, known = view.answers.profile_namespace, inventory.read(view.cluster, inventory.PROFILE_CONFIG_MAP)
        if view.cluster is None or known.source != self.fingerprint(view):
            folders = choice.profile_paths(view.answers, view.release)
            return Needed((f"apply {len(folders)} folders into namespace {name}", "wait until their workloads are available"))
        changes = recorded.to_do(known, view.cluster)
        if changes:
            return Needed(tuple(changes))
        available = len(recorded.workloads(known.objects))
        return Satisfied(f"{len(known.objects)} objects in {name} are as applied, {available} workloads are available")

    async def apply(self, context: ApplyContext) -> None:
        """Send what differs, Secrets with own values first, wait, and keep the record."""
        view, cluster = context.view, await context.cluster()
        documents = [clean_document(document) for document in await choice.fetch(context, in_profile=True)]
        live = await cluster.snapshot(inventory.wants())
        secrets = [document for document in documents if document["kind"] == "Secret"]
        there = recorded.present(secrets, live, inventory.PROFILE_CONFIG_MAP)
        for document in secrets:
            if Ref.of(document) not in there:
                await cluster.apply(await _own(document, context))
                context.say(f"{Ref.of(document)} holds its own value")
        rest = [document for document in documents if document not in secrets]
        at, source = inventory.PROFILE_CONFIG_MAP, self.fingerprint(view)
        await recorded.put(context, cluster, rest, live, at=at, source=source, sent=secrets)


async def _own(document: Document, context: ApplyContext) -> Document:
    """A Secret with generated passwords in place of the published ones; marked by the hash of the published document."""
    data = dict(document.get("data") or {})
    for key in data:
        if key.endswith(_PASSWORD_KEYS):
            data[key] = base64.b64encode((await context.secret(_PASSWORD)).reveal().encode()).decode()
    metadata = {**document["metadata"], "labels": dict(LABELS), "annotations": {ANNOTATION: content(document)}}
    return {**document, "metadata": metadata, "data": data}
