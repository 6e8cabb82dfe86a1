"""Creating, changing and deleting objects, as the API server does it: names, generations, finalizers, webhooks."""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Callable
from typing import Any, Final

from kfinstall.simulator import defaults, patches
from kfinstall.simulator.kinds import Kind, Kinds
from kfinstall.simulator.selectors import matches_labels
from kfinstall.simulator.status import ApiError, already_exists, invalid, not_found
from kfinstall.simulator.store import Store

Document = dict[str, Any]
Change = Callable[[Document], Document]

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_SYSTEM_FIELDS: Final = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp")


def random_suffix(length: int = 5) -> str:
    """A suffix as Kubernetes makes names unique with."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


class Objects:
    """Every write goes through here, from clients and controllers alike."""

    def __init__(self, store: Store, kinds: Kinds) -> None:
        self.store = store
        self.kinds = kinds

    def get(self, kind: Kind, namespace: str, name: str) -> Document:
        """One object at the version of `kind`.

        Raises:
            ApiError: 404.
        """
        found = self.store.get(kind.key, namespace if kind.namespaced else "", name)
        if found is None:
            raise not_found(kind.plural, kind.group, name)
        return at_version(found, kind)

    def create(self, kind: Kind, document: Document, *, manager: str = "", dry_run: bool = False) -> Document:
        """Store a new object.

        Raises:
            ApiError: 404 without its namespace, 409 if it is there, 422, or 500 by a webhook.
        """
        new = copy.deepcopy(document)
        metadata = new.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + random_suffix()
        self._place(kind, metadata)
        if metadata.get("name") and self.store.get(kind.key, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise already_exists(kind.plural, kind.group, metadata["name"])
        self._in_namespace(kind, metadata)
        new["apiVersion"], new["kind"] = kind.api_version, kind.kind
        if kind.has_status and manager:
            new.pop("status", None)
        self.admit(kind, "CREATE", new)
        defaults.fill_in(kind, new, None, self.store)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": patches.timestamp(), "generation": 1}
        for field in ("resourceVersion", "deletionTimestamp"):
            metadata.pop(field, None)
        if manager and "managedFields" not in metadata:
            new = patches.updated(None, new, manager)
        return new if dry_run else self.store.put(kind.key, new)

    def _place(self, kind: Kind, metadata: Document) -> None:
        if kind.namespaced:
            metadata.setdefault("namespace", "default")
        else:
            metadata.pop("namespace", None)

    def _in_namespace(self, kind: Kind, metadata: Document) -> None:
        if not kind.namespaced:
            return
        namespace = self.store.get("namespaces", "", metadata["namespace"])
        if namespace is None:
            raise not_found("namespaces", "", metadata["namespace"])
        if namespace["metadata"].get("deletionTimestamp"):
            text = f"unable to create new content in namespace {metadata['namespace']} because it is being terminated"
            raise ApiError(403, f'{kind.plural} "{metadata.get("name")}" is forbidden: {text}')

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        *,
        manager: str = "",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Document:
        """Change an object; `change` gets a copy that it may change in place, and gives the new form.

        Raises:
            ApiError: 404, 409 for a stale resourceVersion, 422, or 500 by a webhook.
        """
        old = self.get(kind, namespace, name)
        wanted = change(copy.deepcopy(old))
        version = wanted["metadata"].get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            text = "the object has been modified; please apply your changes to the latest version and try again"
            raise ApiError(409, f'Operation cannot be fulfilled on {kind.plural} "{name}": {text}')
        new = self._with_system_fields(kind, old, wanted, subresource)
        if subresource != "status":
            if _content(old) != _content(new):
                self.admit(kind, "UPDATE", new)
            defaults.fill_in(kind, new, old, self.store)
            defaults.check_immutable(kind, old, new)
        if manager and new["metadata"].get("managedFields") == old["metadata"].get("managedFields"):
            new = patches.updated(old, new, manager, subresource)
        if new == old or dry_run:
            return new
        if _spec(new) != _spec(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if new["metadata"].get("deletionTimestamp") and not _finalizers(new):
            return self._removed(kind, new)
        return at_version(self.store.put(kind.key, new), kind)

    def _with_system_fields(self, kind: Kind, old: Document, wanted: Document, subresource: str) -> Document:
        if subresource == "status":
            new = {**old, "metadata": {**old["metadata"]}}
            for field in ("managedFields", "labels", "annotations"):
                if field in wanted["metadata"]:
                    new["metadata"][field] = wanted["metadata"][field]
            new.pop("status", None)
            if "status" in wanted:
                new["status"] = wanted["status"]
            return new
        new = wanted
        if kind.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        new["apiVersion"], new["kind"] = kind.api_version, kind.kind
        metadata = new["metadata"]
        if metadata.get("name") != old["metadata"]["name"]:
            raise invalid(kind.kind, old["metadata"]["name"], "metadata.name", "Invalid value: field is immutable")
        for field in ("namespace", *_SYSTEM_FIELDS):
            metadata.pop(field, None)
            if field in old["metadata"]:
                metadata[field] = old["metadata"][field]
        return new

    def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        config: Document,
        manager: str,
        *,
        force: bool,
        subresource: str = "",
        dry_run: bool = False,
    ) -> tuple[Document, bool]:
        """Server-side apply; the object and whether it is new.

        Raises:
            ApiError: as `create` and `update`; 409 with causes where other managers own fields.
        """
        config = copy.deepcopy(config)
        config.setdefault("metadata", {})["name"] = name
        if config["metadata"].get("managedFields"):
            raise ApiError(400, "metadata.managedFields must be nil")
        config["metadata"].pop("managedFields", None)
        if kind.namespaced:
            config["metadata"]["namespace"] = namespace
        if kind.has_status and not subresource:
            config.pop("status", None)
        if kind.key == "secrets" and config.get("stringData"):
            defaults.fill_in(kind, config, None, self.store)
        old = self.store.get(kind.key, namespace if kind.namespaced else "", name)
        try:
            if old is None:
                if subresource:
                    raise not_found(kind.plural, kind.group, name)
                made = patches.server_side_apply(None, config, manager, force=force)
                return self.create(kind, made, dry_run=dry_run), True

            def change(live: Document) -> Document:
                return patches.server_side_apply(live, config, manager, force=force, subresource=subresource)

            return self.update(kind, namespace, name, change, subresource=subresource, dry_run=dry_run), False
        except patches.ApplyConflictError as error:
            raise _conflict(kind, name, error) from None

    def delete(self, kind: Kind, namespace: str, name: str, *, orphan: bool = False) -> Document:
        """Delete an object, or mark it where finalizers hold it. What it owns is deleted by the garbage collector.

        Raises:
            ApiError: 404.
        """
        old = self.get(kind, namespace, name)
        new = copy.deepcopy(old)
        if orphan:
            self._orphan(old["metadata"]["uid"])
        if not _finalizers(new):
            return self._removed(kind, new)
        if not new["metadata"].get("deletionTimestamp"):
            new["metadata"] |= {"deletionTimestamp": patches.timestamp(), "deletionGracePeriodSeconds": 0}
            if kind.key == "namespaces":
                new["status"] = {"phase": "Terminating"}
            return self.store.put(kind.key, new)
        return old

    def _orphan(self, uid: str) -> None:
        for kind in self.kinds:
            for document in self.store.list(kind.key):
                owners = document["metadata"].get("ownerReferences") or []
                if any(owner["uid"] == uid for owner in owners):
                    kept = [owner for owner in owners if owner["uid"] != uid]
                    self.store.put(kind.key, {**document, "metadata": {**document["metadata"], "ownerReferences": kept}})

    def _removed(self, kind: Kind, document: Document) -> Document:
        metadata = document["metadata"]
        return self.store.remove(kind.key, metadata.get("namespace", ""), metadata["name"]) or document

    def admit(self, kind: Kind, operation: str, document: Document) -> None:
        """Ask the webhooks: one that has no endpoint refuses, unless its failure policy is Ignore.

        Raises:
            ApiError: 500, as the API server says it.
        """
        if kind.group == "admissionregistration.k8s.io":
            return
        for what in ("mutating", "validating"):
            for configuration in self.store.list(f"{what}webhookconfigurations.admissionregistration.k8s.io"):
                for webhook in configuration.get("webhooks") or []:
                    if webhook.get("failurePolicy", "Fail") != "Ignore" and self._concerns(webhook, kind, operation, document):
                        self._dial(webhook)

    def _concerns(self, webhook: Document, kind: Kind, operation: str, document: Document) -> bool:
        def has(values: list[str], wanted: str) -> bool:
            return "*" in values or "*/*" in values or wanted in values

        rules = webhook.get("rules") or []
        if not any(
            has(rule.get("apiGroups") or [], kind.group)
            and has(rule.get("apiVersions") or [], kind.version)
            and has(rule.get("resources") or [], kind.plural)
            and has(rule.get("operations") or [], operation)
            for rule in rules
        ):
            return False
        metadata = document.get("metadata") or {}
        if not matches_labels(webhook.get("objectSelector") or {}, metadata.get("labels")):
            return False
        if not kind.namespaced:
            return True
        namespace = self.store.get("namespaces", "", metadata.get("namespace", "")) or {"metadata": {}}
        return matches_labels(webhook.get("namespaceSelector") or {}, namespace["metadata"].get("labels"))

    def _dial(self, webhook: Document) -> None:
        service = (webhook.get("clientConfig") or {}).get("service")
        if service is None:
            return
        namespace, name = service["namespace"], service["name"]
        path, port = service.get("path", ""), service.get("port", 443)
        url = f'Post "https://{name}.{namespace}.svc:{port}{path}?timeout={webhook.get("timeoutSeconds", 10)}s"'
        start = f'Internal error occurred: failed calling webhook "{webhook["name"]}": failed to call webhook: {url}'
        found = self.store.get("services", namespace, name)
        if found is None:
            raise ApiError(500, f'{start}: service "{name}" not found')
        endpoints = self.store.get("endpoints", namespace, name)
        if not any(subset.get("addresses") for subset in (endpoints or {}).get("subsets") or ()):
            raise ApiError(500, f"{start}: dial tcp {found['spec'].get('clusterIP')}:{port}: connect: connection refused")
        if not webhook["clientConfig"].get("caBundle"):
            raise ApiError(500, f"{start}: tls: failed to verify certificate: x509: certificate signed by unknown authority")


def at_version(document: Document, kind: Kind) -> Document:
    """The document under the API version of `kind`."""
    return document if document.get("apiVersion") == kind.api_version else {**document, "apiVersion": kind.api_version}


def _finalizers(document: Document) -> list[str]:
    found = list(document["metadata"].get("finalizers") or [])
    if document["kind"] == "Namespace":
        found += (document.get("spec") or {}).get("finalizers") or []
    return found


def _spec(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in ("metadata", "status", "apiVersion")}


def _content(document: Document) -> tuple[Any, ...]:
    metadata = document["metadata"]
    return _spec(document), metadata.get("labels"), metadata.get("annotations")


def _conflict(kind: Kind, name: str, error: patches.ApplyConflictError) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}"',
            "field": "".join(f".{part[2:]}" for part in path),
        }
        for manager, path in error.conflicts
    ]
    count = "1 conflict" if len(causes) == 1 else f"{len(causes)} conflicts"
    message = f"Apply failed with {count}: " + ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    return ApiError(409, message, causes=causes, details={"name": name, "group": kind.group, "kind": kind.plural})
