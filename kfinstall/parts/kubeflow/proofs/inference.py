"""kubeflow.proof-inference: an InferenceService becomes ready, and a request to it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

from typing_extensions import override

from kfinstall.diagnose.reasons import condition
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import ProofError
from kfinstall.kube.base import Document, NotReady
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.proofs import proofs, signed_in
from kfinstall.parts.kubeflow.proofs.proof_step import ComponentProof, until

_OF_SERVICE: Final = f"serving.kserve.io/inferenceservice={proofs.INFERENCE_SERVICE}"


class KubeflowProofInference(ComponentProof):
    """KServe's controller, Knative, its route at the gateway, and the way from there into the predictor."""

    id: ClassVar[str] = "kubeflow.proof-inference"
    title: ClassVar[str] = "Serve and ask an InferenceService"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROOF_INFERENCE_TIMEOUT_SECONDS + limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS
    component: ClassVar[str] = "kserve"
    record: ClassVar[str] = "kubeflow-inference"
    use: ClassVar[str] = "start an InferenceService, ask it through the gateway, and remove it"

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """The InferenceService."""
        return (proofs.inference_service(view),)

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Make it, wait until it is ready, ask it at the address that it tells."""
        view, cluster = context.view, await context.cluster()
        namespace = view.answers.profile_namespace
        ref = (await cluster.apply(proofs.inference_service(view))).ref

        ready = await until(
            context, cluster, ref, waiting, selector=_OF_SERVICE, timeout_seconds=limits.KUBEFLOW_PROOF_INFERENCE_TIMEOUT_SECONDS
        )
        host = urlsplit(str(((ready or {}).get("status") or {}).get("url") or "")).hostname or ""
        if not host:
            raise ProofError(
                f"{ref} is ready, but has no address", hint="kubectl -n kubeflow logs deployment/kserve-controller-manager"
            )
        parameters = {
            "URL_PATH": f"/echo?msg={proofs.WORD}",
            "VIRTUAL_HOST": host,
            "EXPECTED": proofs.WORD,
            "SECONDS": str(limits.KUBEFLOW_PROOF_ROUTE_SECONDS),
        }
        await signed_in.request(context, "open", parameters, timeout_seconds=limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS)
        return f"InferenceService {namespace}/{proofs.INFERENCE_SERVICE} became ready, and answered a request to {host}"


def waiting(service: Document | None) -> NotReady | None:
    """What an InferenceService still lacks; None once it is ready."""
    document = service or {}
    if condition(document, "Ready").get("status") == "True":
        return None
    if not (document.get("status") or {}).get("conditions"):
        return NotReady("KServe's controller has not looked at it yet", "kubectl -n kubeflow get pods | grep kserve-controller")
    for kind in ("PredictorReady", "IngressReady", "Ready"):
        found = condition(document, kind)
        if found.get("status") != "True" and (found.get("message") or found.get("reason")):
            return NotReady(f"{kind}: {found.get('message') or found.get('reason')}")
    return NotReady("it is not ready")
