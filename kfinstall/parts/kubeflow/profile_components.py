"""kubeflow.profile-components: what belongs into the user's profile goes there, now that its controller has made the namespace."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.apply.stamp import ANNOTATION, LABELS, content
from kfinstall.apply.waves import clean_document
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.kubeflow import choice, inventory, recorded

_PASSWORD: Final = "kubeflow.model-registry.database-password"  # noqa: S105 (a name)
_PASSWORD_KEYS: Final = "_PASSWORD"  # noqa: S105 (the end of keys)


class KubeflowProfileComponents(recorded.RecordedObjectsStep):
    """The namespace is the profile controller's, so these objects can't be part of kubeflow.apply; its passwords are own ones too."""

    id: ClassVar[str] = "kubeflow.profile-components"
    title: ClassVar[str] = "Put components into the user's profile"
    estimate_seconds: ClassVar[float] = 60
    at: ClassVar[Ref] = inventory.PROFILE_CONFIG_MAP

    @override
    def applies(self, answers: Answers) -> bool:
        """Where a component that lives in the profile is chosen."""
        return answers.kubeflow.enabled and bool(choice.profile_paths(answers, releases.load(answers.cluster.release)))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """What the documents are made from, and where they go."""
        return {
            "RENDERING": choice.key(view),
            "FOLDERS": "\n".join(choice.profile_paths(view.answers, view.release)),
            "NAMESPACE": view.answers.profile_namespace,
        }

    @override
    def first(self, view: View) -> tuple[str, ...]:
        """All folders."""
        folders = choice.profile_paths(view.answers, view.release)
        namespace = view.answers.profile_namespace
        return (f"apply {len(folders)} folders into namespace {namespace}", "wait until their workloads are available")

    @override
    def evidence(self, view: View) -> str:
        """How many there are."""
        return self.applied(view, f"in {view.answers.profile_namespace}")

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Send what differs, Secrets with own values first, wait, and keep the record."""
        view, cluster = context.view, await context.cluster()
        fetched = await choice.fetch(context, in_profile=True)
        documents = [clean_document(document) for document in fetched.documents]
        live = await cluster.snapshot(inventory.wants())
        secrets = [document for document in documents if document["kind"] == "Secret"]
        there = recorded.present(secrets, live, self.at)
        for document in secrets:
            if Ref.of(document) not in there:
                await cluster.apply(await _own(document, context))
                context.say(f"{Ref.of(document)} holds its own value")
        rest = [document for document in documents if document not in secrets]
        source = self.fingerprint(view)
        await recorded.put(context, cluster, rest, live, at=self.at, source=source, sent=secrets, folders=fetched.folders)


async def _own(document: Document, context: ApplyContext) -> Document:
    """A Secret with generated passwords in place of the published ones; marked by the hash of the published document."""
    data = dict(document.get("data") or {})
    for key in data:
        if key.endswith(_PASSWORD_KEYS):
            data[key] = base64.b64encode((await context.secret(_PASSWORD)).reveal().encode()).decode()
    metadata = {**document["metadata"], "labels": dict(LABELS), "annotations": {ANNOTATION: content(document)}}
    return {**document, "metadata": metadata, "data": data}
