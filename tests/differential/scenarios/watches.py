"""Watches: from the beginning, from a version, from one that is gone."""

from tests.differential.ask import MERGE, Ask, picked, scenario
from tests.differential.scenarios.documents import config_map

_SHOWN = picked("kind", "apiVersion", "metadata.name", "metadata.labels", "data")
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@scenario
async def watch_changes(ask: Ask) -> None:
    path, mine = ask.path("configmaps"), "labelSelector=set%3Dwatched"
    labels = {"set": "watched"}
    await ask.quietly("POST", path, config_map("one", labels, a="1"))
    async with ask.watch(path, mine) as watch:
        await watch.hear("what is there", 1, _SHOWN)
        await ask.quietly("PATCH", f"{path}/one", {"data": {"a": "2"}}, kind=MERGE)
        await watch.hear("a change", 1, _SHOWN)
        await ask.quietly("POST", path, config_map("two", labels))
        await watch.hear("a new one", 1, _SHOWN)
        await ask.quietly("PATCH", f"{path}/two", {"metadata": {"labels": {"set": "other"}}}, kind=MERGE)
        await watch.hear("one that does not fit any more", 1, _SHOWN)
        await ask.quietly("PATCH", f"{path}/two", {"metadata": {"labels": {"set": "watched"}}}, kind=MERGE)
        await watch.hear("one that fits again", 1, _SHOWN)
        await ask.quietly("DELETE", f"{path}/one")
        await watch.hear("one that is gone", 1, _SHOWN)


@scenario
async def watch_resumed(ask: Ask) -> None:
    path = ask.path("configmaps")
    found = await ask.quietly("GET", f"{path}?fieldSelector=metadata.name%3Done")
    await ask.quietly("POST", path, config_map("one", a="1"))
    await ask.quietly("PATCH", f"{path}/one", {"data": {"a": "2"}}, kind=MERGE)
    await ask.quietly("DELETE", f"{path}/one")
    async with ask.watch(path, f"fieldSelector=metadata.name%3Done&resourceVersion={found.version}") as watch:
        events = await watch.hear("what happened since then", 3, _SHOWN)
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    ask.note("versions grow", versions == sorted(set(versions)) and versions[0] > int(found.version))
    async with ask.watch(path, f"fieldSelector=metadata.name%3Done&resourceVersion={versions[1]}") as watch:
        await watch.hear("from the middle", 1, _SHOWN)


@scenario
async def watch_refused(ask: Ask) -> None:
    path = ask.path("configmaps")
    found = await ask.quietly("POST", path, config_map("old"))
    await ask.quietly("DELETE", f"{path}/old")
    later = await ask.quietly("POST", path, config_map("new"))
    await ask.forget(int(later.version))
    async with ask.watch(path, f"resourceVersion={int(found.version) - 1}") as watch:
        await watch.hear("from what is long gone", 1)
    async with ask.watch(path, "resourceVersion=new") as watch:
        await watch.hear("from what is no version", 1)
    async with ask.watch(path, "labelSelector=a%20b") as watch:
        await watch.hear("with a selector that is none", 1)
    async with ask.watch(path, "sendInitialEvents=true") as watch:
        await watch.hear("initial events without a match", 1)


@scenario
async def watch_lists(ask: Ask) -> None:
    path, mine = ask.path("configmaps"), "labelSelector=set%3Dwatched"
    await ask.quietly("POST", path, config_map("one", {"set": "watched"}, a="1"))
    query = f"{mine}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with ask.watch(path, query) as watch:
        await watch.hear("what is there, then a mark", 2)
        await ask.quietly("DELETE", f"{path}/one")
        await watch.hear("then changes", 1, _SHOWN)
    async with ask.watch(
        path, "fieldSelector=metadata.name%3Dnone&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=0"
    ) as watch:
        await watch.hear("a bookmark", 1, picked("kind"))


@scenario
async def watch_metadata(ask: Ask) -> None:
    path = ask.path("configmaps")
    await ask.quietly("POST", f"{path}?fieldManager=me", config_map("one", {"set": "watched"}, a="1"))
    async with ask.watch(path, "fieldSelector=metadata.name%3Done", accept=_METADATA) as watch:
        await watch.hear("what is there", 1)


@scenario
async def watch_one(ask: Ask) -> None:
    path = ask.path("configmaps")
    found = await ask.quietly("POST", path, config_map("one", a="1"))
    async with ask.watch(path, f"fieldSelector=metadata.name%3Done&resourceVersion={found.version}") as watch:
        await ask.quietly("POST", path, config_map("two", a="1"))
        await ask.quietly("DELETE", f"{path}/one")
        await watch.hear("only its own", 1, _SHOWN)
