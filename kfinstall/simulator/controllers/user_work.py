"""Simulated controllers of what Kubeflow's users make: notebooks, experiments, InferenceServices, and the workflows of pipelines."""

from __future__ import annotations

import copy
import json
import re
from typing import Any, Final

from kfinstall.simulator.apiserver.logs import LOGS
from kfinstall.simulator.apiserver.objects import random_suffix
from kfinstall.simulator.apiserver.patches import timestamp
from kfinstall.simulator.controllers.queue import Controllers, Where, condition, conditions_like, is_true, owner_of
from kfinstall.simulator.nodes.kubeflow import TRIAL_LABEL

Document = dict[str, Any]

_NOTEBOOKS: Final = "notebooks.kubeflow.org"
_EXPERIMENTS: Final = "experiments.kubeflow.org"
_TRIALS: Final = "trials.kubeflow.org"
_INFERENCE: Final = "inferenceservices.serving.kserve.io"
_WORKFLOWS: Final = "workflows.argoproj.io"
_RETRY_LINES: Final = 10
_OWNERS: Final = {
    "Notebook": _NOTEBOOKS,
    "Trial": _TRIALS,
    "Experiment": _EXPERIMENTS,
    "InferenceService": _INFERENCE,
    "Workflow": _WORKFLOWS,
}
_NOTEBOOK_PORT: Final = 8888
_PLACEHOLDER: Final = re.compile(r"\$\{trialParameters\.([^}]+)\}")
_COLLECTOR: Final = {"name": "metrics-logger-and-collector", "image": "ghcr.io/kubeflow/katib/file-metrics-collector:simulated"}
EXPERIMENT_LABEL: Final = "katib.kubeflow.org/experiment"


class UserWork:
    """Registers the controllers."""

    def __init__(self, controllers: Controllers) -> None:
        """Registers them, and that they look again where something that they own changes."""
        self._c = controllers
        controllers.on(_NOTEBOOKS, self._notebook)
        controllers.on(_EXPERIMENTS, self._experiment)
        controllers.on(_TRIALS, self._trial)
        controllers.on(_INFERENCE, self._inference)
        controllers.on(_WORKFLOWS, self._workflow)
        for key in ("statefulsets.apps", "deployments.apps", "jobs.batch", "pods", _TRIALS):
            controllers.on(key, self._owned)

    def _owned(self, where: Where, document: Document | None) -> None:
        for owner in (document or {}).get("metadata", {}).get("ownerReferences") or ():
            if owner["kind"] in _OWNERS:
                self._c.enqueue(_OWNERS[owner["kind"]], where[1], owner["name"])

    def _runs(self, where: Where, part: str, namespace: str = "kubeflow") -> bool:
        """Whether the controller of a kind runs; looks again later where it does not."""
        found = [item for item in self._c.store.list("deployments.apps", namespace) if part in item["metadata"]["name"]]
        if found and all(is_true(item, "Available") for item in found):
            return True
        self._c.later(self._c.delay(_RETRY_LINES) + 0.01, *where)
        return False

    def _made(self, owner: Document, api_version: str, kind: str, name: str, spec: Document, **metadata: Any) -> Document:
        place = {"name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": owner_of(owner), **metadata}
        made = self._c.create({"apiVersion": api_version, "kind": kind, "metadata": place, "spec": copy.deepcopy(spec)})
        return made or {}

    def _tell(self, key: str, document: Document, status: Document) -> None:
        if "conditions" in status:
            status["conditions"] = conditions_like(document.get("status"), status["conditions"])
        self._c.set_status(key, document, status)

    # notebooks

    def _notebook(self, where: Where, notebook: Document | None) -> None:
        if notebook is None or not self._runs(where, "notebook-controller"):
            return
        name, namespace = where[2], where[1]
        pod = notebook["spec"]["template"]["spec"]
        server = next((item for item in pod["containers"] if item["name"] == name), None)
        labels = {"statefulset": name, "notebook-name": name, **(notebook["metadata"].get("labels") or {})}
        template = {"metadata": {"labels": labels}, "spec": pod}
        body = {"serviceName": "", "replicas": 1, "selector": {"matchLabels": {"statefulset": name}}, "template": template}
        workload = self._made(notebook, "apps/v1", "StatefulSet", name, body)
        port = ((pod["containers"][0].get("ports") or [{}])[0]).get("containerPort", _NOTEBOOK_PORT)
        ports = [{"name": f"http-{name}", "port": 80, "targetPort": port, "protocol": "TCP"}]
        self._made(notebook, "v1", "Service", name, {"selector": {"statefulset": name}, "ports": ports})
        host = f"{name}.{namespace}.svc.cluster.local"
        prefix = f"/notebook/{namespace}/{name}/"
        http = [{"match": [{"uri": {"prefix": prefix}}], "route": [{"destination": {"host": host, "port": {"number": 80}}}]}]
        route = {"hosts": ["*"], "gateways": ["kubeflow/kubeflow-gateway"], "http": http}
        self._made(notebook, "networking.istio.io/v1", "VirtualService", f"notebook-{namespace}-{name}", route)
        # The real controller tells the state of the container that is called as the notebook is.
        ready = (workload.get("status") or {}).get("readyReplicas", 0) if server else 0
        state = {"running": {"startedAt": timestamp()}} if ready else {}
        old = notebook.get("status") or {}
        status: Document = {
            "conditions": [],
            "readyReplicas": ready,
            "containerState": old.get("containerState") or state if ready else {},
        }
        self._tell(_NOTEBOOKS, notebook, status)

    # Katib

    def _experiment(self, where: Where, experiment: Document | None) -> None:
        if experiment is None or not all(self._runs(where, part) for part in ("katib-controller", "katib-db-manager")):
            return
        status = experiment.get("status") or {}
        if any(is_true(experiment, kind) for kind in ("Succeeded", "Failed")):
            return
        spec, labels = experiment["spec"], {EXPERIMENT_LABEL: where[2]}
        created = condition("Created", true=True, reason="ExperimentCreated", message="Experiment is created")
        problem = _unfit(spec)
        if problem:
            failed = condition("Failed", true=True, reason="ExperimentFailed", message=problem)
            self._tell(_EXPERIMENTS, experiment, {**status, "conditions": [created, failed]})
            return
        algorithm = spec["algorithm"]["algorithmName"]
        wanted = {
            "algorithm": spec["algorithm"],
            "requests": spec["maxTrialCount"],
            "resumePolicy": spec.get("resumePolicy", "Never"),
        }
        self._made(experiment, "kubeflow.org/v1beta1", "Suggestion", where[2], wanted)
        container = {"name": "suggestion", "image": f"ghcr.io/kubeflow/katib/suggestion-{algorithm}:simulated"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
        search = self._made(experiment, "apps/v1", "Deployment", f"{where[2]}-{algorithm}", body, labels=labels)
        trials = [
            item
            for item in self._c.store.list(_TRIALS, where[1])
            if (item["metadata"].get("labels") or {}).get(EXPERIMENT_LABEL) == where[2]
        ]
        if is_true(search, "Available") and not trials:
            for number in range(spec["maxTrialCount"]):
                self._start_trial(experiment, number)
            return
        self._tell(_EXPERIMENTS, experiment, _summary(spec, status, trials, created))

    def _start_trial(self, experiment: Document, number: int) -> None:
        spec, name = experiment["spec"], experiment["metadata"]["name"]
        values = {item["name"]: _value(item, number, spec["maxTrialCount"]) for item in spec["parameters"]}
        given = {item["name"]: values[item["reference"]] for item in spec["trialTemplate"]["trialParameters"]}
        text = json.dumps(spec["trialTemplate"]["trialSpec"])
        run = json.loads(_PLACEHOLDER.sub(lambda match: given[match[1]], text))
        assigned = [{"name": key, "value": value} for key, value in values.items()]
        body = {"objective": spec["objective"], "parameterAssignments": assigned, "runSpec": run}
        labels = {EXPERIMENT_LABEL: name}
        self._made(experiment, "kubeflow.org/v1beta1", "Trial", f"{name}-{random_suffix()}", body, labels=labels)

    def _trial(self, where: Where, trial: Document | None) -> None:
        if trial is None or any(is_true(trial, kind) for kind in ("Succeeded", "Failed")):
            return
        run = copy.deepcopy(trial["spec"]["runSpec"])
        labels = {**(trial["metadata"].get("labels") or {}), TRIAL_LABEL: where[2]}
        # What Katib's webhook does to the pods of a trial.
        metadata = run["spec"]["template"].setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
        run["spec"]["template"]["spec"]["containers"].append(dict(_COLLECTOR))
        job = self._made(trial, run["apiVersion"], run["kind"], where[2], run["spec"], labels=labels)
        created = condition("Created", true=True, reason="TrialCreated", message="Trial is created")
        if is_true(job, "Failed"):
            ended = condition(
                "Failed",
                true=True,
                reason="TrialFailed",
                message="Trial has failed. Job message: Job has reached the specified backoff limit",
            )
            self._tell(_TRIALS, trial, {"conditions": [created, ended], "completionTime": timestamp()})
        elif is_true(job, "Complete"):
            metric = trial["spec"]["objective"]["objectiveMetricName"]
            value = self._metric(where, metric)
            ended = condition("Succeeded", true=True, reason="TrialSucceeded", message="Trial has succeeded")
            found = [{"name": metric, "min": value, "max": value, "latest": value}]
            self._tell(
                _TRIALS, trial, {"conditions": [created, ended], "observation": {"metrics": found}, "completionTime": timestamp()}
            )
        else:
            running = condition("Running", true=True, reason="TrialRunning", message="Trial is running")
            self._tell(_TRIALS, trial, {"conditions": [created, running]})

    def _metric(self, where: Where, metric: str) -> str:
        """The last value of a metric in the logs of a trial's pods, as the metrics collector reads it."""
        for pod in self._c.store.list("pods", where[1]):
            if (pod["metadata"].get("labels") or {}).get(TRIAL_LABEL) == where[2]:
                text = (self._c.store.get(LOGS, where[1], pod["metadata"]["name"]) or {}).get("text", "")
                found = re.findall(rf"^{re.escape(metric)}\s*=\s*([-+.\deE]+)$", text, re.MULTILINE)
                if found:
                    return str(found[-1])
        return "unavailable"

    # KServe

    def _inference(self, where: Where, service: Document | None) -> None:
        if service is None or not self._runs(where, "kserve-controller") or not self._runs(where, "controller", "knative-serving"):
            return
        name, namespace = where[2], where[1]
        metadata, predictor = service["metadata"], service["spec"]["predictor"]
        labels = {**(metadata.get("labels") or {}), "serving.kserve.io/inferenceservice": name, "component": "predictor"}
        queue = {"name": "queue-proxy", "image": "gcr.io/knative-releases/queue:simulated"}
        pod = {"containers": [*predictor["containers"], queue]}
        template = {"metadata": {"labels": labels, "annotations": metadata.get("annotations") or {}}, "spec": pod}
        ksvc = self._made(service, "serving.knative.dev/v1", "Service", f"{name}-predictor", {"template": template}, labels=labels)
        body = {"replicas": predictor.get("minReplicas", 1), "selector": {"matchLabels": labels}, "template": template}
        workload = self._made(service, "apps/v1", "Deployment", f"{name}-predictor-00001-deployment", body, labels=labels)
        up = bool(ksvc) and is_true(workload, "Available")
        host = f"{name}-{namespace}.example.com"
        if up:
            route = {"hosts": [host], "gateways": ["kubeflow/kubeflow-gateway"], "http": []}
            self._made(service, "networking.istio.io/v1", "VirtualService", name, route)
        reason, message = ("", "") if up else ("RevisionMissing", "Configuration is waiting for a Revision to become ready.")
        conditions = [
            condition(kind, true=up, reason=reason, message=message) for kind in ("IngressReady", "PredictorReady", "Ready")
        ]
        self._tell(_INFERENCE, service, {"conditions": conditions, **({"url": f"http://{host}"} if up else {})})

    # pipelines

    def _workflow(self, where: Where, workflow: Document | None) -> None:
        if workflow is None or not self._runs(where, "workflow-controller"):
            return
        status = workflow.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed", "Error"):
            return
        labels = {**(workflow["metadata"].get("labels") or {}), "workflows.argoproj.io/workflow": where[2]}
        pods = self._c.pods_of(workflow)
        if not pods:
            main = next(item["container"] for item in workflow["spec"]["templates"] if item.get("container"))
            place = {"name": f"{where[2]}-say", "namespace": where[1], "labels": labels, "ownerReferences": owner_of(workflow)}
            spec = {"restartPolicy": "Never", "containers": [{"name": "main", **main}]}
            pods = [self._c.create({"apiVersion": "v1", "kind": "Pod", "metadata": place, "spec": spec}) or {}]
        phase = (pods[0].get("status") or {}).get("phase", "Pending")
        ended = phase in ("Succeeded", "Failed")
        message = "main: Error (exit code 1)" if phase == "Failed" else ""
        node = {"id": where[2], "type": "Pod", "displayName": "say", "phase": phase, "message": message}
        progress = {
            "phase": phase if ended else "Running",
            "progress": "1/1" if ended else "0/1",
            "nodes": {where[2]: node},
            "message": message,
        }
        self._c.set_status(_WORKFLOWS, workflow, {**status, **progress})


def _unfit(spec: Document) -> str:
    """Why Katib would refuse an experiment; empty where it would not."""
    template = spec["trialTemplate"]
    run = template["trialSpec"]
    names = [item["name"] for item in run["spec"]["template"]["spec"]["containers"]]
    given = {item["name"]: item["reference"] for item in template["trialParameters"]}
    used = set(_PLACEHOLDER.findall(json.dumps(run)))
    if template["primaryContainerName"] not in names:
        return f"no container {template['primaryContainerName']} in the trial"
    if used != set(given) or set(given.values()) != {item["name"] for item in spec["parameters"]}:
        return "the parameters of the trial are not those of the experiment"
    return "" if spec["parallelTrialCount"] <= spec["maxTrialCount"] else "parallelTrialCount is more than maxTrialCount"


def _value(parameter: Document, number: int, of: int) -> str:
    space = parameter["feasibleSpace"]
    low, high = float(space["min"]), float(space["max"])
    return f"{low + (high - low) * (number + 1) / (of + 1):.4f}"


def _summary(spec: Document, old: Document, trials: list[Document], created: Document) -> Document:
    """An experiment's status from its trials."""
    good = [trial for trial in trials if is_true(trial, "Succeeded")]
    bad = [trial for trial in trials if is_true(trial, "Failed")]
    status: Document = {
        **old,
        "trials": len(trials),
        "trialsSucceeded": len(good),
        "trialsFailed": len(bad),
        "trialsRunning": len(trials) - len(good) - len(bad),
    }

    def latest(trial: Document) -> float:
        return float(trial["status"]["observation"]["metrics"][0]["latest"].replace("unavailable", "inf"))

    if good:
        best = min(good, key=latest)
        status["currentOptimalTrial"] = {
            "bestTrialName": best["metadata"]["name"],
            "parameterAssignments": best["spec"]["parameterAssignments"],
            "observation": best["status"]["observation"],
        }
    if len(bad) > int(spec.get("maxFailedTrialCount") or 0):
        text = "Experiment has failed because max failed count has reached"
        return {**status, "conditions": [created, condition("Failed", true=True, reason="ExperimentFailed", message=text)]}
    if len(good) >= spec["maxTrialCount"]:
        text = "Experiment has succeeded because max trial count has reached"
        return {
            **status,
            "conditions": [created, condition("Succeeded", true=True, reason="ExperimentMaxTrialsReached", message=text)],
        }
    return {
        **status,
        "conditions": [created, condition("Running", true=True, reason="ExperimentRunning", message="Experiment is running")],
    }
