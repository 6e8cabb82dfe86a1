"""The first step: every server was reached, and root is to be had there."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Check, Conflict, Danger, Satisfied, Step, View


class ConnectLogin(Step):
    """Facts are read by root: having them proves login and sudo at once."""

    id: ClassVar[str] = "connect.login"
    title: ClassVar[str] = "Log in and become root"
    danger: ClassVar[Danger] = Danger.NONE

    def check(self, view: View) -> Check:
        """Satisfied where the node's facts were read."""
        node = view.node
        if view.target not in view.fleet:
            own = node.ssh
            user = (own.user if own else None) or view.answers.ssh.user
            port = (own.port if own else None) or view.answers.ssh.port
            login = f"{user}@{node.address}" if user else node.address
            return Conflict(f"{node.address} was not reached", f"ssh {f'-p {port} ' if port else ''}{login} sudo -n true")
        facts = view.facts
        memory = f"{facts.hardware.memory_bytes / 2**30:.0f} GiB"
        return Satisfied(f"{node.address} answers as {facts.os.hostname}, as root; {facts.hardware.cpus} CPU, {memory} of memory")
