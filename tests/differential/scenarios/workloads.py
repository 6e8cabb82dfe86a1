"""Workloads, Services and what the server makes of them."""

from tests.differential.ask import MERGE, Ask, causes, picked, scenario
from tests.differential.scenarios.documents import deployment, service


@scenario
async def bad_workloads(ask: Ask) -> None:
    path = ask.path("deployments", group="apps/v1")
    good = deployment("one")
    other = {"metadata": {"labels": {"app": "other"}}, "spec": good["spec"]["template"]["spec"]}
    empty = {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": []}}
    for label, spec in {
        "a selector that does not fit": {**good["spec"], "template": other},
        "no containers": {**good["spec"], "template": empty},
        "no selector": {"template": good["spec"]["template"]},
        "a negative count": {**good["spec"], "replicas": -1},
    }.items():
        await ask(label, "POST", path, {**good, "spec": spec}, show=causes)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": good["spec"]["template"]["spec"]}},
    }
    await ask("a Job that always restarts", "POST", ask.path("jobs", group="batch/v1"), job, show=causes)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}
    await ask("no image", "POST", ask.path("pods"), pod, show=causes)


@scenario
async def deployments(ask: Ask) -> None:
    path = ask.path("deployments", group="apps/v1")
    shown = picked(
        "metadata.generation",
        "spec.replicas",
        "spec.template.spec.restartPolicy",
        "spec.template.spec.containers.0",
        "spec.strategy",
        "spec.revisionHistoryLimit",
        "spec.progressDeadlineSeconds",
    )
    await ask("make", "POST", f"{path}?fieldManager=me", deployment("one", ports=[{"containerPort": 80}]), show=shown)
    await ask(
        "its status by the main way",
        "PATCH",
        f"{path}/one",
        {"status": {"replicas": 7}},
        kind=MERGE,
        show=lambda body: [body["status"].get("replicas", 0), body["metadata"]["generation"]],
    )
    await ask("its scale", "GET", f"{path}/one/scale")
    # Nobody schedules here on one of the servers, so only what was asked for is shown.
    await ask("scale it", "PATCH", f"{path}/one/scale", {"spec": {"replicas": 2}}, kind=MERGE, show=picked("kind", "spec"))
    await ask("as it is then", "GET", f"{path}/one", show=picked("spec.replicas", "metadata.generation"))
    await ask(
        "a label",
        "PATCH",
        f"{path}/one",
        {"metadata": {"labels": {"x": "y"}}},
        kind=MERGE,
        show=picked("metadata.generation", "metadata.labels"),
    )


@scenario
async def new_workloads(ask: Ask) -> None:
    """What they say before their controllers have looked at them."""
    one = deployment("one")
    for kind, plural in (("Deployment", "deployments"), ("DaemonSet", "daemonsets"), ("StatefulSet", "statefulsets")):
        spec = {key: value for key, value in one["spec"].items() if key != "replicas" or kind != "DaemonSet"}
        path = ask.path(plural, group="apps/v1")
        await ask(f"a {kind}", "POST", path, {**one, "kind": kind, "spec": spec}, show=picked("status", "metadata.generation"))


@scenario
async def services(ask: Ask) -> None:
    path = ask.path("services")
    shown = picked("spec", "status", "metadata.generation")
    await ask("make", "POST", f"{path}?fieldManager=me", service("one"), show=shown)
    headless = {**service("two"), "spec": {**service("two")["spec"], "clusterIP": "None"}}
    await ask("headless", "POST", path, headless, show=shown)
    await ask("its address is its own", "PATCH", f"{path}/one", {"spec": {"clusterIP": "10.96.77.77"}}, kind=MERGE, show=causes)
    await ask(
        "no ports",
        "POST",
        path,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "three"}, "spec": {"selector": {"a": "b"}}},
        show=causes,
    )
    outside = {"type": "ExternalName", "externalName": "example.com"}
    await ask(
        "elsewhere",
        "POST",
        path,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "four"}, "spec": outside},
        show=shown,
    )


@scenario
async def roles(ask: Ask) -> None:
    group = "rbac.authorization.k8s.io/v1"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    binding = {"apiVersion": group, "kind": "RoleBinding", "metadata": {"name": "b"}, "roleRef": reference, "subjects": []}
    await ask("make a binding", "POST", f"{ask.path('rolebindings', group=group)}?fieldManager=me", binding)
    change = {"roleRef": {**reference, "name": "other"}}
    await ask("another role", "PATCH", ask.path("rolebindings", "b", group), change, kind=MERGE, show=causes)
