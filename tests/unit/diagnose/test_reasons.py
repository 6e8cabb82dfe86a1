"""Whether an object is ready, by itself; and waits that end with the root cause."""

from __future__ import annotations

import pytest

from kfinstall.diagnose.reasons import bundle_waiting, endpoints_waiting, leaving_waiting, workload_waiting
from kfinstall.diagnose.workloads import wait_available, wait_explained
from kfinstall.errors import StepTimeoutError
from kfinstall.kube.base import ListQuery, Ref
from tests.fakes.documents import certificate, condition, crashed, deployment, failing, thing, waiting


def rollout(kind, strategy=None, wanted=1, **status):
    """A workload whose controller has seen its newest form."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "kubeflow", "generation": 3},
        "spec": {"replicas": wanted, "updateStrategy": strategy or {"type": "RollingUpdate"}},
        "status": {"observedGeneration": 3, **status},
    }


def judged(api_version: str, kind: str, generation: int, seen: int | None, **status) -> dict:
    """Ready, with the generation that the condition was made of."""
    ready = condition("Ready", "True") | ({} if seen is None else {"observedGeneration": seen})
    return thing(api_version, kind, "x", metadata={"generation": generation}, status={"conditions": [ready], **status})


WEB = Ref("apps/v1", "Deployment", "web", "kubeflow")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "not there"),
        (deployment(), "0 of 1"),
        (deployment(ready=1, observedGeneration=1), "has not seen its newest form yet"),
        # As a real API server shows rollouts: a field that is 0 is left out.
        (rollout("Deployment", replicas=1, readyReplicas=1, availableReplicas=1), "0 of 1 new pods made"),
        (rollout("Deployment", replicas=2, updatedReplicas=1, readyReplicas=1, availableReplicas=1), "1 old pod not gone yet"),
        (rollout("Deployment", replicas=1, updatedReplicas=1, readyReplicas=1), "0 of 1 pods ready"),
        (rollout("StatefulSet", replicas=1, readyReplicas=1, availableReplicas=1), "0 of 1 new pods made"),
        # As the API server makes one; its controller has not looked yet.
        (rollout("DaemonSet", observedGeneration=0, desiredNumberScheduled=0, numberReady=0), "has not seen its newest form yet"),
        (rollout("DaemonSet", observedGeneration=None, desiredNumberScheduled=0), "has not seen its newest form yet"),
        (rollout("DaemonSet", desiredNumberScheduled=2, numberReady=2, numberAvailable=2), "0 of 2 new pods made"),
        (rollout("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=2, numberReady=2), "0 of 2 pods ready"),
        (
            deployment(conditions=[condition("ReplicaFailure", "True", "pods are \x1b[31mforbidden")]),
            "can't be made: pods are forbidden",
        ),
        (rollout("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2), "2 of 3"),
        (rollout("StatefulSet", wanted=2, replicas=2, updatedReplicas=2, availableReplicas=1), "1 of 2"),
        ({"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}, "Pending"),
        ({"kind": "CustomResourceDefinition", "status": {"conditions": None}}, "does not serve"),
        ({"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]}}, "too often"),
        (thing("serving.kserve.io/v1beta1", "InferenceService", "i"), "has not looked at it"),
        (
            thing(
                "kubeflow.org/v1", "Notebook", "n", status={"readyReplicas": 0, "conditions": [condition("Ready", message="no")]}
            ),
            "no",
        ),
        (
            thing("a.example/v1", "Crate", "c", status={"conditions": [condition("Ready", "False", "too big", "Size")]}),
            "not ready: Size: too big",
        ),
        (judged("cert-manager.io/v1", "Certificate", 2, 1), "has not seen its newest form yet"),
        (judged("a.example/v1", "Crate", 2, 1, observedGeneration=2), "has not seen its newest form yet"),
        (judged("a.example/v1", "Crate", 2, None, observedGeneration=1), "has not seen its newest form yet"),
    ],
)
def test_what_is_not_ready(document, words):
    found = workload_waiting(document)
    assert found is not None
    assert words in found.reason


@pytest.mark.parametrize(
    "document",
    [
        deployment(ready=1),
        deployment(wanted=0),
        rollout("Deployment", wanted=0),
        rollout("ReplicaSet", replicas=1, readyReplicas=1, availableReplicas=1),
        rollout("StatefulSet", replicas=1, updatedReplicas=1, readyReplicas=1, availableReplicas=1),
        # Pods of these are replaced when somebody deletes them, or never: nothing to wait for.
        rollout("StatefulSet", {"type": "OnDelete"}, replicas=1, readyReplicas=1, availableReplicas=1),
        rollout("StatefulSet", {"rollingUpdate": {"partition": 1}}, replicas=1, readyReplicas=1, availableReplicas=1),
        rollout("DaemonSet", {"type": "OnDelete"}, desiredNumberScheduled=1, numberReady=1, numberAvailable=1),
        {"kind": "DaemonSet", "status": {"desiredNumberScheduled": 0, "numberReady": 0}},
        {"kind": "CustomResourceDefinition", "status": {"conditions": [{"type": "Established", "status": "True"}]}},
        {"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}},
        {"kind": "ConfigMap"},
        thing("kubeflow.org/v1", "Notebook", "n", status={"readyReplicas": 1}),
        thing("a.example/v1", "Crate", "c", status={"conditions": [condition("Ready", "True")]}),
        thing("a.example/v1", "Crate", "without conditions"),
        judged("cert-manager.io/v1", "Certificate", 2, 2),
        judged("a.example/v1", "Crate", 2, 2, observedGeneration=1),
        # KServe copies the counter of the Deployment that it made.
        judged("serving.kserve.io/v1beta1", "InferenceService", 5, None, observedGeneration=1),
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


def test_an_object_that_goes_away_names_its_finalizers_and_who_uses_a_claim():
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    conditions = {"conditions": [{"type": "Available", "status": "True", "message": "has minimum availability"}]}
    held = leaving_waiting(
        thing("apps/v1", "Deployment", "web", metadata={**gone, "finalizers": ["a.example/x"]}, status=conditions)
    )
    assert held is not None
    assert held.reason == "an earlier one of that name still goes away: its finalizers are open: a.example/x"
    assert held.hint.endswith("kubectl -n kubeflow get deployment web -o yaml")
    protected = {**gone, "finalizers": ["kubernetes.io/pvc-protection"]}
    used = leaving_waiting(thing("v1", "PersistentVolumeClaim", "data", metadata=protected))
    assert used is not None
    assert "kubectl -n kubeflow describe persistentvolumeclaim data" in used.hint


class Lists:
    """A cluster that only lists."""

    def __init__(self, *documents: dict) -> None:
        self.documents = documents
        self.queries: list[ListQuery] = []

    async def list(self, want: ListQuery, *, label_selector: str = "") -> list[dict]:
        self.queries.append(want)
        return [d for d in self.documents if d["kind"] == want.kind and want.namespace in ("", d["metadata"].get("namespace"))]

    async def logs(self, namespace: str, pod: str, *, container: str = "", tail_lines: int = 200) -> tuple[str, ...]:
        return ("starting", "panic: too many open files", "")

    async def wait(self, ref, probe, *, timeout_seconds, say):
        raise StepTimeoutError(f"{ref} was not as wanted within {timeout_seconds:.0f} s", why="the certificate is not issued yet")


async def test_workloads_that_stay_away_end_with_the_root_reason_and_its_remedy():
    cluster = Lists(*failing(container=crashed()))
    lines: list[str] = []
    with pytest.raises(StepTimeoutError) as caught:
        await wait_available(cluster, [WEB], timeout_seconds=0.1, say=lines.append)
    assert "too many open files" in caught.value.why
    assert "--only prepare" in caught.value.hint
    assert lines[0] == "0 of 1 workloads are available (0 s)"


async def test_only_what_the_cause_needs_is_read_and_each_list_once():
    cluster = Lists(*failing(container=crashed()))
    with pytest.raises(StepTimeoutError):
        await wait_available(cluster, [WEB], timeout_seconds=0, say=lambda _text: None)
    kinds = [want.kind for want in cluster.queries]
    assert sorted(kinds) == ["Deployment", "Deployment", "Event", "Pod", "ReplicaSet"]  # one of the Deployments is the wait's own


async def test_workloads_that_are_there_need_no_wait():
    lines: list[str] = []
    await wait_available(Lists(deployment(ready=1)), [WEB], timeout_seconds=5, say=lines.append)
    assert lines == ["1 of 1 workloads are available (0 s)"]


async def test_an_image_that_its_registry_does_not_have_is_not_waited_for_until_the_end():
    missing = waiting("ImagePullBackOff", "failed to resolve reference: not found")
    with pytest.raises(StepTimeoutError) as caught:
        await wait_available(
            Lists(*failing(container=missing)), [WEB], timeout_seconds=3600, say=lambda _text: None, hopeless_seconds=0
        )
    assert "is not in its registry" in caught.value.why


async def test_a_single_object_that_stays_away_is_explained_too():
    cluster = Lists(
        certificate("gateway", "tls"), *failing("cert-manager", "cert-manager", container=waiting("ErrImagePull", "not found"))
    )
    issuer = thing("cert-manager.io/v1", "Issuer", "self", status={"conditions": [condition("Ready", "True")]})
    cluster.documents += (issuer,)
    ref = Ref("cert-manager.io/v1", "Certificate", "gateway", "kubeflow")
    with pytest.raises(StepTimeoutError) as caught:
        await wait_explained(cluster, ref, workload_waiting, timeout_seconds=1, say=lambda _text: None)
    assert (
        caught.value.why == "cert-manager/cert-manager: image mysql:8.0 is not in its registry (1 wait behind it: kubeflow/gateway)"
    )
    assert "another cluster.release" in caught.value.hint
