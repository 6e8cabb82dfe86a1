"""Discovery documents of the simulated API server."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.simulator.apiserver.kinds import Kind, Kinds

Document = dict[str, Any]

_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_EXTRA: Final = {
    "pods": (("pods/log", "Pod", ("get",)), ("pods/eviction", "Eviction", ("create",))),
    "namespaces": (("namespaces/finalize", "Namespace", ("update",)),),
    "serviceaccounts": (("serviceaccounts/token", "TokenRequest", ("create",)),),
}


def version(git_version: str) -> Document:
    """What GET /version answers, for a version as v1.34.2."""
    major, minor = git_version.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": git_version,
        "gitCommit": "simulated",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.24",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _resource(kind: Kind) -> Document:
    found: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_verbs(kind)),
    }
    more = {"shortNames": list(kind.short_names), "categories": list(kind.categories)}
    return found | {key: value for key, value in more.items() if value}


def _verbs(kind: Kind) -> tuple[str, ...]:
    if kind.custom:
        return _CUSTOM_VERBS
    # A namespace's objects are never all of a kind at once.
    return tuple(verb for verb in _VERBS if not (verb == "deletecollection" and kind.key == "namespaces"))


def _subresources(kind: Kind) -> list[Document]:
    found: list[Document] = []
    verbs = ["get", "patch", "update"]
    base = {"singularName": "", "namespaced": kind.namespaced}
    if kind.has_status:
        found.append(base | {"name": f"{kind.plural}/status", "kind": kind.kind, "verbs": verbs})
    if kind.has_scale:
        scale = {"name": f"{kind.plural}/scale", "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": verbs}
        found.append(base | scale)
    if not kind.group:
        for name, what, can in _EXTRA.get(kind.plural, ()):
            found.append(base | {"name": name, "kind": what, "verbs": list(can)})
    return found


def resource_list(kinds: Kinds, group: str, group_version: str) -> Document | None:
    """/api/v1 or /apis/<group>/<version>; None where nothing of that version is served."""
    chosen = [kind for kind in kinds if kind.group == group and kind.version == group_version]
    if not chosen:
        return None
    resources = [item for kind in chosen for item in (_resource(kind), *_subresources(kind))]
    name = chosen[0].api_version
    head = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
    return {**head, "groupVersion": name, "resources": resources}


def _group(name: str, versions: list[str]) -> Document:
    rows = [{"groupVersion": f"{name}/{item}", "version": item} for item in versions]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def group(kinds: Kinds, name: str) -> Document | None:
    """/apis/<group>."""
    versions = kinds.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if name and versions else None


def group_list(kinds: Kinds) -> Document:
    """/apis."""
    groups = [_group(name, versions) for name, versions in kinds.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def core_versions(address: str) -> Document:
    """/api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def aggregated(kinds: Kinds, *, core: bool) -> Document:
    """/api or /apis in one document: APIGroupDiscoveryList."""
    items: list[Document] = []
    for name, versions in kinds.groups().items():
        if bool(name) is core:
            continue
        rows = [{"version": item, "freshness": "Current", "resources": _aggregated(kinds, name, item)} for item in versions]
        items.append({"metadata": {"name": name or None}, "versions": rows})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated(kinds: Kinds, group_name: str, item: str) -> list[Document]:
    rows: list[Document] = []
    for kind in kinds:
        if (kind.group, kind.version) != (group_name, item):
            continue
        own = {"group": "", "version": "", "kind": kind.kind}
        subresources = [
            {
                "subresource": sub["name"].partition("/")[2],
                "responseKind": {"group": sub.get("group", ""), "version": sub.get("version", ""), "kind": sub["kind"]},
                "verbs": sub["verbs"],
            }
            for sub in _subresources(kind)
        ]
        row = {
            "resource": kind.plural,
            # Empty group and version say: those of the list.
            "responseKind": own,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(_verbs(kind)),
        }
        more = {"shortNames": list(kind.short_names), "categories": list(kind.categories), "subresources": subresources}
        rows.append(row | {key: value for key, value in more.items() if value})
    return rows


def openapi_index(kinds: Kinds) -> Document:
    """/openapi/v3."""
    paths: Document = {}
    for name, versions in kinds.groups().items():
        for item in versions:
            path = f"apis/{name}/{item}" if name else f"api/{item}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}"}
    return {"paths": paths}


def openapi(kinds: Kinds, group_name: str, item: str) -> Document:
    """/openapi/v3/...: enough for kubectl to see that the server validates fields itself."""
    parameter = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("fieldValidation", "fieldManager", "dryRun")
    ]
    paths: Document = {}
    for kind in kinds:
        if (kind.group, kind.version) == (group_name, item):
            prefix = f"/apis/{group_name}/{item}" if group_name else f"/api/{item}"
            scope = "/namespaces/{namespace}" if kind.namespaced else ""
            gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
            patch = {
                "parameters": parameter,
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": gvk,
                "responses": {},
            }
            paths[f"{prefix}{scope}/{kind.plural}/{{name}}"] = {"patch": patch}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "simulated"}, "paths": paths}
