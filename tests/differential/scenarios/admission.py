"""Webhooks that can't be called."""

from tests.differential.ask import Ask, scenario
from tests.differential.scenarios.documents import config_map, service, webhooks

_ROOT = "/apis/admissionregistration.k8s.io/v1"
_KINDS = {
    "ValidatingWebhookConfiguration": f"{_ROOT}/validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": f"{_ROOT}/mutatingwebhookconfigurations",
}


async def _configured(ask: Ask, kind: str, **options: object) -> str:
    """A configuration that the server minds already."""
    name = f"{ask.namespace}-{kind[:3].lower()}"
    document = webhooks(kind, name, ask.namespace, service="backend", **options)  # type: ignore[arg-type]
    made = await ask.quietly("POST", _KINDS[kind], document)
    assert made.status == 201, made
    probe = f"{ask.path('configmaps')}?dryRun=All"
    wanted = options.get("failurePolicy") != "Ignore"
    while wanted and (await ask.quietly("POST", probe, config_map("probe"))).status == 201:
        pass
    return f"{_KINDS[kind]}/{name}"


@scenario
async def webhook_without_service(ask: Ask) -> None:
    path = await _configured(ask, "ValidatingWebhookConfiguration")
    await ask("make", "POST", ask.path("configmaps"), config_map("one"))
    await ask.apply("apply", ask.path("configmaps", "one"), config_map("one"))
    await ask(
        "make what it does not see", "POST", ask.path("secrets"), {"metadata": {"name": "one"}}, show=lambda body: body["kind"]
    )
    await ask("the configuration", "GET", path, show=lambda body: body["webhooks"])
    await ask.quietly("DELETE", path)


@scenario
async def webhook_without_endpoints(ask: Ask) -> None:
    await ask.quietly("POST", ask.path("services"), service("backend"))
    path = await _configured(ask, "MutatingWebhookConfiguration", timeoutSeconds=5)
    await ask("make", "POST", ask.path("configmaps"), config_map("one"))
    await ask("the configuration", "GET", path, show=lambda body: body["webhooks"])
    await ask.quietly("DELETE", path)


@scenario
async def webhook_that_may_fail(ask: Ask) -> None:
    path = await _configured(ask, "ValidatingWebhookConfiguration", failurePolicy="Ignore")
    await ask("make", "POST", ask.path("configmaps"), config_map("one"), show=lambda body: body["kind"])
    await ask.quietly("DELETE", path)


@scenario
async def webhook_selectors(ask: Ask) -> None:
    path = await _configured(
        ask, "ValidatingWebhookConfiguration", objectSelector={"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]}
    )
    await ask("seen", "POST", ask.path("configmaps"), config_map("one"), show=lambda body: body["kind"])
    await ask("not seen", "POST", ask.path("configmaps"), config_map("one", {"free": "yes"}), show=lambda body: body["kind"])
    await ask.quietly("DELETE", path)


@scenario
async def bad_configurations(ask: Ask) -> None:
    from tests.differential.ask import causes

    good = webhooks("ValidatingWebhookConfiguration", "bad", ask.namespace, service="backend")
    hook = good["webhooks"][0]
    for label, change in {
        "no name": {"name": ""},
        "a short name": {"name": "short"},
        "no side effects": {"sideEffects": None},
        "no review versions": {"admissionReviewVersions": None},
        "no client": {"clientConfig": {}},
    }.items():
        await ask(label, "POST", _KINDS[good["kind"]], {**good, "webhooks": [{**hook, **change}]}, show=causes)
