"""Rules for claims: the class that they name, and the pod that makes volumes of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final

from kfinstall import invocation
from kfinstall.diagnose import symptoms
from kfinstall.diagnose.mounts import nfs
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.diagnose.walk import Cause, Walk, newest_events
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl

_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
_BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_LOCAL_PATH: Final = "rancher.io/local-path"
_PROVISIONERS: Final = {
    "nfs.csi.k8s.io": Ref("apps/v1", "Deployment", "csi-nfs-controller", "kube-system"),
    _LOCAL_PATH: Ref("apps/v1", "Deployment", "local-path-provisioner", "local-path-storage"),
}
"""Those that do not say in their own manifest which provisioner they are."""


def claim(walk: Walk, ref: Ref) -> Cause | None:
    """Why a claim is not bound."""
    document = walk.known.get(ref)
    if document is None:
        return (
            walk.at(ref, symptoms.about(ref, "it does not exist", symptoms.MADE, cause="claim-missing"))
            if walk.known.lacks(ref)
            else None
        )
    phase = (document.get("status") or {}).get("phase")
    if phase == "Bound":
        return None
    if phase == "Lost":
        return walk.at(
            ref,
            symptoms.about(
                ref,
                "its volume is gone",
                f"restore the volume, or: {kubectl('delete', 'pvc', names=[ref.name], namespace=ref.namespace)}",
                cause="volume-gone",
            ),
        )
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    name = (document.get("spec") or {}).get("storageClassName", annotations.get(_BETA_CLASS))
    if name is None:
        return _without_class(walk, ref)
    return _of_class(walk, ref, str(name))


def _without_class(walk: Walk, ref: Ref) -> Cause:
    classes = walk.known.all("storage.k8s.io/v1", "StorageClass")
    defaults = [
        Ref.of(item).name for item in classes if ((item.get("metadata") or {}).get("annotations") or {}).get(_DEFAULT) == "true"
    ]
    if defaults:
        return _of_class(walk, ref, max(defaults))
    there = ", ".join(sorted(Ref.of(item).name for item in classes))
    which = f"there is no default one (there is {there})" if there else "there is no default one"
    return walk.at(
        ref,
        symptoms.symptom(
            ("no default class",), f"it has no storage class: {which}", invocation.only("storage"), cause="no-default-class"
        ),
    )


def _of_class(walk: Walk, ref: Ref, name: str) -> Cause:
    found = walk.known.get(Ref("storage.k8s.io/v1", "StorageClass", name)) if name else None
    message = _whole(walk, ref)
    if not name:
        return walk.at(ref, symptoms.about(ref, "it wants a volume that an administrator made, and none fits", "kubectl get pv"))
    if found is None and walk.known.lacks(Ref("storage.k8s.io/v1", "StorageClass", name)):
        return walk.at(
            ref,
            symptoms.symptom(
                ("class", name),
                f"storage class {name} does not exist",
                f"{invocation.only('storage')}; kubectl get storageclass",
                cause="class-missing",
            ),
        )
    if "waiting for first consumer" in message.lower() or "waiting for pod" in message.lower():
        reason = f"its volume (class {name}) is made once a node is chosen for its pod"
        return walk.at(ref, symptoms.vague(reason, cause="claim-passing"))
    refused = symptoms.refused(message, ref.namespace)
    if refused:
        return walk.at(ref, refused)
    provisioner = str((found or {}).get("provisioner") or "")
    maker = _provisioner(walk, provisioner)
    behind = (walk.behind(ref, maker) if maker else None) or _helper(walk, ref, provisioner)
    return behind or walk.at(ref, _unmade(walk, ref, name, provisioner, maker))


_ACCESS: Final = re.compile(r"only supports? \S+.*access mode|unsupported access mode|does not support access mode", re.IGNORECASE)


def _unmade(walk: Walk, ref: Ref, name: str, provisioner: str, maker: Ref | None) -> Symptom:
    """Why a provisioner that runs makes no volume, by the newest that was said of the claim."""
    what, whole = f"its volume (class {name}) can't be made", _whole(walk, ref)
    message = symptoms.line(whole)
    if not message:
        if provisioner and maker is None and not provisioner.startswith("kubernetes.io/") and _awaited(walk, ref):
            hint = f"{invocation.only('storage')}; kubectl get storageclass"
            reason = (
                f"its volume (class {name}) waits for provisioner {symptoms.line(provisioner)}, and nothing in the cluster is it"
            )
            return symptoms.symptom(("provisioner", provisioner), reason, hint, cause="provisioner-missing")
        who = (
            kubectl("logs", f"{maker.kind.lower()}/{maker.name}", namespace=maker.namespace)
            if maker
            else invocation.command("doctor")
        )
        return symptoms.vague(f"its volume (class {name}) is being made", who, cause="claim-passing")
    if _ACCESS.search(whole):
        hint = "a class whose volumes may be shared (nfs-csi), or accessModes: [ReadWriteOnce] in the claim"
        return symptoms.about(ref, f"{what} with the access mode that it asks for: {message}", hint, cause="claim-access-mode")
    if shared := nfs(whole, what):
        return symptoms.about(ref, shared.waiting.reason, shared.waiting.hint, cause=shared.cause)
    if provisioner == _LOCAL_PATH:
        hint = (
            "the pods that make the directory on its node: kubectl -n local-path-storage get pods -o wide; "
            "kubectl -n local-path-storage logs deployment/local-path-provisioner"
        )
        return symptoms.about(ref, f"{what}: {message}", hint, cause="local-path")
    hint = f"does the NFS server answer, and export that directory? {invocation.command('check')}"
    if "nfs" not in provisioner:
        who = kubectl("logs", f"{maker.kind.lower()}/{maker.name}", namespace=maker.namespace) if maker else "kubectl get pods -A"
        hint = f"its provisioner says more: {who}"
    return symptoms.about(ref, f"{what}: {message}", hint, cause="nfs-server" if "nfs" in provisioner else "")


def _helper(walk: Walk, ref: Ref, provisioner: str) -> Cause | None:
    """The pod that makes the directory of a local volume on its node."""
    if provisioner != _LOCAL_PATH:
        return None
    volume = re.search(r"\bpvc-[0-9a-f-]+", _whole(walk, ref))
    own = str(((walk.known.get(ref) or {}).get("metadata") or {}).get("uid") or "")
    for item in walk.known.all("v1", "Pod", _PROVISIONERS[_LOCAL_PATH].namespace):
        name = Ref.of(item).name
        if not name.startswith("helper-pod-create-"):
            continue
        if name.endswith(f"-{volume[0]}" if volume else f"pvc-{own}"):
            found = walk.behind(ref, Ref.of(item))
            if found and not found.symptom.vague:
                reason = f"pod {Ref.of(item).namespace}/{name}, which makes it: {found.symptom.waiting.reason}"
                told = replace(found.symptom, waiting=replace(found.symptom.waiting, reason=reason))
                return replace(found, symptom=told)
    return None


def _awaited(walk: Walk, ref: Ref) -> bool:
    """Whether the cluster says of a claim that it waits for a provisioner."""
    events = newest_events(walk, ref.namespace, {(ref.kind, ref.name)})
    return any("waiting for a volume to be created" in str(event.get("message")).lower() for event in events)


def _whole(walk: Walk, ref: Ref) -> str:
    """The newest trouble of a claim, uncut; empty where there is none."""
    events = newest_events(walk, ref.namespace, {(ref.kind, ref.name)})
    texts = [str(event.get("message") or "") for event in events]
    troubles = [text for event, text in zip(events, texts, strict=True) if event.get("type") == "Warning"]
    waiting = [text for text in texts if "waiting for" in text.lower() and "external" not in text.lower()]
    return next(iter(troubles), next(iter(waiting), ""))


def _provisioner(walk: Walk, name: str) -> Ref | None:
    """The workload that makes volumes: none of its objects says so, so the name is looked for in what it is started with."""
    if not name or name.startswith("kubernetes.io/"):
        return None
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for item in walk.known.all("apps/v1", kind):
            if name in _started_with(item):
                return Ref.of(item)
    fixed = _PROVISIONERS.get(name)
    return fixed if fixed and walk.known.get(fixed) else None


def _started_with(item: Document) -> str:
    containers = (((item.get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or []
    return json.dumps([[entry.get("args"), entry.get("command"), entry.get("env")] for entry in containers])
