"""Phase storage: exports and facts as pure functions, and each kind of storage against the simulated cluster."""

import contextlib
import dataclasses
import shutil
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

from kfinstall import releases, resources
from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine.step import CLUSTER_TARGET, Conflict, Needed, Satisfied, Scope, View
from kfinstall.errors import CommandError
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import Ref
from kfinstall.parts.storage import facts as storage_facts
from kfinstall.parts.storage import proof_pods as storage_proof_pods
from kfinstall.parts.storage import provisioner
from kfinstall.parts.storage.default_class import StorageDefaultClass
from kfinstall.parts.storage.local_directory import StorageLocalDirectory
from kfinstall.parts.storage.local_path import StorageLocalPath
from kfinstall.parts.storage.nfs_client import StorageNfsClient
from kfinstall.parts.storage.nfs_csi import StorageNfsCsi
from kfinstall.parts.storage.nfs_policy import StorageNfsPolicy
from kfinstall.parts.storage.nfs_server import StorageNfsServer
from kfinstall.parts.storage.nfs_subdir import StorageNfsSubdir
from kfinstall.parts.storage.proof import StorageProof
from kfinstall.parts.storage.provisioner_step import ProvisionerStep
from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.nodes.model import EFFECTS, ScriptError, SimUnit
from kfinstall.simulator.parts import storage as effects
from kfinstall.workflows import installation
from tests.fakes.context import FakeContext
from tests.simulated.simulated_cluster import initialised

STEPS = [
    StorageNfsServer,
    StorageNfsClient,
    StorageNfsPolicy,
    StorageLocalDirectory,
    StorageLocalPath,
    StorageNfsCsi,
    StorageNfsSubdir,
    StorageDefaultClass,
    StorageProof,
]
NODES = [{"name": "cp1", "address": "10.77.0.11"}, {"name": "worker1", "address": "10.77.0.12"}]
NASTY = "/srv/it's a (shared) +dir,x=1:y;z&$HOME@"
CLASS = "storage.k8s.io/v1"


def make_answers(storage=None, nodes=NODES):
    return Answers.model_validate({"nodes": nodes, "storage": storage or {}, "spark": {"enabled": False}})


def make_view(storage=None, target=CLUSTER_TARGET, nodes=NODES):
    answers = make_answers(storage, nodes)
    return View(answers, releases.load(answers.cluster.release), target)


class Lab:
    """A simulated cluster, and views of it as the engine would have them."""

    def __init__(self, fleet, simulated, cluster, storage):
        self.world, self.simulated, self.cluster = fleet.world, simulated, cluster
        base = fleet.answers()
        self.answers = base.model_copy(update={"storage": make_answers(storage).storage})
        self.release = releases.load(self.answers.cluster.release)
        self.lines = []

    async def view(self, step, target):
        empty = View(self.answers, self.release, target)
        if target == CLUSTER_TARGET:
            return dataclasses.replace(empty, cluster=await self.cluster.snapshot(step.wants(empty)))
        reads = queries(step.reads, self.answers)
        program = facts_program(step.watch(empty), reads, "0123abcd")
        facts = parse_facts(target, "0123abcd", facts_output(self.world.nodes[target], program.parameters, 1000.0), 1000.0, reads)
        return dataclasses.replace(empty, fleet={target: facts})

    async def check(self, step, target=CLUSTER_TARGET):
        return step.check(await self.view(step, target))

    async def apply(self, step, target=CLUSTER_TARGET):
        context = FakeContext(await self.view(step, target), self.world, cluster=self.cluster)
        try:
            await step.apply(context)
        finally:
            self.lines += context.lines

    async def run(self, *, done=()):
        """The phase as the executor runs it: every step but those done is needed, and satisfied right afterwards."""
        for step in (made() for made in STEPS):
            for target in step.targets(self.answers) if step.applies(self.answers) else ():
                before = await self.check(step, target)
                if step.id not in ("storage.default-class", *done):
                    assert isinstance(before, Needed), (step.id, target, before)
                if isinstance(before, Needed):
                    await self.apply(step, target)
                after = await self.check(step, target)
                assert isinstance(after, Satisfied), (step.id, target, after)
                assert after.evidence


@contextlib.asynccontextmanager
async def lab(folder, storage=None):
    async with initialised(folder) as (fleet, simulated):
        config = fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content
        for _line in EFFECTS["cluster-network"](fleet.world.nodes["cp1"], {"VERSION": "3.32.1"}, "", fleet.world):
            pass
        async with open_cluster(config, simulated.server.port, patience_seconds=5) as cluster:
            yield Lab(fleet, simulated, cluster, storage)


# the whole phase, for each kind of storage


@pytest.mark.parametrize(
    ("storage", "name"),
    [
        ({}, "nfs-csi"),
        ({"nfs": {"path": NASTY, "server": "worker1"}}, "nfs-csi"),
        ({"nfs": {"provisioner": "subdir"}}, "nfs-client"),
        ({"type": "local-path", "localPath": {"directory": "/data/volumes"}}, "local-path"),
    ],
)
async def test_the_phase_is_done_once_and_leaves_only_its_record(tmp_path, storage, name):
    async with lab(tmp_path, storage) as runner:
        await runner.run()
        classes = runner.simulated.objects(CLASS, "StorageClass")
        assert [item["metadata"]["name"] for item in classes] == [name]
        assert classes[0]["metadata"]["annotations"][provisioner.DEFAULT] == "true"
        assert runner.simulated.objects("v1", "PersistentVolumeClaim", "kfinstall") == []
        assert runner.simulated.objects("batch/v1", "Job", "kfinstall") == []
        record = runner.simulated.get("v1", "ConfigMap", "proof-storage", "kfinstall")
        assert name in record["data"]["evidence"]
        assert ("read on worker2" in record["data"]["evidence"]) == (name != "local-path")


# the class and the provisioner


async def test_exactly_one_class_is_the_default_whoever_made_the_others(tmp_path):
    async with lab(tmp_path, {"type": "local-path"}) as runner:
        beta = "storageclass.beta.kubernetes.io/is-default-class"
        for name, mark in (("gp2", provisioner.DEFAULT), ("old", beta), ("other", "example.com/note")):
            metadata = {"name": name, "annotations": {mark: "true"}}
            runner.simulated.put(
                {"apiVersion": CLASS, "kind": "StorageClass", "metadata": metadata, "provisioner": "example.com/x"}
            )
        step = StorageDefaultClass()
        found = await runner.check(step)
        assert isinstance(found, Needed)
        assert [line for line in found.changes if "gp2" in line or "old" in line] == [
            "take the default from StorageClass gp2",
            "take the default from StorageClass old",
        ]
        assert not any("other" in line for line in found.changes)
        await runner.apply(step)
        assert isinstance(await runner.check(step), Satisfied)
        assert "StorageClass gp2 is not the default any more" in runner.lines
        kept = runner.simulated.get(CLASS, "StorageClass", "gp2")
        assert kept["provisioner"] == "example.com/x"
        assert runner.simulated.get(CLASS, "StorageClass", "other")["metadata"]["annotations"] == {"example.com/note": "true"}


@pytest.mark.parametrize(("before", "after"), [({}, {"nfs": {"provisioner": "subdir"}}), ({"type": "local-path"}, {})])
async def test_another_kind_of_storage_takes_the_default_from_the_class_that_was_ours(tmp_path, before, after):
    async with lab(tmp_path, before) as runner:
        await runner.run()
        (old,) = runner.simulated.objects(CLASS, "StorageClass")
        runner.answers = runner.answers.model_copy(update={"storage": make_answers(after).storage})
        await runner.run(done=("storage.nfs-server", "storage.nfs-client", "storage.nfs-policy") if before == {} else ())
        classes = {item["metadata"]["name"]: item for item in runner.simulated.objects(CLASS, "StorageClass")}
        marks = {name: item["metadata"]["annotations"][provisioner.DEFAULT] for name, item in classes.items()}
        assert marks == {old["metadata"]["name"]: "false", runner.answers.storage_class: "true"}
        kept = classes[old["metadata"]["name"]]
        assert [kept[key] for key in ("provisioner", "reclaimPolicy")] == [old[key] for key in ("provisioner", "reclaimPolicy")]
        assert kept.get("parameters") == old.get("parameters")


async def test_a_class_of_somebody_else_by_our_name_is_a_conflict(tmp_path):
    async with lab(tmp_path) as runner:
        metadata = {"name": "nfs-csi"}
        runner.simulated.put({"apiVersion": CLASS, "kind": "StorageClass", "metadata": metadata, "provisioner": "example.com/x"})
        found = await runner.check(StorageNfsCsi())
        assert isinstance(found, Conflict)
        assert "example.com/x" in found.reason
        assert "kubectl delete storageclass nfs-csi" in found.hint


async def test_other_parameters_make_our_class_anew(tmp_path):
    async with lab(tmp_path) as runner:
        step = StorageNfsCsi()
        await runner.apply(step)
        moved = make_answers({"nfs": {"path": "/srv/elsewhere"}}).storage
        runner.answers = runner.answers.model_copy(update={"storage": moved})
        assert await runner.check(step) == Needed(("apply StorageClass nfs-csi",))
        await runner.apply(step)
        assert isinstance(await runner.check(step), Satisfied)
        assert runner.simulated.get(CLASS, "StorageClass", "nfs-csi")["parameters"]["share"] == "/srv/elsewhere"


# Kubernetes lets mountOptions be changed, and a class that is made anew would for a moment be none.
async def test_a_class_of_an_older_installation_gets_the_mount_options_in_place(tmp_path):
    async with lab(tmp_path) as runner:
        step = StorageNfsCsi()
        await runner.apply(step)
        wanted = provisioner.storage_class(View(runner.answers, runner.release, CLUSTER_TARGET))
        assert {"nosuid", "nodev"} < set(wanted["mountOptions"])
        assert not {"noexec", "nosymfollow"} & set(wanted["mountOptions"])
        await runner.cluster.apply(stamp.stamped({**wanted, "mountOptions": ["nfsvers=4.1", "hard", "noatime"]}))
        assert await runner.check(step) == Needed(("apply StorageClass nfs-csi",))
        runner.lines.clear()
        await runner.apply(step)
        assert not any("anew" in line for line in runner.lines)
        assert isinstance(await runner.check(step), Satisfied)
        assert runner.simulated.get(CLASS, "StorageClass", "nfs-csi")["mountOptions"] == wanted["mountOptions"]


async def test_what_somebody_deleted_is_needed_again(tmp_path):
    async with lab(tmp_path, {"type": "local-path"}) as runner:
        step = StorageLocalPath()
        await runner.apply(step)
        runner.simulated.delete("v1", "ConfigMap", "local-path-config", "local-path-storage")
        assert await runner.check(step) == Needed(("apply ConfigMap local-path-storage/local-path-config",))


def test_the_local_directory_and_the_helpers_image_reach_the_provisioner():
    view = make_view({"type": "local-path", "localPath": {"directory": NASTY}})
    documents = provisioner.provisioner(view)
    data = next(item["data"] for item in documents if item["kind"] == "ConfigMap")
    assert yaml.safe_load(data["config.json"])["nodePathMap"][0]["paths"] == [NASTY]
    helper = yaml.safe_load(data["helperPod.yaml"])
    kubernetes_validate.validate(helper, "1.34", strict=True)
    assert helper["spec"]["containers"][0]["image"] == view.release.images["local-path-helper"]


@pytest.mark.parametrize("storage", [{}, {"nfs": {"provisioner": "subdir"}}, {"type": "local-path"}])
def test_a_check_reads_all_that_it_judges(storage):
    view = make_view(storage)
    (step,) = (made() for made in STEPS if issubclass(made, ProvisionerStep) and made().applies(view.answers))
    listed = {(want.api_version, want.kind, want.namespace) for want in step.wants(view)}
    for document in [*provisioner.provisioner(view), provisioner.storage_class(view)]:
        ref = Ref.of(document)
        assert (ref.api_version, ref.kind, ref.namespace) in listed
        kubernetes_validate.validate(document, "1.34", strict=True)


# the proof


def test_the_proofs_pods_keep_to_the_restricted_standard():
    view = make_view()
    for role in ("write", "read"):
        document = storage_proof_pods.job(view, role, "worker1", "x")
        kubernetes_validate.validate(document, "1.34", strict=True)
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert all(set(volume) <= {"name", "persistentVolumeClaim"} for volume in pod["volumes"])


@pytest.mark.skipif(not shutil.which("sh") or sys.platform == "win32", reason="runs the pods' program: needs a POSIX shell")
def test_the_pods_programs_write_read_and_tell_what_is_wrong(tmp_path):
    def run(role, content):
        command = storage_proof_pods.job(make_view(), role, "", content)["spec"]["template"]["spec"]["containers"][0]["command"]
        text = command[2].replace("/volume", str(tmp_path))
        return subprocess.run(["sh", *command[1:2], text, *command[3:]], capture_output=True, text=True, check=False)

    assert run("write", "a1").stdout == "kf-wrote a1\n"
    assert run("read", "a2").stdout == "kf-wrong: read 'a1'\n"
    assert run("read", "a1").stdout == "kf-read a1\n"
    assert run("read", "a1").returncode != 0


async def test_a_node_that_may_not_mount_fails_the_proof_and_the_next_run_mends_it(tmp_path):
    async with lab(tmp_path) as runner:
        for made, target in ((StorageNfsServer, "cp1"), (StorageNfsClient, "worker1"), (StorageNfsClient, "worker2")):
            await runner.apply(made(), target)
        await runner.apply(StorageNfsCsi())
        exports = runner.world.nodes["cp1"].files[provisioner.EXPORTS_FILE]
        right = exports.content
        exports.content = right.replace(runner.answers.node("worker2").address, "10.99.0.1")
        step = StorageProof()
        with pytest.raises(CommandError, match="storage-proof-read"):
            await runner.apply(step)
        assert isinstance(await runner.check(step), Needed)
        exports.content = right
        await runner.apply(step)
        assert isinstance(await runner.check(step), Satisfied)


async def test_another_class_asks_for_another_proof(tmp_path):
    async with lab(tmp_path) as runner:
        step, view = StorageProof(), make_view()
        await runner.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kfinstall"}})
        await runner.cluster.apply(stamp.proof("storage", step.fingerprint(view), "proven"))
        facts = await runner.cluster.snapshot(step.wants(view))
        assert step.check(dataclasses.replace(view, cluster=facts)) == Satisfied("proven")
        other = dataclasses.replace(make_view({"nfs": {"path": "/srv/other"}}), cluster=facts)
        assert isinstance(step.check(other), Needed)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (NODES[:1], ("cp1", "cp1")),
        (NODES, ("worker1", "cp1")),
        ([*NODES, {"name": "worker2", "address": "10.77.0.13"}], ("worker1", "worker2")),
    ],
)
def test_two_nodes_take_part_where_there_are_two(nodes, expected):
    assert storage_proof_pods.places(make_answers(nodes=nodes)) == expected
    assert storage_proof_pods.places(make_answers({"type": "local-path"}, nodes=nodes)) == ("", "")


# the server and its clients


def test_only_the_nodes_are_in_the_exports():
    lines = provisioner.exports(make_answers()).splitlines()
    assert lines[0].startswith("#")
    options = "(rw,sync,no_subtree_check,no_root_squash)"
    assert lines[1:] == [f"/srv/nfs/kubeflow 10.77.0.11{options} 10.77.0.12{options}"]
    assert "*" not in lines[1]


@pytest.mark.parametrize(
    ("path", "written"),
    [("/srv/a b", "/srv/a\\040b"), ('/srv/q"#\\', "/srv/q\\042\\043\\134"), ("/srv/é+,(1)$@:='&;", "/srv/é+,(1)$@:='&;")],
)
def test_paths_are_escaped_as_nfs_utils_does_it(path, written):
    assert storage_facts.export_path(path) == written


@pytest.mark.parametrize(
    ("addresses", "clients", "good"),
    [
        (["10.0.0.1", "fd00::2"], {"10.0.0.1", "fd00::2"}, True),
        (["10.0.0.1", "fd00::2"], {"10.0.0.1"}, False),
        (["10.0.0.1"], {"10.0.0.1", "10.0.0.9"}, False),
        (["10.0.0.1"], {"10.0.0.1", "*"}, False),
        (["10.0.0.1", "w1"], {"10.0.0.1", "w1.example.com"}, True),
        (["10.0.0.1", "w1"], {"10.0.0.1", "10.0.0.9"}, False),
        (["10.0.0.1", "w1"], {"10.0.0.1"}, False),
    ],
)
def test_who_the_kernel_serves_is_compared_with_the_nodes(addresses, clients, good):
    nodes = [{"name": f"n{index}", "address": address} for index, address in enumerate(addresses)]
    assert provisioner.exported(make_answers(nodes=nodes), clients) is good


def test_the_source_of_a_mount_has_brackets_around_ipv6():
    assert provisioner.source(make_answers({"nfs": {"server": "fd00::7", "path": "/a b"}})) == "[fd00::7]:/a b"
    assert effects._server_of("[fd00::7]:/a:/b", type("World", (), {"nodes": {}})()) == (None, "/a:/b")


async def test_the_server_asks_for_what_is_missing_only(tmp_path):
    async with lab(tmp_path) as runner:
        step, node = StorageNfsServer(), runner.world.nodes["cp1"]
        await runner.apply(step, "cp1")
        node.units[provisioner.SERVER_UNIT] = SimUnit(active=False, enabled=True)
        assert await runner.check(step, "cp1") == Needed((f"start {provisioner.SERVER_UNIT}",))
        node.units[provisioner.SERVER_UNIT] = SimUnit(active=True, enabled=True)
        node.files[provisioner.EXPORTS_FILE].mode = 0o666
        found = await runner.check(step, "cp1")
        assert isinstance(found, Needed)
        assert f"write {provisioner.EXPORTS_FILE}" in found.changes[0]


async def test_what_an_administrator_exports_is_a_conflict(tmp_path):
    async with lab(tmp_path) as runner:
        step, node = StorageNfsServer(), runner.world.nodes["cp1"]
        await runner.apply(step, "cp1")
        node.write("/etc/exports", f"# mine\n{runner.answers.storage.nfs.path} *(ro)\n")
        found = await runner.check(step, "cp1")
        assert isinstance(found, Conflict)
        assert "/etc/exports" in found.reason


async def test_a_client_that_is_not_served_fails_with_a_hint(tmp_path):
    async with lab(tmp_path) as runner:
        with pytest.raises(ScriptError) as caught:
            await runner.apply(StorageNfsClient(), "worker1")
        assert any(line.startswith("kf-hint: ") for line in caught.value.lines)
        assert isinstance(await runner.check(StorageNfsClient(), "worker1"), Needed)


async def test_another_export_is_mounted_again(tmp_path):
    async with lab(tmp_path) as runner:
        await runner.apply(StorageNfsServer(), "cp1")
        await runner.apply(StorageNfsClient(), "worker1")
        assert isinstance(await runner.check(StorageNfsClient(), "worker1"), Satisfied)
        other = make_answers({"nfs": {"server": "10.99.0.1"}}).storage
        runner.answers = runner.answers.model_copy(update={"storage": other})
        assert await runner.check(StorageNfsClient(), "worker1") == Needed(("mount 10.99.0.1:/srv/nfs/kubeflow once",))


@pytest.mark.parametrize(
    ("storage", "applying"),
    [
        ({}, "nfs-server nfs-client nfs-policy nfs-csi default-class proof"),
        ({"nfs": {"provisioner": "subdir"}}, "nfs-server nfs-client nfs-policy nfs-subdir default-class proof"),
        ({"nfs": {"server": "10.99.0.1"}}, "nfs-client nfs-policy nfs-csi default-class proof"),
        ({"type": "local-path"}, "local-directory local-path default-class proof"),
    ],
)
def test_the_answers_choose_the_steps(storage, applying):
    answers = make_answers(storage)
    chosen = [made.id.removeprefix("storage.") for made in STEPS if made().applies(answers)]
    assert chosen == applying.split()
    for made in STEPS:
        if made.scope is Scope.CLUSTER:
            assert made().targets(answers) == (CLUSTER_TARGET,)


def test_the_phase_has_these_steps_in_this_order():
    phase = next(item for item in installation.PHASES if item.id == "storage")
    assert list(phase.steps) == STEPS


# the facts' script


def _bash():
    found = shutil.which("bash")
    if not found or sys.platform == "win32":
        return ""
    shown = subprocess.run([found, "-c", "echo $((BASH_VERSINFO[0]))"], capture_output=True, text=True, check=False).stdout
    return found if int(shown or 0) >= 5 else ""


@pytest.mark.skipif(not _bash(), reason="runs the nodes' program: needs bash 5")
@pytest.mark.parametrize(
    ("line", "ours"),
    [
        (f'"{NASTY}" *(rw)', True),
        ("\t" + NASTY.replace(" ", "\\040") + "\t10.0.0.9(rw)", True),
        (f'"{NASTY}/" *(rw)', True),
        (f"# {NASTY} *(rw)", False),
        (f'"{NASTY}2" *(rw)', False),
        ("/srv/it's *(rw)", False),
    ],
)
def test_an_export_in_another_file_is_seen_however_it_is_written(tmp_path, line, ours):
    (tmp_path / "exports.d").mkdir()
    exports = provisioner.exports(make_answers({"nfs": {"path": NASTY}}))
    (tmp_path / "exports.d" / "kfinstall.exports").write_text(exports)
    (tmp_path / "exports").write_text(line)
    (tmp_path / "etab").write_text(f"/srv/x\t10.0.0.3(rw)\n{storage_facts.export_path(NASTY)}\t10.0.0.1(rw,sec=sys)\n")
    text = resources.script("storage/facts").replace("/var/lib/nfs/etab", f"{tmp_path}/etab").replace("/etc/", f"{tmp_path}/")
    text = resources.script("engine/facts-lib") + "\n" + text.replace("-d /var/lib/nfs ", f"-d {tmp_path} ")
    environment = {"KF_MARK": "m", "KF_NFS_PATH": NASTY, "KF_NFS_EXPORT": storage_facts.export_path(NASTY)}
    done = subprocess.run([_bash(), "-c", text], capture_output=True, text=True, env=environment, check=False)
    foreign = f"foreign={tmp_path}/exports\n" if ours else ""
    assert done.stdout == f"@m nfs\nclients=10.0.0.1\n{foreign}"
