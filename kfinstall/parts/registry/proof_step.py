"""What the two proofs of the registry have in common: the login, and a record on the node of what was proven."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.section import FactSection
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.registry import files
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.secrets import Secret
from kfinstall.text import sha256


class RegistryProof(Step):
    """Subclasses say what is proven, by which script. It is proven anew for another certificate or login."""

    proof: ClassVar[bool] = True
    reads: ClassVar[tuple[type[FactSection], ...]] = (RegistryFacts,)

    @property
    def record_path(self) -> str:
        """The record on the node."""
        return f"{prepare_files.PROOFS}/{self.id}.json"

    def applies(self, answers: Answers) -> bool:
        """Where there is a registry."""
        return answers.registry.enabled

    def watch(self, view: View) -> NodeQuery:  # noqa: ARG002
        """The record of the proof."""
        return NodeQuery(files=frozenset({self.record_path}))

    def proven(self, view: View) -> Mapping[str, str]:
        """What the proof was made with."""
        raise NotImplementedError

    def record(self, view: View) -> str:
        """Content of the record: a line of JSON."""
        trust = {"ca": files.ca_sha256(view), "login": files.login_fingerprint(view)}
        return json.dumps({**self.proven(view), **trust}, sort_keys=True) + "\n"

    def recorded(self, view: View) -> bool:
        """Whether the node has the record of exactly that."""
        return view.facts.has_file(self.record_path, sha256(self.record(view)))

    def parameters(self, view: View) -> Mapping[str, str]:
        """How the registry is reached, and the record."""
        answers = view.answers
        return {
            "HOST": answers.registry_host,
            "SECURED": "yes" if files.secured(answers) else "no",
            "USER": answers.registry.user,
            "RECORD_PATH": self.record_path,
            "RECORD": self.record(view),
        }

    async def stdin(self, context: ApplyContext) -> Secret | None:
        """The login's password."""
        return await context.secret(files.PASSWORD) if files.secured(context.view.answers) else None
