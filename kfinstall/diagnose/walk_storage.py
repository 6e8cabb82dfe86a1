"""Rules for claims: the class that they name, and the pod that makes volumes of it."""

from __future__ import annotations

import json
from typing import Final

from kfinstall import invocation
from kfinstall.diagnose import symptoms
from kfinstall.diagnose.walk import Cause, Walk, newest_events
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl

_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
_BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_PROVISIONERS: Final = {
    "nfs.csi.k8s.io": Ref("apps/v1", "Deployment", "csi-nfs-controller", "kube-system"),
    "rancher.io/local-path": Ref("apps/v1", "Deployment", "local-path-provisioner", "local-path-storage"),
}
"""Those that do not say in their own manifest which provisioner they are."""


def claim(walk: Walk, ref: Ref) -> Cause | None:
    """Why a claim is not bound."""
    document = walk.known.get(ref)
    if document is None:
        return walk.at(ref, symptoms.about(ref, "it does not exist", symptoms.MADE)) if walk.known.lacks(ref) else None
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
    return walk.at(ref, symptoms.symptom(("no default class",), f"it has no storage class: {which}", invocation.only("storage")))


def _of_class(walk: Walk, ref: Ref, name: str) -> Cause:
    found = walk.known.get(Ref("storage.k8s.io/v1", "StorageClass", name)) if name else None
    message = _message(walk, ref)
    if not name:
        return walk.at(ref, symptoms.about(ref, "it wants a volume that an administrator made, and none fits", "kubectl get pv"))
    if found is None and walk.known.lacks(Ref("storage.k8s.io/v1", "StorageClass", name)):
        return walk.at(
            ref,
            symptoms.symptom(
                ("class", name), f"storage class {name} does not exist", f"{invocation.only('storage')}; kubectl get storageclass"
            ),
        )
    if "waiting for first consumer" in message.lower() or "waiting for pod" in message.lower():
        return walk.at(ref, symptoms.vague(f"its volume (class {name}) is made once a node is chosen for its pod"))
    refused = symptoms.refused(message, ref.namespace)
    if refused:
        return walk.at(ref, refused)
    provisioner = _provisioner(walk, str((found or {}).get("provisioner") or ""))
    behind = walk.behind(ref, provisioner) if provisioner else None
    if behind:
        return behind
    if not message:
        return walk.at(
            ref, symptoms.vague(f"its volume (class {name}) is being made", f"is the NFS server up? {invocation.command('doctor')}")
        )
    hint = f"does the NFS server answer, and export that directory? {invocation.command('check')}"
    return walk.at(ref, symptoms.about(ref, f"its volume (class {name}) can't be made: {message}", hint))


def _message(walk: Walk, ref: Ref) -> str:
    """The newest trouble of a claim; else the newest that was said of it."""
    events = newest_events(walk, ref.namespace, {(ref.kind, ref.name)})
    texts = [symptoms.line(event.get("message")) for event in events if event.get("type") == "Warning"]
    waiting = [
        text
        for event in events
        if "waiting for" in (text := symptoms.line(event.get("message"))).lower() and "external" not in text.lower()
    ]
    return next(iter(texts), next(iter(waiting), ""))


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
