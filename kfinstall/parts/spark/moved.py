"""Spark's volume where an earlier release had it: over the images' working directory. What moves, and who still names it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kfinstall.apply import stamp
from kfinstall.engine.step import Conflict
from kfinstall.kube.base import ClusterFacts, Document, ListQuery
from kfinstall.parts.spark import place

_OPERATOR: Final = "sparkoperator.k8s.io/v1beta2"
_APPLICATIONS: Final = ("SparkApplication", "ScheduledSparkApplication")
_RECORD: Final = "proof-spark-volume"
_NAMED: Final = 5
"""So many applications are told by name."""
_FORMER: Final = re.compile(rf"(?<![\w.-]){re.escape(place.WORK_DIR)}(?![\w.-])")


def wants(namespace: str) -> tuple[ListQuery, ...]:
    """The lists that tell it: the history server, and applications of the operator."""
    return (ListQuery("apps/v1", "Deployment", namespace), *(ListQuery(_OPERATOR, kind, namespace) for kind in _APPLICATIONS))


def changes(cluster: ClusterFacts | None, namespace: str) -> tuple[str, ...]:
    """What a plan says about an installation that has the volume at its former place; empty for any other."""
    if cluster is None or not _was_there(cluster, namespace):
        return ()
    moves = (
        f"Spark's volume moves from {place.WORK_DIR} to {place.MOUNT}; what is on it stays, running applications keep their mount"
    )
    former = applications(cluster, namespace)
    return (moves, *((f"left to their owners: {_listed(former)}",) if former else ()))


def _was_there(cluster: ClusterFacts, namespace: str) -> bool:
    record = cluster.get("v1", "ConfigMap", _RECORD, stamp.PROOFS_NAMESPACE) or {}
    server = cluster.get("apps/v1", "Deployment", place.HISTORY, namespace)
    evidence = str((record.get("data") or {}).get("evidence") or "")
    return any(_FORMER.search(text) for text in (evidence, *_texts((server or {}).get("spec") if stamp.ours(server) else None)))


def applications(cluster: ClusterFacts | None, namespace: str) -> list[str]:
    """The operator's applications that have Spark's volume, and name its former place: kind and name, sorted."""
    found = (item for kind in _APPLICATIONS for item in (cluster.of_kind(kind, namespace) if cluster else ()))
    return sorted(f"{item['kind']} {item['metadata']['name']}" for item in found if not stamp.ours(item) and _named(item))


def _named(application: Document) -> bool:
    texts = list(_texts(application.get("spec")))
    return place.VOLUME in texts and any(_FORMER.search(text) for text in texts)


def _texts(value: Any) -> Iterator[str]:
    """Every string in a document, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _listed(former: list[str]) -> str:
    more = f" and {len(former) - _NAMED} more" if len(former) > _NAMED else ""
    verb = "names" if len(former) == 1 else "name"
    return f"{', '.join(former[:_NAMED])}{more} {verb} {place.WORK_DIR} for {place.VOLUME}"


def warning(former: list[str]) -> Conflict:
    """The finding about such applications: they run as before, and as before their files collide."""
    reason = f"{_listed(former)}: jars and files of one name collide there, and what their image has there is hidden"
    return Conflict(reason, f"mount it at {place.MOUNT} instead, and name its files there", warning=True)
