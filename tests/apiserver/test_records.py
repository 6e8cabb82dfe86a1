"""What was applied and recorded, on a real kube-apiserver: volumes that users let grow, and what goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from kfinstall.answers.model import Answers
from kfinstall.diagnose.reasons import leaving_waiting, workload_waiting
from kfinstall.engine.step import CLUSTER_TARGET, View
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import NotReady, Ref
from kfinstall.kube.connection import MERGE
from kfinstall.parts.kubeflow import inventory, recorded
from kfinstall.releases import load
from tests.apiserver.planes import Document, cluster, config_map
from tests.fakes.apiserver import needs_control_plane
from tests.fakes.context import FakeContext

pytestmark = [
    needs_control_plane("kube-controller-manager", "kube-scheduler"),
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]
CLAIM = Ref("v1", "PersistentVolumeClaim", "mysql-pv-claim", "kubeflow")
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiCluster]:
    async with cluster(tmp_path_factory.mktemp("plane")) as (_plane, found):
        yield found


async def put(client: ApiCluster, documents: Sequence[Document], lines: list[str] | None = None) -> FakeContext:
    """As the steps do."""
    answers = Answers.model_validate({"nodes": [{"name": "cp", "address": "10.0.0.1"}]})
    context = FakeContext(View(answers, load(answers.cluster.release), CLUSTER_TARGET), cluster=client)
    context.lines = [] if lines is None else lines
    live = await client.snapshot(inventory.wants())
    await recorded.put(context, client, documents, live, at=inventory.CONFIG_MAP, source="test")
    return context


async def remove(client: ApiCluster, path: str, body: Document | None = None) -> None:
    """Ask for a deletion, and do not wait for it; with a body a merge patch instead."""
    how: dict[str, Any] = {"body": body, "content_type": MERGE} if body else {}
    await client._connection.request("PATCH" if body else "DELETE", path, **how)


async def to_do(client: ApiCluster) -> list[str]:
    live = await client.snapshot(inventory.wants())
    return recorded.to_do(inventory.read(live), live)


def claim(size: str, **labels: str) -> Document:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    metadata = {"name": CLAIM.name, "namespace": CLAIM.namespace, "labels": labels}
    return {"apiVersion": CLAIM.api_version, "kind": CLAIM.kind, "metadata": metadata, "spec": spec}


async def test_a_claim_that_its_user_made_larger_stays_so_and_is_no_change(client: ApiCluster) -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    await client.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "grows", "annotations": default},
            "provisioner": "example.org/none",
            "allowVolumeExpansion": True,
        }
    )
    await client.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "disk"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "20Gi"},
                "hostPath": {"path": "/disk"},
                "storageClassName": "grows",
            },
        }
    )
    await put(client, [NAMESPACE, claim("20Gi")])
    await client.wait(CLAIM, workload_waiting, timeout_seconds=60, say=print)
    await client._connection.request(
        "PATCH",
        f"/api/v1/namespaces/{CLAIM.namespace}/persistentvolumeclaims/{CLAIM.name}",
        query={"fieldManager": "kubectl-edit"},
        body={"spec": {"resources": {"requests": {"storage": "40Gi"}}}},
        content_type=MERGE,
    )
    assert await to_do(client) == []
    context = await put(client, [NAMESPACE, claim("20Gi", of="another-release")])
    found = await client.get(CLAIM)
    assert found is not None
    assert found["metadata"]["labels"] == {"of": "another-release"}
    assert found["spec"]["resources"]["requests"] == {"storage": "40Gi"}
    assert f"{CLAIM} keeps its size of 40Gi (20Gi is asked for)" in context.lines
    assert await to_do(client) == []


async def test_what_goes_away_is_waited_for_and_made_anew_with_all_that_is_in_it(client: ApiCluster) -> None:
    held = {**config_map("held", "ends"), "metadata": {"name": "held", "namespace": "ends", "finalizers": ["example.org/hold"]}}
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ends"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}},
        held,
        config_map("other", "ends"),
        {**config_map("protected", "kubeflow"), "metadata": {**held["metadata"], "name": "protected", "namespace": "kubeflow"}},
    ]
    await put(client, documents)
    assert await to_do(client) == []
    await remove(client, "/api/v1/namespaces/ends")
    await remove(client, "/api/v1/namespaces/kubeflow/configmaps/protected")
    ref = Ref("v1", "ConfigMap", "held", "ends")
    await client.wait(
        ref, lambda found: None if leaving_waiting(found) else NotReady("it is not deleted yet"), timeout_seconds=60, say=print
    )
    found = await to_do(client)
    assert {line for line in found if "being deleted" in line} >= {
        f"apply {thing}: it is being deleted" for thing in (Ref("v1", "Namespace", "ends"), ref, "ConfigMap kubeflow/protected")
    }
    assert not any("Namespace kubeflow" in line for line in found)
    lines: list[str] = []
    putting = asyncio.create_task(put(client, documents, lines))
    for ref in (Ref("v1", "ConfigMap", "held", "ends"), Ref("v1", "ConfigMap", "protected", "kubeflow")):
        waited_for = "Namespace ends" if ref.namespace == "ends" else str(ref)
        while not any(line.startswith(f"waiting for {waited_for} ") for line in lines):
            assert not putting.done(), putting
            await asyncio.sleep(0.05)
        await remove(client, f"/api/v1/namespaces/{ref.namespace}/configmaps/{ref.name}", {"metadata": {"finalizers": None}})
    await putting
    assert any("protected" in line and "its finalizers are open: example.org/hold" in line for line in lines)
    assert await to_do(client) == []
    for document in documents:
        assert leaving_waiting(await client.get(Ref.of(document))) is None
