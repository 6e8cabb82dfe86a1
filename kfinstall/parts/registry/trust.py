"""registry.trust: every node's container runtime is told where the registry is, and whom to trust."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.errors import CommandError
from kfinstall.facts.model import Watch
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.text import sha256


class RegistryTrust(Step):
    """containerd by /etc/containerd/certs.d, Docker by /etc/docker/certs.d; mirrors of public registries too."""

    id: ClassVar[str] = "registry.trust"
    title: ClassVar[str] = "Let every node trust the registry"
    scope: ClassVar[Scope] = Scope.EVERY_NODE
    script: ClassVar[str] = "registry-trust"
    reads = (RegistryFacts,)
    estimate_seconds: ClassVar[float] = 3

    def applies(self, answers: Answers) -> bool:
        """Where there is a registry."""
        return answers.registry.enabled

    def watch(self, view: View) -> Watch:
        """The files, and the CA certificate of this node."""
        answers = view.answers
        return Watch(files=frozenset({*registry_files.trust_files(answers), f"{registry_files.certs_folder(answers)}/ca.crt"}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """Everything but the CA certificate, which only exists once the registry does."""
        answers = view.answers
        files = registry_files.trust_files(answers)
        lines = [f"{path}\t{base64.b64encode(text.encode()).decode()}" for path, text in sorted(files.items())]
        daemon = registry_files.docker_daemon(answers) if answers.cluster.runtime == "docker" else {}
        return {
            "RUNTIME": answers.cluster.runtime,
            "HOST": answers.registry_host,
            "FOLDER": registry_files.certs_folder(answers),
            "FILES": "\n".join(lines),
            "DAEMON": json.dumps(daemon, sort_keys=True),
        }

    def check(self, view: View) -> Check:
        """The files are as wanted, the CA is the registry's, and the registry answers here."""
        answers = view.answers
        changes = [
            f"write {path}"
            for path, text in registry_files.trust_files(answers).items()
            if not view.facts.has_file(path, sha256(text))
        ]
        path = f"{registry_files.certs_folder(answers)}/ca.crt"
        if registry_files.secured(answers):
            wanted = registry_files.ca_sha256(view)
            if not wanted or not view.facts.has_file(path, wanted):
                changes.append(f"write {path}")
        found = view.fact(RegistryFacts)
        if not found.answers:
            changes.append(f"try {answers.registry_host} from here")
        if changes:
            return Needed(tuple(changes))
        return Satisfied(f"{registry_files.certs_folder(answers)} is there, {answers.registry_host} answers {found.status} here")

    async def apply(self, context: ApplyContext) -> None:
        """Fetch the CA certificate from the registry's node and hand it to this node's script."""
        answers = context.view.answers
        certificate = ""
        if registry_files.secured(answers):
            node = answers.registry_node.name
            done = await context.ask_script("registry-ca", {}, on=node)
            certificate = "\n".join(done.lines).strip() + "\n"
            if done.status != 0 or "BEGIN CERTIFICATE" not in certificate:
                raise CommandError(
                    "the registry's CA certificate can't be read",
                    node=node,
                    status=done.status,
                    why="\n".join(done.lines[-3:]),
                    hint=f"run the phase from its beginning: {invocation.only('registry')}",
                )
        parameters = {**self.parameters(context.view), "CA": certificate}
        await context.run_script(self.script, parameters, timeout_seconds=self.timeout_seconds)
