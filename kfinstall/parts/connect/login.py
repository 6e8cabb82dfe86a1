"""The first step: every server was reached, and root is to be had there."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Check, Conflict, Danger, Finding, Satisfied, Severity, Step, View
from kfinstall.transport import forwarding


class ConnectLogin(Step):
    """Facts are read by root: having them proves login and sudo at once. The first control plane's sshd must forward connections to its API server, too."""

    id: ClassVar[str] = "connect.login"
    title: ClassVar[str] = "Log in and become root"
    danger: ClassVar[Danger] = Danger.NONE
    names = ("forwarding",)

    def check(self, view: View) -> Check:
        """Satisfied where the node's facts were read."""
        node = view.node
        if view.target not in view.fleet:
            own, user = node.ssh, self._user(view)
            port = (own.port if own else None) or view.answers.ssh.port
            login = f"{user}@{node.address}" if user else node.address
            return Conflict(f"{node.address} was not reached", f"ssh {f'-p {port} ' if port else ''}{login} sudo -n true")
        facts = view.facts
        if facts.forwarding_refused:
            answer, *places = facts.forwarding_refused
            reason = f"its sshd does not forward connections ({answer}), and the Kubernetes API is reached through one"
            hint = forwarding.hint(self._user(view), ", ".join(places))
            # Nothing goes without: to ignore it would end behind kubeadm init, where nobody says why.
            return Conflict(reason, hint, findings=(Finding(reason, hint, name="forwarding", severity=Severity.BLOCKING),))
        memory = f"{facts.hardware.memory_bytes / 2**30:.0f} GiB"
        return Satisfied(f"{node.address} answers as {facts.os.hostname}, as root; {facts.hardware.cpus} CPU, {memory} of memory")

    @staticmethod
    def _user(view: View) -> str:
        own = view.node.ssh
        return (own.user if own else None) or view.answers.ssh.user or ""
