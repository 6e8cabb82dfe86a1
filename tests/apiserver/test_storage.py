"""The cluster's side of phase storage on a real API server, its scheduler and controllers; the proof's pods run their programs.

What the provisioners' own programs do to an NFS server is theirs; a stand-in makes the volumes as they do.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.engine.step import CLUSTER_TARGET, Conflict, Needed, Satisfied, Step, View
from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import ListQuery, NotReady, Ref
from kfinstall.parts.spark import objects as spark_objects
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark.volume import SparkVolume
from kfinstall.parts.storage import policy as storage_policy
from kfinstall.parts.storage import proof_pods as storage_proof_pods
from kfinstall.parts.storage import provisioner as storage_provisioner
from kfinstall.parts.storage.default_class import StorageDefaultClass
from kfinstall.parts.storage.local_path import StorageLocalPath
from kfinstall.parts.storage.nfs_csi import StorageNfsCsi
from kfinstall.parts.storage.nfs_policy import StorageNfsPolicy
from kfinstall.parts.storage.nfs_subdir import StorageNfsSubdir
from kfinstall.parts.storage.proof import StorageProof
from kfinstall.releases import Release, load
from kfinstall.simulator.parts.cluster import _crd
from tests.apiserver.planes import Document, cluster
from tests.fakes.apiserver import needs_control_plane
from tests.fakes.context import FakeContext

pytestmark = [
    needs_control_plane("kube-controller-manager", "kube-scheduler"),
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]
NODES = [{"name": f"stand-in-{number}", "address": f"10.1.0.{number + 11}"} for number in range(2)]
STORAGE = "storage.k8s.io/v1"
KINDS: dict[str, tuple[type[Step], dict[str, Any]]] = {
    "nfs-csi": (StorageNfsCsi, {}),
    "nfs-client": (StorageNfsSubdir, {"nfs": {"provisioner": "subdir"}}),
    "local-path": (StorageLocalPath, {"type": "local-path"}),
}


class StepRunner:
    """A cluster, and what the answers say of its storage."""

    def __init__(self, folder: Path, client: ApiCluster) -> None:
        self.volumes = folder / "volumes"
        self.client = client
        self.lines: list[str] = []

    async def view(self, step: Step, storage: Document, release: Release | None = None) -> View:
        answers = Answers.model_validate({"nodes": NODES, "storage": storage, "spark": {"enabled": False}})
        bare = View(answers, release or load(answers.cluster.release), CLUSTER_TARGET)
        return View(bare.answers, bare.release, CLUSTER_TARGET, cluster=await self.client.snapshot(step.wants(bare)))

    async def check(self, step: Step, storage: Document) -> Any:
        return step.check(await self.view(step, storage))

    async def apply(self, step: Step, storage: Document, release: Release | None = None) -> None:
        context = FakeContext(await self.view(step, storage, release), cluster=self.client)
        try:
            await step.apply(context)
        finally:
            self.lines += context.lines

    async def put(self, kind: str, api_version: str, name: str, **fields: Any) -> None:
        """Make or replace an object as somebody else would."""
        ref = Ref(api_version, kind, name)
        await self.client.delete(ref)
        path = f"/apis/{api_version}/{kind.lower()}{'es' if kind.endswith('s') else 's'}"
        metadata = {"name": name, **fields.pop("metadata", {})}
        await self.client._connection.request("POST", path, body={"metadata": metadata, **fields})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StepRunner]:
    folder = tmp_path_factory.mktemp("plane")
    async with cluster(folder, stuck="absent", volumes=True) as (_plane, client):
        yield StepRunner(folder, client)


def phase(name: str) -> tuple[list[Step], Document]:
    provisioner, storage = KINDS[name]
    return [provisioner(), StorageDefaultClass(), StorageProof()], storage


@pytest.mark.parametrize("name", KINDS)
async def test_the_phase_is_done_once_and_leaves_nothing_but_its_record(runner: StepRunner, name: str) -> None:
    steps, storage = phase(name)
    for step in steps:
        if isinstance(await runner.check(step, storage), Needed):
            await runner.apply(step, storage)
    for step in steps:
        found = await runner.check(step, storage)
        assert isinstance(found, Satisfied), (step.id, found)
        assert name in found.evidence
    classes = await runner.client.list(ListQuery(STORAGE, "StorageClass"))
    defaults = [item for item in classes if (item["metadata"].get("annotations") or {}).get(storage_provisioner.DEFAULT) == "true"]
    assert [item["metadata"]["name"] for item in defaults] == [name]
    written = "read on stand-in-0" if name != "local-path" else "and read back"
    record = await runner.client.get(Ref("v1", "ConfigMap", "proof-storage", "kfinstall"))
    assert record is not None
    assert written in record["data"]["evidence"]
    assert any(line.startswith("kf-wrote ") for line in runner.lines)
    assert any(line.startswith("kf-read ") for line in runner.lines)
    for kind, version in (("PersistentVolumeClaim", "v1"), ("Job", "batch/v1")):
        assert await runner.client.list(ListQuery(version, kind, "kfinstall")) == []
    for volume in await runner.client.list(ListQuery("v1", "PersistentVolume")):
        await runner.client.wait(
            Ref.of({**volume, "apiVersion": "v1", "kind": "PersistentVolume"}), gone, timeout_seconds=30, say=print
        )
    assert list(runner.volumes.iterdir()) == []


def gone(document: Document | None) -> NotReady | None:
    return NotReady("it is still there") if document else None


def definitions() -> list[Document]:
    """Calico's own (operator-crds.yaml) where KFINSTALL_CALICO_CRDS names the file, else the simulator's, which take anything."""
    path = os.environ.get("KFINSTALL_CALICO_CRDS", "")
    if not path:
        return [_crd(storage_policy.API.partition("/")[0], kind) for kind in ("Tier", "GlobalNetworkPolicy")]
    wanted = {"tiers.crd.projectcalico.org", "globalnetworkpolicies.crd.projectcalico.org"}
    return [item for item in yaml.safe_load_all(Path(path).read_text()) if item and item["metadata"]["name"] in wanted]


# Whether a pod is refused is Calico's to show; that the objects are what its definitions ask for, and stay as they are, is the API server's.
async def test_the_policy_that_keeps_pods_from_the_server_is_taken_as_it_is(runner: StepRunner) -> None:
    step, storage = StorageNfsPolicy(), {"nfs": {"server": "10.1.0.99"}}
    for definition in definitions():
        await runner.client.apply(definition)
        await runner.client.wait(Ref.of(definition), established, timeout_seconds=60, say=print)
    view = await runner.view(step, storage)
    found = []
    for _again in "12":
        for document in step.documents(view):
            await runner.client.apply(stamp.stamped(document))
        found.append([await runner.client.get(Ref.of(document)) for document in step.documents(view)])
    assert found[0] == found[1]
    for document, kept in zip(step.documents(view), found[0], strict=True):
        assert kept is not None
        assert kept["spec"] == document["spec"]
    assert await runner.check(step, storage) == Needed(("see that a pod does not reach 10.1.0.99:2049",))


def established(document: Document | None) -> NotReady | None:
    conditions = ((document or {}).get("status") or {}).get("conditions") or []
    good = any((item["type"], item["status"]) == ("Established", "True") for item in conditions)
    return None if good else NotReady("it is not established")


async def test_a_second_run_sends_nothing_that_the_server_would_change(runner: StepRunner) -> None:
    (step, *_rest), storage = phase("nfs-csi")
    await runner.apply(step, storage)

    async def generations() -> dict[Ref, Any]:
        """By what a change would show: controllers write status, and so the versions, at any time."""
        found = (await runner.view(step, storage)).cluster
        assert found is not None
        marks = {ref: item["metadata"] for ref, item in found.objects.items()}
        return {ref: (item["uid"], item.get("generation") or item["resourceVersion"]) for ref, item in marks.items()}

    before = await generations()
    await runner.apply(step, storage)
    assert await generations() == before


async def test_defaults_of_others_are_taken_from_them_whoever_manages_them(runner: StepRunner) -> None:
    (step, default, _proof), storage = phase("local-path")
    await runner.apply(step, storage)
    for name, mark in (("gp2", storage_provisioner.DEFAULT), ("old", storage_provisioner.OLD_DEFAULT)):
        await runner.put(
            "StorageClass", STORAGE, name, provisioner="example.com/x", metadata={"annotations": {mark: "true", "a": "b"}}
        )
    found = await runner.check(default, storage)
    assert isinstance(found, Needed)
    assert {f"take the default from StorageClass {name}" for name in ("gp2", "old")} <= set(found.changes)
    await runner.apply(default, storage)
    assert isinstance(await runner.check(default, storage), Satisfied)
    for name, mark in (("gp2", storage_provisioner.DEFAULT), ("old", storage_provisioner.OLD_DEFAULT)):
        kept = await runner.client.get(Ref(STORAGE, "StorageClass", name))
        assert kept is not None
        assert (kept["provisioner"], kept["metadata"]["annotations"]) == ("example.com/x", {mark: "false", "a": "b"})


async def test_a_class_whose_parameters_change_is_made_anew_and_one_of_others_is_left(runner: StepRunner) -> None:
    (step, *_rest), storage = phase("nfs-csi")
    await runner.apply(step, storage)
    moved = {"nfs": {"path": "/srv/elsewhere"}}
    assert await runner.check(step, moved) == Needed(("apply StorageClass nfs-csi",))
    await runner.apply(step, moved)
    assert isinstance(await runner.check(step, moved), Satisfied)
    await runner.put("StorageClass", STORAGE, "nfs-csi", provisioner="example.com/x")
    found = await runner.check(step, storage)
    assert isinstance(found, Conflict)
    assert "example.com/x" in found.reason
    await runner.client.delete(Ref(STORAGE, "StorageClass", "nfs-csi"))
    await runner.apply(step, storage)
    assert isinstance(await runner.check(step, storage), Satisfied)


# Installations of before have classes that mount with fewer options: they are changed in place, and nothing is made anew.
@pytest.mark.parametrize("name", ["nfs-csi", "nfs-client"])
async def test_other_mount_options_of_our_class_are_changed_in_place(runner: StepRunner, name: str) -> None:
    (step, *_rest), storage = phase(name)
    await runner.apply(step, storage)
    ref = Ref(STORAGE, "StorageClass", name)
    now = await runner.client.get(ref)
    wanted = storage_provisioner.storage_class(await runner.view(step, storage))
    before = {**wanted, "mountOptions": ["nfsvers=4.1", "hard", "noatime"]}
    await runner.client.apply(stamp.stamped(before))
    assert await runner.check(step, storage) == Needed((f"apply StorageClass {name}",))
    await runner.apply(step, storage)
    assert isinstance(await runner.check(step, storage), Satisfied)
    after = await runner.client.get(ref)
    assert now is not None
    assert after is not None
    assert after["metadata"]["uid"] == now["metadata"]["uid"]
    assert after["mountOptions"] == ["nfsvers=4.1", "hard", "noatime", "nosuid", "nodev"]


@pytest.mark.parametrize("name", ["nfs-csi", "nfs-client"])
async def test_sparks_claim_is_a_conflict_exactly_where_the_server_refuses_its_change(runner: StepRunner, name: str) -> None:
    (step, *_rest), storage = phase(name)
    await runner.apply(step, storage)
    place = spark_place.place_of(Answers.model_validate({"nodes": NODES, "kubeflow": {"enabled": False}}), load("26.03"))
    await runner.client.apply(spark_objects.namespace(place))
    ref = Ref("v1", "PersistentVolumeClaim", spark_place.VOLUME, place.namespace)
    await runner.client.delete(ref)
    await runner.client.apply(spark_objects.claim(place, name, "2Gi"))
    await runner.client.wait(ref, workload_waiting, timeout_seconds=60, say=print)
    outcomes = {}
    for chosen, size in (("nfs-csi", "2Gi"), ("nfs-client", "2Gi"), (name, "2048Mi"), (name, "1Gi"), (name, "3Gi")):
        sections = {"nodes": NODES, "kubeflow": {"enabled": False}, "spark": {"volumeSize": size}, "storage": KINDS[chosen][1]}
        bare = View(Answers.model_validate(sections), load("26.03"), CLUSTER_TARGET)
        seen = View(bare.answers, bare.release, CLUSTER_TARGET, cluster=await runner.client.snapshot(SparkVolume().wants(bare)))
        conflict = isinstance(SparkVolume().check(seen), Conflict)
        try:
            await runner.client.apply(spark_objects.claim(place, chosen, size))
        except CommandError:
            outcomes[chosen, size] = (conflict, "refused")
        else:
            outcomes[chosen, size] = (conflict, "changed")
    refused, changed = (True, "refused"), (False, "changed")
    assert outcomes == {
        ("nfs-csi", "2Gi"): changed if name == "nfs-csi" else refused,
        ("nfs-client", "2Gi"): changed if name == "nfs-client" else refused,
        (name, "2048Mi"): changed,
        (name, "1Gi"): refused,
        (name, "3Gi"): changed if name == "nfs-csi" else refused,
    }
    await runner.client.delete(ref)


async def test_a_volume_that_users_of_pods_can_not_write_fails_the_proof_and_the_next_run_mends_it(
    runner: StepRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_proof_pods, "_TRIES", 0)
    (step, _default, proof), storage = phase("nfs-csi")
    await runner.apply(step, storage)
    driver = {"attachRequired": False, "volumeLifecycleModes": ["Persistent"], "fsGroupPolicy": "None"}
    await runner.put("CSIDriver", STORAGE, "nfs.csi.k8s.io", spec=driver)
    with pytest.raises(CommandError, match="storage-proof-write failed") as failed:
        await runner.apply(proof, storage)
    assert "Permission denied" in (failed.value.why or "")
    assert "kubectl -n kfinstall logs job/storage-proof-write" in (failed.value.hint or "")
    assert await runner.check(step, storage) == Needed(("apply CSIDriver nfs.csi.k8s.io",))
    for again in (step, proof):
        await runner.apply(again, storage)
        assert isinstance(await runner.check(again, storage), Satisfied)


async def test_a_provisioner_that_does_not_come_up_says_why(runner: StepRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfinstall.parts.storage.limits.STORAGE_PROVISIONER_TIMEOUT_SECONDS", 15.0)
    (step, *_rest), storage = phase("nfs-client")
    release = load("26.03")
    images = {**release.images, "nfs-subdir-external-provisioner": "registry.example/absent:1"}
    with pytest.raises(StepTimeoutError) as caught:
        await runner.apply(step, storage, release.model_copy(update={"images": images}))
    assert "registry.example/absent:1 is not in its registry" in (caught.value.why or "")
