"""What the scripts of phase kubeflow do to a simulated node."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

import bcrypt

from kfinstall.simulator.nodes import kubeflow
from kfinstall.simulator.nodes.model import Document, PodOutcome, ScriptError, SimApi, SimNode, World, effect, pod_hook
from kfinstall.simulator.parts.behind import API, Answered, Request, answer
from kfinstall.simulator.parts.registry import log_in

_LINE_CHARACTERS: Final = 3000


@effect("kubeflow-render")
def render(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Fetch, render, pack; the record is written last."""
    source = f"{parameters['CACHE']}/kubeflow-{parameters['TAG']}"
    if source not in node.files:
        yield f"fetching {parameters['REPOSITORY']} at {parameters['TAG']}"
        node.write(f"{source}/README.md", "")
        for url in parameters["REMOTE_BASES"].splitlines():
            yield f"fetching {url}"
    paths = [path for path in parameters["PATHS"].splitlines() if path]
    for path in paths:
        yield f"rendering {path}"
    found = kubeflow.documents(paths)
    if not found:
        raise ScriptError(56, "kf-error: the rendering is empty", "kf-hint: choose at least one component")
    # A node's files are text: the folders stand for the packed bytes that they give.
    node.write(parameters["RENDERING_PATH"], json.dumps(paths))
    node.write(parameters["RECORD_PATH"], parameters["RECORD"])
    yield f"{len(found)} objects rendered"


@effect("ask/kubeflow-rendering")
def rendering(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """The packed rendering in base64."""
    file = node.files.get(parameters["FILE"])
    if file is None or not file.content:
        yield f"{parameters['FILE']} is not there"
        raise ScriptError(3)
    text = base64.b64encode(kubeflow.rendering(json.loads(file.content))).decode()
    for start in range(0, len(text), _LINE_CHARACTERS):
        yield text[start : start + _LINE_CHARACTERS]


@effect("ask/kubeflow-bundle")
def incoming(node: SimNode, parameters: Mapping[str, str], stdin: str) -> Iterator[str]:
    """The rendering of a bundle arrives beside its place."""
    packed = base64.b64decode(stdin)
    if hashlib.sha256(packed).hexdigest() != parameters["SHA256"]:
        raise ScriptError(4, "it arrived damaged")
    folders = re.findall(r"^--- # folder (\S+)$", gzip.decompress(packed).decode(), re.MULTILINE)
    node.write(f"{parameters['FILE']}.incoming", json.dumps(folders))
    yield "arrived"


@effect("kubeflow-bundle")
def bundle(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """What arrived is put in place, and recorded."""
    file = node.files.pop(f"{parameters['FILE']}.incoming", None)
    if file is None or file.content is None:
        raise ScriptError(57, "kf-error: the bundle's rendering is not there", "kf-hint: kfinstall resume")
    node.write(parameters["FILE"], file.content)
    node.write(parameters["RECORD_PATH"], parameters["RECORD"])
    yield f"{len(kubeflow.documents(json.loads(file.content)))} objects taken from the bundle"


@effect("kubeflow-notebook-images")
def notebook_images(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """Build what the registry does not have, and push it."""
    serving = log_in(world, parameters, stdin)
    for name in parameters["NAMES"].splitlines():
        image = parameters[f"IMAGE_{name.upper()}"]
        if f"registry:{image}" in serving.images:
            yield f"{image} is in the registry already"
            continue
        if parameters["RUNTIME"] == "containerd":
            yield from node.install({"buildah": "1.33.7+ds1-1"})
        yield f"building {image} on {parameters['BASE']}"
        count = len(parameters[f"PACKAGES_{name.upper()}"].splitlines())
        yield f"Installing collected packages: {count} of them"
        yield f"pushing {image}"
        serving.images.add(f"registry:{image}")
        yield f"built and pushed {image}"
    node.write(parameters["RECORD_PATH"], parameters["RECORD"])
    yield parameters["RECORD_PATH"]


@effect("kubeflow-proof")
def proof(parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """The login works where dex runs with the password's hash and the dashboard is there; then what a user would do."""
    api, email = world.api, parameters["EMAIL"]
    gateway = api.get("v1", "Service", "istio-ingressgateway", "istio-system") if api else None
    if api is None or gateway is None:
        raise ScriptError(
            60, "kf-error: the gateway does not answer", "kf-hint: kubectl -n istio-system get pods,svc; is its certificate issued?"
        )
    yield "sign-in leads to dex"
    if not _knows(api, email, stdin.rstrip("\n")):
        raise ScriptError(
            62,
            f"kf-error: dex refuses the password of {email}",
            "kf-hint: is Secret auth/dex-passwords the one of this run? kfinstall --answers FILE --only kubeflow",
        )
    yield "dex took the password; the dashboard answers"
    yield f"the dashboard knows {email}"
    action = {"open": _open, "run-start": _run_start, "run-end": _run_end}.get(parameters["ACTION"])
    if action is not None:
        yield from action(api, parameters)


def _ask(api: SimApi, parameters: Mapping[str, str], method: str, url: str, *, body: str = "", host: str = "") -> Answered:
    path, _mark, query = url.partition("?")
    request = Request(parameters["EMAIL"], method, host or parameters["HOST"], path, dict(parse_qsl(query)), body)
    return answer(api, request) or Answered(404, "404 page not found")


def _open(api: SimApi, parameters: Mapping[str, str]) -> Iterator[str]:
    host = parameters["VIRTUAL_HOST"]
    found = _ask(api, parameters, "GET", parameters["URL_PATH"], host=host)
    where = f"{host or parameters['HOST']}{parameters['URL_PATH']}"
    if found.status != 200 or parameters["EXPECTED"] not in found.page:
        namespace = parameters["NAMESPACE"]
        raise ScriptError(
            66,
            f"kf-error: {where} answers HTTP {found.status}: {found.page}",
            f"kf-hint: 403: kubectl -n {namespace} get authorizationpolicies; 404, 503: kubectl -n {namespace} get virtualservices,svc",
        )
    yield f"{where} answers: {found.page}"


def _failed(what: str, found: Answered) -> ScriptError:
    message = (found.data or {}).get("message", "")
    text = f"kf-error: the pipelines' API {what}: HTTP {found.status} {message}"
    return ScriptError(67, text, "kf-hint: kubectl -n kubeflow logs deployment/ml-pipeline --tail 20; kubectl -n kubeflow get pods")


def _run_start(api: SimApi, parameters: Mapping[str, str]) -> Iterator[str]:
    wanted = {"display_name": parameters["EXPERIMENT"], "namespace": parameters["NAMESPACE"]}
    found = _ask(api, parameters, "POST", f"{API}/experiments", body=json.dumps(wanted))
    if found.status == 409:
        predicate = {"operation": "EQUALS", "key": "display_name", "string_value": parameters["EXPERIMENT"]}
        query = urlencode({"namespace": parameters["NAMESPACE"], "filter": json.dumps({"predicates": [predicate]})})
        listed = _ask(api, parameters, "GET", f"{API}/experiments?{query}")
        found = Answered(listed.status, data=((listed.data or {}).get("experiments") or [{}])[0])
    experiment = (found.data or {}).get("experiment_id")
    if found.status != 200 or not experiment:
        raise _failed(f"makes no experiment in {parameters['NAMESPACE']}", found)
    for run in (_ask(api, parameters, "GET", f"{API}/runs?experiment_id={experiment}").data or {}).get("runs") or ():
        _ask(api, parameters, "DELETE", f"{API}/runs/{run['run_id']}")
        yield f"run {run['run_id']} of an earlier try is deleted"
    started = _ask(api, parameters, "POST", f"{API}/runs", body=parameters["REQUEST"].replace("@EXPERIMENT@", experiment))
    if started.status != 200 or started.data is None:
        raise _failed("starts no run", started)
    yield f"kf-run {started.data['run_id']}"


def _run_end(api: SimApi, parameters: Mapping[str, str]) -> Iterator[str]:
    run = parameters["RUN"]
    found = _ask(api, parameters, "GET", f"{API}/runs/{run}")
    if found.status != 200 or found.data is None:
        raise _failed(f"does not tell of run {run}", found)
    if found.data["state"] != "SUCCEEDED":
        text = f"kf-error: the pipelines' API calls run {run} {found.data['state']}: {(found.data.get('error') or {}).get('message', '')}"
        raise ScriptError(69, text, f"kf-hint: open /pipeline/#/runs/details/{run} at the dashboard's address")
    yield f"run {run}: SUCCEEDED"
    _ask(api, parameters, "DELETE", f"{API}/runs/{run}")
    _ask(api, parameters, "DELETE", f"{API}/experiments/{found.data['experiment_id']}")


@pod_hook
def trial(pod: Document, world: World) -> PodOutcome | None:
    """A trial whose program is broken."""
    labels = pod["metadata"].get("labels") or {}
    if kubeflow.TRIAL_LABEL in labels and any(fault == "trial-crash" for fault, _node in world.faults):
        return PodOutcome(log="sh: can't open the data set: No such file or directory\n", exit_code=1)
    return None


def _knows(api: SimApi, email: str, password: str) -> bool:
    """Whether dex has that user with that password, by its own ConfigMap and Secret."""
    config = api.get("v1", "ConfigMap", "dex", "auth") or {}
    secret = api.get("v1", "Secret", "dex-passwords", "auth") or {}
    stored = base64.b64decode((secret.get("data") or {}).get("DEX_USER_PASSWORD") or "")
    return email in str(config.get("data")) and bool(stored) and bcrypt.checkpw(password.encode(), stored)
