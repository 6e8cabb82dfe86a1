"""kubeflow.proof: the user logs in through dex, and the dashboard knows who that is."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall import limits, secret_store, stamp
from kfinstall.answers.model import Answers
from kfinstall.cluster.base import Cluster, Ref, Want
from kfinstall.errors import ProofError
from kfinstall.kubeflow import choice, own
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View

PASSWORD: Final = "kubeflow.user.password"  # noqa: S105 (a name)
_TLS: Final = Ref("v1", "Secret", own.TLS_SECRET, own.GATEWAY_NAMESPACE)


class KubeflowProof(Step):
    """The browser's way: sign-in page, dex, cookies, dashboard; from the first control plane to the gateway's Service."""

    id: ClassVar[str] = "kubeflow.proof"
    title: ClassVar[str] = "Log in to the dashboard"
    scope: ClassVar[Scope] = Scope.CLUSTER
    script: ClassVar[str] = "kubeflow-proof"
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
        secured = own.secured(view.answers)
        return {
            "EMAIL": view.answers.kubeflow.user.email,
            "NAMESPACE": view.answers.profile_namespace,
            "SCHEME": "https" if secured else "http",
            "HOST": "localhost",
            "PORT": "443" if secured else "80",
            "RENDERING": choice.key(view),
        }

    def check(self, view: View) -> Check:
        """A login with these answers is on record."""
        evidence = stamp.proven(view.cluster, "kubeflow", self.fingerprint(view))
        return Satisfied(evidence) if evidence else Needed((f"log in to the dashboard as {view.answers.kubeflow.user.email}",))

    async def apply(self, context: ApplyContext) -> None:
        """Log in, ask the dashboard who that is, and record it."""
        view, cluster = context.view, await context.cluster()
        service = await cluster.get(own.GATEWAY_SERVICE)
        address = str(((service or {}).get("spec") or {}).get("clusterIP") or "")
        if not address or address == "None":
            raise ProofError("the gateway has no address in the cluster", hint="kfinstall --only kubeflow")
        parameters = {
            **self.parameters(view),
            "ADDRESS": f"[{address}]" if ":" in address else address,
            "CA": await _authority(cluster, view),
        }
        await context.run_script(
            self.script, parameters, stdin=await context.secret(PASSWORD), timeout_seconds=self.timeout_seconds
        )
        await cluster.apply(secret_store.namespace())
        evidence = f"{view.answers.kubeflow.user.email} logged in through dex; the dashboard answers"
        await cluster.apply(stamp.proof("kubeflow", self.fingerprint(view), evidence))


async def _authority(cluster: Cluster, view: View) -> str:
    """PEM of what the gateway's certificate is to be checked against; empty without TLS."""
    if not own.secured(view.answers):
        return ""
    data = ((await cluster.get(_TLS)) or {}).get("data") or {}
    return base64.b64decode(data.get("ca.crt") or data.get("tls.crt") or "").decode("ascii", "replace")
