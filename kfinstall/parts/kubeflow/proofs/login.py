"""kubeflow.proof: the user logs in through dex, and the dashboard knows who that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.proof_step import ProofStep
from kfinstall.engine.step import ApplyContext, View
from kfinstall.parts.kubeflow import choice, limits
from kfinstall.parts.kubeflow.proofs import signed_in


class KubeflowProof(ProofStep):
    """The browser's way: sign-in page, dex, cookies, dashboard; from the first control plane to the gateway's Service."""

    id: ClassVar[str] = "kubeflow.proof"
    title: ClassVar[str] = "Log in to the dashboard"
    script: ClassVar[str] = signed_in.SCRIPT
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10
    record: ClassVar[str] = "kubeflow"

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    @override
    def parameters(self, view: View) -> Mapping[str, str]:
        """Who logs in where."""
        return {**signed_in.parameters(view), "RENDERING": choice.key(view)}

    @override
    def intent(self, view: View) -> str:
        """Who logs in."""
        return f"log in to the dashboard as {view.answers.kubeflow.user.email}"

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Log in, and ask the dashboard who that is."""
        await signed_in.request(context, "login", {}, timeout_seconds=self.timeout_seconds)
        return f"{context.view.answers.kubeflow.user.email} logged in through dex; the dashboard answers"
