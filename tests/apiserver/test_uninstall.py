"""Kubeflow 26.03 leaves a real kube-apiserver in order; its data, and what users have, stays."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kfinstall.answers.load import load
from kfinstall.apply.send import apply_waves
from kfinstall.apply.stamp import content
from kfinstall.apply.waves import clean_document, without_stray_namespaces
from kfinstall.engine import secret_store
from kfinstall.engine.options import Options
from kfinstall.engine.step import CLUSTER_TARGET, Needed, Satisfied, View
from kfinstall.errors import CommandError
from kfinstall.kube import raw
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import ListQuery, Ref
from kfinstall.parts.kubeflow import inventory, limits
from kfinstall.parts.kubeflow.inventory import Inventory
from kfinstall.parts.kubeflow.uninstall.custom_resources import UninstallHeldResources
from kfinstall.releases import load as release
from kfinstall.resources import root
from kfinstall.workflows import uninstall
from tests.apiserver.planes import cluster
from tests.fakes.apiserver import needs_control_plane
from tests.fakes.context import FakeContext
from tests.unit.apply.test_waves import REAL

pytestmark = [
    needs_control_plane("kube-controller-manager", "kube-scheduler"),
    pytest.mark.skipif(not REAL.exists(), reason=f"the rendering of Kubeflow 26.03 is not here ({REAL.name})"),
    pytest.mark.timeout(600),
]
USER = "kubeflow-user-example-com"
ANSWERS = load(root() / "examples" / "three-nodes.yaml")


def steps() -> Iterator[Any]:
    for phase in uninstall.phases(Options(uninstall.UNINSTALL)):
        if not phase.read_only:
            yield from (kind() for kind in phase.steps)


async def view(step: Any, client: ApiCluster) -> View:
    """What a check sees: the record first, then what it says to look at."""
    empty = View(ANSWERS, release("26.03"), CLUSTER_TARGET)
    first = View(ANSWERS, release("26.03"), CLUSTER_TARGET, cluster=await client.snapshot(step.wants(empty)))
    return View(ANSWERS, release("26.03"), CLUSTER_TARGET, cluster=await client.snapshot(step.wants(first)))


async def work(step: Any, client: ApiCluster) -> list[str]:
    context = FakeContext(await view(step, client), cluster=client)
    await step.apply(context)
    return context.lines


async def applied(client: ApiCluster) -> None:
    text = gzip.decompress(REAL.read_bytes()).decode()
    rendered = [clean_document(item) for item in raw.read(text) if item and item["kind"] != "Profile"]
    documents = without_stray_namespaces(rendered)
    result = await apply_waves(client, documents, lambda _text: None)
    objects = {Ref.of(item): (content(item), result.applied[Ref.of(item)].fields) for item in documents}
    await client.apply(secret_store.namespace())
    await client.apply(Inventory().followed_by("test", objects, inventory.served_by(documents)).document())


async def used(client: ApiCluster) -> None:
    """What a user has: a profile with its namespace, a volume, a notebook that a finalizer holds."""
    await client.apply(
        {
            "apiVersion": "kubeflow.org/v1",
            "kind": "Profile",
            "metadata": {"name": USER},
            "spec": {"owner": {"kind": "User", "name": "user@example.com"}},
        }
    )
    profile = await client.get(Ref("kubeflow.org/v1", "Profile", USER))
    assert profile is not None
    owner = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "name": USER,
        "uid": profile["metadata"]["uid"],
        "controller": True,
    }
    labels = {"app.kubernetes.io/part-of": "kubeflow-profile"}
    await client.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": USER, "labels": labels, "ownerReferences": [owner]}}
    )
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await client.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "work", "namespace": USER}, "spec": spec}
    )
    pod = {"containers": [{"name": "mine", "image": "registry.example/notebook:1"}]}
    await client.apply(
        {
            "apiVersion": "kubeflow.org/v1",
            "kind": "Notebook",
            "metadata": {"name": "mine", "namespace": USER, "finalizers": ["example.com/held"]},
            "spec": {"template": {"spec": pod}},
        }
    )


async def test_kubeflow_goes_and_what_users_have_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(tmp_path, delay=0.2, webhooks=True) as (_plane, client):
        await applied(client)
        await used(client)
        claims = {item["metadata"]["uid"] for item in await client.list(ListQuery("v1", "PersistentVolumeClaim"))}
        assert len(claims) == 4
        begin = time.monotonic()
        hooks, customs, *rest = steps()
        assert isinstance(hooks.check(await view(hooks, client)), Needed)
        await work(hooks, client)

        # A finalizer that nobody handles: named, and taken off where that is asked for.
        with monkeypatch.context() as patch:
            patch.setattr(limits, "KUBEFLOW_FINALIZERS_SECONDS", 5.0)
            with pytest.raises(CommandError) as held:
                await work(customs, client)
            assert f"Notebook {USER}/mine" in (held.value.why or "")
            assert "example.com/held" in (held.value.why or "")
            lines = await work(UninstallHeldResources(), client)
        assert [line for line in lines if "finalizers taken off" in line and "example.com/held" in line]

        for step in rest:
            await work(step, client)
        for step in steps():
            assert isinstance(step.check(await view(step, client)), Satisfied), step.id
        assert time.monotonic() - begin < limits.KUBEFLOW_UNINSTALL_TIMEOUT_SECONDS
        left = await client.list(ListQuery("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata_only=True))
        assert left == []
        names = {item["metadata"]["name"] for item in await client.list(ListQuery("v1", "Namespace"))}
        assert {"kubeflow", USER, "kfinstall", "default"} <= names
        assert not {"istio-system", "auth", "cert-manager", "knative-serving", "oauth2-proxy"} & names
        assert {item["metadata"]["uid"] for item in await client.list(ListQuery("v1", "PersistentVolumeClaim"))} == claims
        user = await client.get(Ref("v1", "Namespace", USER))
        assert user is not None
        assert "ownerReferences" not in user["metadata"], "the profile went, and let its namespace go"
        assert [item for item in await client.list(ListQuery("v1", "Pod")) if item["metadata"]["namespace"] == "kubeflow"] == []
