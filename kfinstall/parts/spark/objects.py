"""Spark's objects in the cluster, as documents. Pure functions of a place."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.apply.stamp import LABELS
from kfinstall.kube.base import Document
from kfinstall.parts.spark import limits
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark.place import SparkPlace

_USER: Final = limits.SPARK_USER_ID
_WEB: Final = "http-web"
GATEWAY_PRINCIPAL: Final = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"


def _meta(place: SparkPlace, name: str, **more: str) -> dict[str, Any]:
    return {"name": name, "namespace": place.namespace, "labels": {**LABELS, **more}}


def _no_sidecar(place: SparkPlace) -> dict[str, str]:
    return {"sidecar.istio.io/inject": "false"} if place.mesh else {}


def _sidecar(place: SparkPlace) -> dict[str, str]:
    """Where the mesh is to say who may come in: a namespace that was there before Spark may not ask for sidecars."""
    return {"sidecar.istio.io/inject": "true"} if place.mesh else {}


_POD_SECURITY: Final[dict[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Final[dict[str, Any]] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def namespace(place: SparkPlace) -> Document:
    """Spark's own namespace."""
    labels = {**LABELS, "istio-injection": "enabled"} if place.mesh else dict(LABELS)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace, "labels": labels}}


def claim(place: SparkPlace, storage_class: str, size: str) -> Document:
    """The ReadWriteMany volume that drivers, executors and the history server share."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(place, spark_place.VOLUME),
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": storage_class,
            "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": size}},
        },
    }


def shell_job(place: SparkPlace, name: str, program: str, *arguments: str) -> Document:
    """A Job that runs a shell program with the volume, as Spark's user; arguments are $1, $2 ..., never templated text."""
    container = {
        "name": "shell",
        "image": place.volume_image,
        "command": ["/bin/sh", "-euc", program, name, *arguments],
        "volumeMounts": [{"name": "volume", "mountPath": spark_place.MOUNT}],
        "securityContext": {**_CONTAINER_SECURITY, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": _POD_SECURITY,
        "containers": [container],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": spark_place.VOLUME}}],
    }
    return _job(place, name, pod, backoff=2)


def _job(place: SparkPlace, name: str, pod: dict[str, Any], *, backoff: int) -> Document:
    labels = {**LABELS, "app.kubernetes.io/name": name, **_no_sidecar(place)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(place, name),
        "spec": {
            "backoffLimit": backoff,
            "template": {"metadata": {"labels": labels, "annotations": _no_sidecar(place)}, "spec": pod},
        },
    }


def access(place: SparkPlace) -> list[Document]:
    """What a driver may do, who is a driver, and who may talk to drivers and executors."""
    verbs = ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _meta(place, "spark-driver"),
        "rules": [
            {"apiGroups": [""], "resources": ["pods", "services", "configmaps", "persistentvolumeclaims"], "verbs": verbs},
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list", "watch"]},
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _meta(place, "spark-driver"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "spark-driver"},
        "subjects": [{"kind": "ServiceAccount", "name": place.account, "namespace": place.namespace}],
    }
    roles = [{"key": "spark-role", "operator": "In", "values": ["driver", "executor"]}]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(place, "spark-applications"),
        "spec": {
            "podSelector": {"matchExpressions": roles},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
        },
    }
    account: Document = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(place, place.account)}
    if place.pull_secret:
        # In the same document: a second apply by the same manager would take away what it does not name.
        account["imagePullSecrets"] = [{"name": place.pull_secret}]
    return [*([account] if place.own_namespace else []), role, binding, policy]


def _history_options(place: SparkPlace) -> str:
    options = [f"-Dspark.history.fs.logDirectory=file:{spark_place.LOGS}", f"-Dspark.history.ui.port={limits.SPARK_HISTORY_PORT}"]
    if place.history_base:
        # Not spark.ui.proxyRedirectUri: it gives redirects the scheme of the last hop, misses those of Jetty itself and
        # drops queries (docs/adr/0027-spark-behind-the-gateway.md). The sidecar makes them right: history_redirects.
        options.append(f"-Dspark.ui.proxyBase={place.history_base}")
    return " ".join(options)


def _history_deployment(place: SparkPlace) -> Document:
    selector = {"app.kubernetes.io/name": spark_place.HISTORY}
    probe = {"httpGet": {"path": "/", "port": _WEB}, "periodSeconds": 10, "timeoutSeconds": 5}
    container = {
        "name": "history-server",
        "image": place.image,
        "command": ["/opt/spark/bin/spark-class", "org.apache.spark.deploy.history.HistoryServer"],
        "env": [{"name": "SPARK_HISTORY_OPTS", "value": _history_options(place)}, {"name": "SPARK_DAEMON_MEMORY", "value": "512m"}],
        "ports": [{"name": _WEB, "containerPort": limits.SPARK_HISTORY_PORT}],
        "startupProbe": {**probe, "failureThreshold": 30},
        "readinessProbe": probe,
        "volumeMounts": [{"name": "volume", "mountPath": spark_place.MOUNT, "readOnly": True}],
        "securityContext": _CONTAINER_SECURITY,
        "resources": {"requests": {"cpu": "100m", "memory": "768Mi"}, "limits": {"memory": "1Gi"}},
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD_SECURITY,
        "containers": [container],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": spark_place.VOLUME}}],
    }
    if place.pull_secret:
        pod["imagePullSecrets"] = [{"name": place.pull_secret}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(place, spark_place.HISTORY, **selector),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": {**LABELS, **selector, **_sidecar(place)}}, "spec": pod},
        },
    }


def history(place: SparkPlace) -> list[Document]:
    """The history server, and, in the mesh, the way to it: through the gateway, for the profile's user only."""
    selector = {"app.kubernetes.io/name": spark_place.HISTORY}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(place, spark_place.HISTORY, **selector),
        "spec": {
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{"name": _WEB, "port": 80, "targetPort": _WEB, "protocol": "TCP"}],
        },
    }
    allowed: dict[str, Any] = {"podSelector": {}}
    if place.mesh:
        allowed = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(place, spark_place.HISTORY),
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [allowed], "ports": [{"port": limits.SPARK_HISTORY_PORT, "protocol": "TCP"}]}],
        },
    }
    return [service, policy, *(_history_gateway(place, selector) if place.mesh else ()), _history_deployment(place)]


def _history_gateway(place: SparkPlace, selector: dict[str, str]) -> list[Document]:
    base = place.history_base
    host = f"{spark_place.HISTORY}.{place.namespace}.svc.cluster.local"
    authorization = {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "AuthorizationPolicy",
        "metadata": _meta(place, spark_place.HISTORY),
        "spec": {
            "action": "ALLOW",
            "selector": {"matchLabels": selector},
            "rules": [
                {
                    "from": [{"source": {"principals": [GATEWAY_PRINCIPAL]}}],
                    "to": [{"operation": {"methods": ["GET", "HEAD"]}}],
                    "when": [{"key": "request.headers[kubeflow-userid]", "values": [place.user_email]}],
                }
            ],
        },
    }
    route = {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": _meta(place, spark_place.HISTORY),
        "spec": {
            "gateways": ["kubeflow/kubeflow-gateway"],
            "hosts": ["*"],
            "http": [
                {"match": [{"uri": {"exact": base}}], "redirect": {"uri": f"{base}/"}},
                {
                    "match": [{"uri": {"prefix": f"{base}/"}}],
                    "rewrite": {"uri": "/"},
                    "route": [{"destination": {"host": host, "port": {"number": 80}}}],
                },
            ],
        },
    }
    return [authorization, route]


_REDIRECTS: Final = """
local base = "{base}"
function envoy_on_response(handle)
  local location = handle:headers():get("location")
  local path = location and location:gsub("^%a[%w+.-]*://[^/?#]*", "", 1)
  if path and path:sub(1, 1) == "/" and path:sub(1, 2) ~= "//" then
    local rest = path:sub(#base + 1, #base + 1)
    if path:sub(1, #base) ~= base or (rest ~= "" and rest ~= "/" and rest ~= "?") then
      path = base .. path
    end
    handle:headers():replace("location", path)
  end
end
"""


def history_redirects(place: SparkPlace) -> list[Document]:
    """What the server's sidecar makes of its redirects: paths behind the gateway, whatever URL the browser came by.

    The server sees plain HTTP and a path without the gateway's prefix, and puts both into each Location.
    """
    if not place.mesh:
        return []
    router = {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": "envoy.filters.http.router"}}
    code = _REDIRECTS.format(base=place.history_base).strip() + "\n"
    lua = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "SIDECAR_INBOUND", "listener": {"filterChain": {"filter": router}}},
        "patch": {
            "operation": "INSERT_BEFORE",
            "value": {
                "name": "kfinstall.redirects",
                "typed_config": {"@type": lua, "default_source_code": {"inline_string": code}},
            },
        },
    }
    return [
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": _meta(place, spark_place.HISTORY),
            "spec": {
                "workloadSelector": {"labels": {"app.kubernetes.io/name": spark_place.HISTORY}},
                "configPatches": [patch],
            },
        }
    ]
