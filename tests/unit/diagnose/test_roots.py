"""Root causes: found along owners and references, each once, with what it holds up."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import ClassVar

import pytest

from kfinstall.diagnose import roots
from kfinstall.diagnose.known import Known, explained
from kfinstall.diagnose.workloads import Telling
from kfinstall.engine import pods as engine_pods
from kfinstall.errors import CommandError
from kfinstall.kube.base import ListQuery, Ref
from tests.fakes.documents import (
    NODES,
    certificate,
    claim,
    condition,
    crashed,
    deployment,
    event,
    failing,
    hooks,
    node,
    owner,
    pod,
    replica_set,
    running,
    service,
    signing_request,
    storage_class,
    thing,
    unmade,
    waiting,
)

GONE = waiting("ImagePullBackOff", 'rpc error: failed to resolve reference "x": not found', "quay.io/a/b:1")
REFUSED = (
    'failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post "https://istiod": no endpoints'
)
UNBOUND = NODES + "pod has unbound immediate PersistentVolumeClaims"
READY = condition("Ready", "True")


def deploy(name: str, namespace: str = "kubeflow") -> Ref:
    return Ref("apps/v1", "Deployment", name, namespace)


def why(documents: list[dict], name: str = "web", namespace: str = "kubeflow", log: tuple[str, ...] = ()):
    """Reason and remedy of one Deployment."""
    pods = [Ref.of(item) for item in documents if item["kind"] == "Pod"]
    found = roots.cause(Known(documents, dict.fromkeys(pods, log)), deploy(name, namespace))
    assert found is not None
    return found.waiting


@pytest.mark.parametrize(
    ("found", "log", "words", "hint"),
    [
        ({"unscheduled": NODES + "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }."}, "", "refuses it", "worker"),
        ({"unscheduled": UNBOUND, "claim": "data"}, "", "PersistentVolumeClaim kubeflow/data: it does not exist", "resume"),
        ({"container": waiting("ImagePullBackOff", "429 Too Many Requests - toomanyrequests")}, "", "docker.io limits anonymous pulls", "mirrors"),
        ({"container": waiting("ErrImagePull", "pull access denied, authorization failed")}, "", "refuses the login", "pull secret"),
        ({"container": waiting("ErrImagePull", "manifest unknown: not found")}, "", "is not in its registry", "another cluster.release"),
        ({"container": waiting("ErrImagePull", "no matching manifest for linux/arm64 in the manifest list")}, "", "processor", "amd64"),
        ({"container": waiting("ErrImagePull", "dial tcp: lookup quay.io: no such host")}, "", "can't be reached", "DNS"),
        ({"container": waiting("ErrImagePull", "x509: certificate signed by unknown authority")}, "", "not trusted", "--only registry"),
        ({"container": waiting("ErrImagePull", "write /var/lib/x: no space left on device")}, "", "disk is full", "crictl rmi"),
        ({"container": waiting("CreateContainerConfigError", 'secret "x" not found')}, "", "Secret kubeflow/x: it does not exist", "secret"),
        ({"container": waiting("CreateContainerError", "no \x1b[1mcommand specified")}, "", "can't be started: no command specified", "describe"),
        ({"container": crashed()}, "failed to create watcher: too many open files", "too many open files", "--only prepare"),
        ({"container": crashed()}, "Fatal glibc error: CPU does not support x86-64-v2", "x86-64-v2", "host"),
        ({"container": crashed(137, "OOMKilled")}, "", "out of memory", "memory"),
        ({"container": crashed()}, "chown: /var/lib/mysql: Operation not permitted", "Operation not permitted", "no_root_squash"),
        ({"init": crashed()}, "iptables-restore: unable to initialize table 'nat'", "initialize table", "--only prepare"),
        ({"container": crashed(3)}, "", "exit status 3", "--previous"),
        ({"container": crashed(3)}, "panic: no config", "panic: no config", "--previous"),
        ({"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage"}, "node": "w1"}, "", "evicted", "df -h"),
    ],
)  # fmt: skip
def test_a_pod_that_is_not_ready_says_why(found, log, words, hint):
    documents = failing(**found)
    reason = why(documents, log=(log,) if log else ())
    assert words in reason.reason
    assert hint in reason.hint


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (("panic: no key", "goroutine 1 [running]:", "main.main()", "  /x/main.go:3 +0x1d"), "panic: no key"),
        (
            ("2026 [ERROR] --initialize specified but the data directory has files in it.", "[ERROR] Aborting", "bye"),
            "data directory",
        ),
        (("starting", "listening"), "listening"),
        (("Traceback:", "ValueError: bad port"), "ValueError: bad port"),
    ],
)
def test_of_a_log_the_line_that_tells_is_taken(lines, chosen):
    assert chosen in why(failing(container=crashed()), log=lines).reason


OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage"}


def made_at(when: str, document: dict) -> dict:
    document["metadata"]["creationTimestamp"] = when
    return document


def failed_try(of: dict, when: str, name: str = "web-1") -> dict:
    ended = {"name": "main", "image": "x", "ready": False, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    return made_at(when, pod(of, name=name, node="w1", status={"phase": "Failed"}, container=ended))


def job(**status) -> dict:
    return thing("batch/v1", "Job", "web", spec={}, status={"active": 1, "failed": 1} | status)


class TestFailedPodsThatHaveASuccessor:
    """Failed pods stay for weeks: nobody but the collector of ended pods deletes them."""

    def test_of_a_rollout_the_new_pod_tells(self):
        made = deployment()
        before = replica_set(made)
        now = copy.deepcopy(before)
        now["metadata"] |= {"name": "web-def", "uid": "new"}
        gone = made_at(OLD, pod(before, name="web-abc-1", node="w1", status=EVICTED))
        creating = waiting("ContainerCreating")
        young = made_at(NEW, pod(now, name="web-def-1", node="w2", container=creating))
        full = node("w1", condition("DiskPressure", "True"), READY)
        for rest in ([], [full]):
            found = why([made, before, now, gone, young, *rest])
            assert "evict" not in found.reason, found
            assert found.reason == "its containers start"

    def test_without_a_younger_one_it_tells(self):
        made = deployment()
        between = replica_set(made)
        other = made_at(OLD, pod(between, name="web-abc-1", node="w2", container=waiting("ContainerCreating")))
        found = why([made, between, other, made_at(NEW, pod(between, name="web-abc-2", node="w1", status=EVICTED))])
        assert found.reason.startswith("evicted: ")

    def test_a_job_that_tries_again_does_not_tell_of_its_first_try(self):
        again = made_at(NEW, pod(job(), name="web-2", node="w1", status={"phase": "Running"}, container=running()))
        documents = [job(), failed_try(job(), OLD), again]
        found = roots.cause(Known(documents), Ref("batch/v1", "Job", "web", "kubeflow"))
        assert found is not None
        assert found.symptom.vague, found.waiting
        assert "exit status 3" not in found.waiting.reason
        found = roots.cause(Known(documents[:2]), Ref("batch/v1", "Job", "web", "kubeflow"))
        assert found is not None
        assert "exit status 3" in found.waiting.reason

    def test_behind_a_custom_resource_a_replaced_pod_tells_nothing(self):
        model = thing(
            "serving.kserve.io/v1beta1", "InferenceService", "iris", status={"conditions": [condition("Ready", message="slow")]}
        )
        label = {"labels": {"serving.kserve.io/inferenceservice": "iris"}}
        made = deployment("iris", ready=1)
        made["metadata"] |= label
        before = replica_set(made)
        now = copy.deepcopy(before)
        now["metadata"] |= {"name": "iris-def", "uid": "new"}
        pods = [
            made_at(OLD, pod(before, name="iris-1", node="w1", status=EVICTED)),
            made_at(NEW, pod(now, name="iris-2", node="w1", status={"phase": "Running"}, container=running())),
        ]
        for item in pods:
            item["metadata"] |= label
        found = roots.cause(Known([model, made, before, now, *pods]), Ref.of(model))
        assert found is not None
        assert "evicted" not in found.waiting.reason

    def test_a_step_of_a_workflow_that_failed_still_tells(self):
        flow = thing("argoproj.io/v1alpha1", "Workflow", "web", status={"conditions": [condition("Completed")]})
        running_on = made_at(NEW, pod(flow, name="web-2", node="w1", status={"phase": "Running"}, container=running()))
        found = roots.cause(Known([flow, failed_try(flow, OLD), running_on]), Ref.of(flow))
        assert found is None or "exit status 3" in found.waiting.reason

    def test_a_wait_for_pods_tells_of_the_one_that_is_tried_now(self):
        pods = [failed_try(job(), OLD, "a"), made_at(NEW, pod(job(), name="b", container=GONE))]
        known = Known()
        known.put(ListQuery("v1", "Pod", "kubeflow"), pods)
        cause = engine_pods._cause(known, pods, "kubeflow", None)
        assert cause is not None
        assert cause[0] == "b"


class TestRoom:
    def test_what_no_node_has_free_is_one_cause_with_what_is_asked_together(self):
        message = NODES + "2 Insufficient memory, 1 Insufficient cpu."
        requested = {"memory": "2Gi", "cpu": "500m"}
        documents = [*failing("a", unscheduled=message, requests=requested), *failing("b", unscheduled=message, requests=requested)]
        (root,) = roots.find(Known([*documents, node("w1", READY, memory="8Gi", cpu="4")]), [deploy("a"), deploy("b")])
        assert root.waiting.reason == "no node has enough memory and CPU free (2 pods ask for 4.0 GiB of memory and 1 CPU)"
        assert "leave components out" in root.waiting.hint

    def test_more_than_any_node_has_is_hopeless(self):
        documents = failing(unscheduled=NODES + "3 Insufficient memory.", requests={"memory": "16Gi"})
        found = why([*documents, node("w1", READY, memory="8Gi"), node("w2", READY, memory="4Gi")])
        assert found.reason == "it asks for 16.0 GiB of memory, and no node has more than 8.0 GiB of memory"
        assert found.hopeless

    def test_pods(self):
        found = why([*failing(unscheduled=NODES + "3 Too many pods, 3 Insufficient pods."), node("w1", READY, pods="110")])
        assert "room for pods" in found.reason


class TestClaims:
    pending: ClassVar[dict] = {"unscheduled": UNBOUND, "claim": "data"}

    def test_without_a_default_class_all_claims_have_one_cause(self):
        documents = [*failing("a", **self.pending), *failing("b", unscheduled=UNBOUND, claim="more")]
        known = Known([*documents, claim("data"), claim("more"), storage_class("local-path", "rancher.io/local-path")])
        (root,) = roots.find(known, [deploy("a"), deploy("b")])
        assert "there is no default one (there is local-path)" in root.waiting.reason
        assert root.waiting.hint == "kfinstall --answers FILE --only storage"
        assert [ref.name for ref in root.direct] == ["a", "b"]

    def test_a_class_that_does_not_exist(self):
        found = why([*failing(**self.pending), claim("data", "nfs-csi")])
        assert (
            found.reason
            == "PersistentVolumeClaim kubeflow/data is not bound because storage class nfs-csi does not exist".replace(
                " because", ":"
            )
        )

    def test_what_its_provisioner_says_is_quoted(self):
        pvc, nfs = claim("data", "nfs-csi"), storage_class("nfs-csi", "nfs.csi.k8s.io")
        failure = event(pvc, 'failed to provision volume with StorageClass "nfs-csi": mount.nfs: Connection timed out')
        found = why([*failing(**self.pending), pvc, nfs, failure])
        assert "Connection timed out" in found.reason
        assert "NFS server" in found.hint

    def test_the_provisioners_own_pod_is_the_root(self):
        pvc, nfs = claim("data", "nfs-csi"), storage_class("nfs-csi", "nfs.csi.k8s.io", default=True)
        waits = event(pvc, "Waiting for a volume to be created by the external provisioner 'nfs.csi.k8s.io'", type_="Normal")
        maker = failing("csi-nfs-controller", "kube-system", container=GONE)
        (root,) = roots.find(Known([*failing(**self.pending), pvc, nfs, waits, *maker]), [deploy("web")])
        assert (root.direct, root.behind) == ((deploy("csi-nfs-controller", "kube-system"),), (deploy("web"),))
        assert root.waiting.reason == "image quay.io/a/b:1 is not in its registry"

    def test_a_provisioner_is_found_by_what_it_is_started_with(self):
        pvc, own = claim("data", "nfs"), storage_class("nfs", "k8s-sigs.io/nfs")
        maker = failing("nfs-client-provisioner", "nfs", container=GONE)
        maker[0]["spec"]["template"]["spec"] = {"containers": [{"env": [{"name": "PROVISIONER_NAME", "value": "k8s-sigs.io/nfs"}]}]}
        found = why([*failing(**self.pending), pvc, own, *maker])
        assert found.reason == (
            "PersistentVolumeClaim kubeflow/data is not bound because Deployment nfs/nfs-client-provisioner: "
            "image quay.io/a/b:1 is not in its registry"
        )

    def test_one_that_waits_for_its_pod_is_no_cause(self):
        pvc = claim("data", "local-path")
        first = event(pvc, "waiting for first consumer to be created before binding", type_="Normal")
        message = NODES + "3 Insufficient memory."
        local = storage_class("local-path", "rancher.io/local-path")
        assert "memory" in why([*failing(unscheduled=message, claim="data"), pvc, first, local]).reason

    def test_what_is_said_of_a_deployment_is_not_taken_for_its_claims_trouble(self):
        made = failing(unscheduled=UNBOUND, claim="web")
        scaled = event(made[0], "Scaled up replica set web-abc from 0 to 1")
        found = why([*made, claim("web"), scaled])
        assert "there is no default one" in found.reason
        assert "Scaled up" not in found.reason


def istiod_is_gone() -> list[dict]:
    hook = hooks("namespace.sidecar-injector.istio.io", "istiod", "istio-system")
    return [hook, *service("istiod", "istio-system"), *failing("istiod", "istio-system", container=GONE)]


class TestWebhooks:
    def test_pods_that_a_webhook_holds_up_lead_to_the_pod_behind_it(self):
        found = why([*unmade(REFUSED), *istiod_is_gone()])
        assert found.reason == (
            "MutatingWebhookConfiguration istiod-hooks can't be called because Service istio-system/istiod has no endpoints because "
            "Deployment istio-system/istiod: image quay.io/a/b:1 is not in its registry"
        )

    def test_one_root_is_told_once_with_what_waits_behind_it(self):
        documents = [*istiod_is_gone(), *(item for name in "abcde" for item in unmade(REFUSED, name))]
        wanted = [deploy("istiod", "istio-system"), *(deploy(name) for name in "abcde")]
        (root,) = roots.find(Known(documents), wanted)
        assert root.direct == (deploy("istiod", "istio-system"),)
        assert root.line(" since 30 s") == (
            "istio-system/istiod since 30 s: image quay.io/a/b:1 is not in its registry; does a mirror lack it (registry.mirrors)? "
            "sudo crictl pull quay.io/a/b:1; if it is gone for good: another cluster.release; 5 wait behind it: kubeflow/a, kubeflow/b, kubeflow/c and 2 more"
        )

    def test_its_service_may_not_be_there(self):
        hook = hooks("namespace.sidecar-injector.istio.io", "istiod", "istio-system")
        found = why([*unmade(REFUSED), hook])
        assert found.reason.endswith("Service istio-system/istiod: it does not exist")

    def test_nobody_may_be_behind_its_service(self):
        hook = hooks("namespace.sidecar-injector.istio.io", "istiod", "istio-system")
        found = why([*unmade(REFUSED), hook, *service("istiod", "istio-system")])
        assert "no workload is behind it (app=istiod)" in found.reason

    def test_its_ca_may_be_missing_because_the_injector_is(self):
        hook = hooks(
            "namespace.sidecar-injector.istio.io", "istiod", "istio-system", bundle="", cert_manager_io__inject_ca_from_secret="a/b"
        )
        hook["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "istio-system/istiod-cert"}
        issued = certificate("istiod-cert", "tls", "self", "istio-system", READY)
        up = service("istiod", "istio-system", ready=True)
        injector = failing("cert-manager-cainjector", "cert-manager", container=crashed())
        found = why([*unmade("x509: " + REFUSED), hook, issued, *up, *injector], log=("panic: no lease",))
        assert found.reason.endswith(
            "Deployment cert-manager/cert-manager-cainjector: container main ends again and again: panic: no lease"
        )

    @pytest.mark.parametrize(
        ("text", "words", "hint"),
        [
            ("x509: certificate signed by unknown authority", "no certificate that fits", "delete pod -l app=backend"),
            ("context deadline exceeded", "can't be reached from the API server", "firewalls"),
            ("connection refused", "answers now", "rollout restart deployment web"),
        ],
    )
    def test_one_whose_pod_is_ready(self, text, words, hint):
        hook = hooks("h.example.com", "backend")
        found = why([*unmade(f'failed calling webhook "h.example.com": {text}'), hook, *service("backend", ready=True)])
        assert words in found.reason
        assert hint in found.hint

    def test_an_unknown_one(self):
        assert "webhook h.example.com does not answer yet" in why(unmade('failed calling webhook "h.example.com": refused')).reason

    def test_what_waits_for_itself_is_called_so_with_a_way_out(self):
        own = 'failed calling webhook "h.example.com": no endpoints'
        documents = [*unmade(own, "backend"), hooks("h.example.com", "backend"), *service("backend")]
        found = why(documents, "backend")
        assert "wait for each other" in found.reason
        assert "kubectl delete mutatingwebhookconfiguration backend-hooks" in found.hint

    def test_old_refusals_do_not_count_once_there_is_a_pod(self):
        made = unmade(REFUSED)
        documents = [*made, pod(made[1], container=waiting("ContainerCreating")), *istiod_is_gone()]
        assert why(documents).reason == "its containers start"


class TestRefused:
    @pytest.mark.parametrize(
        ("message", "words", "hint"),
        [
            (
                (
                    'pods "web-x" is forbidden: exceeded quota: compute, requested: requests.memory=4Gi, used: requests.memory=6Gi, '
                    "limited: requests.memory=8Gi"
                ),
                "ResourceQuota kubeflow/compute is used up: requests.memory=4Gi asked, requests.memory=6Gi of requests.memory=8Gi used",
                "edit resourcequota compute",
            ),
            (
                "pods is forbidden: failed quota: compute: must specify limits.cpu",
                "wants every pod to name limits.cpu",
                "LimitRange",
            ),
            (
                'pods "web-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
                'refuses its pods: violates PodSecurity "restricted:latest": runAsNonRoot',
                "namespace kubeflow pod-security.kubernetes.io/enforce=baseline",
            ),
            (
                'pods "web-x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
                "a LimitRange of namespace kubeflow refuses it: maximum memory usage per Container is 1Gi",
                "describe limitrange",
            ),
            (
                'pods "web-" is forbidden: error looking up service account kubeflow/web: serviceaccount "web" not found',
                "service account web does not exist",
                "resume",
            ),
            (
                "unable to create new content in namespace kubeflow because it is being terminated",
                "namespace kubeflow still goes away",
                "what holds it",
            ),
        ],
    )
    def test_pods_that_the_api_server_refuses(self, message, words, hint):
        found = why(unmade(message))
        assert words in found.reason
        assert hint in found.hint

    def test_the_condition_tells_it_too_when_events_are_gone(self):
        made = deployment(
            conditions=[condition("ReplicaFailure", "True", "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")]
        )
        assert "ResourceQuota kubeflow/q is used up" in why([made]).reason

    def test_one_quota_is_one_cause(self):
        message = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
        (root,) = roots.find(Known([*unmade(message, "a"), *unmade(message, "b")]), [deploy("a"), deploy("b")])
        assert len(root.direct) == 2


class TestCertificates:
    def test_a_missing_secret_leads_over_certificate_and_issuer_to_cert_manager(self):
        issuer = thing("cert-manager.io/v1", "Issuer", "self", status={})
        documents = [
            *failing(secret="web-tls"),
            certificate("web-cert", "web-tls"),
            issuer,
            *failing("cert-manager", "cert-manager", container=GONE),
        ]
        found = why(documents)
        assert found.reason == (
            "Secret kubeflow/web-tls is missing because Certificate kubeflow/web-cert is not issued because Issuer kubeflow/self is not "
            "ready because Deployment cert-manager/cert-manager: image quay.io/a/b:1 is not in its registry"
        )

    def test_an_issuer_that_does_not_exist(self):
        found = why([*failing(secret="web-tls"), certificate("web-cert", "web-tls", "lost", kind="ClusterIssuer")])
        assert found.reason.endswith("ClusterIssuer lost: it does not exist")

    def test_what_cert_manager_says_of_the_request(self):
        cert = certificate("web-cert", "web-tls")
        ready = condition("Ready", "False", "Error obtaining certificate: 429")
        request = thing(
            "cert-manager.io/v1", "CertificateRequest", "web-cert-1", metadata=owner(cert), status={"conditions": [ready]}
        )
        issuer = thing("cert-manager.io/v1", "Issuer", "self", status={"conditions": [READY]})
        found = why([*failing(secret="web-tls"), cert, request, issuer, deployment("cert-manager", "cert-manager", ready=1)])
        assert "it is not issued yet: Error obtaining certificate: 429" in found.reason

    def test_what_was_said_of_an_earlier_form_is_not_told(self):
        cert = certificate("web-cert", "web-tls", "self", "kubeflow", READY | {"message": "up to date", "observedGeneration": 1})
        cert["metadata"]["generation"] = 2
        done = {"conditions": [condition("Ready", "True", "Certificate fetched from issuer successfully")]}
        request = thing("cert-manager.io/v1", "CertificateRequest", "web-cert-1", metadata=owner(cert), status=done)
        issuer = thing("cert-manager.io/v1", "Issuer", "self", status={"conditions": [READY]})
        found = why([*failing(secret="web-tls"), cert, request, issuer, deployment("cert-manager", "cert-manager", ready=1)])
        assert found.reason.endswith("it is not issued yet: cert-manager has not looked at it")

    def test_a_certificate_that_is_not_sent_yet_says_what_it_waits_for(self):
        cert, hooked = certificate("web-cert", "web-tls"), Ref("v1", "Service", "cert-manager-webhook", "cert-manager")
        documents = [
            *failing(secret="web-tls"),
            *service("cert-manager-webhook", "cert-manager"),
            *failing("cert-manager-webhook", "cert-manager", container=GONE),
        ]
        known = Known(documents, planned={Ref.of(cert): (cert, (hooked,))})
        (root,) = roots.find(known, [deploy("web")])
        assert (root.direct, root.behind) == ((deploy("cert-manager-webhook", "cert-manager"),), (deploy("web"),))

    def test_a_ring_of_issuer_and_certificate_is_told(self):
        issuer = thing("cert-manager.io/v1", "Issuer", "ca", spec={"ca": {"secretName": "ca-tls"}}, status={})
        documents = [*failing(secret="ca-tls"), certificate("ca-cert", "ca-tls", "ca"), issuer]
        assert "wait for each other" in why(documents).reason

    def test_what_every_namespace_gets_leads_to_who_gives_it(self):
        refused = waiting("ContainerCreating")
        documents = failing(container=refused, node="w1")
        mounts = event(
            documents[2], 'MountVolume.SetUp failed for volume "istiod-ca-cert" : configmap "istio-ca-root-cert" not found'
        )
        found = why([*documents, mounts, *failing("istiod", "istio-system", container=GONE)])
        assert found.reason.startswith(
            "ConfigMap kubeflow/istio-ca-root-cert is missing because Deployment istio-system/istiod: image"
        )

    def test_a_request_that_nobody_approved(self):
        request = signing_request(
            "cache-server.kubeflow", "system:serviceaccount:kubeflow:deployer", "kubernetes.io/kubelet-serving"
        )
        found = why([*failing(secret="webhook-server-tls"), request])
        assert "certificate request cache-server.kubeflow (kubernetes.io/kubelet-serving) waits for approval" in found.reason
        assert "kubectl certificate approve cache-server.kubeflow" in found.hint

    @pytest.mark.parametrize(
        ("outcome", "words"),
        [
            (condition("Denied", "True", "not you"), "was denied: not you"),
            (condition("Failed", "True", "wrong usages"), "was not signed: wrong usages"),
            (condition("Approved", "True"), "no signer takes"),
        ],
    )
    def test_a_request_that_came_to_nothing(self, outcome, words):
        request = signing_request("csr-1", "system:serviceaccount:kubeflow:x", "example.com/signer", outcome)
        assert words in why([*failing(secret="tls"), request]).reason

    def test_a_log_that_can_not_be_read_because_the_nodes_certificate_is_not_signed(self):
        documents = failing(container=crashed(), node="w1")
        known = Known([*documents, signing_request("csr-9", "system:node:w1", "kubernetes.io/kubelet-serving")])
        known.unreadable(Ref.of(documents[2]), "main", "remote error: tls: internal error")
        found = roots.cause(known, deploy("web"))
        assert found is not None
        assert "exit status 1; certificate request csr-9" in found.waiting.reason


class TestNodes:
    lost = condition("Ready", "Unknown", "Kubelet stopped posting node status.")

    def test_pods_of_a_node_that_is_away_have_one_cause(self):
        documents = [*failing("a", node="w1"), *failing("b", node="w1", container=running()), node("w1", self.lost)]
        (root,) = roots.find(Known(documents), [deploy("a"), deploy("b")])
        assert root.waiting.reason == "node w1 does not report any more: Kubelet stopped posting node status."
        assert "systemctl status kubelet" in root.waiting.hint

    def test_a_node_without_disk_is_behind_evictions_and_taints(self):
        full = node("w1", READY, condition("DiskPressure", "True"))
        gone = failing(status={"phase": "Failed", "reason": "Evicted", "message": "low on ephemeral-storage"}, node="w1")
        assert why([*gone, full]).reason == "node w1 has no disk left and evicts pods"
        tainted = failing(unscheduled=NODES + "1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }")
        assert why([*tainted, full]).reason == "node w1 has no disk left and evicts pods"

    def test_a_namespace_that_goes_away_waits_for_a_node_that_is_away(self):
        gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        held = condition("NamespaceFinalizersRemaining", "True", "example.com/hold in 1 resource instances")
        leaving = thing("v1", "Namespace", "earlier", "", status={"conditions": [held]}, **gone)
        ref = Ref.of(leaving)
        stuck = pod(name="old", namespace="earlier", node="w1", status={"phase": "Running"})
        (root,) = roots.find(Known([leaving, stuck, node("w1", self.lost)]), [ref])
        assert root.waiting.reason.startswith("node w1 does not report any more")
        (root,) = roots.find(Known([leaving, stuck, node("w1", READY)]), [ref])
        assert "example.com/hold" in root.waiting.reason

    def test_a_scheduler_that_knew_no_node_yet(self):
        pending = failing(unscheduled="no nodes available to schedule pods")
        assert why(pending).reason == "the cluster has no node that could carry pods"
        assert why([*pending, node("w1", READY)]).reason == "no node was chosen yet"

    def test_taints_that_somebody_set_are_named_though_the_scheduler_does_not(self):
        master = node("cp", READY)
        master["spec"] = {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}
        found = why([*failing(unscheduled=NODES + "1 node(s) had untolerated taint(s)."), master])
        assert found.reason == "every node refuses it: their taints are node-role.kubernetes.io/control-plane"

    def test_a_node_that_waits_for_its_network_leads_to_the_networks_pod(self):
        waits = node("w1", condition("Ready", "False", "container runtime network not ready: cni plugin not initialized"))
        agent = pod(name="calico-node-x", namespace="calico-system", node="w1", container=GONE)
        tainted = failing(unscheduled=NODES + "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }")
        assert why([*tainted, waits, agent]).reason == "image quay.io/a/b:1 is not in its registry"


class TestOneLeadsToAnother:
    def test_a_crash_that_names_a_service_without_endpoints_is_its_consequence(self):
        database = [*service("mysql"), *failing("mysql", unscheduled=UNBOUND, claim="data"), claim("data")]
        documents = [*failing("ml-pipeline", container=crashed()), *database]
        logs = {Ref.of(documents[2]): ("dial tcp 10.96.0.9:3306: connect: connection refused",)}
        (root,) = roots.find(Known(documents, logs), [deploy("ml-pipeline"), deploy("mysql")])
        assert (root.direct, root.behind) == ((deploy("mysql"),), (deploy("ml-pipeline"),))
        assert "no default one" in root.waiting.reason

    @pytest.mark.parametrize("host", ["mysql", "mysql.kubeflow", "mysql.kubeflow.svc.cluster.local", "mysql:3306"])
    def test_by_any_of_its_names(self, host):
        documents = [*failing("api", container=crashed()), *service("mysql"), *failing("mysql", container=GONE)]
        assert "Deployment kubeflow/mysql: image" in why(documents, "api", log=(f"can't connect to {host}",)).reason

    def test_an_init_container_that_waits_for_another(self):
        documents = [*failing("api", init=running("wait")), *service("mysql"), *failing("mysql", container=GONE)]
        assert "Deployment kubeflow/mysql: image" in why(documents, "api", log=("waiting for mysql",)).reason

    def test_a_sidecar_that_waits_for_istiod(self):
        documents = failing(container=running("istio-proxy"))
        assert why([*documents, *istiod_is_gone()]).reason.startswith("Deployment istio-system/istiod: image")

    def test_a_pod_that_was_made_before_istiod_answered(self):
        namespace = thing("v1", "Namespace", "kubeflow", "", metadata={"labels": {"istio-injection": "enabled"}})
        documents = [*failing(container=crashed()), namespace, deployment("istiod", "istio-system", ready=1)]
        found = why(documents, log=("upstream connect error or disconnect",))
        assert "has no Istio sidecar" in found.reason
        assert "delete pod web-abc-x" in found.hint

    def test_what_is_newest_counts(self):
        documents = failing(container=waiting("ContainerCreating"))
        old = event(documents[2], "MountVolume.SetUp failed: timed out")
        pulled = event(documents[2], "Successfully pulled image", reason="Pulled", type_="Normal")
        assert why([*documents, old]).reason.startswith("a volume can't be mounted")
        assert why([*documents, old, pulled]).reason == "its containers start"

    def test_what_is_pulled_is_told(self):
        documents = failing(container=waiting("ContainerCreating"))
        pulling = event(documents[2], 'Pulling image "quay.io/big:1"', reason="Pulling", type_="Normal")
        assert why([*documents, pulling]).reason == 'image "quay.io/big:1" is being pulled'

    def test_a_back_off_hides_the_registrys_answer_and_the_event_has_it(self):
        documents = failing(container=waiting("ImagePullBackOff", 'Back-off pulling image "quay.io/a/b:1"'))
        failed = event(documents[2], 'Failed to pull image "quay.io/a/b:1": toomanyrequests: limit', reason="Failed")
        assert "limits anonymous pulls" in why([*documents, failed]).reason

    def test_a_custom_resource_leads_to_the_pods_that_are_made_for_it(self):
        unready = {"conditions": [condition("Ready", "False", "Revision failed")]}
        service_ = thing("serving.kserve.io/v1beta1", "InferenceService", "iris", "user", status=unready)
        made = pod(name="iris-x", namespace="user", container=GONE)
        made["metadata"]["labels"] = {"serving.kserve.io/inferenceservice": "iris"}
        ref = Ref.of(service_)
        found = roots.cause(Known([service_, made]), ref)
        assert found is not None
        assert found.waiting.reason == "image quay.io/a/b:1 is not in its registry"
        alone = roots.cause(Known([service_]), ref)
        assert alone is not None
        assert "Revision failed" in alone.waiting.reason

    def test_a_custom_resource_that_goes_away_names_its_finalizers(self):
        metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["profile-finalizer"]}
        profile = thing("kubeflow.org/v1", "Profile", "ada", "", metadata=metadata)
        found = roots.cause(Known([profile]), Ref.of(profile))
        assert found is not None
        assert found.waiting.reason == "it goes away and waits for profile-finalizer"

    def test_knatives_service_is_not_taken_for_a_service_of_the_core(self):
        knative = thing(
            "serving.knative.dev/v1", "Service", "k", status={"conditions": [condition("Ready", message="no revision")]}
        )
        found = roots.cause(Known([knative]), Ref.of(knative))
        assert found is not None
        assert "no revision" in found.waiting.reason

    def test_a_deadline_that_passed_is_no_cause_but_told(self):
        stuck = condition("Progressing", "False", reason="ProgressDeadlineExceeded")
        assert why([deployment(conditions=[stuck])]).reason == "0 of 1 pods ready; it made no progress within its deadline"


def test_roots_come_first_and_passing_states_last():
    documents = [*failing("a", container=waiting("ContainerCreating")), *failing("b", container=waiting("ContainerCreating"))]
    found = roots.find(Known([*documents, *failing("c", container=GONE)]), [deploy(name) for name in "abc"])
    assert [(root.vague, len(root.direct)) for root in found] == [(False, 1), (True, 2)]


def test_a_cause_is_said_once_though_its_words_change():
    message = NODES + "2 Insufficient memory."
    lines: list[str] = []
    telling = Telling(lines.append)
    documents: list[dict] = []
    for name in "ab":
        documents += failing(name, unscheduled=message, requests={"memory": "2Gi"})
        telling.tell(roots.find(Known(documents), [deploy(each) for each in "ab"]))
    assert len([line for line in lines if "enough memory" in line]) == 1


def test_what_is_ready_has_no_cause():
    assert roots.find(Known([deployment(ready=1), replica_set(deployment())]), [deploy("web")]) == []


class Refusing:
    """A cluster whose Secrets can't be read."""

    def __init__(self, documents: list[dict]) -> None:
        self.documents = documents

    async def list(self, want, *, label_selector=""):
        if want.kind in ("Secret", "Certificate"):
            raise CommandError("the Kubernetes API refused to list Secrets", why="forbidden")
        return [d for d in self.documents if d["kind"] == want.kind and want.namespace in ("", d["metadata"].get("namespace"))]


async def test_what_can_not_be_read_is_not_taken_for_missing():
    cluster = Refusing(failing(secret="tls", container=waiting("ContainerCreating")))
    (root,) = await explained(cluster, lambda known: roots.find(known, [deploy("web")]))
    assert root.waiting.reason == "its containers start"


def test_remote_text_is_cleaned_and_cut():
    found = why(failing(container=crashed()), log=("panic: \x1b]0;title\x07red\x1b[31m " + "x" * 5000,))
    assert "\x1b" not in found.reason
    assert len(found.reason) < 400


def everything() -> list[dict]:
    """One of each thing that rules look at, each with something wrong."""
    hook = hooks("h.example.com", "backend", bundle="")
    made = failing("web", container=crashed(), init=running("wait"), claim="data", secret="tls", node="w1")
    return [
        *made,
        *failing("b", unscheduled=NODES + "1 Insufficient memory", requests={"memory": "1Gi"}),
        *failing("c", unscheduled=UNBOUND, claim="data"),
        *failing("d", unscheduled=NODES + "1 node(s) had untolerated taint(s)"),
        *failing("backend", container=GONE),
        *unmade('failed calling webhook "h.example.com": no endpoints', "e"),
        *unmade("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2", "f"),
        *service("backend"),
        hook,
        claim("data", "nfs-csi"),
        event(claim("data"), "mount.nfs: timed out"),
        event(made[2], "Readiness probe failed", reason="Unhealthy"),
        storage_class("nfs-csi", "nfs.csi.k8s.io", default=True),
        certificate("cert", "tls"),
        thing("cert-manager.io/v1", "Issuer", "self", spec={"ca": {"secretName": "ca"}}, status={}),
        node("w1", condition("Ready", "False", "cni plugin not initialized"), memory="8Gi"),
        signing_request("csr-1", "system:node:w1", "kubernetes.io/kubelet-serving"),
        thing("serving.kserve.io/v1beta1", "InferenceService", "iris", status={"conditions": [condition("Ready", message="no")]}),
        thing("v1", "Namespace", "kubeflow", "", metadata={"labels": {"istio-injection": "enabled"}}),
    ]


def _places(value: object, path: tuple = ()) -> list[tuple]:
    """Where every mapping's values and list's items are, but for what names an object."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key not in ("kind", "apiVersion", "metadata", "name", "namespace"):
            found.append((*path, key))
        if key != "metadata" or isinstance(item, dict):
            found += _places(item, (*path, key))
    return found


def _holes(documents: list[dict]) -> Iterator[list[dict]]:
    """The documents with one value of one of them left out, or null, as the API may send it."""
    for index, document in enumerate(documents):
        for *path, last in (place for place in _places(document) if isinstance(place[-1], str)):
            for left_out in (True, False):
                changed = copy.deepcopy(document)
                inner = changed
                for key in path:
                    inner = inner[key]
                inner[last] = None
                if left_out:
                    del inner[last]
                yield [*documents[:index], changed, *documents[index + 1 :]]


def test_objects_with_holes_are_explained_as_far_as_they_go():
    """An explanation never ends a run."""
    whole = everything()
    wanted = [Ref.of(item) for item in whole if item["kind"] != "Event"]
    logs = {Ref.of(item): ("waiting for backend: connection refused",) for item in whole if item["kind"] == "Pod"}
    count = 0
    for documents in _holes(whole):
        count += 1
        for root in roots.find(Known(documents, logs), wanted):
            assert root.waiting.reason
            assert root.line()
    assert count > 500
