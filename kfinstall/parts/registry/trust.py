"""registry.trust: every node's container runtime is told where the registry is, and whom to trust."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, View
from kfinstall.engine.wanted import File, Wanted
from kfinstall.errors import CommandError
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight.runtime_files import CERTS_D, RuntimeFiles
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry.facts import RegistryFacts


class RegistryTrust(NodeStep):
    """containerd by the directory that it looks in (/etc/containerd/certs.d, or what its configuration names), Docker by /etc/docker/certs.d."""

    id: ClassVar[str] = "registry.trust"
    title: ClassVar[str] = "Let every node trust the registry"
    scope: ClassVar[Scope] = Scope.EVERY_NODE
    script: ClassVar[str] = "registry-trust"
    reads = (RegistryFacts, RuntimeFiles)
    estimate_seconds: ClassVar[float] = 3

    @override
    def applies(self, answers: Answers) -> bool:
        """Where there is a registry."""
        return answers.registry.enabled

    @override
    def wanted(self, view: View) -> Wanted:
        """The files but the CA certificate, which only exists once the registry does."""
        return Wanted(files=tuple(File(path, text) for path, text in registry_files.trust_files(view).items()))

    @override
    def watch(self, view: View) -> NodeQuery:
        """The CA certificate of this node too."""
        return super().watch(view) | NodeQuery(files=frozenset({f"{registry_files.certs_folder(view)}/ca.crt"}))

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """The runtime, the registry, and what daemon.json is to have."""
        answers = view.answers
        daemon = registry_files.docker_daemon(answers) if answers.cluster.runtime == "docker" else {}
        return {
            "RUNTIME": answers.cluster.runtime,
            "HOST": answers.registry_host,
            "FOLDER": registry_files.certs_folder(view),
            "DAEMON": json.dumps(daemon, sort_keys=True),
        }

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The files' contents in one value, as journals know them."""
        files = sorted(registry_files.trust_files(view).items())
        lines = [f"{path}\t{base64.b64encode(text.encode()).decode()}" for path, text in files]
        return {**self.options(view), "FILES": "\n".join(lines)}

    @override
    def check(self, view: View) -> Check:
        """The files are as wanted, the CA is the registry's, and the registry answers here."""
        answers, found = view.answers, view.fact(RegistryFacts)
        folder = registry_files.certs_folder(view)
        changes = []
        if registry_files.secured(answers):
            wanted = registry_files.ca_sha256(view)
            there = view.facts.has_file(f"{folder}/ca.crt", wanted) or found.trusted.get(folder) == wanted
            if not wanted or not there:
                changes.append(f"write {folder}/ca.crt")
        if not found.answers:
            changes.append(f"try {answers.registry_host} from here")
        evidence = f"{folder} is there, {answers.registry_host} answers {found.status} here"
        if self._read_elsewhere(view, folder):
            return Needed(tuple(changes)) if changes else Satisfied(evidence)
        return self.compare(view, also=changes, evidence=evidence)

    @staticmethod
    def _read_elsewhere(view: View, folder: str) -> bool:
        """Whether a folder that only the runtime's configuration names has all that is wanted: it was not known when the files were asked for."""
        contents = view.fact(RuntimeFiles).contents
        return not folder.startswith(f"{CERTS_D}/") and all(
            contents.get(path) == text.encode() for path, text in registry_files.trust_files(view).items()
        )

    @override
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
