"""registry.push: one small image is pushed and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall import proof_image, registry_site
from kfinstall.answers.model import Answers
from kfinstall.facts.model import Watch
from kfinstall.secrets import Secret
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.text import sha256

_RECORD: Final = f"{registry_site.PROOFS}/registry.push.json"


class RegistryPush(Step):
    """Uses the registry's API with TLS and login, on its node; no public image and no runtime is needed."""

    id: ClassVar[str] = "registry.push"
    title: ClassVar[str] = "Push an image"
    scope: ClassVar[Scope] = Scope.REGISTRY_NODE
    script: ClassVar[str] = "registry-push"
    estimate_seconds: ClassVar[float] = 3
    proof: ClassVar[bool] = True

    def applies(self, answers: Answers) -> bool:
        """Where there is a registry."""
        return answers.registry.enabled

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The record of the proof."""
        return Watch(files=frozenset({_RECORD}))

    def _record(self, view: View) -> str:
        image = proof_image.build(view.answers.cluster.name)
        inputs = {"image": f"{view.answers.registry_host}/{proof_image.REPOSITORY}:{proof_image.TAG}", "digest": image.digest}
        return (
            json.dumps(
                {**inputs, "ca": registry_site.ca_sha256(view), "login": registry_site.login_fingerprint(view)}, sort_keys=True
            )
            + "\n"
        )

    def parameters(self, view: View) -> Mapping[str, str]:
        """The image and where it goes."""
        answers = view.answers
        return {
            "HOST": answers.registry_host,
            "SECURED": "yes" if registry_site.secured(answers) else "no",
            "USER": answers.registry.user,
            "REPOSITORY": proof_image.REPOSITORY,
            "TAG": proof_image.TAG,
            **proof_image.build(answers.cluster.name).parameters,
            "RECORD_PATH": _RECORD,
            "RECORD": self._record(view),
        }

    def check(self, view: View) -> Check:
        """The record says that this image was pushed to this registry."""
        name = f"{view.answers.registry_host}/{proof_image.REPOSITORY}:{proof_image.TAG}"
        if view.facts.has_file(_RECORD, sha256(self._record(view))):
            return Satisfied(f"{name} was pushed and read back ({proof_image.build(view.answers.cluster.name).digest[:19]})")
        return Needed((f"push {name}",))

    async def stdin(self, context: ApplyContext) -> Secret | None:
        """The login's password."""
        return await context.secret(registry_site.PASSWORD) if registry_site.secured(context.view.answers) else None
