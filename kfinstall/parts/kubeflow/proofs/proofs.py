"""What proves that Kubeflow's components work: the objects that a user would make, as small as they can be. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

from kfinstall.answers.model import Answers, Proof
from kfinstall.apply.stamp import LABELS
from kfinstall.engine.step import View
from kfinstall.kube.base import Document
from kfinstall.parts.kubeflow import choice, limits
from kfinstall.parts.storage import limits as storage_limits
from kfinstall.releases import Release

COMPONENTS: Final = get_args(Proof)
"""The components that have a proof, in the order in which they are proven."""
LABEL: Final = "kfinstall.io/proof"
NOTEBOOK: Final = "kf-proof-notebook"
EXPERIMENT: Final = "kf-proof-katib"
PIPELINE: Final = "kf-proof-pipeline"
INFERENCE_SERVICE: Final = "kf-proof"
"""Short: with the namespace it must fit into one label of a host name (63 characters)."""
WORD: Final = "kfinstall-proof"
"""What the predictor and the pipeline's task are to say."""
METRIC: Final = "distance"
_NO_SIDECAR: Final = {"sidecar.istio.io/inject": "false"}
_PARAMETER: Final = "step"
TRIAL: Final = "trial"
"""The container of a trial that searches; Katib puts its metrics collector beside it."""
# Katib's metrics collector looks for the running process: a trial of no length would be gone before it looks. Katib joins the words and
# puts its own redirection behind the last command, which is why the metric comes last and needs no quotes.
_TRIAL: Final = f"sleep {limits.KUBEFLOW_PROOF_TRIAL_SECONDS} && echo {METRIC}=${{trialParameters.{_PARAMETER}}}"


def wanted(answers: Answers, release: Release) -> tuple[str, ...]:
    """The components that are chosen, have a proof, and are to be proven."""
    if not answers.kubeflow.enabled:
        return ()
    chosen, requested = choice.components(answers, release), answers.kubeflow.proofs
    return tuple(name for name in COMPONENTS if name in chosen and (requested == "all" or name in requested))


def _metadata(view: View, name: str, *, kind: str, **more: Any) -> dict[str, Any]:
    labels = {**LABELS, LABEL: kind, **more.pop("labels", {})}
    return {"name": name, "namespace": view.answers.profile_namespace, "labels": labels, **more}


def _container(view: View, name: str, **more: Any) -> dict[str, Any]:
    """A container of the image that the pod network was proven with: every node has it already."""
    return {
        "name": name,
        "image": view.release.images["agnhost"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": storage_limits.STORAGE_USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        **more,
    }


def notebook(view: View) -> Document:
    """A notebook server that answers HTTP under its path. The controller finds its container by the notebook's own name."""
    port = limits.KUBEFLOW_NOTEBOOK_PORT
    server = _container(
        view,
        NOTEBOOK,
        args=["netexec", f"--http-port={port}"],
        ports=[{"name": "notebook-port", "containerPort": port, "protocol": "TCP"}],
    )
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Notebook",
        "metadata": _metadata(view, NOTEBOOK, kind="notebook"),
        "spec": {"template": {"spec": {"serviceAccountName": "default-editor", "containers": [server]}}},
    }


def notebook_path(answers: Answers) -> str:
    """Where the gateway has the notebook."""
    return f"/notebook/{answers.profile_namespace}/{NOTEBOOK}/"


def experiment(view: View) -> Document:
    """Two trials of random search; each prints its parameter as the metric."""
    trial = _container(view, TRIAL, command=["sh", "-c"], args=[_TRIAL])
    template = {
        "metadata": {"labels": {LABEL: "katib", **_NO_SIDECAR}, "annotations": dict(_NO_SIDECAR)},
        "spec": {"restartPolicy": "Never", "containers": [trial]},
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": template}}
    space = {"min": "0.1", "max": "1.0"}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": _metadata(view, EXPERIMENT, kind="katib"),
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": METRIC},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 2,
            "parallelTrialCount": 2,
            "maxFailedTrialCount": 0,
            "resumePolicy": "Never",
            "parameters": [{"name": _PARAMETER, "parameterType": "double", "feasibleSpace": space}],
            "trialTemplate": {
                "primaryContainerName": TRIAL,
                "trialParameters": [{"name": _PARAMETER, "description": "what is searched", "reference": _PARAMETER}],
                "trialSpec": job,
            },
        },
    }


def inference_service(view: View) -> Document:
    """A predictor that is a plain web server: no model is downloaded. Without a sidecar, whose policies know only the user's own paths."""
    port = limits.KUBEFLOW_PREDICTOR_PORT
    server = _container(
        view,
        "kserve-container",
        args=["netexec", f"--http-port={port}"],
        ports=[{"containerPort": port, "protocol": "TCP"}],
    )
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata(view, INFERENCE_SERVICE, kind="inference", labels=dict(_NO_SIDECAR), annotations=dict(_NO_SIDECAR)),
        "spec": {"predictor": {"minReplicas": 1, "maxReplicas": 1, "containers": [server]}},
    }


def pipeline(view: View) -> Document:
    """A compiled pipeline (IR of the SDK's version 2) of one task without inputs, never taken from the cache."""
    container = {
        "image": view.release.images["agnhost"],
        "command": ["sh", "-c"],
        "args": [f"echo {WORD}"],
        "resources": {"resourceCpuRequest": "10m", "resourceMemoryRequest": "32Mi"},
    }
    task: Mapping[str, Any] = {"taskInfo": {"name": "say"}, "componentRef": {"name": "comp-say"}, "cachingOptions": {}}
    return {
        "pipelineInfo": {"name": PIPELINE, "description": "Made by kfinstall to prove that pipelines run."},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.14.0",
        "root": {"dag": {"tasks": {"say": task}}},
        "components": {"comp-say": {"executorLabel": "exec-say"}},
        "deploymentSpec": {"executors": {"exec-say": {"container": container}}},
    }


def run_request(view: View) -> str:
    """JSON of a run of the pipeline, for POST /apis/v2beta1/runs; @EXPERIMENT@ stands for the id of the experiment it goes into."""
    return json.dumps(
        {
            "display_name": PIPELINE,
            "experiment_id": "@EXPERIMENT@",
            "pipeline_spec": pipeline(view),
            "service_account": "default-editor",
            "runtime_config": {},
        },
        sort_keys=True,
    )
