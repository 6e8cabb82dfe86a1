"""Rules for what the cluster's own controllers do not do: kube-controller-manager that is not there, or that restarts again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kfinstall.diagnose import symptoms
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl

_NAMESPACE: Final = "kube-system"
_MANAGER: Final = "kube-controller-manager"
_RESTARTS: Final = 2
"""So many restarts of a program that should have none are told as such."""


def unseen(walk: Walk, ref: Ref) -> Cause:
    """Why the newest form of a workload was not looked at: its controller runs in kube-controller-manager."""
    pods = [item for item in walk.known.all("v1", "Pod", _NAMESPACE) if Ref.of(item).name.startswith(f"{_MANAGER}-")]
    restarting = [(pod, status) for pod in pods for status in _restarts(pod)]
    healthy = [pod for pod in pods if _runs(pod) and not any(pod is each for each, _status in restarting)]
    look = kubectl("get", "pods", "-l", f"component={_MANAGER}", "-o", "wide", namespace=_NAMESPACE)
    waits = "its controller has not seen its newest form yet"
    if healthy or not pods:
        return walk.at(ref, symptoms.vague(waits, f"is {_MANAGER} running? {look}" if not pods else "", cause="controller-passing"))
    for pod, status in restarting:
        name, times = Ref.of(pod).name, status["restartCount"]
        why = _end(status)
        reason = f"{waits}: pod {_NAMESPACE}/{name} restarts again and again ({times} times){why}"
        hint = kubectl("logs", "--previous", names=[name], namespace=_NAMESPACE)
        return walk.at(ref, symptoms.symptom(("control plane", _MANAGER), reason, hint, cause="controller-manager"))
    for pod in pods:
        found = walk.behind(ref, Ref.of(pod))
        if found and not found.symptom.vague:
            return found
    return walk.at(
        ref, symptoms.symptom(("control plane", _MANAGER), f"{waits}: {_MANAGER} is not ready", look, cause="controller-manager")
    )


def _restarts(pod: Document) -> Iterator[Mapping[str, Any]]:
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if int(status.get("restartCount") or 0) >= _RESTARTS and (status.get("lastState") or {}).get("terminated"):
            yield status


def _runs(pod: Document) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(statuses) and all(item.get("ready") for item in statuses)


def _end(status: Mapping[str, Any]) -> str:
    """How it ended last, in its own words where it left any."""
    ended = (status.get("lastState") or {}).get("terminated") or {}
    said = symptoms.line(symptoms.telling([*str(ended.get("message") or "").splitlines()]))
    if ended.get("reason") == "OOMKilled":
        return ": out of memory"
    return f": {said}" if said else f", last with exit status {ended['exitCode']}" if ended.get("exitCode") is not None else ""
