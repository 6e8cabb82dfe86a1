"""The simulated cluster's controllers, its Services, its faults, and what a killed process leaves."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncssh
import bcrypt
import pytest
import yaml

from kfinstall.simulator.apiserver.pki import Pki
from kfinstall.simulator.apiserver.status import StatusError
from kfinstall.simulator.fleet import USER, Fleet
from kfinstall.simulator.nodes.model import POD_HOOKS, Document, PodOutcome, World, pod_hook
from tests.simulated.simulated_cluster import client, crd, initialised, ready, until, workload

TOLERANT: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]}


def of_api(kind: str, name: str, *, version: str = "v1", namespace: str = "", **body: Any) -> Document:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def job(name: str, **pod: Any) -> Document:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}], **pod}}
    return of_api("Job", name, version="batch/v1", namespace="default", spec={"template": template, "backoffLimit": 1})


def claim(name: str, **spec: Any) -> Document:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}} | spec
    return of_api("PersistentVolumeClaim", name, namespace="default", spec=spec)


@pytest.fixture
def _hooks() -> Iterator[None]:
    before = list(POD_HOOKS)
    yield
    POD_HOOKS[:] = before


async def test_nodes_wait_for_the_network_and_dns_for_nodes(tmp_path: Path) -> None:
    async with initialised(tmp_path, network=False) as (_fleet, cluster):
        await until(lambda: len(cluster.objects("v1", "Pod", "kube-system")) >= 9)
        assert not any(ready(node) for node in cluster.objects("v1", "Node"))
        assert not ready(cluster.get("apps/v1", "Deployment", "coredns", "kube-system") or {}, "Available")
        cluster.put(crd("installations", "Installation", "operator.tigera.io", "Cluster"))
        cluster.put(crd("tigerastatuses", "TigeraStatus", "operator.tigera.io", "Cluster"))
        await until(lambda: cluster.kinds.by_kind("operator.tigera.io/v1", "TigeraStatus"))
        cluster.put(of_api("Namespace", "tigera-operator"))
        cluster.put(of_api("Installation", "default", version="operator.tigera.io/v1", spec={}))
        cluster.put(workload("tigera-operator", namespace="tigera-operator", hostNetwork=True, **TOLERANT))
        await until(lambda: all(ready(node) for node in cluster.objects("v1", "Node")))
        await until(lambda: ready(cluster.get("apps/v1", "Deployment", "coredns", "kube-system") or {}, "Available"))
        await until(lambda: ready(cluster.get("operator.tigera.io/v1", "TigeraStatus", "calico") or {}, "Available"))


async def test_a_pod_that_fits_nowhere_says_why(tmp_path: Path) -> None:
    big = [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "100", "memory": "1Gi"}}}]
    async with initialised(tmp_path) as (_fleet, cluster):
        cluster.put(of_api("Pod", "big", namespace="default", spec={"containers": big}))
        pod = await until(lambda: _scheduled_condition(cluster.get("v1", "Pod", "big", "default")))
        assert "Insufficient cpu" in pod["message"]
        assert "untolerated taint {node-role.kubernetes.io/control-plane" in pod["message"]
        event = await until(lambda: cluster.objects("v1", "Event", "default"))
        assert event[0]["reason"] == "FailedScheduling"


def _scheduled_condition(pod: Document | None) -> Document | None:
    conditions = (pod or {}).get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == "PodScheduled" and item["status"] == "False"), None)


async def test_services_have_ready_pods_as_endpoints(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (_fleet, cluster):
        service = of_api("Service", "web", namespace="default", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
        cluster.put(service)
        await until(lambda: cluster.store.get("endpoints", "default", "web"))
        cluster.put(workload("web", replicas=3))
        found = await until(lambda: _addresses(cluster.store.get("endpoints", "default", "web"), 3))
        assert len({item["ip"] for item in found}) == 3
        cluster.delete("apps/v1", "Deployment", "web", "default")
        await until(lambda: not cluster.objects("v1", "Pod", "default"))
        await until(lambda: not (cluster.store.get("endpoints", "default", "web") or {}).get("subsets"))


def _addresses(endpoints: Document | None, count: int) -> list[Document]:
    found = [item for subset in (endpoints or {}).get("subsets") or () for item in subset["addresses"]]
    return found if len(found) == count else []


async def test_jobs_end_and_leave_the_log_that_a_hook_gives(tmp_path: Path, _hooks: None) -> None:
    @pod_hook
    def proof(pod: Document, world: World) -> PodOutcome | None:
        if pod["metadata"]["labels"].get("job-name") == "bad":
            return PodOutcome(log="it broke\n", exit_code=3)
        return PodOutcome(log="read and written\n") if pod["metadata"]["labels"].get("job-name") == "good" else None

    async with initialised(tmp_path) as (fleet, cluster), client(fleet, tmp_path) as ask:
        for name in ("good", "bad"):
            cluster.put(job(name))
        cluster.put(job("plain", containers=[{"name": "c", "image": "i", "command": ["sh", "-c", "echo 'hello there'; true"]}]))
        await until(lambda: ready(cluster.get("batch/v1", "Job", "good", "default") or {}, "Complete"))
        await until(lambda: ready(cluster.get("batch/v1", "Job", "bad", "default") or {}, "Failed"))
        await until(lambda: ready(cluster.get("batch/v1", "Job", "plain", "default") or {}, "Complete"))
        logs = {}
        for pod in cluster.objects("v1", "Pod", "default"):
            _status, text = await ask("GET", f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/log?tailLines=5")
            logs[pod["metadata"]["labels"]["job-name"]] = text
        two = {
            "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}],
            "initContainers": [{"name": "b", "image": "i"}],
        }
        cluster.put({**of_api("Pod", "two", spec=two), "metadata": {"name": "two", "namespace": "default", "labels": {"app": "x"}}})
        one = two | {"containers": two["containers"][:1]}
        cluster.put(
            {**of_api("Pod", "native", spec=one), "metadata": {"name": "native", "namespace": "default", "labels": {"app": "x"}}}
        )
        await until(lambda: ready(cluster.get("v1", "Pod", "two", "default") or {}))
        await until(lambda: ready(cluster.get("v1", "Pod", "native", "default") or {}))
        status, text = await ask("GET", "/api/v1/namespaces/default/pods/two/log")
        assert (status, text["reason"]) == (400, "BadRequest")
        assert text["message"] == "a container name must be specified for pod two, choose one of: [b c d]"
        for path in ("two/log?container=d", "native/log"):
            status, _text = await ask("GET", f"/api/v1/namespaces/default/pods/{path}")
            assert status == 200
        assert logs == {"good": "read and written\n", "bad": "it broke\n", "plain": "hello there\n"}


async def test_claims_wait_for_their_provisioner_and_consumer(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (_fleet, cluster):
        mark = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
        slow = of_api(
            "StorageClass",
            "local-path",
            version="storage.k8s.io/v1",
            provisioner="rancher.io/local-path",
            volumeBindingMode="WaitForFirstConsumer",
        )
        slow["metadata"] |= mark
        cluster.put(slow)
        cluster.put(
            of_api("StorageClass", "nfs-csi", version="storage.k8s.io/v1", provisioner="nfs.csi.k8s.io", parameters={"server": "x"})
        )
        cluster.put(claim("at-once", storageClassName="nfs-csi"))
        cluster.put(claim("later"))
        assert (cluster.get("v1", "PersistentVolumeClaim", "later", "default") or {})["spec"]["storageClassName"] == "local-path"
        await until(lambda: any(event["reason"] == "ExternalProvisioning" for event in cluster.objects("v1", "Event")))
        for name in ("csi-nfs-controller", "local-path-provisioner"):
            cluster.put(workload(name, namespace="kube-system"))
        await until(lambda: _phase(cluster.get("v1", "PersistentVolumeClaim", "at-once", "default")) == "Bound")
        await until(lambda: any(event["reason"] == "WaitForFirstConsumer" for event in cluster.objects("v1", "Event")))
        assert _phase(cluster.get("v1", "PersistentVolumeClaim", "later", "default")) == "Pending"
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "later"}}]
        cluster.put(workload("user", replicas=1, volumes=volumes))
        await until(lambda: ready(cluster.get("apps/v1", "Deployment", "user", "default") or {}, "Available"))
        assert _phase(cluster.get("v1", "PersistentVolumeClaim", "later", "default")) == "Bound"


def _phase(document: Document | None) -> str:
    return str((document or {}).get("status", {}).get("phase"))


def webhook_of(service: str) -> Document:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    client_config = {"service": {"name": service, "namespace": "default", "path": "/validate"}}
    hook = {"name": "check.example.com", "rules": [rule], "clientConfig": client_config, "failurePolicy": "Fail"}
    hook |= {"objectSelector": {"matchLabels": {"checked": "yes"}}, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return of_api("ValidatingWebhookConfiguration", "check", version="admissionregistration.k8s.io/v1", webhooks=[hook])


async def test_a_webhook_without_endpoints_refuses_what_it_concerns(tmp_path: Path) -> None:
    checked = of_api("ConfigMap", "a", namespace="default")
    checked["metadata"]["labels"] = {"checked": "yes"}
    async with initialised(tmp_path) as (_fleet, cluster):
        cluster.put(webhook_of("hook"))
        cluster.put(of_api("ConfigMap", "not-concerned", namespace="default"))
        with pytest.raises(StatusError, match=r'failed calling webhook "check\.example\.com".*service "hook" not found'):
            cluster.put(checked)
        cluster.put(of_api("Service", "hook", namespace="default", spec={"selector": {"app": "hook"}, "ports": [{"port": 443}]}))
        with pytest.raises(StatusError, match="connect: connection refused") as refused:
            cluster.put(checked)
        assert refused.value.code == 500
        cluster.put(workload("hook", replicas=1))
        configuration = await until(
            lambda: _injected(cluster.get("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "check"))
        )
        assert b"BEGIN CERTIFICATE" in base64.b64decode(configuration)
        cluster.put(checked)


def _injected(configuration: Document | None) -> str:
    return str((configuration or {})["webhooks"][0]["clientConfig"].get("caBundle", ""))


async def test_a_namespace_takes_everything_with_it(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (_fleet, cluster):
        cluster.put(of_api("Namespace", "short"))
        await until(lambda: cluster.get("v1", "ServiceAccount", "default", "short"))
        cluster.put(workload("web", namespace="short", replicas=2))
        await until(lambda: len(cluster.objects("v1", "Pod", "short")) == 2)
        cluster.delete("v1", "Namespace", "short")
        await until(lambda: cluster.get("v1", "Namespace", "short") is None)
        await until(lambda: not list(cluster.store.in_namespace("short")))


async def test_profiles_and_spark_applications(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (fleet, cluster), client(fleet, tmp_path) as ask:
        cluster.put(crd("profiles", "Profile", "kubeflow.org", "Cluster"))
        cluster.put(crd("sparkapplications", "SparkApplication", "sparkoperator.k8s.io"))
        await until(lambda: cluster.kinds.by_kind("sparkoperator.k8s.io/v1", "SparkApplication"))
        cluster.put(of_api("Namespace", "kubeflow"))
        cluster.put(
            of_api("Profile", "kubeflow-me", version="kubeflow.org/v1", spec={"owner": {"kind": "User", "name": "me@example.com"}})
        )
        cluster.put(workload("profiles-deployment", namespace="kubeflow", replicas=1))
        await until(lambda: cluster.get("v1", "ServiceAccount", "default-editor", "kubeflow-me"))
        binding = cluster.get("rbac.authorization.k8s.io/v1", "RoleBinding", "namespaceAdmin", "kubeflow-me")
        assert (binding or {})["subjects"][0]["name"] == "me@example.com"
        application = of_api(
            "SparkApplication", "pi", version="sparkoperator.k8s.io/v1", namespace="kubeflow-me", spec={"image": "spark"}
        )
        cluster.put(application)
        await until(
            lambda: (
                (cluster.get("sparkoperator.k8s.io/v1", "SparkApplication", "pi", "kubeflow-me") or {})
                .get("status", {})
                .get("applicationState", {})
                .get("state")
                == "COMPLETED"
            )
        )
        _status, text = await ask("GET", "/api/v1/namespaces/kubeflow-me/pods/pi-driver/log")
        assert re.search(r"Pi is roughly 3\.1[34]", text)


async def test_images_that_are_missing_or_slow(tmp_path: Path) -> None:
    async with initialised(tmp_path, faults=("image-missing:worker1",)) as (fleet, cluster):
        cluster.put(workload("web", kind="DaemonSet"))
        await until(lambda: any(event["reason"] == "Failed" for event in cluster.objects("v1", "Event", "default")))
        await until(lambda: sum(ready(pod) for pod in cluster.objects("v1", "Pod", "default")) == 1)
        bad = next(pod for pod in cluster.objects("v1", "Pod", "default") if pod["spec"]["nodeName"] == "worker1")
        assert bad["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
        folder = fleet.state_dir
    async with Fleet(nodes=3, state_dir=folder, fresh=False, pace=0.0005) as fleet:
        again = fleet.cluster
        assert again is not None
        await until(lambda: sum(ready(pod) for pod in again.objects("v1", "Pod", "default")) == 2)
    async with initialised(tmp_path / "slow", faults=("slow-pull:worker1",)) as (_fleet, cluster):
        cluster.put(workload("web", kind="DaemonSet"))
        await until(lambda: any(event["reason"] == "Pulling" for event in cluster.objects("v1", "Event", "default")))
        await until(lambda: sum(ready(pod) for pod in cluster.objects("v1", "Pod", "default")) == 1)
        await until(lambda: sum(ready(pod) for pod in cluster.objects("v1", "Pod", "default")) == 2)


async def test_webhooks_that_are_down_for_a_while(tmp_path: Path) -> None:
    async with initialised(tmp_path, faults=("webhook-down:worker1",)) as (_fleet, cluster):
        cluster.put(webhook_of("hook"))
        cluster.put(of_api("Service", "hook", namespace="default", spec={"selector": {"app": "hook"}, "ports": [{"port": 443}]}))
        cluster.put(workload("hook", replicas=1))
        cluster.put(workload("other", replicas=1))
        await until(lambda: ready(cluster.get("apps/v1", "Deployment", "other", "default") or {}, "Available"))
        assert not ready(cluster.get("apps/v1", "Deployment", "hook", "default") or {}, "Available")
        await until(lambda: ready(cluster.get("apps/v1", "Deployment", "hook", "default") or {}, "Available"))


async def test_the_cluster_survives_the_process(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (fleet, cluster):
        cluster.put(crd("widgets", "Widget"))
        await until(lambda: cluster.kinds.by_kind("example.com/v1", "Widget"))
        cluster.put(of_api("Widget", "w", version="example.com/v1", namespace="default"))
        config = fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content
        revision, folder = cluster.store.revision, fleet.state_dir
    with (folder / "cluster.jsonl").open("a") as log:
        log.write('{"r": 99999, "k": "torn')
    async with initialised(tmp_path, fresh=False) as (fleet, cluster):
        assert fleet.world.api is cluster
        assert cluster.get("example.com/v1", "Widget", "w", "default")
        assert cluster.store.revision >= revision
        assert fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content == config
        async with client(fleet, tmp_path) as ask:
            assert (await ask("GET", "/version"))[1]["gitVersion"] == "v1.34.2"


async def _forwarded(fleet: Fleet, node: str, host: str, port: int) -> tuple[asyncssh.SSHClientConnection, int]:
    where, ssh_port = fleet.dial[node]
    known = asyncssh.import_known_hosts(fleet.known_hosts_text())
    connection = await asyncssh.connect(
        where, ssh_port, username=USER, client_keys=[str(fleet.client_key)], known_hosts=known, config=None, agent_path=None
    )
    listener = await connection.forward_local_port("127.0.0.1", 0, host, port)
    return connection, listener.get_port()


async def test_the_api_and_services_through_ssh(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (fleet, cluster):
        ports = [{"name": "http", "port": 80, "nodePort": 30080}]
        cluster.put(
            of_api("Service", "web", namespace="default", spec={"type": "NodePort", "selector": {"app": "web"}, "ports": ports})
        )
        cluster.put(workload("web", replicas=1))
        await until(lambda: _addresses(cluster.store.get("endpoints", "default", "web"), 1))
        address = (cluster.get("v1", "Service", "web", "default") or {})["spec"]["clusterIP"]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            for host, port, good in (
                ("127.0.0.1", 6443, "https"),
                (fleet.world.nodes["cp1"].address, 6443, "https"),
                (address, 80, "http"),
                ("web.default.svc.cluster.local", 80, "http"),
                (fleet.world.nodes["worker1"].address, 30080, "http"),
                (address, 81, ""),
                ("127.0.0.1", 9999, ""),
            ):
                connection, local = await _forwarded(fleet, "cp1", host, port)
                async with connection:
                    try:
                        async with session.get(f"{good or 'http'}://127.0.0.1:{local}/version") as answer:
                            assert (good, answer.status) in (("https", 200), ("http", 200))
                    except aiohttp.ClientError:
                        assert not good


async def test_the_login_of_kubeflow(tmp_path: Path) -> None:
    async with initialised(tmp_path) as (fleet, cluster):
        for name in ("auth", "istio-system"):
            cluster.put(of_api("Namespace", name))
        for plural, kind in (("gateways", "Gateway"), ("virtualservices", "VirtualService")):
            cluster.put(crd(plural, kind, "networking.istio.io"))
        await until(lambda: cluster.kinds.by_kind("networking.istio.io/v1", "VirtualService"))
        dex = {"staticPasswords": [{"email": "me@example.com", "hashFromEnv": "DEX_USER_PASSWORD"}]}
        cluster.put(of_api("ConfigMap", "dex", namespace="auth", data={"config.yaml": yaml.safe_dump(dex)}))
        digest = bcrypt.hashpw(b"correct", bcrypt.gensalt(4)).decode()
        cluster.put(of_api("Secret", "dex-passwords", namespace="auth", stringData={"DEX_USER_PASSWORD": digest}))
        made = Pki.make(["127.0.0.1"])
        cluster.put(
            of_api("Secret", "tls", namespace="istio-system", stringData={"tls.crt": made.server, "tls.key": made.server_key})
        )
        spec = {"servers": [{"port": {"number": 443}, "tls": {"mode": "SIMPLE", "credentialName": "tls"}}]}
        cluster.put(of_api("Gateway", "kubeflow-gateway", version="networking.istio.io/v1", namespace="default", spec=spec))
        ports = [{"name": "http2", "port": 80}, {"name": "https", "port": 443}]
        service = {"selector": {"app": "istio-ingressgateway"}, "ports": ports}
        cluster.put(of_api("Service", "istio-ingressgateway", namespace="istio-system", spec=service))
        cluster.put(workload("istio-ingressgateway", namespace="istio-system", replicas=1))
        await until(lambda: _addresses(cluster.store.get("endpoints", "istio-system", "istio-ingressgateway"), 1))
        for port, scheme in ((80, "http"), (443, "https")):
            connection, local = await _forwarded(fleet, "cp1", "istio-ingressgateway.istio-system", port)
            base = f"{scheme}://127.0.0.1:{local}"
            jar = aiohttp.CookieJar(unsafe=True)
            async with connection, aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(ssl=False)) as session:
                async with session.get(f"{base}/") as answer:
                    assert 'name="password"' in await answer.text()
                    form = answer.url
                async with session.post(form, data={"login": "me@example.com", "password": "wrong"}) as answer:
                    assert "Invalid Email Address and password" in await answer.text()
                async with session.post(form, data={"login": "me@example.com", "password": "correct"}) as answer:
                    assert "<title>Kubeflow Central Dashboard</title>" in await answer.text()
                async with session.get(f"{base}/api/workgroup/env-info") as answer:
                    assert (await answer.json())["user"] == "me@example.com"
                async with session.get(f"{base}/nowhere") as answer:
                    assert answer.status == 404
