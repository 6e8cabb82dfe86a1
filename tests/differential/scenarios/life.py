"""Ends: finalizers, namespaces that go, owners."""

from tests.differential.ask import MERGE, Ask, causes, picked, scenario
from tests.differential.scenarios.documents import config_map

_NAMESPACES = "/api/v1/namespaces"


def _held(name: str, *finalizers: str) -> dict[str, object]:
    document = config_map(name, a="1")
    document["metadata"]["finalizers"] = list(finalizers)
    return document


@scenario
async def finalizers(ask: Ask) -> None:
    maps, one = ask.path("configmaps"), ask.path("configmaps", "one")
    await ask("make", "POST", f"{maps}?fieldManager=me", _held("one", "example.com/a", "example.com/b"))
    await ask("delete", "DELETE", one)
    await ask("read", "GET", one)
    await ask("delete again", "DELETE", one, show=picked("kind", "metadata.finalizers", "metadata.deletionGracePeriodSeconds"))
    await ask(
        "change", "PATCH", f"{one}?fieldManager=me", {"data": {"a": "2"}}, kind=MERGE, show=picked("data", "metadata.generation")
    )
    await ask(
        "add one",
        "PATCH",
        one,
        {"metadata": {"finalizers": ["example.com/a", "example.com/b", "example.com/c"]}},
        kind=MERGE,
        show=causes,
    )
    await ask(
        "take one", "PATCH", one, {"metadata": {"finalizers": ["example.com/b"]}}, kind=MERGE, show=picked("metadata.finalizers")
    )
    await ask("make it again meanwhile", "POST", maps, config_map("one"))
    await ask.apply(
        "apply meanwhile",
        one,
        config_map("one", b="1"),
        "other",
        show=picked("data", "metadata.finalizers", "metadata.deletionTimestamp"),
    )
    await ask(
        "take the last",
        "PATCH",
        one,
        {"metadata": {"finalizers": None}},
        kind=MERGE,
        show=picked("metadata.name", "metadata.finalizers"),
    )
    await ask("it is gone", "GET", one)
    await ask("a name that is none", "POST", maps, _held("two", "nonsense"), show=picked("metadata.finalizers"))


@scenario
async def namespace_ends(ask: Ask) -> None:
    name = "ends-here"
    path = f"{_NAMESPACES}/{name}"
    await ask(
        "make", "POST", f"{_NAMESPACES}?fieldManager=me", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    await ask.until(f"{path}/serviceaccounts/default", lambda reply: reply.status == 200)
    await ask.quietly("POST", f"{path}/configmaps", _held("held", "example.com/hold"))
    await ask.quietly("POST", f"{path}/configmaps", config_map("free"))
    await ask("delete", "DELETE", path, show=picked("kind", "status.phase", "spec.finalizers", "metadata.deletionTimestamp"))
    await ask("make in it", "POST", f"{path}/configmaps", config_map("late"))
    await ask.apply("apply in it", f"{path}/configmaps/late", config_map("late"))
    await ask("make it again", "POST", _NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await ask.until(f"{path}/configmaps/free", lambda reply: reply.status == 404)
    await ask.until(path, lambda reply: len(reply.body["status"].get("conditions") or []) >= 5)
    await ask("what holds it", "GET", path, show=_conditions)
    await ask("what is held", "GET", f"{path}/configmaps/held", show=picked("metadata.finalizers", "metadata.deletionTimestamp"))
    await ask(
        "let go", "PATCH", f"{path}/configmaps/held", {"metadata": {"finalizers": None}}, kind=MERGE, show=picked("metadata.name")
    )
    await ask.until(path, lambda reply: reply.status == 404)
    await ask("it is gone", "GET", path)


def _conditions(body: dict[str, object]) -> object:
    status = body["status"]
    assert isinstance(status, dict)
    rows = sorted((item["type"], item["status"], item["reason"], item["message"]) for item in status["conditions"])
    return {"phase": status["phase"], "conditions": rows}


@scenario
async def owners(ask: Ask) -> None:
    maps = ask.path("configmaps")
    owner = await ask.quietly("POST", maps, config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    document = config_map("owned")
    document["metadata"]["ownerReferences"] = [reference]
    await ask("make", "POST", f"{maps}?fieldManager=me", document)
    await ask("delete the owner", "DELETE", f"{maps}/owner", {"propagationPolicy": "Background"})
    await ask.until(f"{maps}/owned", lambda reply: reply.status == 404)
    await ask("it went too", "GET", f"{maps}/owned")
