"""kubeflow.proof-pipeline: a compiled pipeline is started by the pipelines' API as the user, and its run succeeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import CommandError, ProofError
from kfinstall.kube.base import Cluster, Document, ListQuery, NotReady, Ref
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.proofs import proofs, signed_in
from kfinstall.parts.kubeflow.proofs.proof_step import ComponentProof, last_words, until

_WORKFLOW: Final = ListQuery("argoproj.io/v1alpha1", "Workflow")
_RUN_LABEL: Final = "pipeline/runid"
_MARK: Final = "kf-run "


class KubeflowProofPipeline(ComponentProof):
    """API server, database, object store, Argo, driver and launcher, with the user's own rights in the profile."""

    id: ClassVar[str] = "kubeflow.proof-pipeline"
    title: ClassVar[str] = "Run a pipeline"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROOF_PIPELINE_TIMEOUT_SECONDS + 2 * limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS
    component: ClassVar[str] = "pipelines"
    record: ClassVar[str] = "kubeflow-pipeline"
    use: ClassVar[str] = "run a pipeline of one task by the pipelines' API, and delete the run"

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Also what is run."""
        return {**super().inputs(view), "PIPELINE": stamp.content(proofs.pipeline(view))}

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Start it, follow its workflow, and let the API tell its end."""
        view, cluster = context.view, await context.cluster()
        namespace = view.answers.profile_namespace
        started = await signed_in.request(
            context,
            "run-start",
            {"EXPERIMENT": proofs.PIPELINE, "REQUEST": proofs.run_request(view)},
            timeout_seconds=limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS,
        )
        run = _run(started.lines)
        try:
            await self._follow(context, cluster, namespace, run)
            await signed_in.request(
                context,
                "run-end",
                {"RUN": run, "SECONDS": str(limits.KUBEFLOW_PROOF_RUN_SECONDS)},
                timeout_seconds=limits.KUBEFLOW_PROOF_TIMEOUT_SECONDS,
            )
        except (ProofError, CommandError) as error:
            error.hint = f"{error.hint}\nit is kept: /pipeline/#/runs/details/{run} at the dashboard's address".strip()
            raise
        return f"a pipeline of one task was run in {namespace} for {view.answers.kubeflow.user.email}; run {run} succeeded"

    async def _follow(self, context: ApplyContext, cluster: Cluster, namespace: str, run: str) -> None:
        selector = f"{_RUN_LABEL}={run}"
        found = await cluster.list(ListQuery(_WORKFLOW.api_version, _WORKFLOW.kind, namespace), label_selector=selector)
        if not found:
            raise ProofError(
                f"run {run} was accepted, but {namespace} has no workflow of it",
                hint="kubectl -n kubeflow logs deployment/ml-pipeline --tail 20",
            )

        limit = limits.KUBEFLOW_PROOF_PIPELINE_TIMEOUT_SECONDS
        ended = await until(context, cluster, Ref.of(found[0]), waiting, selector=selector, timeout_seconds=limit)
        status = (ended or {}).get("status") or {}
        if status.get("phase") != "Succeeded":
            log_tail = await last_words(cluster, namespace, selector, "main")
            raise ProofError(
                f"run {run} {str(status.get('phase') or 'vanished').lower()}: {_first_failure(status)}",
                why=log_tail,
                hint=f"kubectl -n {namespace} logs -l {selector} --all-containers --tail 20",
            )


def _run(lines: Iterable[str]) -> str:
    """The id of the run that the script started.

    Raises:
        ProofError: it told none.
    """
    run = next((line.removeprefix(_MARK).strip() for line in lines if line.startswith(_MARK)), "")
    if not run:
        raise ProofError("the pipelines' API started a run without an id", hint="kubectl -n kubeflow logs deployment/ml-pipeline")
    return run


def waiting(workflow: Document | None) -> NotReady | None:
    """What a workflow still lacks; None once it has ended, well or not, or is gone."""
    if workflow is None:
        return None
    status = workflow.get("status") or {}
    phase = str(status.get("phase") or "")
    if phase in ("Succeeded", "Failed", "Error"):
        return None
    if not phase:
        return NotReady(
            "the workflow controller has not looked at it yet", "kubectl -n kubeflow get pods | grep workflow-controller"
        )
    return NotReady(f"the workflow is {phase.lower()} ({status.get('progress') or '0/1'} tasks)")


def _first_failure(status: Mapping[str, Any]) -> str:
    nodes = (status.get("nodes") or {}).values()
    failed = [node for node in nodes if node.get("phase") in ("Failed", "Error") and node.get("type") == "Pod"]
    message = next((node.get("message") for node in failed if node.get("message")), "") or status.get("message")
    return str(message or "no reason given")
