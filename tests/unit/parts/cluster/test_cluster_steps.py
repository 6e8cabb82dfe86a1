"""Phase cluster: kubeadm's configuration, who owns a node, joins by tokens of one use, Calico's Installation."""

import base64
import datetime as dt
import io
import os
import shutil
import subprocess
from dataclasses import replace

import kubernetes_validate
import pytest
import yaml

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.facts.model import Facts, FileFact, RuntimeFacts
from kfinstall.kube.base import ClusterFacts, Ref
from kfinstall.parts.cluster import calico as cluster_calico
from kfinstall.parts.cluster import join as cluster_join
from kfinstall.parts.cluster import kubeadm as cluster_kubeadm
from kfinstall.parts.cluster import proof_pods as cluster_proof_pods
from kfinstall.parts.cluster.init import ClusterInit
from kfinstall.parts.cluster.join_control_planes import ClusterJoinControlPlanes
from kfinstall.parts.cluster.join_workers import ClusterJoinWorkers
from kfinstall.parts.cluster.kubeconfig import ClusterKubeconfig
from kfinstall.parts.cluster.kubeconfig_facts import LoginKubeconfig
from kfinstall.parts.cluster.network import ClusterNetwork
from kfinstall.parts.cluster.nodes_ready import ClusterNodesReady
from kfinstall.parts.preflight import membership
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.spark import place as spark_place
from kfinstall.simulator.apiserver.pki import Pki
from kfinstall.text import sha256
from tests.fakes import kubeadm

NODES = [
    {"name": "cp1", "address": "10.0.0.1", "roles": ["control-plane"]},
    {"name": "cp2", "address": "10.0.0.2", "roles": ["control-plane", "worker"]},
    {"name": "w1", "address": "10.0.0.3", "roles": ["worker"]},
]
CA = "c" * 64
KUBEADM = shutil.which("kubeadm", path=os.environ.get("KUBEBUILDER_ASSETS", "/nowhere")) or kubeadm.lab_program()


def make(target="cp1", fleet=None, cluster=None, nodes=NODES, **settings):
    answers = Answers.model_validate({"nodes": nodes, "cluster": {"name": "lab", **settings}})
    release = releases.load(answers.cluster.release)
    return View(answers, release, target, fleet or {}, cluster)


def owned(view, state):
    content = membership.owner(view, state)
    return {membership.OWNER_FILE: FileFact("file", 0o644, "root:root", len(content), sha256(content))}


def plane(view, *, state=None, ca=CA, files=("admin.conf", "kubelet.conf", "pki/ca.crt"), name="cp1", login=None):
    runtime = RuntimeFacts(kubeadm_files=files, etcd_data=True, ca_sha256=ca, node_name=name)
    return Facts(
        node=view.target,
        runtime=runtime,
        files=owned(view, state) if state else {},
        sections={LoginKubeconfig: login} if login else {},
    )


def living(*documents, version="v1.34.9"):
    return ClusterFacts(version, {Ref.of(document): document for document in documents})


def node(name, *, ready=True, labels=()):
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "message": "cni plugin not initialized"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": dict.fromkeys(labels, "")},
        "status": {"conditions": conditions},
    }


def settings(**networking):
    body = {
        "kubernetesVersion": "v1.34.9",
        "networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"} | networking,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
        "data": {"ClusterConfiguration": yaml.safe_dump(body)},
    }


# kubeadm's configuration


def documents(view):
    return {item["kind"]: item for item in yaml.safe_load_all(cluster_kubeadm.init_config(view))}


def test_the_new_format_has_lists_of_arguments_and_timeouts():
    found = documents(make())
    init, cluster = found["InitConfiguration"], found["ClusterConfiguration"]
    assert init["apiVersion"] == cluster["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert init["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "10.0.0.1"}]
    assert init["timeouts"]["controlPlaneComponentHealthCheck"].endswith("s")
    assert cluster["kubernetesVersion"] == "v1.34.9"
    assert cluster["controlPlaneEndpoint"] == "10.0.0.1:6443"
    assert cluster["networking"]["podSubnet"] == "10.244.0.0/16"
    assert {"127.0.0.1", "10.0.0.1", "10.0.0.2", "cp1", "cp2"} <= set(cluster["apiServer"]["certSANs"])
    assert found["KubeletConfiguration"]["cgroupDriver"] == "systemd"


def test_the_old_format_for_old_minors():
    view = make(kubernetesVersion="1.30.14")
    found = documents(view)
    assert found["InitConfiguration"]["apiVersion"] == "kubeadm.k8s.io/v1beta3"
    assert found["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"] == {"node-ip": "10.0.0.1"}
    assert "timeouts" not in found["InitConfiguration"]
    assert found["ClusterConfiguration"]["apiServer"]["timeoutForControlPlane"].endswith("s")


def test_no_configuration_that_is_written_to_a_node_names_a_token():
    text = cluster_kubeadm.init_config(make())
    assert "token:" not in text.lower().replace("bootstraptokens:", "")
    assert "certificateKey" not in text


def test_a_load_balancer_is_the_endpoint_and_in_the_certificate():
    found = documents(make(apiEndpoint="lb.example.org:8443"))["ClusterConfiguration"]
    assert found["controlPlaneEndpoint"] == "lb.example.org:8443"
    assert "lb.example.org" in found["apiServer"]["certSANs"]


@pytest.mark.parametrize(
    ("given", "kept", "name"),
    [
        ("[fd00::1]:6443", "[fd00::1]:6443", "fd00::1"),
        ("[FD00:0:0:0:0:0:0:1]", "[fd00::1]:6443", "fd00::1"),
        ("lb.example.org.:8443", "lb.example.org:8443", "lb.example.org"),  # kubeadm takes no dot at the end
    ],
)
def test_an_endpoint_is_written_as_kubeadm_splits_it(given, kept, name):
    view = make("w1", apiEndpoint=given)
    cluster = documents(view)["ClusterConfiguration"]
    assert cluster["controlPlaneEndpoint"] == kept
    assert name in cluster["apiServer"]["certSANs"]
    join = yaml.safe_load(cluster_kubeadm.join_config(view, "a.b", "sha256:x"))
    assert join["discovery"]["bootstrapToken"]["apiServerEndpoint"] == kept
    assert cluster_join.parameters(view)["ENDPOINT"] == kept
    assert spark_place.place_of(view.answers, view.release).master == f"k8s://https://{kept}"
    assert name in prepare_files.no_proxy(view.answers).split(",")


def test_a_node_whose_name_ends_in_a_dot_is_in_the_certificate_without_it():
    cluster = documents(make(nodes=[{"name": "cp1", "address": "cp1.example.org."}]))["ClusterConfiguration"]
    assert cluster["controlPlaneEndpoint"] == "cp1.example.org:6443"
    assert "cp1.example.org" in cluster["apiServer"]["certSANs"]
    assert not [name for name in cluster["apiServer"]["certSANs"] if name.endswith(".")]


def test_a_node_by_name_leaves_its_address_to_kubeadm():
    found = documents(make(nodes=[{"name": "cp1", "address": "cp1.example.org"}]))["InitConfiguration"]
    assert "localAPIEndpoint" not in found
    assert "kubeletExtraArgs" not in found["nodeRegistration"]


def test_a_control_plane_that_is_a_worker_too_has_no_taint():
    join = yaml.safe_load(cluster_kubeadm.join_config(make("cp2"), "a.b", "sha256:x", "ff"))
    assert join["nodeRegistration"]["taints"] == []
    assert join["controlPlane"]["certificateKey"] == "ff"
    assert "taints" not in yaml.safe_load(cluster_kubeadm.join_config(make("w1"), "a.b", "sha256:x"))["nodeRegistration"]


# cluster.init


def test_an_empty_server_is_initialised():
    view = make()
    assert ClusterInit().check(view) == Needed(("kubeadm init Kubernetes 1.34.9 on cp1",))


def test_what_a_killed_init_left_is_taken_back():
    view = make()
    check = ClusterInit().check(replace(view, fleet={"cp1": plane(view, state="begun")}))
    assert isinstance(check, Needed)
    assert "reset" in check.changes[0]


def test_the_own_cluster_whose_api_server_is_down_is_started_never_reset():
    view = make()
    check = ClusterInit().check(replace(view, fleet={"cp1": plane(view, state="done")}))
    assert check == Needed(("start the control plane again: its API server does not answer",))


def test_a_foreign_control_plane_is_a_conflict():
    view = make()
    check = ClusterInit().check(replace(view, fleet={"cp1": plane(view)}))
    assert isinstance(check, Conflict)
    other = make(name="other")
    check = ClusterInit().check(replace(view, fleet={"cp1": plane(other, state="done")}))
    assert isinstance(check, Conflict)
    assert "another cluster" in check.reason


@pytest.mark.parametrize("state", ["done", None])
def test_a_cluster_that_answers_as_asked_is_gone_on_with(state):
    view = make()
    cluster = living(settings(), node("cp1"))
    check = ClusterInit().check(replace(view, fleet={"cp1": plane(view, state=state)}, cluster=cluster))
    assert isinstance(check, Satisfied)
    assert ("by kfinstall" in check.evidence) is (state == "done")


def test_another_pod_network_than_the_cluster_has_is_a_conflict_with_the_line_to_write():
    view = make(podCIDR="10.10.0.0/16")
    cluster = living(settings(), node("cp1"))
    check = ClusterInit().check(replace(view, fleet={"cp1": plane(view, state="done")}, cluster=cluster))
    assert isinstance(check, Conflict)
    assert "podCIDR: 10.244.0.0/16" in check.hint


# joins


def test_join_checks():
    view, first = make("w1"), plane(make(), state="done")
    cluster = living(node("cp1"), node("w1"))
    joined = Facts(
        node="w1",
        runtime=RuntimeFacts(kubeadm_files=("kubelet.conf", "pki/ca.crt"), ca_sha256=CA, node_name="w1"),
        files=owned(view, "done"),
    )

    def check(facts, cluster=cluster):
        return ClusterJoinWorkers().check(replace(view, fleet={"cp1": first, "w1": facts}, cluster=cluster))

    assert check(Facts(node="w1")) == Needed(("kubeadm join w1 as a worker",))
    assert isinstance(check(joined), Satisfied)
    assert isinstance(check(joined, None), Satisfied)  # nobody could be asked: never reset a member for that
    deleted = check(joined, living(node("cp1")))
    assert isinstance(deleted, Needed)
    assert "reset" in deleted.changes[0]
    half = replace(joined, files=owned(view, "begun"))
    assert "reset" in check(half).changes[0]
    foreign = replace(joined, files={}, runtime=replace(joined.runtime, ca_sha256="d" * 64))
    assert isinstance(check(foreign), Conflict)


def test_ca_hash_is_that_of_openssl():
    # openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum, of the same certificate
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = Pki.make([]).ca
    der = x509.load_pem_x509_certificate(pem.encode()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    import hashlib

    assert cluster_join.ca_hash(pem.encode()) == f"sha256:{hashlib.sha256(der).hexdigest()}"


class Api:
    """A cluster that keeps what is applied, and remembers what was deleted."""

    def __init__(self, info=True, refuses_delete=False):
        self.objects, self.deleted, self.refuses_delete = {}, [], refuses_delete
        self.pem = Pki.make([]).ca
        data = base64.b64encode(self.pem.encode()).decode()
        kubeconfig = yaml.safe_dump({"clusters": [{"name": "", "cluster": {"certificate-authority-data": data}}]})
        if info:
            self.objects[Ref("v1", "ConfigMap", "cluster-info", "kube-public")] = {"data": {"kubeconfig": kubeconfig}}

    async def get(self, ref):
        return self.objects.get(ref)

    async def apply(self, document):
        self.objects[Ref.of(document)] = document

    async def delete(self, ref):
        self.deleted.append(ref)
        return self.objects.pop(ref, None) is not None


class Context:
    """Takes scripts; what they were given on standard input can be looked at."""

    def __init__(self, view, api, fails=False):
        self.view, self.api, self.fails = view, api, fails
        self.ran, self.learned, self.lines = [], [], []

    def say(self, text):
        self.lines.append(text)

    def register(self, secret):
        self.learned.append(secret.reveal())
        return secret

    async def cluster(self):
        return self.api

    async def run_script(self, name, parameters, *, on="", stdin=None, timeout_seconds=None):
        self.ran.append((name, on, dict(parameters), stdin.reveal(), dict(self.api.objects)))
        if self.fails:
            raise OSError("power cut")


async def test_a_token_lives_only_while_its_join_runs_and_is_never_a_parameter():
    api = Api()
    context = Context(make("w1"), api)
    await ClusterJoinWorkers().apply(context)
    ((name, _on, parameters, stdin, during),) = context.ran
    token = yaml.safe_load(stdin)["discovery"]["bootstrapToken"]
    identity, secret = token["token"].split(".")
    assert (name, len(identity), len(secret)) == ("cluster-join", 6, 16)
    assert secret in context.learned
    assert not any(secret in value for value in parameters.values())
    assert token["caCertHashes"] == [cluster_join.ca_hash(api.pem.encode())]
    ref = Ref("v1", "Secret", f"bootstrap-token-{identity}", "kube-system")
    values = {key: base64.b64decode(value).decode() for key, value in during[ref]["data"].items()}
    assert values["token-secret"] == secret
    assert dt.datetime.fromisoformat(values["expiration"]) < dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert api.deleted == [ref]


async def test_a_token_ends_with_a_join_that_fails_too():
    api = Api()
    with pytest.raises(OSError, match="power cut"):
        await ClusterJoinWorkers().apply(Context(make("w1"), api, fails=True))
    assert [ref.name.startswith("bootstrap-token-") for ref in api.deleted] == [True]


async def test_a_control_plane_gets_the_certificates_for_its_join_only():
    api = Api()
    context = Context(make("cp2"), api)
    await ClusterJoinControlPlanes().apply(context)
    upload, join = context.ran
    assert upload[:2] == ("cluster-upload-certs", "cp1")
    key = next(item["certificateKey"] for item in yaml.safe_load_all(io.StringIO(upload[3])) if item["kind"] == "InitConfiguration")
    assert yaml.safe_load(join[3])["controlPlane"]["certificateKey"] == key
    assert len(bytes.fromhex(key)) == 32
    assert key in context.learned
    assert Ref("v1", "Secret", "kubeadm-certs", "kube-system") in api.deleted


async def test_a_cluster_that_does_not_publish_its_ca_is_an_error_with_the_fix():
    with pytest.raises(Exception, match="does not publish how to join") as caught:
        await ClusterJoinWorkers().apply(Context(make("w1"), Api(info=False)))
    assert "bootstrap-token" in caught.value.hint


# kubeconfig, network, readiness


def test_kubeconfig():
    view = make()
    facts = plane(view, state="done", login=LoginKubeconfig.parse(["login=ada"]))
    step = ClusterKubeconfig()
    assert step.check(replace(view, fleet={"cp1": facts})) == Needed(("write ~/.kube/config for ada",))
    assert step.parameters(replace(view, fleet={"cp1": facts}))["LOGIN"] == "ada"
    there = replace(facts, sections={LoginKubeconfig: LoginKubeconfig.parse(["login=ada", "kubeconfig=/home/ada/.kube/config"])})
    assert step.check(replace(view, fleet={"cp1": there})) == Satisfied("/home/ada/.kube/config of ada")


@pytest.mark.parametrize(("minor", "calico"), [("1.33", "3.31.7"), ("1.34", "3.32.1"), ("1.36", "3.32.1")])
def test_calico_fits_the_minor_and_all_of_it_is_pinned(minor, calico):
    view = make(kubernetesVersion=minor)
    assert cluster_calico.version(view) == calico
    assert all(len(artifact.sha256) == 64 and calico in artifact.url for artifact in cluster_calico.files(view))
    assert cluster_calico.operator_image(view)


@pytest.mark.parametrize(("cidr", "block"), [("10.244.0.0/16", 26), ("10.1.2.0/27", 27), ("fd00:10::/56", 122)])
def test_the_installation_has_the_clusters_own_network(cidr, block):
    network = cluster_calico.installation(make(podCIDR=cidr))["spec"]["calicoNetwork"]
    assert network["ipPools"][0]["cidr"] == cidr
    assert network["ipPools"][0]["blockSize"] == block
    assert network["ipPools"][0]["encapsulation"] == "VXLAN"


def test_network_check_names_what_drifted():
    view = make()
    wanted = stamp.stamped(cluster_calico.installation(view))
    operator = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "tigera-operator", "namespace": "tigera-operator", "generation": 1},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": cluster_calico.operator_image(view)}]}}},
        "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1},
    }
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "installations.operator.tigera.io"},
    }

    def check(*objects):
        return ClusterNetwork().check(replace(view, cluster=living(*objects)))

    assert isinstance(check(wanted, operator, crd), Satisfied)
    assert "definitions and operator" in check(wanted, operator).changes[0]
    old = {**operator, "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "quay.io/tigera/operator:v1.0"}]}}}}
    assert "instead of quay.io/tigera/operator:v1.0" in check(wanted, old, crd).changes[0]
    assert check(cluster_calico.installation(view), operator, crd) == Needed(("apply Installation default",))


def test_a_node_is_done_when_it_is_ready_and_labelled():
    view = make("w1")

    def check(document):
        return ClusterNodesReady().check(replace(view, cluster=living(document)))

    assert "cni plugin not initialized" in check(node("w1", ready=False)).changes[0]
    assert check(node("w1")) == Needed(("label w1 as a worker",))
    assert isinstance(check(node("w1", labels=["node-role.kubernetes.io/worker"])), Satisfied)


# the proof's pods


def test_every_node_calls_and_is_called():
    names = [f"n{number}" for number in range(7)]
    called = {peer for name in names for peer in cluster_proof_pods.peers(names, name)}
    assert called == set(names)
    assert all(name not in cluster_proof_pods.peers(names, name) for name in names)
    assert cluster_proof_pods.peers(["one"], "one") == ()


def test_the_asking_pod_is_pinned_to_its_node_and_small_enough_a_name():
    view = make()
    long = "n" * 60
    job = cluster_proof_pods.client(view, long, {long: "10.244.0.1", "w1": "fd00::1"})
    assert len(job["metadata"]["name"]) <= 63
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeName"] == long
    assert pod["containers"][0]["env"][0]["value"] == "w1=[fd00::1]:8080"
    assert pod["containers"][0]["securityContext"]["runAsNonRoot"] is True


def test_the_objects_of_the_proof_and_the_token_fit_kubernetes():
    view = make()
    kubernetes_validate.validate(cluster_proof_pods.servers(view), "1.34", strict=True)
    kubernetes_validate.validate(
        cluster_proof_pods.client(view, "cp1", {"cp1": "10.244.0.1", "w1": "10.244.1.1"}), "1.34", strict=True
    )
    expires = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    kubernetes_validate.validate(cluster_join.token_document("abcdef", "0123456789abcdef", "w1", expires), "1.34", strict=True)


# The real judge of these files; no package of a distribution brings it.
@pytest.mark.skipif(KUBEADM is None, reason="no kubeadm in KUBEBUILDER_ASSETS or KFINSTALL_KUBE_BIN")
@pytest.mark.parametrize("runtime", ["containerd", "docker"])
@pytest.mark.parametrize("role", ["init", "control-plane", "worker", "certificates"])
def test_kubeadm_accepts_the_configurations(tmp_path, role, runtime):
    own = kubeadm.settings(kubeadm.version(KUBEADM))
    first, second, worker = (make(target, runtime=runtime, **own) for target in ("cp1", "cp2", "w1"))
    key, token, pin = "0" * 64, "abcdef.0123456789abcdef", "sha256:" + "0" * 64
    text = {
        "init": cluster_kubeadm.init_config(first),
        "control-plane": cluster_kubeadm.join_config(second, token, pin, key),
        "worker": cluster_kubeadm.join_config(worker, token, pin),
        "certificates": cluster_kubeadm.certificate_config(first, key),
    }[role]
    path = tmp_path / "kubeadm.yaml"
    path.write_text(text)
    done = subprocess.run([KUBEADM, "config", "validate", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Nothing is old-fashioned or not known: a warning of today is a refusal of a later release.
    assert "W" not in {line[:1] for line in done.stderr.splitlines()}, done.stderr
