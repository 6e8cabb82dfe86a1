"""The claim and the pods that prove storage: one writes, another one reads, on another node where the class allows it."""

from __future__ import annotations

from typing import Final

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine.step import View
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.storage import limits

NAME: Final = "storage-proof"
LABEL: Final = "kfinstall.io/storage-proof"
NAMESPACE: Final = stamp.PROOFS_NAMESPACE
CLAIM: Final = Ref("v1", "PersistentVolumeClaim", NAME, NAMESPACE)
_MOUNT: Final = "/volume"
_TRIES: Final = 2
_WRITE: Final = """
printf '%s\\n' "$1" >/volume/proof.new
mv /volume/proof.new /volume/proof
sync
echo "kf-wrote $1"
"""
_READ: Final = """
found=$(cat /volume/proof)
test "$found" = "$1" || { echo "kf-wrong: read '$found'"; exit 1; }
rm /volume/proof
echo "kf-read $1"
"""


def many(answers: Answers) -> bool:
    """Whether the class serves ReadWriteMany."""
    return answers.storage.type == "nfs"


def places(answers: Answers) -> tuple[str, str]:
    """The nodes that write and read; workers first, since that is where pods will run. Empty: the scheduler's choice.

    A pod that names its node passes the scheduler by, which a class that waits for its first consumer would wait for.
    """
    if not many(answers):
        return "", ""
    names = [node.name for node in (*answers.workers, *answers.control_planes)]
    return names[0], names[1 if len(names) > 1 else 0]


def claim(view: View) -> Document:
    """A small claim of the class."""
    spec = {
        "accessModes": ["ReadWriteMany" if many(view.answers) else "ReadWriteOnce"],
        "storageClassName": view.answers.storage_class,
        "resources": {"requests": {"storage": "1Mi"}},
    }
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": dict(stamp.LABELS)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def job(view: View, role: str, node: str, content: str) -> Document:
    """A Job that writes or reads the volume as nobody. `role`: write or read."""
    program = _WRITE if role == "write" else _READ
    made = nobody_job(view, f"{NAME}-{role}", (LABEL, role), program, content, tries=_TRIES)
    pod = made["spec"]["template"]["spec"]
    pod["securityContext"]["fsGroup"] = limits.STORAGE_USER_ID
    pod["containers"][0]["volumeMounts"] = [{"name": "volume", "mountPath": _MOUNT}]
    pod["volumes"] = [{"name": "volume", "persistentVolumeClaim": {"claimName": NAME}}]
    if node:
        pod["nodeName"] = node
    return made


def nobody_job(view: View, name: str, label: tuple[str, str], program: str, *arguments: str, tries: int) -> Document:
    """A Job in namespace kfinstall that runs a shell program as nobody, with no rights at all.

    `label`: name and value on its pods; the value is the container's name too. `arguments`: $1, $2 ... `tries`: after the first one.
    """
    user = limits.STORAGE_USER_ID
    container = {
        "name": label[1],
        "image": view.release.images["agnhost"],
        "command": ["/bin/sh", "-euc", program, label[1], *arguments],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    identity = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": identity,
        "containers": [container],
    }
    labels = {**stamp.LABELS, label[0]: label[1]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": dict(stamp.LABELS)},
        "spec": {"backoffLimit": tries, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
