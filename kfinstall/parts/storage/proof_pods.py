"""The claim and the pods that prove storage: one writes, another one reads, on another node where the class allows it."""

from __future__ import annotations

from typing import Any, Final

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
    user = limits.STORAGE_USER_ID
    container = {
        "name": role,
        "image": view.release.images["agnhost"],
        "command": ["/bin/sh", "-euc", _WRITE if role == "write" else _READ, role, content],
        "volumeMounts": [{"name": "volume", "mountPath": _MOUNT}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": NAME}}],
    }
    if node:
        pod["nodeName"] = node
    labels = {**stamp.LABELS, LABEL: role}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{NAME}-{role}", "namespace": NAMESPACE, "labels": dict(stamp.LABELS)},
        "spec": {"backoffLimit": _TRIES, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
