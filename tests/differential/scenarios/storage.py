"""StorageClasses, claims and what the default class does to them; a service account that several write into."""

from __future__ import annotations

from typing import Any

from tests.differential.ask import APPLY, MERGE, Ask, picked, scenario

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
OLD_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"
Document = dict[str, Any]


def storage_class(name: str, mark: str = "", **fields: Any) -> Document:
    metadata: Document = {"name": name} | ({"annotations": {mark: "true"}} if mark else {})
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata, **fields}


def claim(name: str, **spec: Any) -> Document:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}


def fields(body: Document) -> Document:
    """A refusal, of its causes only which fields are named: reasons and sentences differ between releases."""
    named = sorted({cause.get("field", "") for cause in (body.get("details") or {}).get("causes") or ()})
    return {"reason": body.get("reason"), "code": body.get("code"), "fields": named}


async def refused(ask: Ask, label: str, path: str, body: Document, kind: str = "") -> None:
    """A POST, or a patch of some kind."""
    reply = await ask.quietly("PATCH" if kind else "POST", path, body, kind=kind or "application/json")
    ask.note(label, fields(reply.body), reply.status)


@scenario
async def storage_classes(ask: Ask) -> None:
    path = f"{CLASSES}/kept"
    shown = picked("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode", "metadata.annotations")
    whole = storage_class(
        "kept", DEFAULT, provisioner="example.com/x", parameters={"a": "b"}, volumeBindingMode="WaitForFirstConsumer"
    )
    await ask.apply("make", path, whole, show=shown)
    # What a manager had applied and leaves out is taken away, and these can't be.
    await refused(ask, "only its name by the same one", f"{path}?fieldManager=one", storage_class("kept"), APPLY)
    other = {**storage_class("kept"), "metadata": {"name": "kept", "annotations": {DEFAULT: "false"}}}
    await ask.apply("only its annotation by another", path, other, "two")
    await ask.apply("forced", path, other, "two", force=True, show=shown)
    await refused(ask, "other parameters", path, {"parameters": {"a": "c"}}, MERGE)
    await refused(ask, "another provisioner", path, {"provisioner": "example.com/y"}, MERGE)
    await refused(ask, "another mode", path, {"volumeBindingMode": "Immediate"}, MERGE)
    await ask("mount options", "PATCH", path, {"mountOptions": ["hard"]}, kind=MERGE, show=picked("mountOptions", "provisioner"))
    for label, more in {
        "no provisioner": {},
        "a mode that is none": {"provisioner": "x", "volumeBindingMode": "Later"},
        "a policy that is none": {"provisioner": "x", "reclaimPolicy": "Burn"},
    }.items():
        await refused(ask, label, CLASSES, storage_class("bad", **more))
    await ask.quietly("DELETE", path)


@scenario
async def default_classes(ask: Ask) -> None:
    path = ask.path("persistentvolumeclaims")
    shown = picked("spec.storageClassName")
    await ask("without a default", "POST", path, claim("early"), show=shown)
    for name, mark in (("new", DEFAULT), ("old", OLD_DEFAULT)):
        await ask.quietly("POST", CLASSES, storage_class(f"default-{name}", mark, provisioner="example.com/x"))
        await ask(f"with a default, {name}", "POST", path, claim(f"plain-{name}"), show=shown)
        await ask(f"no class at all, {name}", "POST", path, claim(f"none-{name}", storageClassName=""), show=shown)
        if name == "new":
            late = await ask.until(f"{path}/early", lambda reply: reply["spec"].get("storageClassName"))
            ask.note("the early one, later", late["spec"]["storageClassName"])
        await ask.quietly("DELETE", f"{CLASSES}/default-{name}")


@scenario
async def grown_claims(ask: Ask) -> None:
    path, volumes = ask.path("persistentvolumeclaims"), "/api/v1/persistentvolumes"
    await ask.quietly("POST", CLASSES, storage_class("grows", provisioner="example.com/x", allowVolumeExpansion=True))
    disk = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": "/disk"},
        "storageClassName": "grows",
    }
    await ask.quietly("POST", volumes, {"metadata": {"name": "grown-disk"}, "spec": disk})
    await ask.quietly("POST", path, claim("grown", storageClassName="grows"))
    await ask.quietly("POST", path, claim("waits", storageClassName="no-such-class"))
    await ask.until(f"{path}/grown", lambda reply: reply["status"].get("phase") == "Bound")

    def size(storage: str) -> Document:
        return {"spec": {"resources": {"requests": {"storage": storage}}}}

    shown = picked("spec.resources", "spec.accessModes", "status.phase")
    await ask("larger", "PATCH", f"{path}/grown", size("2Gi"), kind=MERGE, show=shown)
    await refused(ask, "as small as it is", f"{path}/grown", size("1Gi"), MERGE)
    await refused(ask, "other access modes", f"{path}/grown", {"spec": {"accessModes": ["ReadWriteMany"]}}, MERGE)
    await refused(ask, "another volume", f"{path}/grown", {"spec": {"volumeName": "other"}}, MERGE)
    await refused(ask, "larger without a volume", f"{path}/waits", size("2Gi"), MERGE)
    await ask("a label", "PATCH", f"{path}/grown", {"metadata": {"labels": {"a": "b"}}}, kind=MERGE, show=shown)
    for name in ("grown", "waits"):
        await ask.quietly("DELETE", f"{path}/{name}")
    await ask.quietly("DELETE", f"{volumes}/grown-disk")
    await ask.quietly("DELETE", f"{CLASSES}/grows")


@scenario
async def pull_secrets(ask: Ask) -> None:
    path = ask.path("serviceaccounts", "default")

    def account(*names: str) -> Document:
        secrets = [{"name": name} for name in names]
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": secrets}

    shown = picked("imagePullSecrets")
    await ask.apply("attach one", path, account("a"), show=shown)
    await ask(
        "another by patch", "PATCH", f"{path}?fieldManager=two", {"imagePullSecrets": [{"name": "b"}]}, kind=MERGE, show=shown
    )
    await ask.apply("both", path, account("b", "a"))
    await ask.apply("both, forced", path, account("b", "a"), force=True, show=shown)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "kubernetes.io/dockerconfigjson"}
    bad = {**secret, "data": {".dockerconfigjson": "bm90IGpzb24="}}
    await refused(ask, "a login that is no JSON", ask.path("secrets"), bad)
    await refused(ask, "no login", ask.path("secrets"), {**secret, "data": {}})
