"""What the scripts of phase kubeflow do to a simulated node."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Final

import bcrypt

from kfinstall.simulator import kubeflow
from kfinstall.simulator.model import ScriptError, SimApi, SimNode, World, effect

_LINE_CHARACTERS: Final = 3000


@effect("kubeflow-render")
def render(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
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
def rendering(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """The packed rendering in base64."""
    file = node.files.get(parameters["FILE"])
    if file is None or not file.content:
        yield f"{parameters['FILE']} is not there"
        raise ScriptError(3)
    text = base64.b64encode(kubeflow.rendering(json.loads(file.content))).decode()
    for start in range(0, len(text), _LINE_CHARACTERS):
        yield text[start : start + _LINE_CHARACTERS]


@effect("kubeflow-proof")
def proof(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """The login works where dex runs with the password's hash and the dashboard is there."""
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
            "kf-hint: is Secret auth/dex-passwords the one of this run? kfinstall --only kubeflow",
        )
    yield "dex took the password; the dashboard answers"
    yield f"the dashboard knows {email}"


def _knows(api: SimApi, email: str, password: str) -> bool:
    """Whether dex has that user with that password, by its own ConfigMap and Secret."""
    config = api.get("v1", "ConfigMap", "dex", "auth") or {}
    secret = api.get("v1", "Secret", "dex-passwords", "auth") or {}
    stored = base64.b64decode((secret.get("data") or {}).get("DEX_USER_PASSWORD") or "")
    return email in str(config.get("data")) and bool(stored) and bcrypt.checkpw(password.encode(), stored)
