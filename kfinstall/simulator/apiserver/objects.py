"""Creating, changing and deleting objects, as the API server does it: names, generations, finalizers, webhooks."""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Callable
from typing import Any, Final

from kfinstall.simulator.apiserver import defaults, fields, hooks, patches
from kfinstall.simulator.apiserver.kinds import Kind, Kinds
from kfinstall.simulator.apiserver.shapes import Shape
from kfinstall.simulator.apiserver.status import (
    StatusError,
    already_exists,
    conflict,
    details_of,
    invalid,
    modified,
    not_found,
    resource_name,
)
from kfinstall.simulator.apiserver.store import Store

Document = dict[str, Any]
Change = Callable[[Document], Document]

_DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_SYSTEM_FIELDS: Final = (
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def random_suffix(length: int = 5) -> str:
    """A suffix as Kubernetes makes names unique with."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


class Objects:
    """Every write goes through here, from clients and controllers alike."""

    def __init__(self, store: Store, kinds: Kinds) -> None:
        """`store`: what is kept; `kinds`: what is served."""
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
        self._in_namespace(kind, metadata)
        there = self.store.get(kind.key, metadata.get("namespace", ""), str(metadata.get("name") or ""))
        if there is not None:
            going = bool(there["metadata"].get("deletionTimestamp"))
            raise already_exists(kind.plural, kind.group, metadata["name"], going=going)
        new["apiVersion"], new["kind"] = kind.api_version, kind.kind
        if kind.has_status and manager:
            new.pop("status", None)
        for field in ("resourceVersion", "deletionTimestamp", "generation"):
            metadata.pop(field, None)
        new = defaults.tidy(kind, new)
        self.admit(kind, "CREATE", new)
        defaults.fill_in(kind, new, None, self.store)
        metadata = new["metadata"]
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": patches.timestamp()}
        if kind.counted:
            metadata["generation"] = 1
        if manager and "managedFields" not in metadata:
            new = _owned_by_maker(kind, new, manager)
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
            name, where = metadata.get("name", ""), metadata["namespace"]
            text = f"unable to create new content in namespace {where} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {where} is being terminated",
                "field": "metadata.namespace",
            }
            message = f'{resource_name(kind.plural, kind.group)} "{name}" is forbidden: {text}'
            raise StatusError(403, message, causes=[cause], details=details_of(kind.plural, kind.group, name))

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
            raise modified(kind, name)
        new = self._with_system_fields(kind, old, wanted, subresource)
        if subresource != "status":
            new = defaults.tidy(kind, new)
            if _content(old) != _content(new):
                self.admit(kind, "UPDATE", new)
            defaults.fill_in(kind, new, old, self.store)
        elif kind.schema is not None:
            new = defaults.tidy(kind, new)
        if manager and new["metadata"].get("managedFields") == old["metadata"].get("managedFields"):
            new = patches.updated(old, new, manager, shape_of(kind), subresource)
        if kind.counted and _spec(new) != _spec(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if new == old or dry_run:
            return new
        if new["metadata"].get("deletionTimestamp") and not _finalizers(new):
            self._removed(kind, new)
            return new
        return at_version(self.store.put(kind.key, new), kind)

    def _with_system_fields(self, kind: Kind, old: Document, wanted: Document, subresource: str) -> Document:
        if subresource == "status":
            return _with_status(old, wanted)
        new = wanted
        if kind.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        new["apiVersion"], new["kind"] = kind.api_version, kind.kind
        metadata = new["metadata"]
        if metadata.get("name") != old["metadata"]["name"]:
            raise wrong_name(metadata.get("name"), old["metadata"]["name"])
        if old["metadata"].get("deletionTimestamp"):
            _check_going(kind, old, new)
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
        _check_config(kind, config, name)
        if kind.namespaced:
            config["metadata"]["namespace"] = namespace
        if kind.has_status and not subresource:
            config.pop("status", None)
        if kind.key == "secrets" and config.get("stringData"):
            defaults.fill_in(kind, config, None, self.store)
        old = self.store.get(kind.key, namespace if kind.namespaced else "", name)
        shape = shape_of(kind)
        try:
            if old is None:
                config["metadata"].pop("resourceVersion", None)
                if subresource:
                    raise not_found(kind.plural, kind.group, name)
                made = patches.server_side_apply(None, config, manager, shape, force=force)
                return self.create(kind, made, dry_run=dry_run), True

            def change(live: Document) -> Document:
                return patches.server_side_apply(live, config, manager, shape, force=force, subresource=subresource)

            return self.update(kind, namespace, name, change, subresource=subresource, dry_run=dry_run), False
        except patches.ApplyConflictError as error:
            raise _refused(error) from None

    def check_preconditions(self, kind: Kind, found: Document, wanted: Document) -> None:
        """Refuse to delete another object than the client means.

        Raises:
            ApiError: 409.
        """
        metadata = found["metadata"]
        uid, version = wanted.get("uid"), wanted.get("resourceVersion")
        if uid and uid != metadata["uid"]:
            why = f"the UID in the precondition ({uid}) does not match the UID in record ({metadata['uid']})"
            raise conflict(kind, metadata["name"], f"{why}. The object might have been deleted and then recreated", named=kind.kind)
        if version and version != metadata["resourceVersion"]:
            why = f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record"
            raise conflict(
                kind,
                metadata["name"],
                f"{why} ({metadata['resourceVersion']}). The object might have been modified",
                named=kind.kind,
            )

    def delete(self, kind: Kind, namespace: str, name: str, *, orphan: bool = False, dry_run: bool = False) -> Document:
        """Delete an object, or mark it where finalizers hold it. What it owns is deleted by the garbage collector.

        Raises:
            ApiError: 404.
        """
        old = self.get(kind, namespace, name)
        new = copy.deepcopy(old)
        if kind.key == _DEFINITIONS and "customresourcecleanup.apiextensions.k8s.io" not in (
            new["metadata"].get("finalizers") or ()
        ):
            # Its objects go first; the controller takes this finalizer off then.
            new["metadata"].setdefault("finalizers", []).append("customresourcecleanup.apiextensions.k8s.io")
        if dry_run:
            return old
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
        """Ask the webhooks.

        Raises:
            ApiError: 500, as the API server says it.
        """
        hooks.admit(self.store, kind, operation, document)


def at_version(document: Document, kind: Kind) -> Document:
    """The document under the API version of `kind`."""
    return document if document.get("apiVersion") == kind.api_version else {**document, "apiVersion": kind.api_version}


def _with_status(old: Document, wanted: Document) -> Document:
    new = {**old, "metadata": {**old["metadata"]}}
    for field in ("managedFields", "labels", "annotations"):
        if field in wanted["metadata"]:
            new["metadata"][field] = wanted["metadata"][field]
    new.pop("status", None)
    return {**new, "status": wanted["status"]} if "status" in wanted else new


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


def shape_of(kind: Kind) -> Shape:
    """What server-side apply must know of objects of a kind."""
    return fields.BUILT_IN if kind.schema is None else kind.schema.shape


def wrong_name(given: object, wanted: str) -> StatusError:
    """400 for an object that is sent to another one's path."""
    return StatusError(400, f"the name of the object ({given}) does not match the name on the URL ({wanted})")


def _owned_by_maker(kind: Kind, new: Document, manager: str) -> Document:
    """Its maker owns what it asked for and what was filled in, but never a status, nor what makes a namespace one."""
    hidden = ("status", "spec") if kind.key == "namespaces" else ("status",) if kind.has_status else ()
    owned = patches.updated(None, {key: value for key, value in new.items() if key not in hidden}, manager, shape_of(kind))
    return {**new, "metadata": owned["metadata"]}


def _check_going(kind: Kind, old: Document, new: Document) -> None:
    before, after = old["metadata"].get("finalizers") or [], new["metadata"].get("finalizers") or []
    added = [name for name in after if name not in before]
    if added:
        words = ", ".join(f'"{name}"' for name in added)
        why = "no new finalizers can be added if the object is being deleted, found new finalizers"
        raise invalid(kind, old["metadata"]["name"], ("metadata.finalizers", f"Forbidden: {why} []string{{{words}}}"))


def _check_config(kind: Kind, config: Document, name: str) -> None:
    """Refuse what can't be applied."""
    metadata = config.setdefault("metadata", {})
    if (config.get("apiVersion"), config.get("kind")) != (kind.api_version, kind.kind):
        group, _slash, version = str(config.get("apiVersion", "")).rpartition("/")
        raise StatusError(400, f"invalid object type: {group}/{version}, Kind={config.get('kind', '')}")
    if metadata.setdefault("name", name) != name:
        raise wrong_name(metadata["name"], name)
    if metadata.pop("managedFields", None):
        raise StatusError(400, "metadata.managedFields must be nil")
    unknown = kind.schema.unknown(config) if kind.schema is not None else ""
    if unknown:
        what = f"({metadata.get('namespace', '')}/{name}; {kind.api_version}, Kind={kind.kind})"
        text = f"failed to create typed patch object {what}: {unknown}: field not declared in schema"
        raise StatusError(500, text, reason="Unexpected")


def _refused(error: patches.ApplyConflictError) -> StatusError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {found.words}", "field": fields.shown(found.path)}
        for found in error.conflicts
    ]
    return StatusError(409, str(error), causes=causes)
