"""What the steps of phase storage share: the export, the provisioners' objects, the classes. Pure functions of the view."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import yaml

from kfinstall.answers.model import Answers
from kfinstall.apply import manifests, stamp
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Cluster, Document, ListQuery, Ref
from kfinstall.parts.storage.facts import export_path

EXPORTS_FILE: Final = "/etc/exports.d/kfinstall.exports"
SERVER_UNIT: Final = "nfs-server.service"
DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
OLD_DEFAULT: Final = "storageclass.beta.kubernetes.io/is-default-class"
"""Kubernetes still takes a class with this annotation for the default."""
CLASSES: Final = ListQuery("storage.k8s.io/v1", "StorageClass")
_EXPORT_OPTIONS: Final = "rw,sync,no_subtree_check,no_root_squash"
"""No root squash: the provisioner and the kubelets give directories to the users of pods, as root of a node."""


def exports(answers: Answers) -> str:
    """The file in /etc/exports.d: the directory, for the nodes' addresses and nobody else."""
    clients = " ".join(f"{node.address}({_EXPORT_OPTIONS})" for node in answers.nodes)
    return f"# Written by kfinstall: for the nodes of cluster {answers.cluster.name} only\n{export_path(answers.storage.nfs.path)} {clients}\n"


def exported(answers: Answers, clients: AbstractSet[str]) -> bool:
    """Whether the kernel's clients are the nodes and nobody else. A node that is named by DNS is there by its canonical name."""
    wanted = {node.address for node in answers.nodes}
    numbers = {address for address in wanted if _is_number(address)}
    others = clients - numbers
    return numbers <= clients and len(others) == len(wanted - numbers) and not any(map(_is_number, others))


def _is_number(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def source(answers: Answers) -> str:
    """server:path as mount(8) wants it."""
    address = answers.nfs_address
    return f"{f'[{address}]' if ':' in address else address}:{answers.storage.nfs.path}"


def mount_options(answers: Answers) -> list[str]:
    """How volumes are mounted. Hard: an I/O error in a database is worse than a wait.

    What a volume's files say of themselves makes nobody root, and opens no device. Programs run: notebooks keep environments there.
    """
    return [f"nfsvers={answers.storage.nfs.version}", "hard", "noatime", "nosuid", "nodev"]


def storage_class(view: View) -> Document:
    """The one class that the answers ask for; it is the default."""
    answers = view.answers
    document: dict[str, Any] = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": answers.storage_class, "labels": dict(stamp.LABELS), "annotations": {DEFAULT: "true"}},
        "reclaimPolicy": "Delete",
    }
    if answers.storage_class == "local-path":
        return document | {"provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer"}
    document |= {"volumeBindingMode": "Immediate", "mountOptions": mount_options(answers)}
    if answers.storage_class == "nfs-client":
        parameters = {"archiveOnDelete": "false"}
        return document | {"provisioner": "k8s-sigs.io/nfs-subdir-external-provisioner", "parameters": parameters}
    parameters = {"server": answers.nfs_address, "share": answers.storage.nfs.path, "onDelete": "delete"}
    parameters["subDir"] = "${pvc.metadata.namespace}-${pvc.metadata.name}-${pv.metadata.name}"
    return document | {"provisioner": "nfs.csi.k8s.io", "parameters": parameters, "allowVolumeExpansion": True}


def _images(view: View, *names: str) -> dict[str, str]:
    return {name: view.release.images[name] for name in names}


def provisioner(view: View) -> list[Document]:
    """Everything of the provisioner but the class, in the order in which it is applied."""
    answers = view.answers
    if answers.storage_class == "nfs-csi":
        names = ("nfsplugin", "csi-provisioner", "csi-resizer", "livenessprobe", "csi-node-driver-registrar")
        return manifests.load("storage/nfs-csi", _images(view, *names))
    if answers.storage_class == "nfs-client":
        values = {"server": answers.nfs_address, "path": answers.storage.nfs.path}
        return manifests.load("storage/nfs-subdir", _images(view, "nfs-subdir-external-provisioner") | values)
    if answers.storage_class != "local-path":
        raise NotImplementedError(f"nothing provides the class {answers.storage_class}")
    nodes = [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [answers.storage.local_path.directory]}]
    values = {"config": json.dumps({"nodePathMap": nodes}, indent=1), "helper-pod": _helper_pod(view)}
    return manifests.load("storage/local-path", _images(view, "local-path-provisioner") | values)


def _helper_pod(view: View) -> str:
    container = {"name": "helper-pod", "image": view.release.images["local-path-helper"], "imagePullPolicy": "IfNotPresent"}
    tolerations = [{"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"}]
    spec = {"priorityClassName": "system-node-critical", "tolerations": tolerations, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "helper-pod"}, "spec": spec}
    return yaml.safe_dump(pod, sort_keys=False)


def foreign_class(view: View) -> Document | None:
    """A class of our name that somebody else made for something else."""
    wanted = storage_class(view)
    found = view.cluster.objects.get(Ref.of(wanted)) if view.cluster else None
    if found is None or ((found.get("metadata") or {}).get("labels") or {}).get("app.kubernetes.io/managed-by") == "kfinstall":
        return None
    return found if _differs(found, wanted) else None


def _differs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether fields differ that can't be changed in place."""
    fixed = ("provisioner", "parameters", "volumeBindingMode", "reclaimPolicy")
    return any((found.get(key) or {}) != (wanted.get(key) or {}) for key in fixed)


async def apply_class(cluster: Cluster, view: View, context: ApplyContext) -> None:
    """Apply the class; one whose fixed fields changed is made anew, which touches no volume."""
    wanted = storage_class(view)
    ref = Ref.of(wanted)
    found = await cluster.get(ref)
    if found is not None and _differs(found, wanted):
        context.say(f"making {ref} anew: its parameters can't be changed")
        await cluster.delete(ref)
    await cluster.apply(stamp.stamped(wanted))
