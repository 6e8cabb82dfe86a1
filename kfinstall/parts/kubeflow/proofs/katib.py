"""kubeflow.proof-katib: an experiment searches at random, and both its trials report their metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.diagnose.reasons import condition
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import ProofError
from kfinstall.kube.base import Document, NotReady
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.proofs import proofs
from kfinstall.parts.kubeflow.proofs.proof_step import ComponentProof, last_words, until

_OF_EXPERIMENT: Final = f"katib.kubeflow.org/experiment={proofs.EXPERIMENT}"


class KubeflowProofKatib(ComponentProof):
    """Controller, suggestion service, trials as Jobs, the injected metrics collector and the database behind it."""

    id: ClassVar[str] = "kubeflow.proof-katib"
    title: ClassVar[str] = "Run an experiment with Katib"
    timeout_seconds: ClassVar[float] = limits.KUBEFLOW_PROOF_KATIB_TIMEOUT_SECONDS
    component: ClassVar[str] = "katib"
    record: ClassVar[str] = "kubeflow-katib"
    use: ClassVar[str] = "run an experiment of two trials, read its best metric, and remove it"

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """The experiment."""
        return (proofs.experiment(view),)

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Make it, wait for its end, read the best trial."""
        view, cluster = context.view, await context.cluster()
        namespace = view.answers.profile_namespace
        ref = (await cluster.apply(proofs.experiment(view))).ref

        ended = await until(context, cluster, ref, waiting, selector=_OF_EXPERIMENT, timeout_seconds=self.timeout_seconds)
        if condition(ended or {}, "Succeeded").get("status") != "True":
            log_tail = await last_words(cluster, namespace, _OF_EXPERIMENT, proofs.TRIAL)
            found = condition(ended or {}, "Failed")
            raise ProofError(
                f"{ref} failed: {found.get('message') or found.get('reason') or 'no reason given'}",
                why=log_tail,
                hint=f"kubectl -n {namespace} get trials; kubectl -n {namespace} logs -l {_OF_EXPERIMENT} --all-containers",
            )
        trials, best = result(ended)
        context.say(f"best {proofs.METRIC}: {best}")
        return f"experiment {namespace}/{proofs.EXPERIMENT}: {trials} trials of random search, best {proofs.METRIC} {best}"


def waiting(experiment: Document | None) -> NotReady | None:
    """What an experiment still lacks; None once it has ended, well or not."""
    document = experiment or {}
    if any(condition(document, kind).get("status") == "True" for kind in ("Succeeded", "Failed")):
        return None
    status = document.get("status") or {}
    if not status.get("conditions"):
        return NotReady("Katib's controller has not looked at it yet", "kubectl -n kubeflow get pods | grep katib-controller")
    done, running = int(status.get("trialsSucceeded") or 0), int(status.get("trialsRunning") or 0)
    return NotReady(f"{done} trials succeeded, {running} are running")


def result(experiment: Document | None) -> tuple[int, str]:
    """How many trials succeeded, and the best value of the metric.

    Raises:
        ProofError: no trial's metric arrived.
    """
    status = (experiment or {}).get("status") or {}
    best = status.get("currentOptimalTrial") or {}
    for metric in (best.get("observation") or {}).get("metrics") or []:
        value = str(metric.get("latest") or "")
        if metric.get("name") == proofs.METRIC and value and value != "unavailable":
            return int(status.get("trialsSucceeded") or 0), value
    raise ProofError(
        "the experiment ended, but no trial's metric arrived",
        hint="kubectl -n kubeflow logs deployment/katib-db-manager --tail 20; its database must answer",
    )
