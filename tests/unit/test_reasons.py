"""Why something is not ready: each cause in the user's words, with its remedy."""

from __future__ import annotations

import pytest

from kfinstall.cluster.base import Ref, Waiting, Want
from kfinstall.cluster.reasons import (
    bundle_waiting,
    claim_waiting,
    endpoints_waiting,
    event_waiting,
    leaving_waiting,
    pod_waiting,
    roots,
    workload_waiting,
)
from kfinstall.cluster.workloads import Surroundings, explain, wait_available
from kfinstall.errors import StepTimeoutError


def deployment(available: int = 0, wanted: int = 1, **status) -> dict:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "kubeflow", "uid": "d", "generation": 2},
        "spec": {"replicas": wanted},
        "status": {"availableReplicas": available, "updatedReplicas": available, "observedGeneration": 2, **status},
    }


def pod(*, unscheduled: str = "", container: dict | None = None, requests: dict | None = None, claim: str = "") -> dict:
    conditions = [{"type": "PodScheduled", "status": "False", "message": unscheduled}] if unscheduled else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "kubeflow", "uid": "p", "ownerReferences": [{"uid": "r"}]},
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": requests or {}}}],
            "volumes": [{"persistentVolumeClaim": {"claimName": claim}}] if claim else [],
        },
        "status": {"phase": "Pending", "conditions": conditions, "containerStatuses": [container] if container else []},
    }


def waiting(reason: str, message: str = "") -> dict:
    return {"name": "main", "image": "mysql:8.0", "state": {"waiting": {"reason": reason, "message": message}}}


def crashed(code: int = 1, reason: str = "Error") -> dict:
    return {**waiting("CrashLoopBackOff"), "lastState": {"terminated": {"exitCode": code, "reason": reason}}}


NODES = "0/3 nodes are available: "


@pytest.mark.parametrize(
    ("found", "log", "words", "remedy"),
    [
        (
            pod(unscheduled=NODES + "3 Insufficient memory.", requests={"memory": "4Gi"}),
            "",
            "enough memory free (it asks for 4Gi",
            "leave components out",
        ),
        (pod(unscheduled=NODES + "2 Insufficient cpu, 1 Insufficient memory."), "", "CPU and memory", "add a node"),
        (pod(unscheduled=NODES + "3 Insufficient pods / Too many pods, 3 Insufficient pods."), "", "room for pods", "add a node"),
        (
            pod(unscheduled=NODES + "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }."),
            "",
            "refuses it",
            "worker",
        ),
        (
            pod(unscheduled=NODES + "pod has unbound immediate PersistentVolumeClaims", claim="data"),
            "",
            "claim data does not exist",
            "",
        ),
        (
            pod(container=waiting("ImagePullBackOff", "429 Too Many Requests - toomanyrequests")),
            "",
            "limits anonymous pulls",
            "mirrors",
        ),
        (
            pod(container=waiting("ErrImagePull", "pull access denied, authorization failed")),
            "",
            "refuses the login",
            "pull secret",
        ),
        (pod(container=waiting("ErrImagePull", "manifest unknown: not found")), "", "is not in its registry", "another release"),
        (
            pod(container=waiting("ErrImagePull", "no matching manifest for linux/arm64 in the manifest list")),
            "",
            "processor",
            "amd64",
        ),
        (pod(container=waiting("ErrImagePull", "dial tcp: lookup quay.io: no such host")), "", "can't be reached", "DNS"),
        (
            pod(container=waiting("ErrImagePull", "x509: certificate signed by unknown authority")),
            "",
            "not trusted",
            "--only registry",
        ),
        (pod(container=waiting("CreateContainerConfigError", 'secret "x" not found')), "", 'secret "x" not found', "Secret"),
        (pod(container=crashed()), "failed to create watcher: too many open files", "too many open files", "--only prepare"),
        (pod(container=crashed()), "Fatal glibc error: CPU does not support x86-64-v2", "x86-64-v2", "host"),
        (pod(container=crashed(137, "OOMKilled")), "", "out of memory", "memory"),
        (pod(container=crashed()), "chown: /var/lib/mysql: Operation not permitted", "Operation not permitted", "no_root_squash"),
        (pod(container=crashed()), "iptables-restore: unable to initialize table 'nat'", "iptables", "--only prepare"),
        (pod(container=crashed(3)), "", "exit status 3", "--previous"),
        (pod(container=crashed(3)), "panic: no config", "panic: no config", "--previous"),
    ],
)
def test_a_pod_that_is_not_ready_says_why(found, log, words, remedy):
    reason = pod_waiting(found, last_log=log)
    assert reason is not None
    assert words in reason.reason
    assert remedy in reason.remedy


def test_a_claim_without_a_default_class_is_the_root():
    found = pod(unscheduled=NODES + "pod has unbound immediate PersistentVolumeClaims", claim="data")
    claim = {"metadata": {"name": "data"}, "spec": {}, "status": {"phase": "Pending"}}
    reason = pod_waiting(found, claims={"data": claim})
    assert reason is not None
    assert "no default one" in reason.reason
    assert "--only storage" in reason.remedy


def test_a_provisioner_that_fails_is_quoted():
    event = {"involvedObject": {"name": "data"}, "message": "mount.nfs: Connection timed out"}
    reason = claim_waiting("data", {"spec": {"storageClassName": "nfs-csi"}}, [event])
    assert "Connection timed out" in reason.reason


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'Error creating: failed calling webhook "namespace.sidecar-injector.istio.io": connect: connection refused',
            "does not answer yet",
        ),
        ('failed calling webhook "x": context deadline exceeded', "can't be reached from the API server"),
        ('failed calling webhook "x": x509: certificate signed by unknown authority', "no certificate"),
        ("pods is forbidden: exceeded quota: q", "quota"),
        ("MountVolume.SetUp failed for volume: secret not found", "can't be mounted"),
        ("Failed to create pod sandbox: {plugin} calico", "pod network"),
        ('violates PodSecurity "restricted:latest"', "pod security"),
    ],
)
def test_events_that_tell_a_cause(message, words):
    found = event_waiting(message)
    assert found is not None
    assert words in found.reason


def test_events_that_tell_nothing():
    assert event_waiting("Pulled image") is None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "not there"),
        (deployment(), "0 of 1"),
        (deployment(1, observedGeneration=1), "1 of 1"),
        ({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 3, "numberReady": 2}}, "2 of 3"),
        ({"kind": "StatefulSet", "spec": {"replicas": 2}, "status": {"readyReplicas": 1}}, "1 of 2"),
        ({"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}, "Pending"),
        ({"kind": "CustomResourceDefinition", "status": {"conditions": None}}, "does not serve"),
        ({"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]}}, "too often"),
    ],
)
def test_what_is_not_ready(document, words):
    found = workload_waiting(document)
    assert found is not None
    assert words in found.reason


@pytest.mark.parametrize(
    "document",
    [
        deployment(1),
        deployment(0, 0),
        {"kind": "DaemonSet", "status": {"desiredNumberScheduled": 0, "numberReady": 0}},
        {"kind": "CustomResourceDefinition", "status": {"conditions": [{"type": "Established", "status": "True"}]}},
        {"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}},
        {"kind": "ConfigMap"},
    ],
)
def test_what_is_ready(document):
    assert workload_waiting(document) is None


def test_endpoints_and_bundles():
    assert endpoints_waiting({"subsets": [{"notReadyAddresses": [{}]}]}) is not None
    assert endpoints_waiting({"subsets": [{"addresses": [{"ip": "1"}]}]}) is None
    hooks = {"webhooks": [{"clientConfig": {"service": {"namespace": "n", "name": "s"}}}]}
    assert bundle_waiting(hooks, ("n", "s")) is not None
    assert bundle_waiting(hooks, ("n", "other")) is None
    assert bundle_waiting(None, ("n", "s")) is not None


REPLICA_SET = {"metadata": {"name": "web-abc", "namespace": "kubeflow", "uid": "r", "ownerReferences": [{"uid": "d"}]}}


def test_the_root_is_found_along_the_owners():
    found = explain(
        deployment(), Surroundings(pods=[pod(container=waiting("ErrImagePull", "no such host"))], replica_sets=[REPLICA_SET])
    )
    assert found is not None
    assert "mysql:8.0" in found.reason


def test_pods_that_can_not_be_made_are_explained_by_their_replica_sets_events():
    event = {
        "involvedObject": {"kind": "ReplicaSet", "name": "web-abc", "namespace": "kubeflow"},
        "message": 'Error creating: failed calling webhook "namespace.sidecar-injector.istio.io": no endpoints',
    }
    found = explain(deployment(), Surroundings(replica_sets=[REPLICA_SET], events=[event]))
    assert found is not None
    assert "sidecar-injector" in found.reason


def test_what_is_said_of_a_deployment_is_not_taken_for_its_claims_trouble():
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-abc-x", "namespace": "kubeflow", "ownerReferences": [{"uid": "r"}]},
        "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "web"}}], "containers": [{"name": "web"}]},
        "status": {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
                }
            ],
        },
    }
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "web", "namespace": "kubeflow"}, "spec": {}, "status": {}}
    event = {
        "involvedObject": {"kind": "Deployment", "name": "web", "namespace": "kubeflow"},
        "message": "Scaled up replica set web-abc from 0 to 1",
    }
    around = Surroundings(pods=[pod], replica_sets=[REPLICA_SET], events=[event], claims=[claim])
    found = explain(deployment(), around)
    assert found is not None
    assert "there is no default one" in found.reason
    assert "Scaled up" not in found.reason


def test_a_namespace_that_still_goes_away_says_what_holds_it():
    held = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: configmaps. has 1"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": held},
        {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "All content successfully deleted"},
    ]
    namespace = {"metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": conditions[::-1]}}
    found = leaving_waiting(namespace)
    assert found is not None
    assert found.reason == f"an earlier one of that name still goes away: {held}"
    assert leaving_waiting(None) is None
    assert leaving_waiting({"metadata": {"name": "n"}}) is None


def test_one_root_is_shown_once_with_what_it_blocks():
    blocked = {Ref("apps/v1", "Deployment", name, "kubeflow"): Waiting("no node has enough memory free") for name in "abc"}
    blocked[Ref("apps/v1", "Deployment", "z", "kubeflow")] = Waiting("other")
    ((first, refs), _second) = roots(blocked)
    assert first.reason == "no node has enough memory free"
    assert [ref.name for ref in refs] == ["a", "b", "c"]


class Lists:
    """A cluster that only lists."""

    def __init__(self, *documents: dict) -> None:
        self.documents = documents

    async def list(self, want: Want, *, label_selector: str = "") -> list[dict]:
        return [d for d in self.documents if d["kind"] == want.kind and want.namespace in ("", d["metadata"].get("namespace"))]

    async def logs(self, namespace: str, pod: str, *, container: str = "", tail_lines: int = 200) -> tuple[str, ...]:
        return ("starting", "panic: too many open files", "")


async def test_workloads_that_stay_away_end_with_the_root_reason_and_its_remedy():
    sets = {**REPLICA_SET, "kind": "ReplicaSet"}
    cluster = Lists(deployment(), sets, pod(container=crashed()))
    said: list[str] = []
    with pytest.raises(StepTimeoutError) as caught:
        await wait_available(cluster, [Ref("apps/v1", "Deployment", "web", "kubeflow")], timeout_seconds=0.1, say=said.append)
    assert "too many open files" in caught.value.why
    assert "--only prepare" in caught.value.hint
    assert said[0] == "0 of 1 workloads are available (0 s)"


async def test_workloads_that_are_there_need_no_wait():
    said: list[str] = []
    await wait_available(
        Lists(deployment(1)), [Ref("apps/v1", "Deployment", "web", "kubeflow")], timeout_seconds=5, say=said.append
    )
    assert said == ["1 of 1 workloads are available (0 s)"]


async def test_an_image_that_its_registry_does_not_have_is_not_waited_for_until_the_end():
    missing = {
        "name": "c",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "failed to resolve reference: not found"}},
    }
    cluster = Lists(deployment(), {**REPLICA_SET, "kind": "ReplicaSet"}, pod(container=missing))
    with pytest.raises(StepTimeoutError) as caught:
        await wait_available(
            cluster,
            [Ref("apps/v1", "Deployment", "web", "kubeflow")],
            timeout_seconds=3600,
            say=lambda _text: None,
            hopeless_seconds=0,
        )
    assert "is not in its registry" in caught.value.why
