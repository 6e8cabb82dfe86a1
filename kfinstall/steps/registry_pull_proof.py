"""registry.pull-proof: every node's runtime pulls the pushed image."""

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

_RECORD: Final = f"{registry_site.PROOFS}/registry.pull-proof.json"


class RegistryPullProof(Step):
    """Pulls by digest, through the node's own trust, with the login; as the kubelet will."""

    id: ClassVar[str] = "registry.pull-proof"
    title: ClassVar[str] = "Pull the image on every node"
    scope: ClassVar[Scope] = Scope.EVERY_NODE
    script: ClassVar[str] = "registry-pull-proof"
    estimate_seconds: ClassVar[float] = 4
    proof: ClassVar[bool] = True

    def applies(self, answers: Answers) -> bool:
        """Where there is a registry."""
        return answers.registry.enabled

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The record of the proof."""
        return Watch(files=frozenset({_RECORD}))

    def _image(self, view: View) -> str:
        answers = view.answers
        return f"{answers.registry_host}/{proof_image.REPOSITORY}@{proof_image.build(answers.cluster.name).digest}"

    def _record(self, view: View) -> str:
        inputs = {"image": self._image(view), "runtime": view.answers.cluster.runtime}
        return (
            json.dumps(
                {**inputs, "ca": registry_site.ca_sha256(view), "login": registry_site.login_fingerprint(view)}, sort_keys=True
            )
            + "\n"
        )

    def parameters(self, view: View) -> Mapping[str, str]:
        """The image and how it is reached."""
        answers = view.answers
        return {
            "RUNTIME": answers.cluster.runtime,
            "HOST": answers.registry_host,
            "SECURED": "yes" if registry_site.secured(answers) else "no",
            "USER": answers.registry.user,
            "IMAGE": self._image(view),
            "RECORD_PATH": _RECORD,
            "RECORD": self._record(view),
        }

    def check(self, view: View) -> Check:
        """The record says that this node pulled this image from this registry."""
        if view.facts.has_file(_RECORD, sha256(self._record(view))):
            return Satisfied(f"{view.answers.cluster.runtime} pulled {short_image(self._image(view))}")
        return Needed((f"pull {self._image(view)}",))

    async def stdin(self, context: ApplyContext) -> Secret | None:
        """The login's password."""
        return await context.secret(registry_site.PASSWORD) if registry_site.secured(context.view.answers) else None


def short_image(image: str) -> str:
    """An image's name with its digest as short as people compare it: host/name@sha256:311bf29bf61d."""
    name, found, digest = image.partition("@sha256:")
    return f"{name}@sha256:{digest[:12]}" if found else name
