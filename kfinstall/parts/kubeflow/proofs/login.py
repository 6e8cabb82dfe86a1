"""kubeflow.proof: the user logs in through dex, and the dashboard knows who that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Want
from kfinstall.parts.kubeflow import choice, limits
from kfinstall.parts.kubeflow.proofs import signed_in


class KubeflowProof(Step):
    """The browser's way: sign-in page, dex, cookies, dashboard; from the first control plane to the gateway's Service."""

    id: ClassVar[str] = "kubeflow.proof"
    title: ClassVar[str] = "Log in to the dashboard"
    scope: ClassVar[Scope] = Scope.CLUSTER
    script: ClassVar[str] = signed_in.SCRIPT
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10
    proof: ClassVar[bool] = True

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The record."""
        return (Want("v1", "ConfigMap", stamp.PROOFS_NAMESPACE),)

    def parameters(self, view: View) -> Mapping[str, str]:
        """Who logs in where."""
        return {**signed_in.parameters(view), "RENDERING": choice.key(view)}

    def check(self, view: View) -> Check:
        """A login with these answers is on record."""
        evidence = stamp.proven(view.cluster, "kubeflow", self.fingerprint(view))
        return Satisfied(evidence) if evidence else Needed((f"log in to the dashboard as {view.answers.kubeflow.user.email}",))

    async def apply(self, context: ApplyContext) -> None:
        """Log in, ask the dashboard who that is, and record it."""
        view, cluster = context.view, await context.cluster()
        await signed_in.request(context, "login", {}, timeout_seconds=self.timeout_seconds)
        await cluster.apply(secret_store.namespace())
        evidence = f"{view.answers.kubeflow.user.email} logged in through dex; the dashboard answers"
        await cluster.apply(stamp.proof("kubeflow", self.fingerprint(view), evidence))
