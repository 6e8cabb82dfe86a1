"""What was applied and recorded, on a real kube-apiserver: volumes that users let grow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from kfinstall.answers.model import Answers
from kfinstall.cluster.api import ApiCluster
from kfinstall.cluster.base import Ref
from kfinstall.cluster.connection import MERGE
from kfinstall.cluster.reasons import workload_waiting
from kfinstall.kubeflow import inventory, recorded
from kfinstall.releases import load
from kfinstall.step import CLUSTER_TARGET, View
from tests.apiserver.planes import Document, cluster
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


async def put(client: ApiCluster, documents: Sequence[Document]) -> FakeContext:
    """As the steps do."""
    answers = Answers.model_validate({"nodes": [{"name": "cp", "address": "10.0.0.1"}]})
    context = FakeContext(View(answers, load(answers.cluster.release), CLUSTER_TARGET), cluster=client)
    live = await client.snapshot(inventory.wants())
    await recorded.put(context, client, documents, live, at=inventory.CONFIG_MAP, source="test")
    return context


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
    assert f"{CLAIM} keeps its size of 40Gi (20Gi is asked for)" in context.said
    assert await to_do(client) == []
