"""Causes in the words of a real API server, its scheduler and its controllers: reasons of the scheduler, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kfinstall.diagnose.roots import Root
from kfinstall.diagnose.workloads import why_not
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import Ref
from tests.apiserver.planes import Document, cluster, deployment, there
from tests.apiserver.test_roots import certain, hooks, quiet, service
from tests.fakes.apiserver import ControlPlane, needs_control_plane

pytestmark = [
    needs_control_plane("kube-controller-manager", "kube-scheduler"),
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]
NODES = ("stand-in-0", "stand-in-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ControlPlane, ApiCluster]]:
    async with cluster(tmp_path_factory.mktemp("plane")) as found:
        yield found


@pytest.fixture
def client(planes: tuple[ControlPlane, ApiCluster]) -> ApiCluster:
    return planes[1]


async def namespace(client: ApiCluster, name: str, **labels: str) -> str:
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    await client.wait(Ref("v1", "ServiceAccount", "default", name), there, timeout_seconds=30, say=quiet)
    return name


async def patched(client: ApiCluster, path: str, body: Document) -> None:
    await client._connection.request("PATCH", path, body=body, content_type="application/merge-patch+json")


async def cause(client: ApiCluster, document: Document) -> Root:
    await client.apply(document)
    (root,) = await certain(client, document)
    return root


async def settled(client: ApiCluster, document: Document, word: str) -> Root:
    """The cause once it is one, a passing state too."""
    async with asyncio.timeout(60):
        while True:
            found = await why_not(client, [Ref.of(document)])
            if found and word in found[0].waiting.reason:
                return found[0]
            await asyncio.sleep(0.2)


async def test_each_reason_of_the_scheduler_has_its_own_cause(client: ApiCluster) -> None:
    where = await namespace(client, "reasons")
    asked = deployment("asked", namespace=where, nodeSelector={"disk": "fast"})
    assert (await cause(client, asked)).waiting.reason == "no node is what it asks for (nodeSelector disk=fast)"
    term = {"labelSelector": {"matchLabels": {"app": "apart"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = deployment(
        "apart", namespace=where, affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    )
    for name in NODES:
        await patched(client, f"/api/v1/nodes/{name}", {"metadata": {"labels": {"kubernetes.io/hostname": name}}})
    apart["spec"]["replicas"] = 3
    assert "may not share a node with its like" in (await cause(client, apart)).waiting.reason
    port = deployment("port", namespace=where)
    port["spec"]["replicas"] = 3
    port["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8080}]
    assert (await cause(client, port)).waiting.reason.startswith("its port 8080 of the node (hostPort) is taken")
    beside = {"labelSelector": {"matchLabels": {"app": "nobody"}}, "topologyKey": "kubernetes.io/hostname"}
    together = deployment(
        "together", namespace=where, affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside]}}
    )
    assert "pod affinity" in (await cause(client, together)).waiting.reason
    gpu = deployment("gpu", namespace=where)
    gpu["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    assert (await cause(client, gpu)).waiting.reason == "it asks for nvidia.com/gpu, which no node offers"


async def test_a_volume_of_a_node_that_is_gone_and_a_claim_for_it(client: ApiCluster) -> None:
    where = await namespace(client, "lies")
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["lost-node"]}]}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "lies"},
        "spec": {**common, "capacity": {"storage": "1Gi"}, "local": {"path": "/x"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}},
    }  # fmt: skip
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": where},
        "spec": {**common, "volumeName": "lies", "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    for document in (volume, claim):
        await client.apply(document)
    web = deployment("web", namespace=where, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    await client.apply(web)
    root = await settled(client, web, "lies on node")
    assert root.waiting.reason == "PersistentVolumeClaim lies/data lies on node lost-node, which the cluster does not have any more"


async def test_cordoned_and_tainted_nodes(client: ApiCluster) -> None:
    where = await namespace(client, "closed")
    for name in NODES:
        await patched(client, f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
    root = await cause(client, deployment("cordoned", namespace=where))
    assert root.waiting.hint == "kubectl uncordon stand-in-0 stand-in-1"
    taint = [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    for name in NODES:
        await patched(client, f"/api/v1/nodes/{name}", {"spec": {"unschedulable": None, "taints": taint}})
    root = await cause(client, deployment("tainted", namespace=where))
    assert root.waiting.reason == "every node refuses it: their taints are dedicated"
    assert "kubectl taint nodes stand-in-0 dedicated-" in root.waiting.hint
    for name in NODES:
        await patched(client, f"/api/v1/nodes/{name}", {"spec": {"taints": None}})


async def test_what_admission_refuses_is_told_in_its_words(client: ApiCluster) -> None:
    where = await namespace(client, "asked")
    rank = deployment("rank", namespace=where, priorityClassName="gold")
    assert (await cause(client, rank)).waiting.reason == "priority class gold does not exist"
    runtime = deployment("runtime", namespace=where, runtimeClassName="kata")
    assert (await cause(client, runtime)).waiting.reason == "runtime class kata does not exist"


async def test_a_webhook_whose_refusal_is_judged_by_what_follows_its_url(client: ApiCluster) -> None:
    where = await namespace(client, "hooked", seen="nobody")
    await client.apply(service("nobody", where))
    await client.apply(hooks("nobody", where))
    held = deployment("held", namespace=where)
    root = await cause(client, held)
    assert "no workload is behind it" in root.waiting.reason
    assert "firewall" not in root.line()
