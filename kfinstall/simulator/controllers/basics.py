"""Simulated controllers of what every cluster has: namespaces, CRDs, endpoints, claims, webhooks, garbage."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from kfinstall.simulator.apiserver import hooks
from kfinstall.simulator.apiserver.defaults import default_class
from kfinstall.simulator.apiserver.selectors import matches_labels
from kfinstall.simulator.controllers.queue import Controllers, Where, condition, conditions_like, is_true, owned_by
from kfinstall.simulator.controllers.workloads import ready

Document = dict[str, Any]

_CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"
_WEBHOOKS: Final = tuple(f"{what}webhookconfigurations.admissionregistration.k8s.io" for what in ("mutating", "validating"))
_CLEAN_UP: Final = "customresourcecleanup.apiextensions.k8s.io"
_ESTABLISH_LINES: Final = 5
_BIND_LINES: Final = 10
_PROVISIONERS: Final = {
    "nfs.csi.k8s.io": ("csi-nfs-controller",),
    "rancher.io/local-path": ("local-path-provisioner",),
}
_NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


class Basics:
    """Registers the controllers."""

    def __init__(self, controllers: Controllers, ca: str) -> None:
        """Registers them. `ca`: the cluster's certificate authority in PEM, for kube-root-ca.crt."""
        self._c = controllers
        self._ca = ca
        controllers.on("namespaces", self._namespace)
        controllers.on(_CRDS, self._crd)
        controllers.on("services", self._service)
        controllers.on("pods", self._pod)
        controllers.on("persistentvolumeclaims", self._claim)
        controllers.on("storageclasses.storage.k8s.io", self._class)
        controllers.on("endpoints", self._endpoints)
        for key in _WEBHOOKS:
            controllers.on(key, self._webhook)
        controllers.on("*", self._collect)
        self._seen: dict[Where, str] = {}
        self._uids: dict[Where, str] = {}

    def _namespace(self, where: Where, namespace: Document | None) -> None:
        if namespace is None:
            return
        name = where[2]
        if namespace["metadata"].get("deletionTimestamp"):
            self._empty(name, namespace)
            return
        metadata = {"name": "default", "namespace": name}
        self._c.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        metadata = {"name": "kube-root-ca.crt", "namespace": name}
        self._c.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": self._ca}})

    def _empty(self, name: str, namespace: Document) -> None:
        left: list[tuple[str, Document]] = []
        for key, document in self._c.store.in_namespace(name):
            if document["metadata"].get("finalizers"):
                left.append((key, document))
                if not document["metadata"].get("deletionTimestamp"):
                    kind = next((kind for kind in self._c.kinds if kind.key == key), None)
                    if kind is not None:
                        self._c.objects.delete(kind, name, document["metadata"]["name"])
            else:
                self._c.store.remove(key, name, document["metadata"]["name"])
        if left:
            live = self._c.store.get("namespaces", "", name) or namespace
            conditions = conditions_like(live.get("status"), _remaining(left))
            self._c.set_status("namespaces", live, {"phase": "Terminating", "conditions": conditions})
            self._c.later(0.1, "namespaces", "", name)
        elif not namespace["metadata"].get("finalizers"):
            self._c.store.remove("namespaces", "", name)

    def _crd(self, where: Where, crd: Document | None) -> None:
        if crd is not None and crd["metadata"].get("deletionTimestamp"):
            self._clean_up(crd)
            return
        if crd is not None and not is_true(crd, "Established"):
            if self._seen.get(where) != crd["metadata"]["uid"]:
                self._seen[where] = crd["metadata"]["uid"]
                self._c.later(self._c.delay(_ESTABLISH_LINES), *where)
                return
            stored = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
            conditions = [
                condition("NamesAccepted", true=True, reason="NoConflicts", message="no conflicts found"),
                condition("Established", true=True, reason="InitialNamesAccepted", message="the initial names have been accepted"),
            ]
            names = crd["spec"]["names"]
            self._c.set_status(_CRDS, crd, {"conditions": conditions, "acceptedNames": names, "storedVersions": stored})
            return
        self._c.kinds.replace_custom(self._c.store.list(_CRDS))

    def _clean_up(self, crd: Document) -> None:
        """Of a definition that goes: its objects first, then its finalizer, with which it is gone."""
        key = f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"
        for document in self._c.store.list(key):
            self._c.store.remove(key, document["metadata"].get("namespace", ""), document["metadata"]["name"])
        if [name for name in crd["metadata"].get("finalizers") or () if name != _CLEAN_UP]:
            return
        self._c.store.remove(_CRDS, "", crd["metadata"]["name"])

    def _pod(self, where: Where, _pod: Document | None) -> None:
        for service in self._c.store.list("services", where[1]):
            self._c.enqueue("services", where[1], service["metadata"]["name"])

    def _service(self, where: Where, service: Document | None) -> None:
        _key, namespace, name = where
        if service is None:
            for key in ("endpoints", "endpointslices.discovery.k8s.io"):
                self._c.store.remove(key, namespace, name)
            return
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName":
            return
        pods = [
            pod
            for pod in self._c.store.list("pods", namespace)
            if matches_labels({"matchLabels": selector}, pod["metadata"].get("labels"))
        ]
        up = [pod for pod in pods if ready(pod)]
        ports = [
            {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
            for port in service["spec"].get("ports") or ()
        ]
        addresses = [
            {
                "ip": pod["status"].get("podIP", ""),
                "nodeName": pod["spec"].get("nodeName"),
                "targetRef": {
                    "kind": "Pod",
                    "namespace": namespace,
                    "name": pod["metadata"]["name"],
                    "uid": pod["metadata"]["uid"],
                },
            }
            for pod in up
        ]
        metadata: Document = {"name": name, "namespace": namespace, "labels": service["metadata"].get("labels") or {}}
        subsets = [{"addresses": addresses, "ports": ports}] if addresses else []
        self._put("endpoints", {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})
        endpoints = [
            {"addresses": [item["ip"]], "conditions": {"ready": True}, "nodeName": item["nodeName"], "targetRef": item["targetRef"]}
            for item in addresses
        ]
        labels = metadata["labels"] | {
            "kubernetes.io/service-name": name,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        body = {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}
        piece = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata | {"labels": labels}, **body}
        self._put("endpointslices.discovery.k8s.io", piece)

    def _put(self, key: str, document: Document) -> None:
        metadata = document["metadata"]
        old = self._c.store.get(key, metadata["namespace"], metadata["name"])
        if old is None:
            self._c.create(document)
            return
        new = {**document, "metadata": {**old["metadata"], "labels": metadata["labels"]}}
        if new != old:
            self._c.store.put(key, new)

    # webhooks

    def _endpoints(self, where: Where, _endpoints: Document | None) -> None:
        for key in _WEBHOOKS:
            for configuration in self._c.store.list(key):
                services = [(item.get("clientConfig") or {}).get("service") or {} for item in configuration.get("webhooks") or ()]
                if any((service.get("namespace"), service.get("name")) == where[1:] for service in services):
                    self._c.enqueue(key, "", configuration["metadata"]["name"])

    def _webhook(self, where: Where, configuration: Document | None) -> None:
        if configuration is None:
            return
        webhooks = []
        for webhook in configuration.get("webhooks") or ():
            client = webhook.get("clientConfig") or {}
            service = client.get("service") or {}
            endpoints = self._c.store.get("endpoints", service.get("namespace", ""), service.get("name", "")) or {}
            if any(subset.get("addresses") for subset in endpoints.get("subsets") or ()):
                filled = {**client, "caBundle": client.get("caBundle") or _encoded(self._ca)}
                webhook = hooks.as_served(where[2], {**webhook, "clientConfig": filled})  # noqa: PLW2901
            webhooks.append(webhook)
        kind = self._c.kinds.by_kind(configuration["apiVersion"], configuration["kind"])
        if kind is not None and webhooks != (configuration.get("webhooks") or []):
            # As an Update: what it changes is taken from whoever applied it.
            self._c.objects.update(kind, "", where[2], lambda live: {**live, "webhooks": webhooks}, manager="webhook-controller")

    # claims

    def _class(self, _where: Where, _document: Document | None) -> None:
        for claim in self._c.store.list("persistentvolumeclaims"):
            self._c.enqueue("persistentvolumeclaims", claim["metadata"]["namespace"], claim["metadata"]["name"])

    def _claim(self, where: Where, claim: Document | None) -> None:
        if claim is None:
            for volume in self._c.store.list("persistentvolumes"):
                reference = volume["spec"].get("claimRef") or {}
                dynamic = "pv.kubernetes.io/provisioned-by" in (volume["metadata"].get("annotations") or {})
                if dynamic and (reference.get("namespace"), reference.get("name")) == where[1:]:
                    self._c.store.remove("persistentvolumes", "", volume["metadata"]["name"])
            return
        if claim["status"].get("phase") == "Bound":
            return
        if self._bind_existing(claim) or self._given_the_default(claim):
            return
        chosen = self._c.store.get("storageclasses.storage.k8s.io", "", claim["spec"].get("storageClassName") or "")
        if chosen is None or chosen["provisioner"] == _NO_PROVISIONER:
            return
        again = self._c.delay(_BIND_LINES) + 0.01
        if not self._provisioner_runs(chosen["provisioner"]):
            text = f"Waiting for a volume to be created either by the external provisioner '{chosen['provisioner']}' or manually by the system administrator."
            self._c.record(claim, "ExternalProvisioning", text, kind="Normal")
            self._c.later(again, *where)
        elif chosen.get("volumeBindingMode") == "WaitForFirstConsumer" and not self._has_consumer(claim):
            self._c.record(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding", kind="Normal")
            self._c.later(again, *where)
        elif self._seen.get(where) != claim["metadata"]["uid"]:
            self._seen[where] = claim["metadata"]["uid"]
            self._c.later(self._c.delay(_BIND_LINES), *where)
        else:
            self._provision(claim, chosen)

    def _given_the_default(self, claim: Document) -> bool:
        """A claim that was made before there was a default class gets it."""
        default = None if "storageClassName" in claim["spec"] else default_class(self._c.store)
        if default is not None:
            self._c.store.put("persistentvolumeclaims", {**claim, "spec": {**claim["spec"], "storageClassName": default}})
        return default is not None

    def _provisioner_runs(self, provisioner: str) -> bool:
        starts = _PROVISIONERS.get(provisioner)
        for pod in self._c.store.list("pods"):
            if not ready(pod):
                continue
            if starts is not None and pod["metadata"]["name"].startswith(starts):
                return True
            if starts is None and provisioner in str(pod["spec"]):
                return True
        return False

    def _has_consumer(self, claim: Document) -> bool:
        name = claim["metadata"]["name"]
        return any(
            pod["spec"].get("nodeName")
            and any(
                (volume.get("persistentVolumeClaim") or {}).get("claimName") == name for volume in pod["spec"].get("volumes") or ()
            )
            for pod in self._c.store.list("pods", claim["metadata"]["namespace"])
        )

    def _bind_existing(self, claim: Document) -> bool:
        wanted, spec = claim["spec"].get("volumeName"), claim["spec"]
        for volume in self._c.store.list("persistentvolumes"):
            reference = volume["spec"].get("claimRef") or {}
            ours = (reference.get("namespace"), reference.get("name")) == (
                claim["metadata"]["namespace"],
                claim["metadata"]["name"],
            )
            named = wanted == volume["metadata"]["name"]
            fits = (
                (volume["spec"].get("storageClassName") or "") == (spec.get("storageClassName") or "")
                and not reference
                and not wanted
            )
            modes = set(spec.get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ())
            if (ours or named or fits) and modes and (volume.get("status") or {}).get("phase") != "Bound":
                self._bound(claim, volume)
                return True
        return False

    def _provision(self, claim: Document, chosen: Document) -> None:
        name = f"pvc-{claim['metadata']['uid']}"
        spec = {
            "capacity": claim["spec"]["resources"]["requests"],
            "accessModes": claim["spec"].get("accessModes") or [],
            "persistentVolumeReclaimPolicy": chosen.get("reclaimPolicy", "Delete"),
            "storageClassName": chosen["metadata"]["name"],
            "volumeMode": "Filesystem",
        }
        if chosen["provisioner"] == "nfs.csi.k8s.io":
            spec["csi"] = {
                "driver": chosen["provisioner"],
                "volumeHandle": name,
                "volumeAttributes": chosen.get("parameters") or {},
            }
        metadata = {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": chosen["provisioner"]}}
        volume = self._c.create(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": {"phase": "Available"}}
        )
        if volume is not None:
            self._bound(claim, volume)

    def _bound(self, claim: Document, volume: Document) -> None:
        metadata = claim["metadata"]
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
        }
        spec = {**volume["spec"], "claimRef": reference | {"uid": metadata["uid"]}}
        self._c.store.put("persistentvolumes", {**volume, "spec": spec, "status": {"phase": "Bound"}})
        status = {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": spec.get("capacity") or {}}
        bound = {**claim, "spec": {**claim["spec"], "volumeName": volume["metadata"]["name"]}, "status": status}
        self._c.store.put("persistentvolumeclaims", bound)

    # garbage

    def _collect(self, where: Where, document: Document | None) -> None:
        if document is not None:
            self._uids[where] = document["metadata"].get("uid", "")
            return
        uid = self._uids.pop(where, "")
        if not uid:
            return
        for kind in self._c.kinds:
            for owned in self._c.store.list(kind.key):
                if owned_by(owned, uid):
                    self._c.objects.delete(kind, owned["metadata"].get("namespace", ""), owned["metadata"]["name"])


def _remaining(left: Sequence[tuple[str, Document]]) -> list[Document]:
    """The conditions of a namespace that can't go yet: what is left in it, and what holds that."""
    kinds = Counter(key if "." in key else f"{key}." for key, _document in left)
    holding = Counter(finalizer for _key, document in left for finalizer in document["metadata"]["finalizers"])
    content = ", ".join(f"{key} has {count} resource instances" for key, count in sorted(kinds.items()))
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(holding.items()))
    fine = (
        ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
    )
    return [
        *(condition(what, true=False, reason=reason, message=message) for what, reason, message in fine),
        condition(
            "NamespaceContentRemaining",
            true=True,
            reason="SomeResourcesRemain",
            message=f"Some resources are remaining: {content}",
        ),
        condition(
            "NamespaceFinalizersRemaining",
            true=True,
            reason="SomeFinalizersRemain",
            message=f"Some content in the namespace has finalizers remaining: {finalizers}",
        ),
    ]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
