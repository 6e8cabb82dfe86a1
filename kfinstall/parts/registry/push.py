"""registry.push: one small image is pushed and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Scope, View
from kfinstall.parts.registry import proof_image
from kfinstall.parts.registry.proof_step import RegistryProof


def _name(view: View) -> str:
    return f"{view.answers.registry_host}/{proof_image.REPOSITORY}:{proof_image.TAG}"


class RegistryPush(RegistryProof):
    """Uses the registry's API with TLS and login, on its node; no public image and no runtime is needed."""

    id: ClassVar[str] = "registry.push"
    title: ClassVar[str] = "Push an image"
    scope: ClassVar[Scope] = Scope.REGISTRY_NODE
    script: ClassVar[str] = "registry-push"
    estimate_seconds: ClassVar[float] = 3

    def proven(self, view: View) -> Mapping[str, str]:
        """The image, and what it holds."""
        return {"image": _name(view), "digest": proof_image.build(view.answers.cluster.name).digest}

    def parameters(self, view: View) -> Mapping[str, str]:
        """The image and where it goes."""
        image = proof_image.build(view.answers.cluster.name)
        return {**super().parameters(view), "REPOSITORY": proof_image.REPOSITORY, "TAG": proof_image.TAG, **image.parameters}

    def check(self, view: View) -> Check:
        """The record says that this image was pushed to this registry."""
        name = _name(view)
        if self.recorded(view):
            return Satisfied(f"{name} was pushed and read back ({proof_image.build(view.answers.cluster.name).digest[:19]})")
        return Needed((f"push {name}",))
