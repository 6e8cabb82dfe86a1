"""kubeflow.render: the chosen components become one file of documents, on the first control plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall import limits
from kfinstall.answers.model import Answers
from kfinstall.facts.model import Watch
from kfinstall.kubeflow import choice
from kfinstall.step import Check, Needed, Satisfied, Scope, Step, View, sha256


class KubeflowRender(Step):
    """By the pinned kustomize from the pinned manifests; what those fetch from elsewhere is kept, so that it is fetched once."""

    id: ClassVar[str] = "kubeflow.render"
    title: ClassVar[str] = "Render Kubeflow's manifests"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    script: ClassVar[str] = "kubeflow-render"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_RENDER_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    def watch(self, view: View) -> Watch:
        """The rendering and the record of what it was made from."""
        return Watch(files=frozenset({choice.rendering_path(view), choice.record_path(view)}))

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
        known = choice.row(view.release)
        folders = len(choice.paths(view.answers, view.release))
        return Needed((f"fetch {known.repository} at {known.tag}", f"render {folders} folders with kustomize"))
