"""Patches of every type."""

from tests.differential.ask import JSON_PATCH, MERGE, STRATEGIC, Ask, causes, picked, scenario
from tests.differential.scenarios.documents import config_map, deployment


@scenario
async def merge(ask: Ask) -> None:
    one = f"{ask.path('configmaps', 'one')}?fieldManager=me"
    await ask.quietly("POST", ask.path("configmaps"), config_map("one", a="1", b="2"))
    await ask(
        "change, add and remove",
        "PATCH",
        one,
        {"data": {"a": "3", "b": None, "c": "4"}, "metadata": {"labels": {"x": "y"}}},
        kind=MERGE,
    )
    await ask("no change", "PATCH", one, {"data": {"a": "3"}}, kind=MERGE)
    await ask("an old version", "PATCH", one, {"metadata": {"resourceVersion": "1"}, "data": {"a": "9"}}, kind=MERGE)
    await ask("what is not there", "PATCH", ask.path("configmaps", "two"), {"data": {}}, kind=MERGE)
    await ask("another name", "PATCH", one, {"metadata": {"name": "two"}}, kind=MERGE)
    await ask("a form that is none", "PATCH", one, {"data": {}}, kind="application/json")


@scenario
async def json_patches(ask: Ask) -> None:
    one = f"{ask.path('configmaps', 'one')}?fieldManager=me"
    await ask.quietly("POST", ask.path("configmaps"), config_map("one", a="1", b="2"))
    change = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "5"},
        {"op": "remove", "path": "/data/b"},
        {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "z"}},
    ]
    await ask("change", "PATCH", one, change, kind=JSON_PATCH, show=picked("data", "metadata.annotations"))
    await ask(
        "an escaped path",
        "PATCH",
        one,
        [{"op": "remove", "path": "/metadata/annotations/x~1y"}],
        kind=JSON_PATCH,
        show=picked("metadata.annotations"),
    )
    await ask("a test that does not hold", "PATCH", one, [{"op": "test", "path": "/data/a", "value": "x"}], kind=JSON_PATCH)
    await ask("remove what is not there", "PATCH", one, [{"op": "remove", "path": "/data/none"}], kind=JSON_PATCH)
    await ask("into what is not there", "PATCH", one, [{"op": "add", "path": "/spec/x/y", "value": 1}], kind=JSON_PATCH)


@scenario
async def strategic(ask: Ask) -> None:
    path = f"{ask.path('deployments', 'one', 'apps/v1')}?fieldManager=me"
    main = ("env", "image", "name")
    shown = picked(*(f"spec.template.spec.containers.{number}.{key}" for number in (0, 1) for key in main), "metadata.generation")
    await ask.quietly("POST", ask.path("deployments", group="apps/v1"), deployment("one", env=[{"name": "A", "value": "1"}]))

    def containers(*items: object) -> object:
        return {"spec": {"template": {"spec": {"containers": list(items)}}}}

    added = containers({"name": "main", "env": [{"name": "B", "value": "2"}]}, {"name": "second", "image": "registry.example/y:1"})
    await ask("merge by name", "PATCH", path, added, kind=STRATEGIC, show=shown)
    removed = containers({"name": "second", "$patch": "delete"}, {"name": "main", "env": [{"name": "A", "$patch": "delete"}]})
    await ask("remove by name", "PATCH", path, removed, kind=STRATEGIC, show=shown)


@scenario
async def immutable_fields(ask: Ask) -> None:
    path = ask.path("deployments", "one", "apps/v1")
    await ask.quietly("POST", ask.path("deployments", group="apps/v1"), deployment("one"))
    labels = {"spec": {"selector": {"matchLabels": {"app": "two"}}, "template": {"metadata": {"labels": {"app": "two"}}}}}
    await ask("a Deployment's selector", "PATCH", path, labels, kind=MERGE)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True}
    await ask(
        "make a Secret",
        "POST",
        f"{ask.path('secrets')}?fieldManager=me",
        secret,
        show=picked("data", "stringData", "type", "immutable"),
    )
    await ask("change it", "PATCH", ask.path("secrets", "s"), {"data": {"a": "Yg=="}}, kind=MERGE)
    await ask("its type", "PATCH", ask.path("secrets", "s"), {"type": "other"}, kind=MERGE, show=causes)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "a", "resources": {"requests": {"storage": "1Gi"}}},
    }
    await ask("make a claim", "POST", ask.path("persistentvolumeclaims"), claim, show=picked("spec", "status"))
    await ask(
        "another class",
        "PATCH",
        ask.path("persistentvolumeclaims", "c"),
        {"spec": {"storageClassName": "b"}},
        kind=MERGE,
        show=causes,
    )
