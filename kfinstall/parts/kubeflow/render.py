"""kubeflow.render: the chosen components become one file of documents, on the first control plane."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import ClassVar

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.errors import CommandError
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.kubeflow import bundle, choice, limits
from kfinstall.secrets import Secret
from kfinstall.text import sha256


class KubeflowRender(Step):
    """By the pinned kustomize from the pinned manifests, whose remote bases are kept so that they are fetched once; or from an offline bundle."""

    id: ClassVar[str] = "kubeflow.render"
    title: ClassVar[str] = "Render Kubeflow's manifests"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    script: ClassVar[str] = "kubeflow-render"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_RENDER_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    def watch(self, view: View) -> NodeQuery:
        """The rendering and the record of what it was made from."""
        return NodeQuery(files=frozenset({choice.rendering_path(view), choice.record_path(view)}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """Which manifests, which folders of them, and where the result goes."""
        known, proxy = choice.row(view.release), view.answers.proxy
        return {
            "REPOSITORY": known.repository,
            "TAG": known.tag,
            "COMMIT": known.commit,
            "PATHS": "\n".join(choice.paths(view.answers, view.release)),
            "REMOTE_BASES": "\n".join(known.remote_bases),
            "CACHE": choice.CACHE,
            "RENDERING_PATH": choice.rendering_path(view),
            "RECORD_PATH": choice.record_path(view),
            "RECORD": choice.record(view),
            "HTTP_PROXY": proxy.http or "",
            "HTTPS_PROXY": proxy.https or "",
            "NO_PROXY": ",".join(proxy.no_proxy),
        }

    def check(self, view: View) -> Check:
        """The record is there, and the rendering beside it."""
        rendering = view.facts.files.get(choice.rendering_path(view))
        if view.facts.has_file(choice.record_path(view), sha256(choice.record(view))) and rendering and rendering.kind == "file":
            names = choice.components(view.answers, view.release)
            return Satisfied(
                f"{len(names)} components of {choice.row(view.release).tag} are rendered in {choice.rendering_path(view)}"
            )
        if view.answers.kubeflow.bundle:
            return Needed((f"take the rendering from {view.answers.kubeflow.bundle}",))
        known = choice.row(view.release)
        folders = len(choice.paths(view.answers, view.release))
        return Needed((f"fetch {known.repository} at {known.tag}", f"render {folders} folders with kustomize"))

    async def apply(self, context: ApplyContext) -> None:
        """Render, or bring the rendering of the offline bundle; either way the same record says what it is."""
        view = context.view
        if not view.answers.kubeflow.bundle:
            await super().apply(context)
            return
        given = view.answers.kubeflow.bundle
        found = await asyncio.to_thread(bundle.read, given)
        bundle.refuse_another(found, view, given)
        path = choice.rendering_path(view)
        parameters = {"FILE": path, "SHA256": found.sha256}
        packed = Secret(base64.b64encode(found.rendering).decode())  # no secret, but what goes to a program's standard input is one
        done = await context.ask_script("kubeflow-bundle", parameters, stdin=packed, timeout_seconds=choice.FETCH_TIMEOUT_SECONDS)
        if done.status != 0:
            raise CommandError(f"the rendering of {given} did not arrive", why="\n".join(done.lines[-3:]), hint=invocation.again())
        record = {"RECORD_PATH": choice.record_path(view), "RECORD": choice.record(view)}
        await context.run_script("kubeflow-bundle", {**parameters, **record}, timeout_seconds=self.timeout_seconds)
