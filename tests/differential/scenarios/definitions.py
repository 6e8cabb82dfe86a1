"""Custom resources: from their definition to its end."""

from tests.differential.ask import MERGE, Ask, Reply, causes, picked, scenario
from tests.differential.scenarios.documents import definition

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def established(reply: Reply) -> bool:
    conditions = (reply.body.get("status") or {}).get("conditions") or [] if reply.status == 200 else []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


async def _made(ask: Ask, plural: str, kind: str, group: str, **version: object) -> str:
    made = await ask.quietly("POST", _CRDS, definition(plural, kind, group=group, **version))
    assert made.status == 201, made
    await ask.until(f"{_CRDS}/{plural}.{group}", established)
    await ask.until(f"/apis/{group}/v1/{plural}", lambda reply: reply.status == 200)
    return f"/apis/{group}/v1/namespaces/{ask.namespace}/{plural}"


async def _removed(ask: Ask, name: str) -> None:
    await ask.quietly("DELETE", f"{_CRDS}/{name}")
    await ask.until(f"{_CRDS}/{name}", lambda reply: reply.status == 404)


@scenario
async def definition_life(ask: Ask) -> None:
    group = "life.example.com"
    await ask("its group before", "GET", f"/apis/{group}/v1")
    await ask(
        "make",
        "POST",
        f"{_CRDS}?fieldManager=me",
        definition("boxes", "Box", group=group),
        show=picked("spec.names", "spec.conversion", "status.conditions", "metadata.generation"),
    )
    path = f"{_CRDS}/boxes.{group}"
    await ask.until(path, established)
    await ask(
        "its status",
        "GET",
        path,
        show=lambda body: {
            **body["status"],
            "conditions": sorted(body["status"]["conditions"], key=lambda item: item["type"], reverse=True),
        },
    )
    await ask.until(f"/apis/{group}/v1", lambda reply: reply.status == 200)
    await ask("its group", "GET", f"/apis/{group}/v1")
    await ask("the group alone", "GET", f"/apis/{group}")
    boxes = f"/apis/{group}/v1/namespaces/{ask.namespace}/boxes"
    # For a moment a new kind's storage is not ready (429); how long differs.
    await ask.until(boxes, lambda reply: reply.status == 200)
    await ask("the empty list", "GET", boxes)
    box = {"apiVersion": f"{group}/v1", "kind": "Box", "metadata": {"name": "one"}, "spec": {"size": 1}}
    await ask("make one", "POST", f"{boxes}?fieldManager=me", box)
    await ask("the list", "GET", boxes, show=lambda body: [body["kind"], [item["metadata"]["name"] for item in body["items"]]])
    await ask("delete the definition", "DELETE", path, show=lambda body: body["kind"])
    await ask.until(path, lambda reply: reply.status == 404)
    await ask.until(f"/apis/{group}/v1", lambda reply: reply.status == 404)
    await ask("its group after", "GET", f"/apis/{group}/v1")
    await ask("its objects after", "GET", boxes)


@scenario
async def bad_definitions(ask: Ask) -> None:
    good = definition("wrongs", "Wrong", group="bad.example.com")
    await ask("a name that does not fit", "POST", _CRDS, {**good, "metadata": {"name": "others.bad.example.com"}})
    bare = definition("wrongs", "Wrong", group="bad.example.com", schema=None)
    await ask("no schema", "POST", _CRDS, bare, show=causes)
    none = definition("wrongs", "Wrong", group="bad.example.com", storage=False)
    await ask("no storage version", "POST", _CRDS, none, show=causes)


@scenario
async def custom_objects(ask: Ask) -> None:
    group = "custom.example.com"
    crates = await _made(ask, "crates", "Crate", group)
    crate = {"apiVersion": f"{group}/v1", "kind": "Crate", "metadata": {"name": "one"}, "spec": {"size": 1}}
    await ask("defaults", "POST", f"{crates}?fieldManager=me", crate)
    await ask("a required field is missing", "POST", crates, {**crate, "metadata": {"name": "two"}, "spec": {}})
    await ask("a wrong type", "POST", crates, {**crate, "metadata": {"name": "two"}, "spec": {"size": "large"}})
    await ask("too small", "POST", crates, {**crate, "metadata": {"name": "two"}, "spec": {"size": 0}})
    await ask(
        "an unknown field",
        "POST",
        crates,
        {**crate, "metadata": {"name": "three"}, "spec": {"size": 1, "unknown": 2}},
        show=picked("spec"),
    )
    await ask(
        "merge",
        "PATCH",
        f"{crates}/one?fieldManager=me",
        {"spec": {"size": 2}},
        kind=MERGE,
        show=picked("spec", "metadata.generation"),
    )
    await ask("a strategic merge", "PATCH", f"{crates}/one", {"spec": {"size": 2}}, kind="application/strategic-merge-patch+json")
    await ask("replace without a version", "PUT", f"{crates}/one", {**crate, "spec": {"size": 5}})
    await ask("a name that is not there", "GET", f"{crates}/nothing")
    await _removed(ask, f"crates.{group}")


@scenario
async def custom_apply(ask: Ask) -> None:
    group = "applied.example.com"
    crates = await _made(ask, "chests", "Chest", group)
    crate = {"apiVersion": f"{group}/v1", "kind": "Chest", "metadata": {"name": "one"}}
    first = {**crate, "spec": {"size": 1, "parts": [{"name": "a", "value": "1"}, {"name": "b"}]}}
    await ask.apply("make", f"{crates}/one", first)
    await ask.apply(
        "another's part", f"{crates}/one", {**crate, "spec": {"size": 1, "parts": [{"name": "c", "value": "3"}]}}, "two"
    )
    await ask.apply(
        "another's value", f"{crates}/one", {**crate, "spec": {"size": 1, "parts": [{"name": "a", "value": "9"}]}}, "two"
    )
    await ask.apply("an unknown field", f"{crates}/one", {**crate, "spec": {"size": 1, "unknown": 1}}, "three")
    await ask.apply("a kind that is not there", f"{crates.replace('chests', 'trunks')}/one", first)
    await _removed(ask, f"chests.{group}")


@scenario
async def custom_status(ask: Ask) -> None:
    group = "status.example.com"
    tins = await _made(ask, "tins", "Tin", group, subresources={"status": {}})
    tin = {"apiVersion": f"{group}/v1", "kind": "Tin", "metadata": {"name": "one"}, "spec": {"size": 1}, "status": {"full": True}}
    shown = picked("spec", "status", "metadata.generation")
    await ask("made with a status", "POST", tins, tin, show=shown)
    await ask(
        "its status",
        "PATCH",
        f"{tins}/one/status?fieldManager=me",
        {"status": {"full": True}, "spec": {"size": 9}},
        kind=MERGE,
        show=shown,
    )
    await ask("not by the main way", "PATCH", f"{tins}/one", {"status": {"full": False}}, kind=MERGE, show=shown)
    await ask.apply("applied", f"{tins}/one/status", {**tin, "status": {"full": False}}, "other", force=True, show=shown)
    await ask("read", "GET", f"{tins}/one/status", show=shown)
    await ask("the spec", "PATCH", f"{tins}/one", {"spec": {"size": 3}}, kind=MERGE, show=shown)
    await _removed(ask, f"tins.{group}")
