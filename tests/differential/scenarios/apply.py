"""Server-side apply: fields and their managers."""

from tests.differential.ask import MERGE, Ask, picked, scenario
from tests.differential.scenarios.documents import config_map, deployment


@scenario
async def apply_twice(ask: Ask) -> None:
    one = ask.path("configmaps", "one")
    first = await ask.apply("make", one, config_map("one", {"app": "x"}, a="1"))
    again = await ask.apply("again", one, config_map("one", {"app": "x"}, a="1"))
    ask.note("nothing was written", first.version == again.version)
    await ask.apply("change", one, config_map("one", {"app": "x"}, a="2", b="3"))
    await ask.apply("leave out", one, config_map("one", b="3"))
    await ask.apply("everything left out", one, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}})


@scenario
async def apply_conflicts(ask: Ask) -> None:
    one = ask.path("configmaps", "one")
    await ask.apply("make", one, config_map("one", a="1", b="1"))
    await ask.apply("the same value by another", one, config_map("one", a="1"), "two")
    await ask.apply("another value", one, config_map("one", a="2"), "two")
    await ask.apply("two other values", one, config_map("one", a="2", b="2"), "three")
    await ask.apply("forced", one, config_map("one", a="2"), "two", force=True)
    await ask.apply("the first one again", one, config_map("one", a="1", b="1"))
    await ask.apply("the first one without it", one, config_map("one", b="1"))
    await ask.apply("the last owner leaves it out", one, config_map("one"), "two")


@scenario
async def apply_over_updates(ask: Ask) -> None:
    one = ask.path("configmaps", "one")
    await ask.quietly("POST", f"{ask.path('configmaps')}?fieldManager=kubectl-create", config_map("one", {"app": "x"}, a="1"))
    await ask.apply("over what was made", one, config_map("one", a="2"))
    await ask.apply("forced", one, config_map("one", a="2"), force=True)
    await ask("patched by another", "PATCH", f"{one}?fieldManager=kubectl-edit", {"data": {"a": "3", "c": "4"}}, kind=MERGE)
    await ask.apply("over what was patched", one, config_map("one", a="2"))
    await ask.apply("forced again", one, config_map("one", a="2"), force=True)


@scenario
async def apply_lists(ask: Ask) -> None:
    path = ask.path("deployments", "one", "apps/v1")
    shown = picked(
        "metadata.managedFields.0",
        "metadata.generation",
        "spec.template.spec.containers.0.env",
        "spec.template.spec.containers.0.ports",
    )
    ports = [{"containerPort": 80}, {"containerPort": 81, "name": "more"}]
    await ask.apply(
        "make", path, deployment("one", env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], ports=ports), show=shown
    )
    await ask.apply("another's image", path, deployment("one", image="registry.example/x:2"), "two")
    await ask.apply("another's variable", path, deployment("one", env=[{"name": "A", "value": "9"}]), "two")
    await ask.apply(
        "leave a variable and a port out", path, deployment("one", env=[{"name": "B", "value": "2"}], ports=ports[1:]), show=shown
    )
    replicas = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "one"}, "spec": {"replicas": 1}}
    await ask.apply("another's replicas", path, replicas, "two")
    await ask.apply(
        "another's replicas, forced", path, replicas, "two", force=True, show=picked("spec.replicas", "metadata.generation")
    )


@scenario
async def apply_refused(ask: Ask) -> None:
    one = ask.path("configmaps", "one")
    document = config_map("one", a="1")
    await ask("no manager", "PATCH", one, document, kind="application/apply-patch+yaml")
    await ask.apply(
        "managed fields given",
        one,
        {**document, "metadata": {"name": "one", "managedFields": [{"manager": "x", "operation": "Apply"}]}},
    )
    await ask.apply("another name", one, config_map("two", a="1"))
    await ask.apply("another kind", one, {**document, "kind": "Secret"})
    await ask.apply("no kind", one, {"metadata": {"name": "one"}})
    await ask.apply("a namespace that is not there", ask.path("configmaps", "one", namespace="nowhere"), document)
    await ask.apply("a version, of what is not there", one, {**document, "metadata": {"name": "one", "resourceVersion": "1"}})
    await ask.apply("make", one, document, show=picked("data"))
    await ask.apply("an old version", one, {**document, "data": {"a": "2"}, "metadata": {"name": "one", "resourceVersion": "1"}})
    await ask.apply("force that is no truth value", f"{one}?force=perhaps", document)


@scenario
async def apply_status(ask: Ask) -> None:
    path = ask.path("deployments", "one", "apps/v1")
    await ask.quietly("POST", f"{ask.path('deployments', group='apps/v1')}?fieldManager=me", deployment("one"))
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "one"}, "status": {"observedGeneration": 1}}
    await ask.apply(
        "apply what is not its status",
        path,
        {**body, "spec": {"replicas": 0}},
        "other",
        show=picked("spec.replicas", "metadata.generation"),
    )
