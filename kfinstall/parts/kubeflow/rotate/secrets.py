"""Which generated secrets can be replaced, what reads each, and the record of who asked for it and what is done. Pure.

ConfigMap kfinstall/rotation holds for each secret the run that asked (`requested.<name>`), the one that was done (`done.<name>`) and
when (`at.<name>`). The new value stands beside the old one in Secret kfinstall/kfinstall-generated until it is everywhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kfinstall import invocation, releases
from kfinstall.answers.model import Answers
from kfinstall.apply.stamp import LABELS
from kfinstall.engine.secret_store import NAMESPACE
from kfinstall.errors import UsageError
from kfinstall.kube.base import ClusterFacts, Document, ListQuery, Ref
from kfinstall.parts.kubeflow import choice, own, secret_values

RECORD: Final = Ref("v1", "ConfigMap", "rotation", NAMESPACE)
RECORDS: Final = ListQuery("v1", "ConfigMap", NAMESPACE)


def _deployment(name: str, namespace: str = "kubeflow") -> Ref:
    return Ref("apps/v1", "Deployment", name, namespace)


@dataclass(frozen=True, slots=True)
class Rotation:
    """One secret that can be replaced."""

    name: str
    """As it is written on the command line."""
    secret: str
    """Its name among the generated ones."""
    what: str
    component: str
    """The component without which there is no such secret."""
    written: tuple[Ref, ...]
    """The Secrets that hold it."""
    server: Ref | None = None
    """The workload whose running server has to learn the new value before anything else."""
    container: str = ""
    readers: tuple[Ref, ...] = ()
    """What has to start anew, in this order."""
    note: str = ""


ROTATIONS: Final[Mapping[str, Rotation]] = {
    item.name: item
    for item in (
        Rotation(
            "katib-database",
            secret_values.KATIB_DATABASE,
            "the password of Katib's database",
            "katib",
            (own.KATIB_MYSQL,),
            _deployment("katib-mysql"),
            "katib-mysql",
            (_deployment("katib-mysql"), _deployment("katib-db-manager")),
        ),
        Rotation(
            "pipelines-database",
            secret_values.PIPELINES_DATABASE,
            "the password of the pipelines' database",
            "pipelines",
            (own.MYSQL,),
            _deployment("mysql"),
            "mysql",
            (_deployment("metadata-grpc-deployment"), _deployment("cache-server"), _deployment("ml-pipeline")),
        ),
        Rotation(
            "catalog-database",
            secret_values.MODEL_CATALOG_DATABASE,
            "the password of the model catalog's database",
            "model-catalog",
            (own.MODEL_CATALOG,),
            Ref("apps/v1", "StatefulSet", "model-catalog-postgres", "kubeflow"),
            "postgres",
            (_deployment("model-catalog-server"),),
        ),
        Rotation(
            "object-store",
            secret_values.OBJECT_STORE_KEY,
            "the key of the pipelines' object store",
            "pipelines",
            (own.OBJECT_STORE,),
            _deployment("seaweedfs"),
            "seaweedfs",
            (
                _deployment("seaweedfs"),
                _deployment("ml-pipeline"),
                _deployment("ml-pipeline-ui"),
                _deployment("kubeflow-pipelines-profile-controller"),
            ),
            "the profiles' own keys stay",
        ),
        Rotation(
            "oidc-client",
            secret_values.CLIENT,
            "the secret between dex and the OAuth2 proxy",
            "dex",
            (own.DEX_CLIENT, own.OAUTH2_PROXY),
            readers=(_deployment("dex", "auth"), _deployment("oauth2-proxy", "oauth2-proxy")),
        ),
        Rotation(
            "cookie",
            secret_values.COOKIE,
            "the secret of the sessions' cookies",
            "oauth2-proxy",
            (own.OAUTH2_PROXY,),
            readers=(_deployment("oauth2-proxy", "oauth2-proxy"),),
            note="everybody signs in again",
        ),
        Rotation(
            "user-password",
            secret_values.PASSWORD,
            "the generated password of the user",
            "dex",
            (own.DEX_PASSWORDS,),
            readers=(_deployment("dex", "auth"),),
        ),
    )
}
"""In the order in which they are replaced: servers first, then what people notice."""


def possible(answers: Answers) -> tuple[str, ...]:
    """The names of what these answers have to replace."""
    if not answers.kubeflow.enabled:
        return ()
    chosen = choice.components(answers, releases.load(answers.cluster.release))
    given = set() if answers.kubeflow.user.password.generate else {"user-password"}
    return tuple(name for name, item in ROTATIONS.items() if item.component in chosen and name not in given)


def chosen(answers: Answers, only: Iterable[str]) -> tuple[str, ...]:
    """The names to replace, in order; all where none is asked for.

    Raises:
        UsageError: one of them can't be replaced here.
    """
    there, names = possible(answers), tuple(only)
    for name in names:
        if name not in there:
            given = name == "user-password" and answers.kubeflow.enabled
            again = f"the answers say where it comes from; change it there, then: {invocation.command('install')}"
            why = again if given else ""
            raise UsageError(f"{name} can't be rotated", why=why, hint=f"what can be: {', '.join(there) or 'nothing'}")
    if not there:
        raise UsageError("there is nothing to rotate", why="Kubeflow is not enabled in the answers")
    return tuple(name for name in there if not names or name in names)


def _data(cluster: ClusterFacts | None) -> Mapping[str, str]:
    found = cluster.objects.get(RECORD) if cluster else None
    data: Mapping[str, str] = (found or {}).get("data") or {}
    return data


def unfinished(cluster: ClusterFacts | None) -> tuple[str, ...]:
    """The names whose rotation was begun and is not done."""
    data = _data(cluster)
    return tuple(name for name in ROTATIONS if data.get(f"requested.{name}", "") != data.get(f"done.{name}", ""))


def done_at(cluster: ClusterFacts | None, name: str) -> str:
    """When the rotation that was asked for last was done; empty where it is not, or none was asked for."""
    data = _data(cluster)
    run = data.get(f"requested.{name}")
    return data.get(f"at.{name}") or "" if run and run == data.get(f"done.{name}") else ""


def without_record(cluster: ClusterFacts | None) -> ClusterFacts | None:
    """The cluster as if nothing had been asked for yet."""
    if cluster is None:
        return None
    return ClusterFacts(cluster.version, {ref: found for ref, found in cluster.objects.items() if ref != RECORD})


def _document(data: Mapping[str, str]) -> Document:
    metadata = {"name": RECORD.name, "namespace": RECORD.namespace, "labels": dict(LABELS)}
    return {"apiVersion": RECORD.api_version, "kind": RECORD.kind, "metadata": metadata, "data": dict(data)}


def requested(current: Document | None, names: Iterable[str], run: str) -> Document:
    """The record once a run has asked for these; what the same run has done already stays done."""
    data: Mapping[str, str] = (current or {}).get("data") or {}
    return _document({**data, **{f"requested.{name}": run for name in names}})


def finished(current: Document | None, name: str) -> Document:
    """The record once one is done."""
    data: Mapping[str, str] = (current or {}).get("data") or {}
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return _document({**data, f"done.{name}": data.get(f"requested.{name}", ""), f"at.{name}": now})
