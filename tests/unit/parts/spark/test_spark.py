import copy
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

import kubernetes_validate
import pytest

from kfinstall.answers.model import Answers
from kfinstall.engine import pods as engine_pods
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.errors import CommandError, ProofError, StepTimeoutError
from kfinstall.facts.model import Facts
from kfinstall.kube.base import Applied, ClusterFacts, Ref
from kfinstall.parts.registry import pull_secret_objects
from kfinstall.parts.registry.pull_secret import RegistryPullSecret
from kfinstall.parts.spark import objects as spark_objects
from kfinstall.parts.spark import pi as spark_pi
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark import submit as spark_submit
from kfinstall.parts.spark.access import SparkAccess
from kfinstall.parts.spark.history_server import SparkHistoryServer
from kfinstall.parts.spark.image import SparkImage
from kfinstall.parts.spark.proof import SparkProof
from kfinstall.parts.spark.submit_script import SparkSubmitScript
from kfinstall.parts.spark.volume import SparkVolume
from kfinstall.releases import Release
from tests.fakes.context import FakeContext

RELEASE = Release(
    name="26.03",
    versions={"spark": "3.5.2", "spark-scala": "2.12"},
    images={"spark": "docker.io/library/spark:3.5.2", "spark-volume": "docker.io/library/busybox:1.37.0"},
)
NODES = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]
NASTY = 'it\'s $(touch /tmp/x) "q" `id` \\ é;&|<>*'


def make_answers(**sections):
    return Answers.model_validate({"nodes": NODES, **sections})


def make_place(image="", **sections):
    """A place; `image` past the answers' own validation, which is not what is tested here."""
    place = spark_place.place_of(make_answers(**sections), RELEASE)
    return replace(place, image=image) if image else place


class LittleCluster:
    """Keeps what is applied; Jobs, Deployments, claims and SparkApplications end as told."""

    def __init__(self, *, job="Complete", state="COMPLETED", log=("Pi is roughly 3.1416",), pods=()):
        self.objects = {}
        self.job, self.state, self.log = job, state, tuple(log)
        self.extra_pods = list(pods)
        self.order = []
        self.jobs = []

    async def apply(self, document, *, timeout_seconds=60):
        ref = Ref.of(document)
        self.order.append(ref.kind)
        document = copy.deepcopy(document)
        document["metadata"].setdefault("uid", f"uid-{len(self.order)}")
        match ref.kind:
            case "PersistentVolumeClaim":
                document["status"] = {"phase": "Bound"}
            case "Job":
                self.jobs.append(document)
                document["status"] = {"conditions": [{"type": self.job, "status": "True", "reason": "BackoffLimitExceeded"}]}
                if ref.name == spark_pi.NAME:
                    self._driver(ref.namespace)
            case "Deployment":
                document["status"] = {"availableReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1}
            case "SparkApplication":
                document["status"] = {"applicationState": {"state": self.state, "errorMessage": "driver failed"}}
                self._driver(ref.namespace)
        self.objects[ref] = document
        return Applied(ref, changed=True)

    def _driver(self, namespace):
        labels = {spark_pi.LABEL: spark_pi.NAME, "spark-role": "driver", "spark-app-selector": "spark-1"}
        ref = Ref("v1", "Pod", "pi-driver", namespace)
        self.objects[ref] = {"metadata": {"name": "pi-driver", "labels": labels}, "status": {"phase": "Succeeded"}}

    async def get(self, ref):
        return self.objects.get(ref)

    async def list(self, want, *, label_selector=""):
        pairs = [part.split("=") for part in label_selector.split(",") if part]
        found = [o for r, o in self.objects.items() if r.kind == want.kind and want.namespace in ("", r.namespace)]
        if want.kind == "Pod":
            found += self.extra_pods
        return [o for o in found if all((o["metadata"].get("labels") or {}).get(k) == v for k, v in pairs) or o in self.extra_pods]

    async def delete(self, ref, *, timeout_seconds=60):
        return self.objects.pop(ref, None) is not None

    async def wait(self, ref, probe, *, timeout_seconds, say):
        import asyncio

        for _turn in range(3):
            await asyncio.sleep(0)
            waiting = probe(self.objects.get(ref))
            if waiting is None:
                return self.objects.get(ref)
            say(waiting.reason)
        raise StepTimeoutError(waiting.reason, hint=waiting.hint)

    async def logs(self, namespace, pod, *, container="", tail_lines=200):
        assert container, "a sidecar may be beside it"
        return self.log

    async def snapshot(self, wants):
        return self.facts()

    def facts(self):
        return ClusterFacts("v1.34.2", dict(self.objects))


def make_view(cluster=None, target="cluster", **sections):
    answers = make_answers(**sections)
    return View(answers, RELEASE, target, {"cp": Facts("cp")}, cluster.facts() if cluster else None)


async def run(step, cluster, **sections):
    context = FakeContext(make_view(cluster, **sections), secrets={"registry.password": "pw-secret-pw"}, cluster=cluster)
    await step().apply(context)
    return context


KINDS = [
    {},
    {"kubeflow": {"enabled": False}},
    {"registry": {"enabled": False}},
    {"spark": {"namespace": "team"}},
    {"registry": {"insecure": True}},
]


@pytest.mark.parametrize("sections", KINDS)
@pytest.mark.parametrize("step", [SparkVolume, SparkAccess, SparkHistoryServer, SparkProof])
async def test_each_step_is_needed_applied_and_then_satisfied(step, sections):
    cluster = LittleCluster()
    assert isinstance(step().check(make_view(None, **sections)), Needed)
    assert isinstance(step().check(make_view(cluster, **sections)), Needed)
    await run(step, cluster, **sections)
    check = step().check(make_view(cluster, **sections))
    assert isinstance(check, Satisfied), check


@pytest.mark.parametrize("sections", KINDS)
def test_builtin_kinds_are_valid_for_the_kubernetes_version(sections):
    place = make_place(**sections)
    documents = [
        spark_objects.namespace(place),
        spark_objects.claim(place, "nfs-csi", "10Gi"),
        spark_objects.shell_job(place, "spark-volume", "true", "a"),
        *spark_objects.access(place),
        *spark_objects.history(place),
        spark_pi.submit_job(place),
        pull_secret_objects.document(make_view(**sections), "kfinstall", __import__("kfinstall.secrets").secrets.Secret("x")),
    ]
    builtin = [item for item in documents if "istio.io" not in item["apiVersion"]]
    for item in builtin:
        kubernetes_validate.validate(item, "1.34", strict=True)
    assert (len(documents) - len(builtin)) == (2 if place.mesh else 0)


PLACE = "kubeflow-user-example-com"
LABELS = {"app.kubernetes.io/managed-by": "kfinstall"}


def with_claim(storage_class="nfs-csi", size="10Gi", *, phase="Bound", capacity="10Gi", expands=None, labels=LABELS):
    """A cluster with Spark's claim."""
    cluster = LittleCluster()
    cluster.objects[Ref("v1", "PersistentVolumeClaim", spark_place.VOLUME, PLACE)] = {
        "metadata": {"name": spark_place.VOLUME, "namespace": PLACE, "uid": "u", "labels": dict(labels)},
        "spec": {"storageClassName": storage_class, "resources": {"requests": {"storage": size}}},
        "status": {"phase": phase, "capacity": {"storage": capacity}},
    }
    if expands is not None:
        cluster.objects[Ref("storage.k8s.io/v1", "StorageClass", storage_class)] = {"allowVolumeExpansion": expands}
    return cluster


SUBDIR = {"storage": {"nfs": {"provisioner": "subdir"}}}


@pytest.mark.parametrize(
    ("cluster", "sections", "words", "fix"),
    [
        (with_claim("nfs-client"), {}, "is of StorageClass nfs-client, the answers lead to nfs-csi", "storage.type"),
        (
            with_claim(size="20Gi", capacity="20Gi"),
            {},
            "has 20Gi, the answers want 10Gi: a volume can't shrink",
            "volumeSize: 20Gi",
        ),
        (with_claim("nfs-client", "5Gi"), SUBDIR, "StorageClass nfs-client does not let volumes grow", "volumeSize: 5Gi"),
        (with_claim("nfs-client", "5Gi", expands=False), SUBDIR, "does not let volumes grow", "volumeSize: 5Gi"),
        (with_claim(size="5Gi", phase="Pending", capacity="0"), {}, "is Pending", "nothing is in it yet"),
    ],
)
def test_a_claim_that_can_not_be_changed_is_a_conflict_before_anything_is_sent(cluster, sections, words, fix):
    check = SparkVolume().check(make_view(cluster, **sections))
    assert isinstance(check, Conflict), check
    assert words in check.reason
    assert fix in check.hint
    assert "Pending" in check.reason or "what is in it is lost" in check.hint, "nobody loses data unasked"


@pytest.mark.parametrize(
    ("cluster", "sections"),
    [
        (with_claim(), {}),
        (with_claim(size="10240Mi"), {}),
        (with_claim(size="5Gi", capacity="5Gi"), {}),
        (with_claim("nfs-client", "5Gi", expands=True), SUBDIR),
        (with_claim(size="20Gi", capacity="8Gi"), {}),
        (with_claim("theirs", "1Gi", labels={}), {}),
        (with_claim(phase="Pending", capacity="0"), {}),
    ],
)
def test_what_the_server_lets_change_is_no_conflict(cluster, sections):
    assert isinstance(SparkVolume().check(make_view(cluster, **sections)), Needed)


async def test_a_claim_that_its_user_made_larger_stays_proven():
    cluster = LittleCluster()
    await run(SparkVolume, cluster)
    claim = cluster.objects[Ref("v1", "PersistentVolumeClaim", spark_place.VOLUME, PLACE)]
    claim["spec"]["resources"]["requests"]["storage"] = claim["status"].setdefault("capacity", {})["storage"] = "20Gi"
    assert isinstance(SparkVolume().check(make_view(cluster)), Satisfied)


async def test_a_claim_that_somebody_else_made_is_used_as_it_is():
    cluster = with_claim("theirs", "1Gi", labels={})
    before = copy.deepcopy(cluster.objects)
    context = await run(SparkVolume, cluster)
    assert {ref: cluster.objects[ref] for ref in before} == before
    assert any("spark-volume was there before" in line for line in context.lines)
    check = SparkVolume().check(make_view(cluster))
    assert isinstance(check, Satisfied)
    assert "1Gi" in check.evidence


async def test_without_kubeflow_there_is_no_istio_object_and_an_own_account():
    cluster = LittleCluster()
    for step in (SparkVolume, SparkAccess, SparkHistoryServer, SparkProof):
        await run(step, cluster, kubeflow={"enabled": False})
    assert not any("istio" in ref.api_version for ref in cluster.objects)
    assert "istio" not in json.dumps([o for r, o in cluster.objects.items() if r.kind != "ConfigMap"])
    assert Ref("v1", "Namespace", "spark") in cluster.objects
    assert Ref("v1", "ServiceAccount", "spark", "spark") in cluster.objects


async def test_with_kubeflow_the_profile_is_never_made_by_spark():
    cluster = LittleCluster()
    for step in (SparkVolume, SparkAccess):
        await run(step, cluster)
    assert Ref("v1", "Namespace", "kubeflow-user-example-com") not in cluster.objects
    binding = cluster.objects[Ref("rbac.authorization.k8s.io/v1", "RoleBinding", "spark-driver", "kubeflow-user-example-com")]
    assert binding["subjects"][0]["name"] == "default-editor"


def test_only_the_gateway_and_only_the_user_reach_the_history_server():
    policy, route = (item for item in spark_objects.history(make_place()) if "istio.io" in item["apiVersion"])
    (rule,) = policy["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": [spark_objects.GATEWAY_PRINCIPAL]}}]
    assert rule["to"] == [{"operation": {"methods": ["GET", "HEAD"]}}]
    assert rule["when"][0]["values"] == ["user@example.com"]
    assert route["spec"]["gateways"] == ["kubeflow/kubeflow-gateway"]
    service = next(item for item in spark_objects.history(make_place()) if item["kind"] == "Service")
    assert service["spec"]["type"] == "ClusterIP"
    assert service["spec"]["ports"][0]["name"].startswith("http-")


def test_nothing_is_world_writable_and_nothing_runs_as_root():
    job = spark_objects.shell_job(make_place(), "x", "true")
    pod = job["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 185
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "2770" in SparkVolume().inputs(make_view())["OWNER"]


async def test_a_claim_made_again_needs_its_directory_again():
    cluster = LittleCluster()
    await run(SparkVolume, cluster)
    ref = Ref("v1", "PersistentVolumeClaim", "spark-volume", "kubeflow-user-example-com")
    cluster.objects[ref]["metadata"]["uid"] = "another"
    assert isinstance(SparkVolume().check(make_view(cluster)), Needed)


@pytest.mark.parametrize(("found", "wanted"), [("185:185 2770", 0), ("0:0 755", 1)])
def test_the_directory_program_proves_owner_and_mode(tmp_path, found, wanted):
    from kfinstall.parts.spark import volume as spark_volume

    (tmp_path / "stat").write_text(f"#!/bin/sh\necho '{found}'\n")
    (tmp_path / "stat").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-euc", spark_volume._PROGRAM, "x", str(tmp_path / "lo gs"), "185:185 2770"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == wanted, done
    assert (tmp_path / "lo gs").stat().st_mode & 0o7777 == 0o2770


@pytest.mark.parametrize("name", ["app-1", "eventlog_v2_app-1", None])
def test_the_event_log_program(tmp_path, name):
    from kfinstall.parts.spark import proof as spark_proof

    if name:
        (tmp_path / name).write_text("{}")
    done = subprocess.run(
        ["/bin/sh", "-euc", spark_proof._LOG_PROGRAM, "x", str(tmp_path), "app-1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if name else 1), done


async def test_the_operator_is_used_where_it_is_there():
    cluster = LittleCluster()
    cluster.objects[spark_pi.CRD] = {}
    await run(SparkProof, cluster)
    assert "SparkApplication" in cluster.order
    application = spark_pi.application(make_place())
    assert application["spec"]["executor"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert application["spec"]["mainApplicationFile"] == "local:///opt/spark/examples/jars/spark-examples_2.12-3.5.2.jar"
    assert not any(".volumes." in key for key in application["spec"]["sparkConf"])
    other = LittleCluster()
    other.objects[spark_pi.CRD] = {}
    await run(SparkProof, other, spark={"operator": False})
    assert "SparkApplication" not in other.order


async def test_an_application_that_fails_is_a_failed_proof_with_its_message():
    cluster = LittleCluster(state="FAILED")
    cluster.objects[spark_pi.CRD] = {}
    with pytest.raises(ProofError, match="FAILED") as caught:
        await run(SparkProof, cluster)
    assert caught.value.why == "driver failed"


async def test_no_pi_in_the_log_is_a_failed_proof():
    with pytest.raises(ProofError, match="without a value of Pi"):
        await run(SparkProof, LittleCluster(log=("Exception in thread main",)))


async def test_a_job_that_fails_tells_its_log():
    with pytest.raises(CommandError) as caught:
        await run(
            SparkVolume, LittleCluster(job="Failed", pods=[{"metadata": {"name": "p"}, "status": {}}], log=("Permission denied",))
        )
    assert "Permission denied" in caught.value.why


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}}}]},
            "can't be pulled: back-off",
            "registry",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient memory"}]},
            "enough memory free",
            "add a node",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "unbound immediate claims"}]}, "unbound", "node"),
        ({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 3}}}]}, "exit status 3", "--previous"),
    ],
)
async def test_a_wait_that_ends_says_why(status, words, hint):
    cluster = LittleCluster(job="Waiting", pods=[{"metadata": {"name": "p"}, "status": status}])
    with pytest.raises(StepTimeoutError, match=words) as caught:
        await run(SparkVolume, cluster)
    assert hint in caught.value.hint


def test_a_running_pod_has_no_reason():
    assert engine_pods.reason({"status": {"phase": "Running"}}) == ""


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("image", ["spark:1", NASTY])
def test_the_submit_script_is_clean(tmp_path, image):
    path = tmp_path / "kf-spark-submit"
    path.write_text(spark_submit.render(make_place(image)))
    done = subprocess.run(["shellcheck", "-x", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    subprocess.run(["bash", "-n", str(path)], check=True)
    lines = path.read_text().splitlines()
    assert not any(line.partition("\\ ")[2].lstrip().startswith("#") for line in lines)
    assert not any(line.endswith("\\ ") for line in lines)


def _submit(tmp_path, *arguments, home=None, **sections):
    """Run the script with a program that writes its arguments down in place of kubectl and spark-submit."""
    script = tmp_path / "kf-spark-submit"
    script.write_text(spark_submit.render(make_place(**sections)))
    for name in ("kubectl", "bin/spark-submit"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\nimport json,sys\nprint(json.dumps(sys.argv))\n")
        path.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "SPARK_HOME": home or "/nowhere"}
    return subprocess.run(["bash", str(script), *arguments], env=environment, capture_output=True, text=True, check=False)


def test_the_submit_script_passes_every_value_whole(tmp_path):
    done = _submit(tmp_path, "--name", "a b", "local:///app.py", NASTY, image=NASTY)
    words = json.loads(done.stdout)
    assert words[-1] == NASTY
    assert words[words.index("--image") + 1] == NASTY
    assert f"spark.kubernetes.container.image={NASTY}" in words
    assert words[words.index("--master") + 1] == "k8s://https://kubernetes.default.svc:443"
    assert json.loads(words[words.index("--overrides") + 1])["spec"]["serviceAccountName"] == "default-editor"
    assert "sidecar.istio.io/inject=false" in words[words.index("--labels") + 1]


def test_the_submit_script_uses_spark_where_it_is(tmp_path):
    done = _submit(tmp_path, "local:///app.py", home=str(tmp_path), cluster={"apiEndpoint": "lb.example:7443"})
    words = json.loads(done.stdout)
    assert words[0].endswith("bin/spark-submit")
    assert words[1:3] == ["--master", "k8s://https://lb.example:7443"]
    assert words[-1] == "local:///app.py"


def test_the_submit_script_refuses_a_slash_too_many_and_helps(tmp_path):
    assert _submit(tmp_path, "local:////opt/x.py").returncode == 2
    assert "usage: kf-spark-submit" in _submit(tmp_path, "--help").stdout
    assert "usage: kf-spark-submit" in _submit(tmp_path).stdout


def test_configuration_has_volume_event_log_and_no_sidecar_for_both_roles():
    values = spark_place.configuration(make_place())
    assert values["spark.eventLog.dir"] == "file:/opt/spark/volume/logs"
    assert values["spark.kubernetes.container.image"] == "10.0.0.1:5000/kfinstall/spark:3.5.2"
    for role in ("driver", "executor"):
        assert values[f"spark.kubernetes.{role}.volumes.persistentVolumeClaim.spark-volume.options.claimName"] == "spark-volume"
        assert values[f"spark.kubernetes.{role}.label.sidecar.istio.io/inject"] == "false"
    assert not any("istio" in key for key in spark_place.configuration(make_place(kubeflow={"enabled": False})))


@pytest.mark.parametrize(
    ("upstream", "tag"), [("a/spark:4.0.1", "4.0.1"), ("reg:5000/a/spark", "base"), ("a/spark:1@sha256:ff", "1")]
)
def test_the_copy_keeps_the_tag(upstream, tag):
    assert spark_place.target_image(make_answers(), upstream) == f"10.0.0.1:5000/kfinstall/spark:{tag}"


async def test_the_pull_secret_keeps_what_the_account_had_and_shows_nothing():
    cluster = LittleCluster()
    account = Ref("v1", "ServiceAccount", "default", "kfinstall")
    cluster.objects[account] = {"imagePullSecrets": [{"name": "theirs"}]}
    cluster.objects[Ref("v1", "Namespace", "kubeflow-user-example-com")] = {}
    context = await run(RegistryPullSecret, cluster)
    assert [item["name"] for item in cluster.objects[account]["imagePullSecrets"]] == ["theirs", "kfinstall-registry"]
    assert Ref("v1", "Secret", "kfinstall-registry", "kubeflow-user-example-com") in cluster.objects
    check = RegistryPullSecret().check(make_view(cluster))
    assert isinstance(check, Satisfied)
    assert "pw-secret-pw" not in repr((context.lines, check))
    changed = make_view(cluster, registry={"password": {"env": "P"}})
    assert isinstance(RegistryPullSecret().check(changed), Needed)


async def test_image_and_script_through_the_simulator():
    import kfinstall.simulator.parts.registry
    import kfinstall.simulator.parts.spark  # noqa: F401
    from kfinstall.facts.model import FileFact
    from kfinstall.simulator.nodes.model import SimNode, World

    world = World({"cp": SimNode("cp", "10.0.0.1", 0)})
    for step in (SparkImage, SparkSubmitScript):
        view = make_view(target="cp")
        assert isinstance(step().check(view), Needed)
        await step().apply(FakeContext(view, world, defaultdict(lambda: "x")))
        files = {p: FileFact("file", f.mode, f.owner, 0, f.sha256) for p, f in world.nodes["cp"].files.items()}
        after = View(view.answers, RELEASE, "cp", {"cp": Facts("cp", files=files)})
        assert isinstance(step().check(after), Satisfied)


def test_an_own_image_is_proven_by_python_since_its_version_is_not_known():
    own = make_place(spark={"image": "registry.example/spark:mine"})
    assert own.image == "10.0.0.1:5000/kfinstall/spark:mine"
    assert spark_pi.application(own)["spec"]["mainApplicationFile"].endswith("/pi.py")
    assert "mainClass" not in spark_pi.application(own)["spec"]
