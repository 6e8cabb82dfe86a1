"""Names that an API server or a node gives, in commands to copy: one word each, and nothing that a terminal obeys."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from kfinstall.diagnose import roots, symptoms
from kfinstall.diagnose.known import Known
from kfinstall.diagnose.reasons import leaving_waiting
from kfinstall.diagnose.walk import _ring
from kfinstall.kube.base import Ref
from kfinstall.kube.refusal import ApiError
from kfinstall.parts.preflight.leftovers import _trace
from kfinstall.text import clean, kubectl, shell
from kfinstall.transport import hostkeys
from tests.fakes.documents import (
    certificate,
    claim,
    condition,
    crashed,
    deployment,
    event,
    node,
    pod,
    replica_set,
    running,
    service,
    signing_request,
    thing,
    waiting,
)

ESCAPE = "\x1b]52;c;cm0gLXJmIC8="  # without its end: what takes it out takes all that follows on the line
HOSTILE = (
    "x; rm -rf /tmp/y #",
    "$(reboot)",
    "`reboot`",
    "a'b; reboot '",
    "a\u202eb\u2066; reboot",
    f"a b{ESCAPE}\x07'; reboot",
    "a\nreboot",
)
PLAIN = "web-1"
LOST = condition("Ready", "Unknown", "Kubelet stopped posting node status.")


def deep(name: str) -> dict:
    return thing("v1", "Namespace", name, "", metadata={"labels": {"istio-injection": "enabled"}})


def walked(name: str) -> Iterator[tuple[Ref, list[dict]]]:
    """An object that is not ready, and all that there is; each leads to another remedy."""
    made = deployment(name, name)
    sets = replica_set(made)
    yield Ref.of(lost := claim(name, phase="Lost", namespace=name)), [lost]
    yield Ref.of(away := node(name, LOST)), [away]
    evicted = pod(sets, name=name, namespace=name, node=name, status={"phase": "Failed", "reason": "Evicted"})
    yield Ref.of(evicted), [evicted]
    alone = pod(sets, name=name, namespace=name, node="w1", container=crashed())
    yield Ref.of(alone), [made, sets, alone, deep(name), deployment("istiod", "istio-system", ready=1)]
    unhealthy = pod(sets, name=name, namespace=name, node="w1", container=running())
    yield Ref.of(unhealthy), [unhealthy, event(unhealthy, "Readiness probe failed", reason="Unhealthy")]
    for conditions in ((), (condition("Denied", "True", "no"),)):
        yield Ref.of(request := signing_request(name, "system:node:w1", "kubernetes.io/kubelet-serving", *conditions)), [request]
    yield Ref.of(open_ := certificate(name, name)), [open_]
    ready = thing("cert-manager.io/v1", "Issuer", "self", "kubeflow", status={"conditions": [condition("Ready", "True")]})
    yield Ref.of(open_), [open_, ready, deployment("cert-manager", "cert-manager", ready=1)]
    issuer = thing("cert-manager.io/v1", "Issuer", name, name, status={"conditions": [condition("Ready", "False", "no")]})
    yield Ref.of(issuer), [issuer, deployment("cert-manager", "cert-manager", ready=1)]
    needs = pod(sets, name="p", namespace=name, node="w1", container=waiting("ContainerCreating"))
    needs["spec"]["volumes"] = [{"name": "s", "secret": {"secretName": name}}]
    yield Ref.of(needs), [needs]
    yield Ref("v1", "Service", name, name), [*service(name, name)]
    custom = thing("example.com/v1", "Thing", name, name, status={"conditions": [condition("Ready", "False", "no")]})
    yield Ref.of(custom), [custom]
    stuck = event(sets, f'Error creating: failed calling webhook "{clean(name)}": no endpoints', reason="FailedCreate")
    yield Ref.of(made), [made, sets, stuck]


def texts(name: str) -> Iterator[str]:
    """Every remedy that names an object."""
    for ref, documents in walked(name):
        pods = [Ref.of(item) for item in documents if item["kind"] == "Pod"]
        for root in roots.find(Known(documents, dict.fromkeys(pods, ())), [ref]):
            yield root.waiting.hint
    for message in ("exceeded quota: q, requested: a=1, used: a=1, limited: a=1", "failed quota: q: must specify cpu",
                    "pods is forbidden: violates PodSecurity restricted", "maximum memory usage per Container is 1", "because it is being terminated"):  # fmt: skip
        found = symptoms.refused(message, name)
        assert found is not None, message
        yield found.waiting.hint
    for kind, more in (("Deployment", {}), ("PersistentVolumeClaim", {"finalizers": ["kubernetes.io/pvc-protection"]})):
        metadata = {"name": name, "namespace": name, "deletionTimestamp": "x", "finalizers": ["a/b"]} | more
        leaving = leaving_waiting({"kind": kind, "metadata": metadata})
        assert leaving is not None
        yield leaving.hint
    yield ApiError(422, "spec: field is immutable").hint(Ref("apps/v1", "Deployment", name, name))
    hook = Ref("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", name)
    yield _ring([Ref("apps/v1", "Deployment", name, name), hook]).waiting.hint
    yield symptoms.pull(name, "manifest unknown: not found").waiting.hint
    for trace in ("cni-configuration", "cni-interface", "other"):
        yield _trace(f"{trace} {name}").hint
    key = asyncssh.generate_private_key("ssh-ed25519")
    known = hostkeys.Known("h", ((), (), (), (), (), (), ()), (Path("/x") / name.replace("/", "_"),))
    yield hostkeys.changed("n", "the node", known, key).hint


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_word_of_a_command(name):
    hints = [text for text in texts(name) if "kubectl" in text or "sudo" in text or "ssh-keygen" in text or "ls -l" in text]
    assert len(hints) > 20
    seen = 0
    for hint in hints:
        assert clean(hint.replace("\n", "")) == hint.replace("\n", ""), "nothing is left that a terminal obeys"
        # Prose stands before and after: quoted forms are taken out of it, and nothing of the name is left within a command.
        for begin in ("kubectl ", "sudo ", "ssh-keygen ", "ls -l "):
            if begin in hint:
                command = hint[hint.index(begin) :].partition("  #")[0]
                words = [word.rstrip(",;") for word in shlex.split(command)]
                bare = {
                    clean(name.replace("\n", " ")),
                    clean(name),
                    clean(name).replace("/", "_"),
                    f"job/{clean(name)}",
                    f"app={clean(name)}",
                    f"/x/{clean(name).replace('/', '_')}",
                }
                bare |= {word.rstrip(",;") for word in bare}
                if any(word in bare for word in words):
                    seen += 1
                assert not any("reboot" in word or word == "-rf" for word in words if word not in bare), words
    assert seen > 20


def test_ordinary_names_look_as_ever():
    hints = set(texts(PLAIN))
    for wanted in (
        "restore the volume, or: kubectl -n web-1 delete pvc web-1",
        "kubectl -n web-1 delete pod web-1  # the next one gets it",
        "kubectl -n web-1 logs web-1",
        "kubectl describe csr web-1, and if it is right: kubectl certificate approve web-1",
        "kubectl -n web-1 get pods -l app=web-1",
        "kubectl -n web-1 describe thing web-1",
        "kubectl -n web-1 edit resourcequota q",
        "kubectl get namespace web-1 -o yaml shows what holds it",
        "kubectl label --overwrite namespace web-1 pod-security.kubernetes.io/enforce=baseline  # or privileged",
        "is the controller that owns its finalizers running? kubectl -n web-1 get deployment web-1 -o yaml",
        "kubectl -n web-1 delete deployment web-1, then make it anew: kfinstall resume",
        "does a mirror lack it (registry.mirrors)? sudo crictl pull web-1; if it is gone for good: another cluster.release",
        "sudo rm web-1",
    ):
        assert wanted in hints, wanted
    assert kubectl("get", "pods", "-l", "a=b,c=d", namespace="n") == "kubectl -n n get pods -l a=b,c=d"


def test_a_name_that_looks_like_an_option_is_none():
    assert kubectl("delete", "pod", names=["--all"], namespace="n") == "kubectl -n n delete pod -- --all"
    assert kubectl("get", "namespace", names=["-A"], options=("-o", "yaml")) == "kubectl get namespace -o yaml -- -A"
    assert shell("sudo", "rm", "a b") == "sudo rm 'a b'"
