"""Objects: made, read, replaced, deleted, refused."""

from tests.differential.ask import Ask, causes, scenario
from tests.differential.scenarios.documents import config_map


@scenario
async def create_read_delete(ask: Ask) -> None:
    maps, one = ask.path("configmaps"), ask.path("configmaps", "one")
    await ask("make", "POST", f"{maps}?fieldManager=me", config_map("one", {"app": "x"}, a="1"))
    await ask("make again", "POST", maps, config_map("one"))
    await ask("read", "GET", one)
    await ask("read what is not there", "GET", ask.path("configmaps", "two"))
    await ask("read its metadata", "GET", one, accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    await ask("delete", "DELETE", one)
    await ask("delete what is gone", "DELETE", one)
    await ask("delete what is not there, in a group", "DELETE", ask.path("deployments", "x", "apps/v1"))


@scenario
async def replace(ask: Ask) -> None:
    maps, one = ask.path("configmaps"), ask.path("configmaps", "one")
    made = (await ask.quietly("POST", maps, config_map("one", a="1"))).body
    await ask("replace", "PUT", f"{one}?fieldManager=other", {**made, "data": {"a": "2", "b": "3"}})
    await ask("replace with an old version", "PUT", one, {**made, "data": {"a": "4"}})
    await ask("replace without a version", "PUT", f"{one}?fieldManager=other", config_map("one", a="5"))
    await ask("replace under another name", "PUT", one, config_map("two", a="5"))
    await ask("replace what is not there", "PUT", ask.path("configmaps", "three"), config_map("three"))
    await ask("replace without a change", "PUT", f"{one}?fieldManager=other", config_map("one", a="5"))


@scenario
async def bad_names(ask: Ask) -> None:
    maps = ask.path("configmaps")
    await ask("no name", "POST", maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
    await ask("a bad name", "POST", maps, config_map("Not_A_Name"))
    await ask("a bad label", "POST", maps, config_map("one", {"app": "not a label"}), show=causes)
    await ask("a namespace that is not there", "POST", ask.path("configmaps", namespace="nowhere"), config_map("one"))
    await ask(
        "a namespace that does not fit", "POST", maps, {**config_map("one"), "metadata": {"name": "one", "namespace": "default"}}
    )
    await ask("a bad name of a namespace", "POST", "/api/v1/namespaces", {"metadata": {"name": "a.b"}}, show=causes)
    too_long = {"metadata": {"name": "one", "annotations": {"long": "x" * 262_145}}}
    await ask("annotations that are too long", "POST", maps, {"apiVersion": "v1", "kind": "ConfigMap", **too_long})


@scenario
async def bad_bodies(ask: Ask) -> None:
    maps = ask.path("configmaps")
    await ask("another kind", "POST", maps, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}})
    await ask("another version", "POST", maps, {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "one"}})
    await ask("no kind", "POST", f"{maps}?fieldManager=me", {"metadata": {"name": "bare"}})


@scenario
async def generated_names(ask: Ask) -> None:
    maps = ask.path("configmaps")
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "some-"}, "data": {"a": "1"}}
    reply = await ask("make", "POST", f"{maps}?fieldManager=me", document)
    await ask("read", "GET", ask.path("configmaps", reply["metadata"]["name"]))
    other = await ask.quietly("POST", maps, document)
    ask.note("another name", other["metadata"]["name"] != reply["metadata"]["name"])
    ask.note("length", len(reply["metadata"]["name"]))


@scenario
async def dry_runs(ask: Ask) -> None:
    maps, one = ask.path("configmaps"), ask.path("configmaps", "one")
    await ask("make", "POST", f"{maps}?dryRun=All&fieldManager=me", config_map("one", a="1"))
    await ask("it is not there", "GET", one)
    await ask.apply("apply", f"{one}?dryRun=All", config_map("one", a="1"))
    await ask("it is still not there", "GET", one)
    await ask.quietly("POST", f"{maps}?fieldManager=me", config_map("one", a="1"))
    await ask.apply("apply over another's", f"{one}?dryRun=All", config_map("one", a="2"))
    await ask("merge", "PATCH", f"{one}?dryRun=All&fieldManager=me", {"data": {"b": "2"}}, kind="application/merge-patch+json")
    await ask("delete", "DELETE", f"{one}?dryRun=All")
    await ask("it is as it was", "GET", one)
    await ask("an unknown value", "POST", f"{maps}?dryRun=Some", config_map("two"))


@scenario
async def delete_options(ask: Ask) -> None:
    maps, one = ask.path("configmaps"), ask.path("configmaps", "one")
    made = await ask.quietly("POST", maps, config_map("one"))
    stale = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    await ask("another one's uid", "DELETE", one, stale)
    await ask("another version", "DELETE", one, {"preconditions": {"resourceVersion": "1"}})
    await ask("its own uid", "DELETE", one, {"preconditions": {"uid": made["metadata"]["uid"]}, "propagationPolicy": "Background"})
    for name in ("a", "b", "c"):
        labels = {"set": "some"} if name != "c" else {}
        await ask.quietly("POST", maps, config_map(name, labels))
    await ask("all with a label", "DELETE", f"{maps}?labelSelector=set%3Dsome", show=lambda body: body["kind"])
    await ask(
        "what is left",
        "GET",
        f"{maps}?fieldSelector=metadata.name%3Dc",
        show=lambda body: [item["metadata"]["name"] for item in body["items"]],
    )
    await ask("what is gone", "GET", ask.path("configmaps", "a"))
