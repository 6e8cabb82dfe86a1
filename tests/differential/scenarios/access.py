"""Who may not."""

from tests.differential.ask import Ask, scenario


@scenario
async def strangers(ask: Ask) -> None:
    wrong = {"Authorization": "Bearer nobody"}
    await ask("a token that nobody has", "GET", "/api/v1/nodes", headers=wrong, known=False)
    await ask("a list", "GET", "/api/v1/nodes", known=False)
    await ask("an object", "GET", ask.path("deployments", "x", "apps/v1"), known=False)
    await ask("to make one", "POST", ask.path("configmaps"), {"metadata": {"name": "x"}}, known=False)
    await ask("all of them", "GET", "/apis/apps/v1/deployments", known=False)
    await ask("a path", "GET", "/apis", known=False)


@scenario
async def unknown_paths(ask: Ask) -> None:
    await ask("a group that is not there", "GET", "/apis/nothing.example/v1")
    await ask("objects of a group that is not there", "GET", "/apis/nothing.example/v1/things")
    await ask("an object of a group that is not there", "GET", "/apis/nothing.example/v1/namespaces/default/things/x")
    await ask("a version that is not there", "GET", "/apis/apps/v9")
    await ask("a group's list that is not there", "GET", "/apis/nothing.example")
    await ask("a kind that is not there", "GET", "/api/v1/nothings")
    await ask("a kind in a namespace that is not there", "GET", ask.path("nothings"))
    await ask("to make one of a kind that is not there", "POST", ask.path("nothings"), {"metadata": {"name": "x"}})
    await ask("a subresource that is not there", "GET", ask.path("configmaps", "kube-root-ca.crt/nothing"))
    await ask("a path that is none", "GET", "/nothing")


@scenario
async def wrong_methods(ask: Ask) -> None:
    await ask("PATCH of a collection", "PATCH", ask.path("configmaps"), {})
    await ask("POST to an object", "POST", ask.path("configmaps", "x"), {"metadata": {"name": "x"}})
    await ask("PUT to a collection", "PUT", ask.path("configmaps"), {"metadata": {"name": "x"}})
