"""registry.pull-proof: every node's runtime pulls the pushed image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Scope, View
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from kfinstall.parts.registry import proof_image
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.parts.registry.files import certs_folder
from kfinstall.parts.registry.proof_step import RegistryProof


def _image(view: View) -> str:
    answers = view.answers
    return f"{answers.registry_host}/{proof_image.REPOSITORY}@{proof_image.build(answers.cluster.name).digest}"


class RegistryPullProof(RegistryProof):
    """Pulls by digest, through the node's own trust, with the login; as the kubelet will."""

    id: ClassVar[str] = "registry.pull-proof"
    title: ClassVar[str] = "Pull the image on every node"
    scope: ClassVar[Scope] = Scope.EVERY_NODE
    script: ClassVar[str] = "registry-pull-proof"
    reads = (RegistryFacts, RuntimeFiles)
    estimate_seconds: ClassVar[float] = 4

    def proven(self, view: View) -> Mapping[str, str]:
        """The image, and who pulled it."""
        return {"image": _image(view), "runtime": view.answers.cluster.runtime}

    def parameters(self, view: View) -> Mapping[str, str]:
        """The image and how it is reached."""
        return {
            **super().parameters(view),
            "RUNTIME": view.answers.cluster.runtime,
            "IMAGE": _image(view),
            "FOLDER": certs_folder(view),
        }

    def check(self, view: View) -> Check:
        """The record says that this node pulled this image from this registry."""
        if self.recorded(view):
            return Satisfied(f"{view.answers.cluster.runtime} pulled {short_image(_image(view))}")
        return Needed((f"pull {_image(view)}",))


def short_image(image: str) -> str:
    """An image's name with its digest as short as people compare it: host/name@sha256:311bf29bf61d."""
    name, found, digest = image.partition("@sha256:")
    return f"{name}@sha256:{digest[:12]}" if found else name
