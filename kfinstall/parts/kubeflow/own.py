"""The installer's own values in place of the published ones: pure transforms of rendered documents.

The values of Secrets never pass here: kubeflow.secrets writes those Secrets, and this module leaves them out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import yaml

from kfinstall.answers.model import Answers
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.kubeflow import notebook_build, offers
from kfinstall.text import sha256

DEX_CLIENT: Final = Ref("v1", "Secret", "dex-oidc-client", "auth")
DEX_PASSWORDS: Final = Ref("v1", "Secret", "dex-passwords", "auth")
OAUTH2_PROXY: Final = Ref("v1", "Secret", "oauth2-proxy", "oauth2-proxy")
"""Without the hash that kustomize puts behind its name: the value changes, the name stays."""
KATIB_MYSQL: Final = Ref("v1", "Secret", "katib-mysql-secrets", "kubeflow")
MYSQL: Final = Ref("v1", "Secret", "mysql-secret", "kubeflow")
OBJECT_STORE: Final = Ref("v1", "Secret", "mlpipeline-minio-artifact", "kubeflow")
MODEL_CATALOG: Final = Ref("v1", "Secret", "model-catalog-postgres", "kubeflow")
SECRETS: Final = (DEX_CLIENT, DEX_PASSWORDS, OAUTH2_PROXY, KATIB_MYSQL, MYSQL, OBJECT_STORE, MODEL_CATALOG)

GATEWAY_NAMESPACE: Final = "istio-system"
GATEWAY_SERVICE: Final = Ref("v1", "Service", "istio-ingressgateway", GATEWAY_NAMESPACE)
TLS_SECRET: Final = "kubeflow-gateway-tls"  # noqa: S105 (a name)
SETTINGS_ANNOTATION: Final = "kfinstall.io/settings"
_OAUTH2_PROXY_NAME: Final = re.compile(r"oauth2-proxy-[a-z0-9]{10}")
_SETTINGS_READERS: Final = frozenset(
    {
        ("auth", "dex"),
        ("oauth2-proxy", "oauth2-proxy"),
        ("kubeflow", "jupyter-web-app-deployment"),
        ("kubeflow", "volumes-web-app-deployment"),
        ("kubeflow", "tensorboards-web-app-deployment"),
    }
)
"""Workloads that read a value which is changed here only when they start: a change restarts them."""


def secured(answers: Answers) -> bool:
    """Whether browsers come by HTTPS."""
    return answers.kubeflow.tls.enabled


def settings(answers: Answers) -> str:
    """Short hash of the answers that change documents."""
    kubeflow = answers.kubeflow
    return sha256(json.dumps([kubeflow.user.email, secured(answers), kubeflow.access.type, kubeflow.access.node_port]))[:12]


def applied(answers: Answers) -> str:
    """Short hash of all answers that change what is applied, those too that need no workload to start anew."""
    images = [notebook_build.image(answers, name) for name in answers.kubeflow.notebook_images]
    return sha256(json.dumps([settings(answers), images]))[:12] if images else settings(answers)


def own_values(documents: Sequence[Document], answers: Answers) -> list[Document]:
    """The documents as they are applied: without the Secrets and the Profile that other steps make, with own settings.

    The given documents are not changed.
    """
    renames = {
        Ref.of(d).name: OAUTH2_PROXY.name
        for d in documents
        if d.get("kind") == "Secret"
        and Ref.of(d).namespace == OAUTH2_PROXY.namespace
        and _OAUTH2_PROXY_NAME.fullmatch(Ref.of(d).name)
    }
    return [_owned(_renamed(document, renames), answers) for document in documents if not _left_out(document, renames)]


def _left_out(document: Document, renames: dict[str, str]) -> bool:
    ref = Ref.of(document)
    if ref.kind == "Profile" and ref.api_version.startswith("kubeflow.org/"):
        return True
    return ref in SECRETS or (ref.kind == "Secret" and ref.namespace == OAUTH2_PROXY.namespace and ref.name in renames)


def _renamed(document: Document, renames: dict[str, str]) -> Document:
    if not renames or Ref.of(document).namespace != OAUTH2_PROXY.namespace:
        return document

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            # Only references to Secrets: a ConfigMap or a workload may carry the same name.
            return {
                name: {**item, "name": renames[item["name"]]}
                if name in ("secretKeyRef", "secretRef") and isinstance(item, dict) and item.get("name") in renames
                else walk(item)
                for name, item in value.items()
            }
        return [walk(item) for item in value] if isinstance(value, list) else value

    changed: Document = walk(document)
    return changed


def _owned(document: Document, answers: Answers) -> Document:
    ref = Ref.of(document)
    change = _CHANGES.get((ref.kind, ref.namespace, ref.name))
    if change is None and ref.kind == "ConfigMap":
        change = offers.spawner if offers.SPAWNER_KEY in (document.get("data") or {}) else _parameters
    if change is not None:
        document = change(document, answers)
    if ref.kind == "Deployment" and (ref.namespace, ref.name) in _SETTINGS_READERS:
        document = _with(document, {SETTINGS_ANNOTATION: settings(answers)}, "spec", "template", "metadata", "annotations")
    return document


def _with(document: Document, values: dict[str, Any], *where: str) -> Document:
    """A copy with some keys set in a mapping that lies at `where`."""
    if not where:
        return {**document, **values}
    head, *rest = where
    return {**document, head: _with(document.get(head) or {}, values, *rest)}


def _dex(document: Document, answers: Answers) -> Document:
    data = dict(document.get("data") or {})
    config = yaml.safe_load(data.get("config.yaml") or "") or {}
    email = answers.kubeflow.user.email
    for user in config.get("staticPasswords") or []:
        user["email"], user["username"] = email, email.partition("@")[0]
    data["config.yaml"] = yaml.safe_dump(config, sort_keys=False)
    return {**document, "data": data}


def _mysql(document: Document, answers: Answers) -> Document:  # noqa: ARG001
    """A root password instead of none."""
    own = {"name": "MYSQL_ROOT_PASSWORD", "valueFrom": {"secretKeyRef": {"name": MYSQL.name, "key": "password"}}}
    containers = []
    for container in document["spec"]["template"]["spec"]["containers"]:
        kept = [
            entry for entry in container.get("env") or [] if entry.get("name") not in (own["name"], "MYSQL_ALLOW_EMPTY_PASSWORD")
        ]
        containers.append({**container, "env": [*kept, own]} if container.get("name") == "mysql" else container)
    return _with(document, {"containers": containers}, "spec", "template", "spec")


def _gateway(document: Document, answers: Answers) -> Document:
    if not secured(answers):
        return document
    http = {"hosts": ["*"], "port": {"name": "http", "number": 80, "protocol": "HTTP"}, "tls": {"httpsRedirect": True}}
    tls = {"mode": "SIMPLE", "credentialName": TLS_SECRET}
    https = {"hosts": ["*"], "port": {"name": "https", "number": 443, "protocol": "HTTPS"}, "tls": tls}
    return _with(document, {"servers": [http, https]}, "spec")


def _service(document: Document, answers: Answers) -> Document:
    access = answers.kubeflow.access
    kind = {"nodePort": "NodePort", "loadBalancer": "LoadBalancer"}.get(access.type, "ClusterIP")
    used = 443 if secured(answers) else 80
    ports = [
        {**port, "nodePort": access.node_port} if kind == "NodePort" and port.get("port") == used else port
        for port in document["spec"].get("ports") or []
    ]
    return _with(document, {"type": kind, "ports": ports}, "spec")


def _parameters(document: Document, answers: Answers) -> Document:
    """Cookies are for HTTPS only where there is HTTPS; without it browsers would not send them back."""
    data = document.get("data") or {}
    flag = "true" if secured(answers) else "false"
    changed = {name: flag for name in data if name.endswith("_APP_SECURE_COOKIES")}
    if "FORCE_HTTPS" in data:
        changed["FORCE_HTTPS"] = flag
    return {**document, "data": {**data, **changed}} if changed else document


_CHANGES: Final[dict[tuple[str, str, str], Callable[[Document, Answers], Document]]] = {
    ("ConfigMap", "kubeflow", "centraldashboard-config"): offers.dashboard,
    ("ConfigMap", "kubeflow", "dashboard-config"): offers.dashboard,
    ("ConfigMap", "auth", "dex"): _dex,
    ("Deployment", "kubeflow", "mysql"): _mysql,
    ("Gateway", "kubeflow", "kubeflow-gateway"): _gateway,
    ("Service", GATEWAY_NAMESPACE, "istio-ingressgateway"): _service,
}
