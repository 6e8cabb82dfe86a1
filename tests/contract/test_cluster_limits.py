"""How long kubeadm waits and how long its steps may take: added up from what is written into kubeadm's configuration."""

from itertools import pairwise

import pytest
import yaml

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.parts.cluster import kubeadm as cluster_kubeadm
from kfinstall.parts.cluster import limits
from kfinstall.parts.cluster.init import ClusterInit
from kfinstall.parts.cluster.join_control_planes import ClusterJoinControlPlanes
from kfinstall.parts.cluster.join_workers import ClusterJoinWorkers
from kfinstall.transport import limits as transport_limits

KUBEADM = {"kubeletHealthCheck": 240, "etcdAPICall": 120, "tlsBootstrap": 300, "discovery": 300}
"""kubeadm's own defaults (v1beta4), where it waits as long as it would by itself."""
NODES = [
    {"name": "cp1", "address": "10.0.0.1", "roles": ["control-plane"]},
    {"name": "cp2", "address": "10.0.0.2", "roles": ["control-plane"]},
    {"name": "w1", "address": "10.0.0.3", "roles": ["worker"]},
]


def view(target="cp1", version=None):
    cluster = {"name": "lab"} | ({"kubernetesVersion": version} if version else {})
    answers = Answers.model_validate({"nodes": NODES, "cluster": cluster})
    return View(answers, releases.load(answers.cluster.release), target)


def configurations(version=None):
    """What kubeadm is given, by what for; the document with the timeouts."""
    token, pin, key = "abcdef.0123456789abcdef", "sha256:" + "0" * 64, "0" * 64
    texts = {
        "init": cluster_kubeadm.init_config(view("cp1", version)),
        "certificates": cluster_kubeadm.certificate_config(view("cp1", version), key),
        "control-plane": cluster_kubeadm.join_config(view("cp2", version), token, pin, key),
        "worker": cluster_kubeadm.join_config(view("w1", version), token, pin),
    }
    return {name: {item["kind"]: item for item in yaml.safe_load_all(text)} for name, text in texts.items()}


def waits(what):
    found = configurations()[what]
    document = found.get("InitConfiguration") or found["JoinConfiguration"]
    assert all(text.endswith("s") for text in document["timeouts"].values())
    return {name: int(text[:-1]) for name, text in document["timeouts"].items()}


@pytest.mark.parametrize("what", ["init", "certificates", "control-plane", "worker"])
def test_the_api_server_has_as_long_to_answer_as_the_control_plane_to_start(what):
    found = waits(what)
    assert found["kubernetesAPICall"] == found["controlPlaneComponentHealthCheck"] == 600
    assert {name: found[name] for name in KUBEADM} == KUBEADM


def test_the_older_format_has_two_of_them_elsewhere():
    found = configurations("1.30.14")
    for documents in found.values():
        assert not any("timeouts" in document for document in documents.values())
    assert found["init"]["ClusterConfiguration"]["apiServer"]["timeoutForControlPlane"] == "600s"
    assert found["worker"]["JoinConfiguration"]["discovery"]["timeout"] == "300s"


def test_an_init_may_take_longer_than_all_that_it_waits_for():
    found = waits("init")
    kubeadm = found["kubeletHealthCheck"] + found["controlPlaneComponentHealthCheck"] + found["kubernetesAPICall"]
    before = limits.RESET_KUBEADM_SECONDS + limits.CLUSTER_IMAGES_SECONDS
    assert ClusterInit.timeout_seconds > before + kubeadm + limits.CLUSTER_API_PATIENCE_SECONDS
    assert int(ClusterInit().parameters(view())["PATIENCE_SECONDS"]) == limits.CLUSTER_API_PATIENCE_SECONDS


def test_a_join_may_take_longer_than_all_that_it_waits_for():
    found = waits("control-plane")
    member = sum(found.values()) + found["etcdAPICall"]  # a member is added, and promoted later
    assert limits.RESET_KUBEADM_SECONDS + limits.CLUSTER_IMAGES_SECONDS + member < limits.CLUSTER_JOIN_TIMEOUT_SECONDS
    assert waits("certificates")["kubernetesAPICall"] < limits.CLUSTER_UPLOAD_TIMEOUT_SECONDS


def test_each_limit_ends_before_the_one_around_it():
    join, upload = limits.CLUSTER_JOIN_TIMEOUT_SECONDS, limits.CLUSTER_UPLOAD_TIMEOUT_SECONDS
    # script, step, and the node's own limit of a script that nobody follows
    for inner in pairwise(
        (join, ClusterJoinWorkers.timeout_seconds, ClusterJoinWorkers.timeout_seconds + transport_limits.UNIT_GRACE_SECONDS)
    ):
        assert inner[0] < inner[1]
    assert join + upload < ClusterJoinControlPlanes.timeout_seconds
    assert ClusterInit.timeout_seconds < ClusterInit.timeout_seconds + transport_limits.UNIT_GRACE_SECONDS


def test_a_token_lives_until_the_kubelet_has_its_certificate_and_no_longer_than_an_hour():
    found = waits("control-plane")
    needed = found["discovery"] + found["kubernetesAPICall"] + found["kubeletHealthCheck"] + found["tlsBootstrap"]
    assert limits.RESET_KUBEADM_SECONDS + limits.CLUSTER_IMAGES_SECONDS + needed <= limits.CLUSTER_TOKEN_SECONDS < 3600
    ttl = configurations()["init"]["InitConfiguration"]["bootstrapTokens"][0]["ttl"]
    assert int(ttl.removesuffix("s")) == limits.CLUSTER_TOKEN_SECONDS


def test_no_join_outlives_the_certificates_that_kubeadm_keeps_for_two_hours():
    assert limits.CLUSTER_JOIN_TIMEOUT_SECONDS < 2 * 3600
