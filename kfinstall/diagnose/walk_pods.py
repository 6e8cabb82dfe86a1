"""Rules for pods: where they may run, their containers, what they mount, their sidecar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kfinstall import invocation
from kfinstall.diagnose import mounts, sandboxes, symptoms, walk_network
from kfinstall.diagnose.reasons import condition
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.diagnose.walk import Cause, Walk, newest_events
from kfinstall.diagnose.walk_certificates import unsigned
from kfinstall.diagnose.walk_nodes import evicted, rejected
from kfinstall.diagnose.walk_scheduling import unscheduled
from kfinstall.kube.base import Document, NotReady, Ref
from kfinstall.text import kubectl

_MISSING: Final = re.compile(r'\b(secret|configmap) "(?:[a-z0-9.-]+/)?([a-z0-9.-]+)" not found', re.IGNORECASE)
_SIDECAR: Final = "istio-proxy"
_ISTIOD: Final = Ref("apps/v1", "Deployment", "istiod", "istio-system")
_MAY_LEAD: Final = ("", "exit", "probe", "killed", "service-network")
"""Ends that may be the outcome of something else."""
_WENT_ON: Final = ("Pulled", "Created", "Started")


def pod(walk: Walk, ref: Ref) -> Cause | None:
    """A pod: where it may run, its node, its volumes, its containers, its sidecar."""
    document = walk.known.get(ref)
    if document is None:
        return None
    status = document.get("status") or {}
    if status.get("phase") == "Succeeded" or condition(document, "Ready").get("status") == "True":
        return None
    away = _node_away(walk, ref, document)
    if away:
        return away
    scheduled = condition(document, "PodScheduled")
    if scheduled.get("status") == "False":
        return unscheduled(walk, ref, document, str(scheduled.get("message") or ""))
    if status.get("reason") == "Evicted":
        return evicted(walk, ref, document)
    if status.get("phase") == "Failed" and status.get("reason") and not status.get("containerStatuses"):
        return rejected(walk, ref, document)
    found = [*_containers(walk, ref, document)]
    certain = next((cause for cause in found if not cause.symptom.vague), None)
    told = None if certain else _missing_parts(walk, ref, document) or _by_events(walk, ref)
    killed = next((cause for cause in found if cause.symptom.cause == "killed"), None)
    if certain or (killed and (told is None or told.symptom.vague)):
        return certain or killed
    return told or next(iter(found), None) or _begins(walk, ref)


def _begins(walk: Walk, ref: Ref) -> Cause:
    return walk.at(ref, symptoms.vague("its containers start"))


def _node_away(walk: Walk, ref: Ref, document: Document) -> Cause | None:
    """The node behind a pod that stays Unknown or Terminating because nobody there reports."""
    name = str((document.get("spec") or {}).get("nodeName") or "")
    node = walk.known.get(Ref("v1", "Node", name)) if name else None
    lost = node is not None and condition(node, "Ready").get("status") == "Unknown"
    return walk.behind(ref, Ref("v1", "Node", name)) if lost else None


def _containers(walk: Walk, ref: Ref, document: Document) -> Iterator[Cause]:
    status = document.get("status") or {}
    init = [item for item in status.get("initContainerStatuses") or [] if not item.get("ready")]
    for container in [*init, *(status.get("containerStatuses") or [])]:
        found = _container(walk, ref, document, container)
        if found:
            yield found
        if container in init and "running" in (container.get("state") or {}) and not container.get("started"):
            return


def _container(walk: Walk, ref: Ref, document: Document, status: Mapping[str, Any]) -> Cause | None:
    state = status.get("state") or {}
    waiting, name = state.get("waiting") or {}, str(status.get("name"))
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in symptoms.PULL_REASONS:
        return walk.at(ref, symptoms.pull(str(status.get("image")), _pull_message(walk, ref, message)))
    ended = (status.get("lastState") or {}).get("terminated") or state.get("terminated") or {}
    if reason == "CrashLoopBackOff" or (ended and ended.get("exitCode") and not status.get("ready")):
        return _crashed(walk, ref, document, name, ended)
    if reason in _UNSTARTED:
        return _missing(walk, ref, message) or walk.at(ref, _unstarted(name, message, ref))
    if name == _SIDECAR and "running" in state and not status.get("ready"):
        return walk.behind(ref, _ISTIOD)
    if (
        "running" in state
        and not status.get("ready")
        and status in ((document.get("status") or {}).get("initContainerStatuses") or [])
    ):
        return walk_network.elsewhere(walk, ref, walk.known.log(ref, name)) or walk.at(
            ref, symptoms.vague(f"init container {name} is not done yet")
        )
    return None


_UNSTARTED: Final = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
)
_KEY: Final = re.compile(r"couldn't find key (\S+) in (ConfigMap|Secret) ([\w.-]+)/([\w.-]+)")


def _unstarted(name: str, message: str, ref: Ref) -> Symptom:
    """Why a container can't be made or started."""
    said, key = symptoms.line(message), ("start", str(ref))
    if found := _KEY.search(message):
        what, kind, namespace, holder = found.groups()
        reason = f"container {name} can't be started: {kind} {namespace}/{holder} has no key {symptoms.line(what)}"
        look = kubectl("describe", kind.lower(), names=[holder], namespace=namespace)
        return symptoms.symptom(
            (kind, namespace, holder, what), reason, f"{look} shows its keys; {symptoms.MADE}", cause="object-key"
        )
    if "runAsNonRoot" in message:
        hint = "its image starts as root, or under a name: set runAsUser to a number other than 0, or another image"
        return symptoms.symptom(key, f"container {name} can't be started: {said}", hint, cause="run-as-root")
    if "is reserved for" in message:
        hint = "a slow disk or runtime: on its node: journalctl -u containerd -n 50"
        return symptoms.vague(f"container {name} is still being made by an earlier try", hint, cause="sandbox-reserved")
    return symptoms.symptom(key, f"container {name} can't be started: {said}", "kubectl describe pod", cause="start")


def _pull_message(walk: Walk, ref: Ref, message: str) -> str:
    """The registry's answer: older kubelets leave it out once they back off, the event before has it."""
    if "back-off" not in message.lower() or "errimagepull" in message.lower():
        return message
    events = newest_events(walk, ref.namespace, {("Pod", ref.name)})
    return next((text for event in events if "failed to pull" in (text := str(event.get("message") or "")).lower()), message)


def _crashed(walk: Walk, ref: Ref, document: Document, name: str, ended: Mapping[str, Any]) -> Cause:
    lines = walk.known.log(ref, name)
    owner = next((str(item.get("name")) for item in (document.get("metadata") or {}).get("ownerReferences") or []), ref.name)
    events = newest_events(walk, ref.namespace, {("Pod", ref.name)})
    found = symptoms.crash(name, ended, lines, f"{ref.namespace}/{owner}", events)
    if found.cause not in _MAY_LEAD or (ref, name) in walk.known.open_logs:
        return walk.at(ref, found)
    leads = walk_network.elsewhere(walk, ref, lines)
    if leads is None and found.cause != "probe":
        leads = _no_sidecar(walk, ref, document)
    if leads:
        return leads
    unreadable = walk.known.why_no_log(ref, name)
    if "tls" in unreadable.lower() or "certificate" in unreadable.lower():
        request = unsigned(walk, f"system:node:{(document.get('spec') or {}).get('nodeName')}")
        if request:
            return walk.at(
                ref, Symptom(found.key, NotReady(f"{found.waiting.reason}; {request.waiting.reason}", request.waiting.hint))
            )
    return walk.at(ref, found)


def _no_sidecar(walk: Walk, ref: Ref, document: Document) -> Cause | None:
    """A pod that was made before istiod could give it a sidecar: others refuse what it sends."""
    metadata, spec = document.get("metadata") or {}, document.get("spec") or {}
    namespace = walk.known.get(Ref("v1", "Namespace", ref.namespace)) or {}
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    own = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    names = {item.get("name") for item in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]}
    wanted = labels.get("istio-injection") == "enabled" and own.get("sidecar.istio.io/inject", "true") != "false"
    if not wanted or _SIDECAR in names or spec.get("hostNetwork"):
        return None
    found = walk.behind(ref, _ISTIOD)
    hint = f"{kubectl('delete', 'pod', names=[ref.name], namespace=ref.namespace)}  # the next one gets it"
    return found or walk.at(
        ref, symptoms.symptom(("sidecar", str(ref)), "its pod has no Istio sidecar: it was made before istiod answered", hint)
    )


def _missing_parts(walk: Walk, ref: Ref, document: Document) -> Cause | None:
    """A Secret or ConfigMap that a pod mounts and that is not there; only once it was given to a node."""
    spec = document.get("spec") or {}
    if not spec.get("nodeName"):
        return None
    for volume in spec.get("volumes") or []:
        parts = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for part in parts:
            for key, kind, field in (("secret", "Secret", "secretName"), ("configMap", "ConfigMap", "name")):
                source = part.get(key) or {}
                name = source.get(field) or source.get("name")
                target = Ref("v1", kind, str(name), ref.namespace)
                if name and not source.get("optional") and walk.known.lacks(target):
                    return walk.behind(ref, target)
    return None


def _missing(walk: Walk, ref: Ref, message: str) -> Cause | None:
    found = _MISSING.search(message)
    if not found:
        return None
    kind = "Secret" if found[1].lower() == "secret" else "ConfigMap"
    return walk.behind(ref, Ref("v1", kind, found[2], ref.namespace))


def _by_events(walk: Walk, ref: Ref) -> Cause | None:
    for event in newest_events(walk, ref.namespace, {("Pod", ref.name)}):
        message, reason = str(event.get("message") or ""), str(event.get("reason") or "")
        if reason in _WENT_ON:  # whatever was before is over
            return None
        cause = _missing(walk, ref, message) or _by_event(walk, ref, message)
        if cause:
            return cause
        if reason == "Unhealthy":
            document = walk.known.get(ref) or {}
            hint = kubectl("logs", names=[ref.name], namespace=ref.namespace)
            unhealthy = symptoms.vague(f"its pod runs but does not say that it is ready: {symptoms.line(message)}", hint)
            return _no_sidecar(walk, ref, document) or walk.at(ref, unhealthy)
        if reason == "Pulling":
            return walk.at(ref, symptoms.vague(f"image {symptoms.line(message).rpartition('image ')[2]} is being pulled"))
    return None


def _by_event(walk: Walk, ref: Ref, message: str) -> Cause | None:
    """What an event of a pod tells, where it tells a cause."""
    document = walk.known.get(ref) or {}
    if sandboxes.is_sandbox(message):
        return walk_network.sandbox(walk, ref, document, message)
    if "too many open files" in message.lower():
        hint = f"fs.inotify limits are too low: {invocation.only('prepare')}"
        return walk.at(ref, symptoms.symptom(("open-files",), "too many open files", hint, cause="open-files"))
    name = mounts.driver(message)
    behind = walk_network.driver(walk, ref, document, name) if name else None
    found = symptoms.mount(message, str(ref), _sources(document, message))
    return behind or (walk.at(ref, found) if found else None)


def _sources(document: Document, message: str) -> str:
    """The ConfigMaps and Secrets of the volume that a text is about, by kind and name."""
    found = re.search(r'for volume "([^"]+)"', message)
    volumes = [item for item in (document.get("spec") or {}).get("volumes") or [] if found and item.get("name") == found[1]]
    parts = [part for volume in volumes for part in (volume, *((volume.get("projected") or {}).get("sources") or []))]
    names = [f"ConfigMap {part['configMap'].get('name')}" for part in parts if part.get("configMap")]
    names += [f"Secret {part['secret'].get('secretName') or part['secret'].get('name')}" for part in parts if part.get("secret")]
    return symptoms.line(", ".join(names))
