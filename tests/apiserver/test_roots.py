"""Root causes as a real API server, its scheduler and its controllers tell them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kfinstall.apply.send import Limits, apply_waves
from kfinstall.diagnose.roots import Root
from kfinstall.diagnose.workloads import wait_available, why_not
from kfinstall.errors import StepTimeoutError
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import NotReady, Ref
from tests.apiserver.planes import Document, cluster, deployment, there
from tests.fakes.apiserver import ControlPlane, needs_control_plane

pytestmark = [
    needs_control_plane("kube-controller-manager", "kube-scheduler"),
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]
ABSENT = "registry.example/absent:1"


def counted(quota: Document | None) -> NotReady | None:
    """A quota holds once its controller has counted."""
    return None if (quota or {}).get("status", {}).get("hard") else NotReady("it is not counted yet")


def tainted(node: Document | None) -> NotReady | None:
    return None if (node or {}).get("spec", {}).get("taints") else NotReady("it is not tainted yet")


def quiet(_text: str) -> None:
    pass


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ControlPlane, ApiCluster]]:
    async with cluster(tmp_path_factory.mktemp("plane"), stuck="absent", mounts=True) as found:
        yield found


@pytest.fixture
def client(planes: tuple[ControlPlane, ApiCluster]) -> ApiCluster:
    return planes[1]


async def namespace(client: ApiCluster, name: str, **labels: str) -> str:
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    await client.wait(Ref("v1", "ServiceAccount", "default", name), there, timeout_seconds=30, say=quiet)
    return name


async def certain(client: ApiCluster, *documents: Document) -> list[Root]:
    """The causes, once controllers have said them."""
    async with asyncio.timeout(60):
        while True:
            found = await why_not(client, map(Ref.of, documents))
            if found and not any(root.vague for root in found):
                return found
            await asyncio.sleep(0.2)


def asking(name: str, namespace: str, **resources: str) -> Document:
    """A Deployment that asks for resources."""
    made = deployment(name, namespace=namespace)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": resources}
    return made


def hooks(name: str, namespace: str) -> Document:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": f"{name}.example.com",
        "clientConfig": {"service": {"name": name, "namespace": namespace, "path": "/"}},
        "rules": [pods],
        "namespaceSelector": {"matchLabels": {"seen": name}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    metadata = {"name": name}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": metadata,
        "webhooks": [hook],
    }


def service(name: str, namespace: str) -> Document:
    spec = {"selector": {"app": name}, "ports": [{"port": 443}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


async def test_pods_that_a_webhook_holds_up_lead_to_the_image_behind_it(client: ApiCluster) -> None:
    await namespace(client, "hook")
    await namespace(client, "held", seen="injector")
    backend = deployment("injector", ABSENT, "hook")
    held = [deployment(name, namespace="held") for name in ("a", "b")]
    for document in (service("injector", "hook"), backend, hooks("injector", "hook"), *held):
        await client.apply(document)
    (root,) = await certain(client, backend, *held)
    assert (root.direct, root.behind) == ((Ref.of(backend),), tuple(map(Ref.of, held)))
    assert root.waiting.reason == f"image {ABSENT} is not in its registry"
    assert root.waiting.hopeless


async def test_a_gate_of_the_waves_says_so_while_it_is_shut_and_at_its_end(client: ApiCluster) -> None:
    documents: list[Document] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gate"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gated", "labels": {"seen": "keeper"}}},
        service("keeper", "gate"),
        deployment("keeper", ABSENT, "gate"),
        hooks("keeper", "gate"),
        deployment("web", namespace="gated"),
    ]
    lines: list[str] = []
    with pytest.raises(StepTimeoutError, match=r"webhook keeper \(Service gate/keeper\)") as late:
        await apply_waves(client, documents, lines.append, Limits(gate_seconds=6, explain_seconds=1))
    why = f"Service gate/keeper has no endpoints because Deployment gate/keeper: image {ABSENT} is not in its registry"
    assert late.value.why == why
    assert [line for line in lines if why in line]
    assert await client.get(Ref.of(documents[-1])) is None


async def test_what_no_node_has_free_is_told_with_what_is_asked(client: ApiCluster) -> None:
    where = await namespace(client, "room")
    large = [asking(name, where, memory="200Gi") for name in ("a", "b", "c", "d")]
    for document in large:
        await client.apply(document)
    (root,) = await certain(client, *large)
    assert root.waiting.reason == "no node has enough memory free (2 pods ask for 400.0 GiB of memory)"
    assert "leave components out" in root.waiting.hint
    huge = asking("huge", where, cpu="100")
    await client.apply(huge)
    (root,) = await certain(client, huge)
    assert root.waiting.reason == "it asks for 100 CPU, and no node has more than 64 CPU"
    for document in large:
        await client.delete(Ref.of(document))


async def test_a_quota_that_is_used_up_is_one_cause(client: ApiCluster) -> None:
    where = await namespace(client, "quota")
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": where},
        "spec": {"hard": {"pods": "0"}},
    }
    await client.apply(quota)
    await client.wait(Ref.of(quota), counted, timeout_seconds=30, say=quiet)
    refused = [deployment(name, namespace=where) for name in ("a", "b")]
    for document in refused:
        await client.apply(document)
    (root,) = await certain(client, *refused)
    assert root.waiting.reason == "ResourceQuota quota/few is used up: pods=1 asked, pods=0 of pods=0 used"
    assert root.waiting.hint == "kubectl -n quota edit resourcequota few"
    assert len(root.direct) == 2


async def test_a_quota_that_wants_limits_named(client: ApiCluster) -> None:
    where = await namespace(client, "named")
    spec = {"hard": {"requests.cpu": "10"}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "cpu", "namespace": where}, "spec": spec}
    await client.apply(quota)
    await client.wait(Ref.of(quota), counted, timeout_seconds=30, say=quiet)
    web = deployment("web", namespace=where)
    await client.apply(web)
    (root,) = await certain(client, web)
    assert root.waiting.reason.startswith("ResourceQuota named/cpu wants every pod to name requests.cpu")


async def test_pod_security_and_limit_ranges_are_told_in_the_servers_words(client: ApiCluster) -> None:
    where = await namespace(client, "strict", **{"pod-security.kubernetes.io/enforce": "restricted"})
    web = deployment("web", namespace=where)
    await client.apply(web)
    (root,) = await certain(client, web)
    assert root.waiting.reason.startswith("the pod security of namespace strict refuses its pods: ")
    assert "allowPrivilegeEscalation != false" in root.waiting.reason
    assert "pod-security.kubernetes.io/enforce=baseline" in root.waiting.hint
    where = await namespace(client, "ranged")
    limits = {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}
    metadata = {"name": "small", "namespace": where}
    await client.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": limits})
    large = asking("large", where, memory="2Gi")
    large["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"memory": "2Gi"}
    await client.apply(large)
    (root,) = await certain(client, large)
    assert root.waiting.reason == (
        "a LimitRange of namespace ranged refuses it: maximum memory usage per Container is 1Gi, but limit is 2Gi"
    )


async def test_a_service_account_that_is_not_there(client: ApiCluster) -> None:
    where = await namespace(client, "account")
    web = deployment("web", namespace=where, serviceAccountName="nobody")
    await client.apply(web)
    (root,) = await certain(client, web)
    assert root.waiting.reason == "service account nobody does not exist"


def _with(name: str, where: str, volume: Document) -> Document:
    made = deployment(name, namespace=where, volumes=[{"name": "v", **volume}])
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    return made


async def test_claims_without_a_class_or_with_one_that_is_not_there(client: ApiCluster) -> None:
    where = await namespace(client, "claims")
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    documents = []
    for name, more in (("plain", {}), ("lost", {"storageClassName": "lost"})):
        metadata = {"name": name, "namespace": where}
        await client.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {**size, **more}})
        documents.append(_with(name, where, {"persistentVolumeClaim": {"claimName": name}}))
        await client.apply(documents[-1])
    found = {root.direct[0].name: root.waiting for root in await certain(client, *documents)}
    assert found["plain"].reason == (
        "PersistentVolumeClaim claims/plain is not bound: it has no storage class: there is no default one"
    )
    assert found["plain"].hint == "kfinstall --answers FILE --only storage"
    assert found["lost"].reason == "PersistentVolumeClaim claims/lost is not bound: storage class lost does not exist"


def _request(name: str) -> Document:
    """A certificate signing request, as a deployer in a pod makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:node:cache-server"),
        ]
    )
    names = x509.SubjectAlternativeName([x509.DNSName("cache-server.signing.svc")])
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    text = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {
        "request": text,
        "signerName": "kubernetes.io/kubelet-serving",
        "usages": ["digital signature", "key encipherment", "server auth"],
    }
    return {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": spec}


async def test_a_missing_secret_and_the_request_that_nobody_signed(client: ApiCluster) -> None:
    where = await namespace(client, "signing")
    web = _with("web", where, {"secret": {"secretName": "webhook-server-tls"}})
    await client.apply(web)
    (root,) = await certain(client, web)
    assert root.waiting.reason == "Secret signing/webhook-server-tls: it does not exist, and no Certificate makes it"
    await client.apply(_request("cache-server.signing"))
    (root,) = await certain(client, web)
    assert root.waiting.reason == (
        "Secret signing/webhook-server-tls is missing: certificate request cache-server.signing (kubernetes.io/kubelet-serving) "
        "waits for approval"
    )
    assert "kubectl certificate approve cache-server.signing" in root.waiting.hint
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook-server-tls", "namespace": where}}
    await client.apply(secret)
    await wait_available(client, [Ref.of(web)], timeout_seconds=30, say=quiet)


async def test_nodes_that_are_not_ready_are_behind_pods_that_no_node_takes(client: ApiCluster) -> None:
    where = await namespace(client, "away")
    web = deployment("web", namespace=where)

    async def report(status: str, message: str) -> None:
        for number in range(2):
            condition = {"type": "Ready", "status": status, "reason": "StandIn", "message": message}
            await client._connection.request(
                "PATCH",
                f"/api/v1/nodes/stand-in-{number}/status",
                body={"status": {"conditions": [condition]}},
                content_type="application/strategic-merge-patch+json",
            )

    await report("False", "container runtime is down")
    for number in range(2):
        await client.wait(Ref("v1", "Node", f"stand-in-{number}"), tainted, timeout_seconds=30, say=quiet)
    await client.apply(web)
    (root,) = await certain(client, web)
    assert root.waiting.reason.startswith("node stand-in-0 is not ready: container runtime is down")
    await report("True", "")
    await wait_available(client, [Ref.of(web)], timeout_seconds=60, say=quiet)
