"""kubeflow.notebook-images: Elyra, Kale and Fairing as notebook images, built for the own registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final
from urllib.parse import urlsplit

from typing_extensions import override

from kfinstall.answers.mirrors import DEFAULT_MIRROR
from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.kubeflow import limits, notebook_build
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.secrets import Secret
from kfinstall.text import sha256

_RECORD: Final = f"{prepare_files.PROOFS}/kubeflow.notebook-images.json"
_BUILD: Final = "/var/lib/kfinstall/notebook-build"


def _mirrors(answers: Answers) -> Iterator[str]:
    """Registry and URL, as buildah has them: without the v2 of the API, which it puts in itself, and by name only."""
    for registry, url in sorted(answers.registry.mirrors.items()):
        if registry != DEFAULT_MIRROR:
            parts = urlsplit(url)
            path = parts.path.strip("/")
            path = path.removeprefix("v2/") if path != "v2" else ""
            yield f"{registry}\t{parts.scheme}://{parts.netloc}{'/' if path else ''}{path}"


class KubeflowNotebookImages(Step):
    """Nobody publishes them for this release; each is the release's own JupyterLab image and pinned packages (docs/adr/0019-catalogue-notebooks-bundle.md)."""

    id: ClassVar[str] = "kubeflow.notebook-images"
    title: ClassVar[str] = "Build the notebook images"
    scope: ClassVar[Scope] = Scope.REGISTRY_NODE
    script: ClassVar[str] = "kubeflow-notebook-images"
    reads = (RegistryFacts,)
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_NOTEBOOK_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 600

    def applies(self, answers: Answers) -> bool:
        """Where some are wanted, and there is a registry."""
        return answers.kubeflow.enabled and answers.registry.enabled and bool(answers.kubeflow.notebook_images)

    @override
    def watch(self, view: View) -> NodeQuery:
        """The record of what was pushed."""
        return NodeQuery(files=frozenset({_RECORD}))

    def _images(self, view: View) -> dict[str, str]:
        return {name: notebook_build.image(view.answers, name) for name in view.answers.kubeflow.notebook_images}

    def _record(self, view: View) -> str:
        inputs = {"images": sorted(self._images(view).values()), "ca": registry_files.ca_sha256(view)}
        return json.dumps(inputs, sort_keys=True) + "\n"

    def parameters(self, view: View) -> Mapping[str, str]:
        """What is built from what, and where it goes."""
        answers, release = view.answers, view.release
        each: dict[str, str] = {}
        for name, image in self._images(view).items():
            each |= {
                f"IMAGE_{name.upper()}": image,
                f"MODULE_{name.upper()}": release.notebooks[name].module,
                f"DOCKERFILE_{name.upper()}": notebook_build.dockerfile(release, name),
                f"PACKAGES_{name.upper()}": notebook_build.requirements(release, name),
            }
        return {
            "RUNTIME": answers.cluster.runtime,
            "HOST": answers.registry_host,
            "SECURED": "yes" if registry_files.secured(answers) else "no",
            "USER": answers.registry.user,
            "BASE": notebook_build.base(release),
            "NAMES": "\n".join(answers.kubeflow.notebook_images),
            "MIRRORS": "\n".join(_mirrors(answers)),
            "FREE_GIBIBYTES": str(limits.KUBEFLOW_NOTEBOOK_FREE_GIBIBYTES),
            "BUILD": _BUILD,
            "RECORD_PATH": _RECORD,
            "RECORD": self._record(view),
            **each,
        }

    def check(self, view: View) -> Check:
        """The record says that these images were pushed to this registry."""
        images = self._images(view)
        if view.facts.has_file(_RECORD, sha256(self._record(view))):
            return Satisfied(f"{', '.join(images)} are in the registry as {notebook_build.REPOSITORY}-*")
        return Needed(tuple(f"build and push {image}" for image in images.values()))

    async def stdin(self, context: ApplyContext) -> Secret | None:
        """The registry's password."""
        return await context.secret(registry_files.PASSWORD) if registry_files.secured(context.view.answers) else None
