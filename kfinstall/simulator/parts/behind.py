"""What stands behind the simulated gateway for a user who is signed in: notebooks, InferenceServices, the API of the pipelines."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.simulator.apiserver.patches import timestamp
from kfinstall.simulator.nodes.model import SimApi
from kfinstall.simulator.parts import spark_history

Document = dict[str, Any]

API: Final = "/pipeline/apis/v2beta1"
_WORKFLOW: Final = "argoproj.io/v1alpha1"
_DATABASE: Final = ("v1", "ConfigMap", "simulated-pipelines", "kubeflow")
"""What the pipelines' database holds: experiments by id."""
_STATES: Final = {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Error": "FAILED", "Running": "RUNNING"}
_EXPERIMENT: Final = "kfinstall.dev/simulated-experiment"
_RUN_LABEL: Final = "pipeline/runid"


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as far as it matters here."""

    user: str
    """E-mail of who is signed in."""
    method: str
    host: str
    path: str
    query: Mapping[str, str]
    body: str = ""
    authority: str = ""
    """The header Host: with a port, unlike `host`."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Status, and a text or (as JSON) an object."""

    status: int
    text: str = ""
    data: Document | None = None
    location: str = ""
    """Where a redirect leads."""

    @property
    def page(self) -> str:
        """The body."""
        return self.text if self.data is None else json.dumps(self.data)


def answer(api: SimApi, request: Request) -> Answered | None:
    """What answers there; None where none of this does."""
    if request.path.startswith(f"{API}/"):
        return _pipelines(api, request)
    if request.path.startswith("/notebook/"):
        return _notebook(api, request)
    if request.path.startswith(spark_history.PREFIX):
        reply = spark_history.answer(api, request.user, request.method, request.authority, request.path)
        return Answered(reply.status, reply.text, location=reply.location) if reply else None
    return _inference(api, request)


def _mine(api: SimApi, user: str, namespace: str) -> bool:
    profile = api.get("kubeflow.org/v1", "Profile", namespace) or api.get("kubeflow.org/v1beta1", "Profile", namespace) or {}
    return ((profile.get("spec") or {}).get("owner") or {}).get("name") == user


def _notebook(api: SimApi, request: Request) -> Answered:
    _empty, _word, namespace, name, *_rest = [*request.path.split("/"), "", ""]
    notebook = api.get("kubeflow.org/v1", "Notebook", name, namespace)
    if notebook is None:
        return Answered(404, "")
    if not _mine(api, request.user, namespace):
        return Answered(403, "RBAC: access denied")
    ready = (notebook.get("status") or {}).get("readyReplicas", 0) and api.get("v1", "Service", name, namespace)
    return Answered(200, f"NOW: {timestamp()}") if ready else Answered(503, "no healthy upstream")


def _inference(api: SimApi, request: Request) -> Answered | None:
    for service in api.objects("serving.kserve.io/v1beta1", "InferenceService"):
        status = service.get("status") or {}
        if status.get("url") == f"http://{request.host}":
            up = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())
            if not up:
                return Answered(503, "no healthy upstream")
            return Answered(200, request.query.get("msg", "") if request.path == "/echo" else f"NOW: {timestamp()}")
    return None


# The API of the pipelines. Runs are workflows; experiments stand in a ConfigMap, in place of the database.


def _pipelines(api: SimApi, request: Request) -> Answered:
    what, _slash, name = request.path.removeprefix(f"{API}/").partition("/")
    known = {
        ("experiments", "POST"): _make_experiment,
        ("experiments", "GET"): _list_experiments,
        ("experiments", "DELETE"): _delete_experiment,
        ("runs", "POST"): _make_run,
        ("runs", "GET"): _get_run if name else _list_runs,
        ("runs", "DELETE"): _delete_run,
    }
    handler = known.get((what, request.method))
    try:
        return handler(api, request, name) if handler else _refused(404, "Not Found")
    except (ValueError, LookupError, TypeError) as error:
        return _refused(400, f"Invalid input error: {error}")


def _refused(status: int, message: str) -> Answered:
    codes = {400: 3, 403: 7, 404: 5, 409: 6}
    return Answered(status, data={"error": message, "code": codes.get(status, 2), "message": message, "details": []})


def _experiments(api: SimApi) -> dict[str, Document]:
    data = (api.get(*_DATABASE) or {}).get("data") or {}
    return {key: json.loads(value) for key, value in data.items()}


def _save(api: SimApi, experiments: Mapping[str, Document]) -> None:
    version, kind, name, namespace = _DATABASE
    data = {key: json.dumps(value) for key, value in experiments.items()}
    api.put({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "data": data})


def _make_experiment(api: SimApi, request: Request, _name: str) -> Answered:
    wanted, known = json.loads(request.body), _experiments(api)
    namespace, shown = wanted["namespace"], wanted["display_name"]
    if not _mine(api, request.user, namespace):
        return _refused(403, f"User '{request.user}' is not authorized with reason: no rights in {namespace}")
    if any(item["namespace"] == namespace and item["display_name"] == shown for item in known.values()):
        return _refused(409, f"Already exist error: Experiment {shown} already exists")
    made = {"experiment_id": str(uuid.uuid4()), "display_name": shown, "namespace": namespace, "created_at": timestamp()}
    _save(api, {**known, made["experiment_id"]: made})
    return Answered(200, data=made)


def _list_experiments(api: SimApi, request: Request, _name: str) -> Answered:
    predicates = json.loads(request.query.get("filter") or "{}").get("predicates") or []
    names = {item["string_value"] for item in predicates if item["key"] == "display_name" and item["operation"] == "EQUALS"}
    found = [
        item
        for item in _experiments(api).values()
        if item["namespace"] == request.query.get("namespace") and (not predicates or item["display_name"] in names)
    ]
    return Answered(200, data={"experiments": found, "total_size": len(found)} if found else {})


def _delete_experiment(api: SimApi, _request: Request, name: str) -> Answered:
    known = _experiments(api)
    if known.pop(name, None) is None:
        return _refused(404, f"Experiment {name} not found")
    _save(api, known)
    return Answered(200, data={})


def _make_run(api: SimApi, request: Request, _name: str) -> Answered:
    wanted = json.loads(request.body)
    experiment = _experiments(api).get(wanted["experiment_id"])
    if experiment is None:
        return _refused(404, f"Experiment {wanted['experiment_id']} not found")
    if not _mine(api, request.user, experiment["namespace"]):
        return _refused(403, f"User '{request.user}' is not authorized with reason: no rights in {experiment['namespace']}")
    spec = wanted["pipeline_spec"]
    tasks = spec["root"]["dag"]["tasks"]
    executors = spec["deploymentSpec"]["executors"]
    templates = [
        {"name": name, "container": executors[spec["components"][task["componentRef"]["name"]]["executorLabel"]]["container"]}
        for name, task in tasks.items()
    ]
    run = str(uuid.uuid4())
    annotations = {_EXPERIMENT: wanted["experiment_id"], "pipelines.kubeflow.org/run_name": wanted["display_name"]}
    name = f"{spec['pipelineInfo']['name']}-{secrets.token_hex(3)}"
    metadata = {"name": name, "namespace": experiment["namespace"], "labels": {_RUN_LABEL: run}, "annotations": annotations}
    body = {"entrypoint": next(iter(tasks)), "serviceAccountName": wanted.get("service_account", ""), "templates": templates}
    api.put({"apiVersion": _WORKFLOW, "kind": "Workflow", "metadata": metadata, "spec": body})
    return Answered(200, data={**_run(_workflow(api, run) or {}), "state": "PENDING"})


def _workflow(api: SimApi, run: str) -> Document | None:
    found = api.objects(_WORKFLOW, "Workflow")
    return next((item for item in found if (item["metadata"].get("labels") or {}).get(_RUN_LABEL) == run), None)


def _run(workflow: Document) -> Document:
    metadata, status = workflow["metadata"], workflow.get("status") or {}
    reply: Document = {
        "experiment_id": metadata["annotations"][_EXPERIMENT],
        "run_id": metadata["labels"][_RUN_LABEL],
        "display_name": metadata["annotations"]["pipelines.kubeflow.org/run_name"],
        "storage_state": "AVAILABLE",
        "state": _STATES.get(status.get("phase", ""), "PENDING"),
    }
    return {**reply, "error": {"code": 13, "message": status["message"]}} if status.get("message") else reply


def _get_run(api: SimApi, _request: Request, name: str) -> Answered:
    workflow = _workflow(api, name)
    return Answered(200, data=_run(workflow)) if workflow else _refused(404, f"Run {name} not found")


def _list_runs(api: SimApi, request: Request, _name: str) -> Answered:
    wanted = request.query.get("experiment_id")
    runs = [_run(item) for item in api.objects(_WORKFLOW, "Workflow") if _EXPERIMENT in (item["metadata"].get("annotations") or {})]
    found = [item for item in runs if wanted in (None, item["experiment_id"])]
    return Answered(200, data={"runs": found, "total_size": len(found)} if found else {})


def _delete_run(api: SimApi, _request: Request, name: str) -> Answered:
    workflow = _workflow(api, name)
    if workflow is None:
        return _refused(404, f"Run {name} not found")
    metadata = workflow["metadata"]
    api.delete(_WORKFLOW, "Workflow", metadata["name"], metadata["namespace"])
    return Answered(200, data={})
