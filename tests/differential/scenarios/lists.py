"""Lists: pages, selectors, metadata only, versions."""

from typing import Any
from urllib.parse import quote

from tests.differential.ask import Ask, causes, scenario
from tests.differential.scenarios.documents import secret

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


async def _seven(ask: Ask) -> str:
    for number in range(7):
        labels = {"set": "lists", "odd": "yes" if number % 2 else "no"} | ({"first": ""} if number == 0 else {})
        await ask.quietly("POST", f"{ask.path('secrets')}?fieldManager=me", secret(f"m{number}", labels))
    return ask.path("secrets") + "?labelSelector=set%3Dlists"


def _brief(body: Any) -> Any:
    return {**body, "items": [item["metadata"]["name"] for item in body["items"]]}


@scenario
async def pages(ask: Ask) -> None:
    await _seven(ask)
    path = ask.path("secrets")
    first = await ask("the first page", "GET", f"{path}?limit=3", show=_brief)
    second = await ask("the second", "GET", f"{path}?limit=3&continue={quote(first['metadata']['continue'])}", show=_brief)
    await ask("the last", "GET", f"{path}?limit=3&continue={quote(second['metadata']['continue'])}", show=_brief)
    await ask("as many as there are", "GET", f"{path}?limit=8", show=_brief)
    await ask("a token that is none", "GET", f"{path}?limit=3&continue=nonsense", show=causes)
    await ask("a token and a version", "GET", f"{path}?limit=3&resourceVersion=1&continue={quote(first['metadata']['continue'])}")
    await ask("a limit that is no number", "GET", f"{path}?limit=many")
    created = await ask.quietly("POST", path, secret("m21"))
    later = await ask(
        "the second page again", "GET", f"{path}?limit=3&continue={quote(first['metadata']['continue'])}", show=_brief
    )
    ask.note("what was made meanwhile is not in it", int(later.version) < int(created.version))


@scenario
async def pages_that_expire(ask: Ask) -> None:
    await _seven(ask)
    path = ask.path("secrets")
    first = await ask("the first page", "GET", f"{path}?limit=3", show=_brief)
    # Two changes: what is kept begins after the first of them.
    for _again in range(2):
        await ask.quietly("DELETE", ask.path("secrets", "m0"))
        changed = await ask.quietly("POST", path, secret("m0"))
    await ask.forget(int(changed.version))
    late = await ask(
        "the second page, too late", "GET", f"{path}?limit=3&continue={quote(first['metadata']['continue'])}", show=_brief
    )
    token = late["metadata"].get("continue")
    ask.note("another token", bool(token))
    await ask("what comes then", "GET", f"{path}?limit=3&continue={quote(token or '')}", show=_brief)
    await ask("exactly a version that is gone", "GET", f"{path}?resourceVersion={first.version}&resourceVersionMatch=Exact")


@scenario
async def pages_with_selectors(ask: Ask) -> None:
    path = await _seven(ask)
    first = await ask("the first page", "GET", f"{path}&limit=3", show=_brief)
    await ask("the next", "GET", f"{path}&limit=9&continue={quote(first['metadata']['continue'])}", show=_brief)


@scenario
async def label_selectors(ask: Ask) -> None:
    await _seven(ask)
    path = ask.path("secrets")
    for text in (
        "odd=yes",
        "odd==yes",
        "odd!=yes,set",
        "odd in (yes,no),!first",
        "odd notin (yes),set=lists",
        "first",
        "first=",
        "!set,first",
    ):
        await ask(text, "GET", f"{path}?labelSelector={quote(text)}", show=_brief)
    for text in ("odd in yes", "=x", "odd=(", "a b"):
        await ask(text, "GET", f"{path}?labelSelector={quote(text)}", show=_brief)


@scenario
async def field_selectors(ask: Ask) -> None:
    await _seven(ask)
    path = ask.path("secrets")
    for text in (
        "metadata.name=m3",
        f"metadata.namespace={ask.namespace},metadata.name!=m3",
        "metadata.name=none",
    ):
        await ask(text, "GET", f"{path}?fieldSelector={quote(text)}", show=_brief)
    for text in ("data.a=1", "nonsense", "metadata.labels.set=lists"):
        await ask(text, "GET", f"{path}?fieldSelector={quote(text)}", show=_brief)
    await ask("of pods", "GET", f"{ask.path('pods')}?fieldSelector={quote('spec.nodeName!=,status.phase=Running')}", show=_brief)
    await ask("of pods, not known", "GET", f"{ask.path('pods')}?fieldSelector={quote('spec.hostname=x')}", show=_brief)


@scenario
async def metadata_only(ask: Ask) -> None:
    path = await _seven(ask)
    await ask("a page", "GET", f"{path}&limit=1", accept=_METADATA)
    await ask(
        "as preferred",
        "GET",
        f"{path}&limit=1",
        accept="application/json;as=Table;v=v9;g=nothing.example,application/json",
        show=_brief,
    )
    await ask("a form that is none", "GET", f"{path}&limit=1", accept="application/nonsense")
    await ask("whole", "GET", f"{path}&limit=1")


@scenario
async def list_versions(ask: Ask) -> None:
    path = await _seven(ask)
    found = await ask.quietly("GET", path)
    await ask("from the cache", "GET", f"{path}&resourceVersion=0", show=_brief)
    await ask("not older than", "GET", f"{path}&resourceVersion={found.version}&resourceVersionMatch=NotOlderThan", show=_brief)
    await ask("exactly", "GET", f"{path}&resourceVersion={found.version}&resourceVersionMatch=Exact", show=_brief)
    await ask("a version that is to come", "GET", f"{path}&resourceVersion=999999999&resourceVersionMatch=Exact")
    await ask("a version that is no number", "GET", f"{path}&resourceVersion=new")
    await ask("a match without a version", "GET", f"{path}&resourceVersionMatch=Exact")
    await ask("a match that is none", "GET", f"{path}&resourceVersion=1&resourceVersionMatch=Roughly")
    await ask("of a namespace that is not there", "GET", ask.path("secrets", namespace="nowhere"), show=_brief)
