"""What the scripts of rotate do: the simulated servers know a password of their own, which is not that of the Secret."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from kfinstall.simulator.nodes.model import ScriptError, SimApi, World, effect

_HELD: Final[Mapping[str, tuple[str, str]]] = {
    "deployment/katib-mysql": ("katib-mysql-secrets", "MYSQL_ROOT_PASSWORD"),
    "deployment/mysql": ("mysql-secret", "password"),
    "statefulset/model-catalog-postgres": ("model-catalog-postgres", "POSTGRES_PASSWORD"),
    "deployment/seaweedfs": ("mlpipeline-minio-artifact", "secretkey"),
}
"""Workload to the Secret and the key that its server took the value from when it first started."""
SERVERS: Final = ("v1", "ConfigMap", "simulated-servers", "kubeflow")
"""Workload to the SHA-256 of what its server knows."""


def digest(value: str) -> str:
    """As it stands in the record of the servers."""
    return hashlib.sha256(value.encode()).hexdigest()


def _servers(api: SimApi) -> dict[str, str]:
    return dict((api.get(*SERVERS) or {}).get("data") or {})


def _key(workload: str) -> str:
    return workload.rpartition("/")[2]


def _known(api: SimApi, workload: str, namespace: str) -> str:
    """What the server knows; at first what its Secret held when it started."""
    secret, key = _HELD[workload]
    data = (api.get("v1", "Secret", secret, namespace) or {}).get("data") or {}
    return _servers(api).get(_key(workload)) or digest(base64.b64decode(data.get(key, "")).decode())


def _take(api: SimApi, workload: str, value: str) -> None:
    version, kind, name, namespace = SERVERS
    data = {**_servers(api), _key(workload): digest(value)}
    api.put({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "data": data})


def _running(world: World, parameters: Mapping[str, str]) -> SimApi:
    api, workload, namespace = world.api, parameters["WORKLOAD"], parameters["NAMESPACE"]
    kind = "StatefulSet" if workload.startswith("statefulset/") else "Deployment"
    found = api.get("apps/v1", kind, _key(workload), namespace) if api else None
    if api is None or not ((found or {}).get("status") or {}).get("readyReplicas"):
        raise ScriptError(
            72,
            f"kf-error: the password in {namespace}/{workload} could not be changed (exit status 1): error: unable to upgrade connection",
            f"kf-hint: kubectl -n {namespace} get pods; then: kfinstall resume",
        )
    return api


@effect("rotate-database")
def database(parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """The new password is taken from one who knows the old one; nothing where it is known already."""
    api, workload, namespace = _running(world, parameters), parameters["WORKLOAD"], parameters["NAMESPACE"]
    old, new = stdin.splitlines()
    known = _known(api, workload, namespace)
    if known == digest(new):
        yield f"the server in {namespace}/{workload} has the new password already"
        return
    if known != digest(old):
        raise ScriptError(
            71,
            f"kf-error: the server in {namespace}/{workload} takes neither the old nor the new password: ERROR 1045 (28000)",
            "kf-hint: somebody changed it there: set it back to what Secret kfinstall/kfinstall-generated holds, then: kfinstall resume",
        )
    _take(api, workload, new)
    yield f"the server in {namespace}/{workload} took the new password"


@effect("rotate-object-store")
def object_store(parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """The administrator's key is set."""
    api = _running(world, parameters)
    _take(api, parameters["WORKLOAD"], stdin.rstrip("\n"))
    yield f"the object store in {parameters['NAMESPACE']}/{parameters['WORKLOAD']} took the new key"


@effect("rotate-postgres")
def postgres(parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """The administrator's password is set."""
    api = _running(world, parameters)
    _take(api, parameters["WORKLOAD"], stdin.rstrip("\n"))
    yield f"the server in {parameters['NAMESPACE']}/{parameters['WORKLOAD']} took the new password"
