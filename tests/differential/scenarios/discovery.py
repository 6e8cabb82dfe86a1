"""What there is."""

from typing import Any

from tests.differential.ask import Ask, scenario

_APPS = ("deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions")
_CORE = ("pods", "configmaps", "secrets", "services", "namespaces", "nodes", "persistentvolumeclaims", "serviceaccounts", "events")


def _named(body: Any, names: tuple[str, ...]) -> Any:
    found = {item["name"]: item for item in body["resources"] if item["name"].partition("/")[0] in names}
    kept = {name: item for name, item in found.items() if name.partition("/")[2] in ("", "status", "scale", "log", "finalize")}
    # What a server may do with an object in addition (deprecated singular names) is of no interest.
    return {**body, "resources": kept}


@scenario
async def versions(ask: Ask) -> None:
    await ask("the version", "GET", "/version", show=lambda body: sorted(set(body) & {"major", "minor", "gitVersion", "platform"}))
    await ask("the core versions", "GET", "/api", show=lambda body: {key: body[key] for key in ("kind", "versions")})


@scenario
async def groups(ask: Ask) -> None:
    def some(body: Any) -> Any:
        names = ("apps", "batch", "storage.k8s.io", "rbac.authorization.k8s.io")
        groups = [group for group in body["groups"] if group["name"] in names]
        for group in groups:
            group["versions"] = [item for item in group["versions"] if item["version"] == "v1"]
        return {**body, "groups": sorted(groups, key=lambda group: names.index(group["name"]))}

    await ask("all groups", "GET", "/apis", show=some)
    await ask("one group", "GET", "/apis/apps")


@scenario
async def resources(ask: Ask) -> None:
    await ask("apps", "GET", "/apis/apps/v1", show=lambda body: _named(body, _APPS))
    await ask("core", "GET", "/api/v1", show=lambda body: _named(body, _CORE))


@scenario
async def aggregated(ask: Ask) -> None:
    def some(body: Any) -> Any:
        group = next(item for item in body["items"] if item["metadata"].get("name") == "apps")
        kinds = [item for item in group["versions"][0]["resources"] if item["resource"] in _APPS]
        for kind in kinds:
            kind["subresources"] = sorted(kind.get("subresources") or [], key=lambda item: item["subresource"])
        version = {**group["versions"][0], "resources": sorted(kinds, key=lambda item: item["resource"])}
        return {**body, "items": [{"name": "apps", "versions": [version]}]}

    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    await ask("everything at once", "GET", "/apis", accept=accept, show=some)
