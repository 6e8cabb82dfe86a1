"""kubeflow.proof-notebook: a notebook server starts in the user's profile and is opened through the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Document, NotReady
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.proofs import proofs, signed_in
from kfinstall.parts.kubeflow.proofs.proof_step import ComponentProof, until


class KubeflowProofNotebook(ComponentProof):
    """Controller, StatefulSet, Service, route and the profile's policies, with the session of the login."""

    id: ClassVar[str] = "kubeflow.proof-notebook"
    title: ClassVar[str] = "Start and open a notebook"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROOF_NOTEBOOK_TIMEOUT_SECONDS + limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS
    component: ClassVar[str] = "notebooks"
    record: ClassVar[str] = "kubeflow-notebook"
    use: ClassVar[str] = "start a notebook server, open it through the gateway, and remove it"

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """The notebook."""
        return (proofs.notebook(view),)

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Make it, wait for its server, open it."""
        view, cluster = context.view, await context.cluster()
        namespace = view.answers.profile_namespace
        ref = (await cluster.apply(proofs.notebook(view))).ref

        await until(
            context,
            cluster,
            ref,
            waiting,
            selector=f"notebook-name={proofs.NOTEBOOK}",
            timeout_seconds=limits.KUBEFLOW_PROOF_NOTEBOOK_TIMEOUT_SECONDS,
        )
        parameters = {
            "URL_PATH": proofs.notebook_path(view.answers),
            "VIRTUAL_HOST": "",
            "EXPECTED": "NOW:",
            "SECONDS": str(limits.KUBEFLOW_PROOF_ROUTE_SECONDS),
        }
        await signed_in.request(context, "open", parameters, timeout_seconds=limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS)
        return (
            f"notebook {namespace}/{proofs.NOTEBOOK} started, and {view.answers.kubeflow.user.email} opened it through the gateway"
        )


def waiting(notebook: Document | None) -> NotReady | None:
    """What a notebook still lacks; None once its server is ready."""
    status = (notebook or {}).get("status") or {}
    if int(status.get("readyReplicas") or 0) >= 1:
        return None
    if not status:
        return NotReady(
            "the notebook controller has not looked at it yet", "kubectl -n kubeflow get pods | grep notebook-controller"
        )
    state = (status.get("containerState") or {}).get("waiting") or {}
    why = " ".join(str(state[key]) for key in ("reason", "message") if state.get(key))
    return NotReady(f"its server is not ready{f': {why}' if why else ''}")
