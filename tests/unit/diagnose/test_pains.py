"""The thirty pains of installing Kubeflow, as its users report them: what kfinstall prevents, finds before, or explains.

Each row plays the real symptom (documents, events, log lines, refusals, facts, what a program prints) through the code that
handles it, and gives what is said and what to do. docs/pains.md is the same table and may not say anything else; after a
change `python -m tests.unit.diagnose.test_pains` prints it anew.
"""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from kfinstall import releases, resources
from kfinstall.answers.load import problems
from kfinstall.answers.model import Answers
from kfinstall.apply.waves import Wave, split
from kfinstall.diagnose import roots
from kfinstall.diagnose.known import Known
from kfinstall.diagnose.walk import Walk
from kfinstall.diagnose.walk_webhooks import hook_cause
from kfinstall.engine.programs import failed
from kfinstall.engine.step import Conflict, Needed, View
from kfinstall.errors import CommandError
from kfinstall.facts.model import Facts, FileFact, OsFacts, RuntimeFacts, UnitFact
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import ClusterFacts, NotReady, Ref
from kfinstall.kube.refusal import parse_refusal
from kfinstall.parts.connect.os import ConnectOs
from kfinstall.parts.kubeflow import choice, own
from kfinstall.parts.kubeflow.profile import KubeflowProfile
from kfinstall.parts.kubeflow.render import KubeflowRender
from kfinstall.parts.preflight.clock import PreflightClock
from kfinstall.parts.preflight.hardware import PreflightHardware
from kfinstall.parts.preflight.leftovers import PreflightLeftovers
from kfinstall.parts.preflight.network import PreflightNetwork
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, RuntimeFiles
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.prepare.containerd import PrepareContainerd
from kfinstall.parts.prepare.modules import PrepareModules
from kfinstall.parts.prepare.sysctl import PrepareSysctl
from kfinstall.parts.prepare.tools import PrepareTools
from kfinstall.parts.storage import provisioner
from kfinstall.parts.storage.default_class import StorageDefaultClass
from kfinstall.simulator.nodes import kubeflow as simulated
from kfinstall.text import sha256
from kfinstall.transport.base import Completed
from tests.fakes.api import FakeApi, make_certificates, serve
from tests.fakes.documents import (
    NODES,
    Document,
    certificate,
    claim,
    condition,
    crashed,
    deployment,
    event,
    failing,
    hooks,
    running,
    service,
    signing_request,
    thing,
    unmade,
    waiting,
)
from tests.unit.parts.preflight import test_preflight

DOCUMENT: Final = resources.root() / "docs" / "pains.md"
RELEASE: Final = releases.load("26.03")
BASH: Final = shutil.which("bash") or ""
SERVERS: Final = "nodes: [{name: cp, address: 10.0.0.1}, {name: w1, address: 10.0.0.2}]\n"
READY: Final = condition("Ready", "True")
Verdict = tuple[str, str]
"""(what kfinstall says or does, what the user does)."""
Play = Callable[[], Verdict]
PREVENTED, FOUND, EXPLAINED = "prevented", "found before", "explained"


# how each is played


def answers(**more: object) -> Answers:
    nodes = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]
    return Answers.model_validate({"nodes": nodes} | more)


def view(facts: Facts | None = None, target: str = "cp", cluster: ClusterFacts | None = None, **more: object) -> View:
    return View(answers(**more), RELEASE, target, {target: facts} if facts else {}, cluster)


def verdict(found: NotReady) -> Verdict:
    return found.reason, found.hint


def why(documents: list[Document], log: str = "", ref: Ref | None = None) -> Verdict:
    """The cause of the first document, with a line that its pods have logged."""
    pods = [Ref.of(item) for item in documents if item["kind"] == "Pod"]
    found = roots.cause(Known(documents, dict.fromkeys(pods, (log,) if log else ())), ref or Ref.of(documents[0]))
    assert found is not None
    assert not found.symptom.vague
    return verdict(found.waiting)


def refused(kind: str, message: str, documents: list[Document]) -> Verdict:
    """Why an object is refused, by what the API server says of a webhook."""
    name = message.split('"')[1]
    return verdict(hook_cause(Walk(Known(documents), roots.RULES), Ref("x/v1", kind, "one", "kubeflow"), name, message).waiting)


def needed(step: object, at: View, word: str) -> str:
    """The change of a step's check that has a word in it."""
    found = step.check(at)  # type: ignore[attr-defined]
    assert isinstance(found, Needed), found
    return next(change for change in found.changes if word in change)


def conflict(found: object) -> Verdict:
    assert isinstance(found, Conflict), found
    return found.reason, found.hint.replace("\n", "; ")


def problem(more: str) -> Verdict:
    """The first problem of answers with some keys: it says what to write instead."""
    (first, *_others) = [item.text("f").split(": ", 1)[1] for item in problems(SERVERS + more)]
    what, _semicolon, instead = first.rpartition("; ")
    return what, instead


def ran(name: str, programs: dict[str, str], stdin: str = "", **parameters: str) -> Completed:
    """A step's script with stand-ins for the programs that it calls."""
    with tempfile.TemporaryDirectory() as folder:
        for program, text in programs.items():
            path = Path(folder) / program
            path.write_text(f"#!{BASH}\n{text.replace('@FOLDER@', folder)}\n", encoding="utf-8")
            path.chmod(0o755)
        text = f"{resources.script('engine/lib')}\nPATH={folder}:$PATH\n{resources.script(resources.step_script(name))}".replace(
            "/run/kfinstall", f"{folder}/kfinstall"
        )
        given = {f"KF_{key}": value for key, value in parameters.items()} | {
            "PATH": os.environ["PATH"],
            "KF_STATE_DIRECTORY": f"{folder}/state",
        }
        done = subprocess.run([BASH, "-c", text], input=stdin, capture_output=True, text=True, timeout=60, check=False, env=given)
    return Completed(done.returncode, tuple((done.stdout + done.stderr).replace(folder, "").splitlines()))


def script(name: str, programs: dict[str, str], stdin: str = "", **parameters: str) -> Verdict:
    """What a step's script fails with."""
    done = ran(name, programs, stdin, **parameters)
    assert done.status != 0
    error = failed(name, "cp", done)
    return error.message, error.hint


GATEWAY: Final = {
    "ADDRESS": "10.96.0.9",
    "PORT": "443",
    "SCHEME": "https",
    "HOST": "localhost",
    "CA": "",
    "NAMESPACE": "kubeflow-user",
}


LOGIN: Final = {"EMAIL": "user@example.com", "ACTION": "login"}


def login(curl: str) -> Verdict:
    """The proof's login, with a curl that answers so."""
    return script("kubeflow-proof", {"curl": curl}, "secret\n", **GATEWAY, **LOGIN, PATIENCE_SECONDS="0")


def settles() -> Verdict:
    """The dashboard's page and its API answer 503 once each."""
    page = 'while [[ $1 != --output ]]; do shift; done; echo user@example.com >"$2"'
    once = "once() { if [[ -e @FOLDER@/$1 ]]; then echo 200; else touch @FOLDER@/$1; echo 503; fi; }"
    curl = f"{once}\nPAGE=$(once page) API=$(once api)\n{THROUGH}\n{page}"
    done = ran("kubeflow-proof", {"curl": curl}, "secret\n", **GATEWAY, **LOGIN, PATIENCE_SECONDS="20")
    assert done.status == 0, done.lines
    return f"a gateway that answers 503 at first is asked again: {done.lines[-1]}", ""


# A login that goes well up to the dashboard, which answers with a status.
THROUGH: Final = """
case "$*" in
*oauth2/start*) printf '200 https://localhost/dex/auth/local' ;;
*env-info*) printf '%s https://localhost/api' "${API:-200}" ;;
*) printf '%s https://localhost/' "${PAGE:-200}" ;;
esac
"""


def is_gone(name: str, namespace: str = "kubeflow") -> list[Document]:
    """A Deployment whose image can't be pulled."""
    return failing(name, namespace, container=waiting("ErrImagePull", "not found", f"quay.io/x/{name}:1"))


@cache
def rendered(*, tls: bool = True) -> list[Document]:
    """What would be sent of the usual components."""
    chosen = answers(kubeflow={"tls": {"enabled": tls}})
    return own.own_values(choice.parse(simulated.rendering(choice.paths(chosen, RELEASE))), chosen)


# the pains


def definitions_first() -> Verdict:
    (issuer,) = [item for item in split(rendered()) if item.ref.kind == "ClusterIssuer"]
    return f"{issuer.ref} is sent once these are there: {'; '.join(map(str, issuer.gates))}", ""


async def not_served() -> Verdict:
    crate = {"apiVersion": "crates.example.com/v1", "kind": "Crate", "metadata": {"name": "one", "namespace": "kubeflow"}}
    certificates = make_certificates()
    async with serve(FakeApi(), certificates) as port, open_cluster(certificates.kubeconfig(), port, patience_seconds=1) as cluster:
        with pytest.raises(CommandError) as caught:
            await cluster.apply(crate, timeout_seconds=0.1)
    return caught.value.why, caught.value.hint


async def server_side() -> Verdict:
    """A definition larger than an annotation may be."""
    fake, certificates = FakeApi(), make_certificates()
    metadata = {"name": "crates.example.com", "annotations": {"a": "b"}}
    names = {"kind": "Crate", "plural": "crates"}
    spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [], "description": "x" * 300_000}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}
    async with serve(fake, certificates) as port, open_cluster(certificates.kubeconfig(), port, patience_seconds=1) as cluster:
        await cluster.apply(crd)
    (made,) = [item for key, item in fake.objects.items() if key[3] == "crates.example.com"]
    assert list(made["metadata"]["annotations"]) == ["a"]
    ((method, _path, query),) = [request for request in fake.requests if request[0] == "PATCH"]
    assert method == "PATCH"
    return f"server-side apply by field manager {query['fieldManager']}: no copy of the object in an annotation", ""


CERT_MANAGER: Final = 'failed calling webhook "webhook.cert-manager.io": failed to call webhook: '
CM_HOOK: Final = hooks("webhook.cert-manager.io", "cert-manager-webhook", "cert-manager")


def webhook_not_up() -> Verdict:
    backend = [*service("cert-manager-webhook", "cert-manager"), *is_gone("cert-manager-webhook", "cert-manager")]
    return refused("Issuer", CERT_MANAGER + "connect: connection refused", [CM_HOOK, *backend])


def ca_not_injected() -> Verdict:
    hook = hooks("webhook.cert-manager.io", "cert-manager-webhook", "cert-manager", bundle="")
    hook["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from-secret": "cert-manager/cert-manager-webhook-ca"}
    up = service("cert-manager-webhook", "cert-manager", ready=True)
    return refused(
        "Issuer", CERT_MANAGER + "x509: unknown authority", [hook, *up, *is_gone("cert-manager-cainjector", "cert-manager")]
    )


def webhook_out_of_reach() -> Verdict:
    up = service("cert-manager-webhook", "cert-manager", ready=True)
    return refused("Issuer", CERT_MANAGER + "context deadline exceeded", [CM_HOOK, *up])


def firewall() -> Verdict:
    fleet = test_preflight.read(test_preflight.answers(), test_preflight.machines())
    return conflict(test_preflight.check(PreflightNetwork, test_preflight.changed(fleet, "cp1", network={"firewall": "ufw"})))


def overlap() -> Verdict:
    fleet = test_preflight.read(test_preflight.answers(), test_preflight.machines())
    wanted = test_preflight.answers(cluster={"podCIDR": "10.77.0.0/16"})
    return conflict(test_preflight.check(PreflightNetwork, fleet, wanted=wanted))


def behind_a_proxy() -> Verdict:
    chosen = answers(proxy={"https": "http://proxy:3128"})
    kept = prepare_files.no_proxy(chosen).split(",")
    assert {chosen.cluster.pod_cidr, chosen.cluster.service_cidr, ".svc"} <= set(kept)
    return f"NO_PROXY has {chosen.cluster.pod_cidr}, {chosen.cluster.service_cidr} and .svc", ""


def runtimes_behind_kserve() -> Verdict:
    message = 'failed calling webhook "clusterservingruntime.kserve-webhook-server.validator": no endpoints available'
    hook = hooks("clusterservingruntime.kserve-webhook-server.validator", "kserve", kind="ValidatingWebhookConfiguration")
    controller = failing("kserve", secret="kserve-webhook-server-cert")
    issuer = thing("cert-manager.io/v1", "Issuer", "self", status={})
    chain = [certificate("serving-cert", "kserve-webhook-server-cert"), issuer, *is_gone("cert-manager", "cert-manager")]
    return refused("ClusterServingRuntime", message, [hook, *service("kserve"), *controller, *chain])


def everything_in_init() -> Verdict:
    hook = hooks("webhook.serving.knative.dev", "webhook", "knative-serving")
    backend = failing("webhook", "knative-serving", init=crashed(name="istio-validation"))
    documents = [*unmade('failed calling webhook "webhook.serving.knative.dev": connection refused'), hook, *backend]
    return why([*documents, *service("webhook", "knative-serving")], "iptables-restore: unable to initialize table 'nat'")


def inotify_now() -> Verdict:
    return needed(PrepareSysctl(), view(Facts("cp", sysctls={"fs.inotify.max_user_instances": "128"})), "instances"), ""


def open_files() -> Verdict:
    return f"containerd runs with {prepare_files.containerd_limits().splitlines()[-1]}", ""


def no_default_class() -> Verdict:
    unbound = NODES + "pod has unbound immediate PersistentVolumeClaims"
    return why([*failing("mysql", unscheduled=unbound, claim="mysql-pv-claim"), claim("mysql-pv-claim")])


def one_default_class() -> Verdict:
    return needed(StorageDefaultClass(), view(cluster=ClusterFacts()), "default"), ""


def ends(name: str, line: str, namespace: str = "kubeflow") -> Play:
    """A container that ends again and again with a line in its log."""
    return lambda: why(failing(name, namespace, container=crashed(name=name)), line)


def export_for_databases() -> Verdict:
    options = provisioner._EXPORT_OPTIONS
    assert "no_root_squash" in options
    return f"the own NFS server exports to the nodes only, with {options}", ""


def refused_release(name: str) -> Play:
    return lambda: problem(f"cluster: {{release: '{name}'}}")


def other_network() -> Verdict:
    nodes = test_preflight.machines()
    nodes["cp1"].write("/etc/cni/net.d/05-cilium.conflist", "{}")
    fleet = test_preflight.read(test_preflight.answers(), nodes)
    return conflict(test_preflight.check(PreflightLeftovers, fleet))


def without_sidecar() -> Verdict:
    labels = {"labels": {"istio-injection": "enabled"}}
    documents = [*failing("dashboard", container=crashed()), thing("v1", "Namespace", "kubeflow", "", metadata=labels)]
    return why([*documents, deployment("istiod", "istio-system", ready=1)], "RBAC: access denied")


def clocks() -> Verdict:
    nodes = test_preflight.machines()
    nodes["worker1"].clock_skew_seconds = 300
    return conflict(test_preflight.check(PreflightClock, test_preflight.read(test_preflight.answers(), nodes), "worker1"))


def one_scheme() -> Verdict:
    documents = rendered()
    (proxy,) = [d for d in documents if d["kind"] == "ConfigMap" and "FORCE_HTTPS" in (d.get("data") or {})]
    (gateway,) = [d for d in documents if (d["kind"], d["metadata"]["name"]) == ("Gateway", "kubeflow-gateway")]
    assert gateway["spec"]["servers"][0]["tls"] == {"httpsRedirect": True}
    return f"FORCE_HTTPS={proxy['data']['FORCE_HTTPS']}, and the gateway leads HTTP to HTTPS", ""


def cookies() -> Verdict:
    flags = {
        key: value
        for d in rendered(tls=False)
        if d["kind"] == "ConfigMap"
        for key, value in (d.get("data") or {}).items()
        if key.endswith("_APP_SECURE_COOKIES")
    }
    assert len(flags) >= 3
    assert set(flags.values()) == {"false"}
    return f"without TLS: {', '.join(f'{key}={value}' for key, value in sorted(flags.items()))}", ""


def pinned_kustomize() -> Verdict:
    return needed(
        PrepareTools(), view(Facts("cp", os=OsFacts(id="ubuntu", version_id="24.04", architecture="amd64"))), "kustomize"
    ), ""


def broken_kustomize() -> Verdict:
    with tempfile.TemporaryDirectory() as cache:
        (Path(cache) / "kubeflow-t" / "a").mkdir(parents=True)
        build = "echo 'Error: json: unknown field \"sortOptions\"' >&2; exit 1"
        programs = {"git": "echo 0123", "kustomize": build, "curl": "exit 1"}
        where = {"RENDERING_PATH": f"{cache}/r.gz", "RECORD_PATH": f"{cache}/r.json", "RECORD": "{}", "CACHE": cache}
        return script("kubeflow-render", programs, REPOSITORY="x", TAG="t", COMMIT="", PATHS="a", REMOTE_BASES="", **PROXY, **where)


PROXY: Final = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "NO_PROXY": ""}


def vendored() -> Verdict:
    bases = KubeflowRender().parameters(view())["REMOTE_BASES"].split()
    assert {base.split("/")[2] for base in bases} == {"github.com"}
    return f"the {len(bases)} remote bases are fetched once and kept on the first control plane", ""


def no_way_out() -> Verdict:
    with tempfile.TemporaryDirectory() as cache:
        (Path(cache) / "kubeflow-t").mkdir(parents=True)
        programs = {"git": 'case "$*" in *clone*) exit 128 ;; *) echo 0123 ;; esac', "kustomize": "exit 1", "curl": "exit 6"}
        where = {"RENDERING_PATH": f"{cache}/r.gz", "RECORD_PATH": f"{cache}/r.json", "RECORD": "{}", "CACHE": cache}
        url = "https://github.com/argoproj/argo-workflows/manifests/base/crds/minimal?ref=v3.7.3"
        return script(
            "kubeflow-render", programs, REPOSITORY="x", TAG="t", COMMIT="", PATHS="a", REMOTE_BASES=url, **PROXY, **where
        )


def no_istiod() -> Verdict:
    hook = hooks("namespace.sidecar-injector.istio.io", "istiod", "istio-system")
    text = 'failed calling webhook "namespace.sidecar-injector.istio.io": service "istiod" not found'
    return why([*unmade(text, "dashboard"), hook])


def istiod_first() -> Verdict:
    (item,) = [item for item in split(rendered()) if (item.ref.kind, item.ref.name) == ("Deployment", "centraldashboard")]
    assert item.wave is Wave.HOOKED_WORKLOADS
    return f"{item.ref} is sent once this answers: {'; '.join(map(str, item.gates))}", ""


def modules() -> Verdict:
    content = prepare_files.modules_content(Facts("cp", modules=frozenset(prepare_files.ISTIO_MODULES)))
    assert {"iptable_nat", "xt_REDIRECT", "xt_owner"} <= set(content.split())
    return needed(
        PrepareModules(), view(Facts("cp")), "br_netfilter"
    ) + ", and those of Istio's that the kernel has, at boot too", ""


def namespace_without_profile() -> Verdict:
    name = answers().profile_namespace
    facts = ClusterFacts(objects={Ref("v1", "Namespace", name): {"metadata": {"name": name}}})
    return conflict(KubeflowProfile().check(view(target="cluster", cluster=facts)))


def profile_not_made() -> Verdict:
    from kfinstall.parts.kubeflow import profile as kubeflow_profile

    return verdict(kubeflow_profile._made(None) or NotReady(""))


def old_processor() -> Verdict:
    fleet = test_preflight.read(test_preflight.answers(), test_preflight.machines())
    old = test_preflight.changed(fleet, "worker1", hardware={"cpu_level": 1})
    return conflict(test_preflight.check(PreflightHardware, old, "worker1"))


def not_ready_behind_istiod() -> Verdict:
    return why([*failing("dashboard", container=running("istio-proxy")), *is_gone("istiod", "istio-system")])


def certificate_missing() -> Verdict:
    documents = failing("admission-webhook-deployment", secret="webhook-certs")
    mounts = event(documents[2], 'MountVolume.SetUp failed for volume "webhook-cert" : secret "webhook-certs" not found')
    issued = certificate("admission-webhook-cert", "webhook-certs")
    return why(
        [
            *documents,
            mounts,
            issued,
            thing("cert-manager.io/v1", "Issuer", "self", status={}),
            *is_gone("cert-manager", "cert-manager"),
        ]
    )


def request_pending() -> Verdict:
    request = signing_request("cache-server.kubeflow", "system:serviceaccount:kubeflow:deployer", "kubernetes.io/kubelet-serving")
    return why([*failing("cache-server", secret="webhook-server-tls"), request])


def immutable() -> Verdict:
    body = b"""{"kind": "Status", "message": "Deployment.apps \\"dashboard\\" is invalid: spec.selector: Invalid value: {}: field is immutable",
        "reason": "Invalid", "details": {"causes": [{"field": "spec.selector", "message": "field is immutable"}]}}"""
    error = parse_refusal(422, body).error("apply", Ref("apps/v1", "Deployment", "dashboard", "kubeflow"))
    return f"{error.message}: {error.why.splitlines()[0]}", error.hint


def arm64() -> Verdict:
    fleet = test_preflight.read(test_preflight.answers(), test_preflight.machines())
    return conflict(test_preflight.check(ConnectOs, test_preflight.changed(fleet, "cp1", os={"architecture": "arm64"})))


def pulled(reason: str, message: str, image: str) -> Play:
    return lambda: why(failing("web", container=waiting(reason, message, image)))


def cri_on() -> Verdict:
    for written in (prepare_files.containerd_v2(view(Facts("cp"))), prepare_files.containerd_v3(view(Facts("cp")))):
        assert "disabled_plugins = []" in written
    return "containerd is configured with disabled_plugins = [], whatever its package brought", ""


def cri_silent() -> Verdict:
    """Configured as wanted and running, and its CRI does not answer."""
    runtime = RuntimeFacts(containerd_version="2.2.1")
    at = view(Facts("cp", runtime=runtime))
    config = prepare_files.containerd_v3(at)
    texts = {
        CONTAINERD_CONFIG: config,
        prepare_files.CONTAINERD_LIMITS: prepare_files.containerd_limits(),
    }
    texts[f"{prepare_files.PROOFS}/prepare-containerd.json"] = prepare_files.containerd_record(at)
    files = {path: FileFact("file", 0o644, "root:root", len(text), sha256(text)) for path, text in texts.items()}
    units = {"containerd.service": UnitFact("loaded", "active", "enabled")}
    sections = {RuntimeFiles: RuntimeFiles({CONTAINERD_CONFIG: config.encode()})}
    return needed(PrepareContainerd(), view(Facts("cp", runtime=runtime, files=files, units=units, sections=sections)), "CRI"), ""


PAINS: Final[tuple[tuple[int, str, str, Callable[[], object]], ...]] = (
    (1, '`no matches for kind "ClusterIssuer" ... ensure CRDs are installed first`', PREVENTED, definitions_first),
    (1, "the same, for a kind that no definition of the release has", EXPLAINED, not_served),
    (2, '`no matches for kind "CustomResourceDefinition" in version "apiextensions.k8s.io/v1beta1"`: Kubernetes too new', FOUND, lambda: problem("cluster: {release: '26.03', kubernetesVersion: '1.36'}")),
    (2, "the same: Kubeflow too old", FOUND, refused_release("1.5.0")),
    (3, "`metadata.annotations: Too long: must have at most 262144 bytes`", PREVENTED, server_side),
    (4, '`failed calling webhook "webhook.cert-manager.io" ... connection refused`', EXPLAINED, webhook_not_up),
    (4, '`failed calling webhook "webhook.cert-manager.io" ... x509`', EXPLAINED, ca_not_injected),
    (5, "`failed calling webhook ... context deadline exceeded`, its pod is ready", EXPLAINED, webhook_out_of_reach),
    (5, "the same: a firewall between the nodes", FOUND, firewall),
    (5, "the same: the pods' network is the nodes'", FOUND, overlap),
    (5, "the same: the API server asks a proxy", PREVENTED, behind_a_proxy),
    (6, "`clusterservingruntime.kserve-webhook-server.validator ... no endpoints`", EXPLAINED, runtimes_behind_kserve),
    (7, "`webhook.serving.knative.dev ... connection refused`, everything at Init:CrashLoopBackOff", EXPLAINED, everything_in_init),
    (8, "`too many open files` in ml-pipeline, katib, profiles, istio-cni", PREVENTED, inotify_now),
    (8, "the same: containerd 2 has no limit of its own", PREVENTED, open_files),
    (8, "the same: somebody took the setting back", EXPLAINED, ends("ml-pipeline", "failed to create fsnotify watcher: too many open files")),
    (9, "mysql, katib-mysql, seaweedfs Pending: `unbound immediate PersistentVolumeClaims`", EXPLAINED, no_default_class),
    (9, "the same", PREVENTED, one_default_class),
    (10, "mysql: `chown: changing ownership of '/var/lib/mysql/': Operation not permitted`", EXPLAINED, ends("mysql", "chown: changing ownership of '/var/lib/mysql/': Operation not permitted")),
    (10, "mysql: `--initialize specified but the data directory has files in it`", EXPLAINED, ends("mysql", "[ERROR] --initialize specified but the data directory has files in it. Aborting.")),
    (10, "the same, on the own NFS server", PREVENTED, export_for_databases),
    (11, "authservice-0: `open /var/lib/authservice/data.db: permission denied` (Kubeflow 1.8 and older)", FOUND, refused_release("1.8.1")),
    (11, "the same, in any workload", EXPLAINED, ends("authservice", "Error opening bolt store: open /var/lib/authservice/data.db: permission denied")),
    (12, "`RBAC: access denied` on the dashboard", EXPLAINED, lambda: login(f"PAGE=403; {THROUGH}")),
    (12, "the same: its pod has no sidecar", EXPLAINED, without_sidecar),
    (12, "the same: another pod network (Cilium) is left on a node", FOUND, other_network),
    (13, "login loop: `ERR_TOO_MANY_REDIRECTS`, CSRF cookie not present", EXPLAINED, lambda: login("echo 'curl: (47) Maximum (15) redirects followed' >&2; exit 47")),
    (13, "the same: clocks differ", FOUND, clocks),
    (13, "the same: HTTP and HTTPS mixed", PREVENTED, one_scheme),
    (14, "`[403] Could not find CSRF cookie XSRF-TOKEN in the request`", PREVENTED, cookies),
    (14, "the same: plain HTTP from other machines", FOUND, lambda: problem("kubeflow: {tls: {enabled: false}, access: {type: nodePort}}")),
    (15, 'Knative: `kubernetes version "1.31.5" is not compatible, need at least "1.33.0-0"`', EXPLAINED, ends("controller", 'kubernetes version "1.31.5" is not compatible, need at least "1.33.0-0"', "knative-serving")),
    (15, "the same", FOUND, lambda: problem("cluster: {release: '26.03', kubernetesVersion: '1.31'}")),
    (16, 'net-istio-webhook: `WEBHOOK_PORT: strconv.Atoi: parsing "tcp://..."`', EXPLAINED, ends("net-istio-webhook", 'failed to convert WEBHOOK_PORT: strconv.Atoi: parsing "tcp://10.96.1.2:443": invalid syntax', "knative-serving")),
    (17, "ImagePullBackOff of gcr.io/ml-pipeline/...", EXPLAINED, pulled("ImagePullBackOff", "ErrImagePull: gcr.io/ml-pipeline/minio: not found", "gcr.io/ml-pipeline/minio:1")),
    (17, "the same", FOUND, refused_release("1.9.1")),
    (18, "ImagePullBackOff of gcr.io/kubebuilder/kube-rbac-proxy", EXPLAINED, pulled("ErrImagePull", "gcr.io/kubebuilder/kube-rbac-proxy: not found", "gcr.io/kubebuilder/kube-rbac-proxy:v0.8.0")),
    (18, "the same", FOUND, refused_release("1.10.1")),
    (19, "`toomanyrequests: You have reached your pull rate limit`", EXPLAINED, pulled("ErrImagePull", "429 Too Many Requests - toomanyrequests: You have reached your pull rate limit", "mysql:8.0")),
    (20, 'kustomize: `unknown field "sortOptions"`, another order', PREVENTED, pinned_kustomize),
    (20, "the same", EXPLAINED, broken_kustomize),
    (21, "kustomize: `evalsymlink failure ... hit 27s timeout running git fetch`", PREVENTED, vendored),
    (21, "the same: no way out", EXPLAINED, no_way_out),
    (22, 'no pods at all: `service "istiod" not found`', EXPLAINED, no_istiod),
    (22, "the same", PREVENTED, istiod_first),
    (23, "istio-init: `iptables-restore: unable to initialize table 'nat'`", EXPLAINED, lambda: why(failing("dashboard", init=crashed(name="istio-init")), "iptables-restore: unable to initialize table 'nat'")),
    (23, "the same", PREVENTED, modules),
    (24, "no namespace in the dashboard: one was made by hand", FOUND, namespace_without_profile),
    (24, "the same: the profile controller did not see the profile", EXPLAINED, profile_not_made),
    (25, "mysql: `Fatal glibc error: CPU does not support x86-64-v2`", FOUND, old_processor),
    (25, "the same", EXPLAINED, ends("mysql", "Fatal glibc error: CPU does not support x86-64-v2")),
    (26, "503, `upstream connect error`, though everything runs", EXPLAINED, lambda: login(f"API=503; {THROUGH}")),
    (26, "the same", PREVENTED, settles),
    (26, "the same: sidecars wait for istiod", EXPLAINED, not_ready_behind_istiod),
    (27, 'ContainerCreating: `secret "webhook-certs" not found`', EXPLAINED, certificate_missing),
    (27, 'ContainerCreating: `secret "webhook-server-tls" not found`, its request is Pending', EXPLAINED, request_pending),
    (28, "an upgrade: `spec.selector: Invalid value ... field is immutable`", EXPLAINED, immutable),
    (29, "`no matching manifest for linux/arm64`", FOUND, arm64),
    (29, "the same", EXPLAINED, pulled("ErrImagePull", "no matching manifest for linux/arm64/v8 in the manifest list entries", "kserve/kserve-controller:v0.16.0")),
    (30, "kubeadm: `[ERROR CRI]: ... unknown service runtime.v1.RuntimeService`", PREVENTED, cri_on),
    (30, "the same: the plugin does not answer though it is on", PREVENTED, cri_silent),
)  # fmt: skip


async def played(play: Callable[[], object]) -> Verdict:
    found = play()
    return await found if inspect.isawaitable(found) else found  # type: ignore[return-value]


def cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


async def row(number: int, symptom: str, how: str, play: Callable[[], object]) -> str:
    """A pain as a row of the document."""
    does, next_ = await played(play)
    return f"| {number} | {cell(symptom)} | {how} | {cell(does)} | {cell(next_)} |"


def test_no_pain_is_left_out():
    assert {number for number, *_rest in PAINS} == set(range(1, 31))


@pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="plays some with the nodes' scripts: needs Linux and bash")
@pytest.mark.parametrize(
    ("number", "symptom", "how", "play"), PAINS, ids=[f"{pain[0]}-{pain[2]}-{place}" for place, pain in enumerate(PAINS)]
)
async def test_each_is_handled_as_the_document_says(number, symptom, how, play):
    does, next_ = await played(play)
    assert does
    assert next_ or how == PREVENTED, "what is found or explained has a remedy"
    assert await row(number, symptom, how, play) in DOCUMENT.read_text(encoding="utf-8").splitlines()


def test_the_document_says_nothing_else():
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line[:3].strip("| ").isdigit()]
    assert len(rows) == len(set(rows)) == len(PAINS)


if __name__ == "__main__":
    import asyncio

    async def main() -> None:
        for pain in PAINS:
            print(await row(*pain))

    asyncio.run(main())
