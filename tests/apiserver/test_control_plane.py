"""The real control plane that other tests stand on, and its stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfinstall.diagnose.workloads import wait_available
from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.base import NotReady, Ref
from tests.apiserver.planes import Document, cluster, command, config_map, deployment, there
from tests.fakes.apiserver import control_plane, needs_control_plane, program
from tests.fakes.webhooks import DENY_LABEL, SIDECAR

pytestmark = [needs_control_plane("kube-controller-manager", "kube-scheduler"), pytest.mark.timeout(180)]


def quiet(_text: str) -> None:
    pass


async def test_it_is_ready_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        async with control_plane(tmp_path) as plane:
            pids = [process.pid for process in plane.processes.values()]
            assert len(pids) == 4
            kubectl = program("kubectl")
            if kubectl:
                assert "kube-system" in await command(plane, kubectl, "get", "namespaces")
            raise RuntimeError("on purpose")
    assert [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()] == []
    assert not (tmp_path / "etcd").exists()


async def test_pods_run_jobs_end_and_what_is_stuck_is_explained(tmp_path: Path) -> None:
    async with cluster(tmp_path, stuck="absent") as (_plane, client):
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "once", "namespace": "default"},
            "spec": {
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "registry.example/a:1"}]}}
            },
        }
        await client.apply(job)
        await client.apply(deployment("web"))
        await wait_available(client, [Ref.of(deployment("web"))], timeout_seconds=60, say=quiet)
        await client.wait(Ref.of(job), _complete, timeout_seconds=60, say=quiet)
        await client.apply(deployment("other", image="registry.example/absent:1"))
        with pytest.raises(StepTimeoutError) as late:
            await wait_available(client, [Ref.of(deployment("other"))], timeout_seconds=4, say=quiet)
        assert "registry.example/absent:1" in (late.value.why or "")


def _complete(job: Document | None) -> NotReady | None:
    done = ((job or {}).get("status") or {}).get("succeeded")
    return None if done else NotReady("it still runs")


def _hooks(kind: str, service: str) -> Document:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods", "configmaps"]}
    hook = {
        "name": f"{service}.example.com",
        "clientConfig": {"service": {"name": service, "namespace": "default", "path": "/"}},
        "rules": [pods],
        "namespaceSelector": {"matchLabels": {"seen": "yes"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": service}, "webhooks": [hook]}


async def test_a_webhook_refuses_until_its_pod_is_ready_then_sees_what_is_made(tmp_path: Path) -> None:
    async with cluster(tmp_path, webhooks=True, delay=1) as (_plane, client):
        await client.apply(_hooks("MutatingWebhookConfiguration", "istiod"))
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "seen", "labels": {"seen": "yes"}}})
        service = {"selector": {"app": "istiod"}, "ports": [{"port": 443}]}
        await client.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": "default"}, "spec": service}
        )
        with pytest.raises(CommandError, match="refused") as refused:
            await client.apply(config_map("early", "seen"), timeout_seconds=0.5)
        assert "failed calling webhook" in (refused.value.why or "")
        await client.apply(deployment("istiod"))
        applied = await client.apply(config_map("early", "seen"), timeout_seconds=60)
        assert applied.changed
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "seen"},
            "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]},
        }
        await client.wait(Ref("v1", "ServiceAccount", "default", "seen"), there, timeout_seconds=30, say=quiet)
        await client.apply(pod)
        found = await client.get(Ref.of(pod))
        assert (found or {})["metadata"]["annotations"][SIDECAR] == "injected"
        denied = config_map("denied", "seen")
        denied["metadata"]["labels"] = {DENY_LABEL: "never"}
        with pytest.raises(CommandError) as refusal:  # at once: asking again would not help
            await client.apply(denied, timeout_seconds=60)
        assert "the stand-in says no: never" in (refusal.value.why or "")
