"""registry.server: a container registry on one node, with TLS by its own CA and a login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import bcrypt
from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import ApplyContext, Check, Conflict, Needed, Scope, View
from kfinstall.engine.wanted import File, Wanted
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.registry import files, limits
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.secrets import Secret
from kfinstall.text import sha256


class RegistryServer(NodeStep):
    """Debian's and Ubuntu's package docker-registry under a unit and a configuration of our own (docs/adr/0012-registry.md)."""

    id: ClassVar[str] = "registry.server"
    title: ClassVar[str] = "Run a container registry"
    scope: ClassVar[Scope] = Scope.REGISTRY_NODE
    script: ClassVar[str] = "registry-server"
    reads = (RegistryFacts,)
    estimate_seconds: ClassVar[float] = 40
    hashes_wanted = False

    @override
    def applies(self, answers: Answers) -> bool:
        """Where a registry is wanted."""
        return answers.registry.enabled

    @override
    def wanted(self, view: View) -> Wanted:
        """Its configuration and its unit's file. The package is masked before it comes, and the unit needs a certificate first."""
        return Wanted(
            files=(
                File(files.CONFIG, files.config(view.answers), content_as="CONFIG"),
                File(files.UNIT_FILE, files.unit(view.answers), content_as="SERVICE_UNIT"),
            )
        )

    @override
    def watch(self, view: View) -> NodeQuery:
        """Its login, package, unit, port, and the space for its images too."""
        return super().watch(view) | NodeQuery(
            files=frozenset({files.HTPASSWD, files.LOGIN}),
            packages=frozenset({files.PACKAGE}),
            units=frozenset({files.UNIT, files.PACKAGE_UNIT}),
            ports=frozenset({view.answers.registry.port}),
            space=frozenset({view.answers.registry.directory}),
        )

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """Everything but the password."""
        answers = view.answers
        secured = files.secured(answers)
        return {
            "HOST": answers.registry_host,
            "ADDRESS": answers.registry_node.address,
            "SECURED": "yes" if secured else "no",
            "USER": answers.registry.user,
            "DIRECTORY": answers.registry.directory,
            "LOGIN": files.login_record(view) if secured else "",
            "NAMES": " ".join(files.subject_names(answers)),
            "CA_DAYS": str(limits.REGISTRY_CA_DAYS),
            "CERTIFICATE_DAYS": str(limits.REGISTRY_CERTIFICATE_DAYS),
            "RENEW_SECONDS": str(limits.REGISTRY_RENEW_BEFORE_SECONDS),
        }

    @override
    def check(self, view: View) -> Check:
        """Files as wanted, unit running, certificate good for a while, and the registry answers."""
        answers, facts = view.answers, view.facts
        port = answers.registry.port
        running = facts.runs(files.UNIT)
        owner = facts.network.listeners.get(port, "")
        if owner and not running and not owner.startswith("docker-registr"):
            return Conflict(f"TCP port {port} is taken by {owner}", "stop it, or set registry.port in the answers to a free port")
        found = view.fact(RegistryFacts)
        used = "" if found.used_bytes is None else f", {found.used_bytes // 2**20} MiB of images"
        how = "TLS and login" if files.secured(answers) else "plain HTTP, no login"
        verdict = self.compare(
            view,
            before=() if facts.packages.get(files.PACKAGE) else (f"install {files.PACKAGE}",),
            also=self._state(view, running=running),
            evidence=f"{files.UNIT} runs, {answers.registry_host} answers {found.status} ({how}){used}",
        )
        if isinstance(verdict, Needed) and found.used_bytes is None:
            return Needed((*verdict.changes, f"make {answers.registry.directory}"))
        return verdict

    def _state(self, view: View, *, running: bool) -> tuple[str, ...]:
        changes = [] if running else [f"start {files.UNIT}"]
        found = view.fact(RegistryFacts)
        login: list[str] = []
        if files.secured(view.answers):
            if not view.facts.has_file(files.LOGIN, sha256(files.login_record(view))):
                login.append(f"write {files.LOGIN}")
            password = view.facts.files.get(files.HTPASSWD)
            if password is None or password.mode & 0o007:
                changes.append(f"write {files.HTPASSWD}")
            if files.renewal_due(found, view.facts.read_at):
                changes.append("sign a server certificate")
            elif found.names != files.subject_names(view.answers):
                changes.append(f"sign a server certificate for {', '.join(files.subject_names(view.answers))}")
        if running and not changes and not found.answers:
            changes.append(f"restart {files.UNIT}, which does not answer")
        return (*login, *changes)

    @override
    async def stdin(self, context: ApplyContext) -> Secret | None:
        """The password, and its bcrypt line for htpasswd."""
        if not files.secured(context.view.answers):
            return None
        password = (await context.secret(files.PASSWORD)).reveal()
        hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(limits.REGISTRY_BCRYPT_ROUNDS)).decode()
        return Secret(f"{password}\n{context.view.answers.registry.user}:{hashed}\n")
