"""Pods are kept from the NFS server: whose addresses, what the policy says, and a pod that tries."""

import dataclasses
import shutil
import subprocess
import sys

import pytest

from kfinstall import releases, resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import CLUSTER_TARGET, Conflict, Needed, Satisfied, View
from kfinstall.errors import CommandError
from kfinstall.facts.model import Facts, NetworkFacts
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.parts.storage import limits
from kfinstall.parts.storage import policy as storage_policy
from kfinstall.parts.storage.facts import NfsServerName
from kfinstall.parts.storage.nfs_policy import StorageNfsPolicy
from kfinstall.simulator.controllers import pods
from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.nodes.model import POD_HOOKS, PodOutcome
from tests.unit.parts.storage.test_storage import lab

NODES = [{"name": "cp1", "address": "10.77.0.11"}, {"name": "worker1", "address": "10.77.0.12"}]
STEP = StorageNfsPolicy()


def seen(nfs=None, fleet=None, nodes=NODES):
    answers = Answers.model_validate({"nodes": nodes, "storage": {"nfs": nfs or {}}, "spark": {"enabled": False}})
    return View(answers, releases.load(answers.cluster.release), CLUSTER_TARGET, fleet or {})


def facts(name, *addresses, resolved=""):
    return Facts(
        name, network=NetworkFacts(addresses=addresses), sections={NfsServerName: NfsServerName.parse(resolved.splitlines())}
    )


def nets(view):
    return sorted({net for rule in storage_policy.policy(view)["spec"]["egress"] for net in rule["destination"]["nets"]})


# what the policy says


def test_the_policy_is_of_pods_alone_and_of_nothing_but_what_it_refuses():
    tier, policy = storage_policy.documents(seen())
    assert tier["spec"] == {"order": 500, "defaultAction": "Pass"}
    assert policy["metadata"]["name"].partition(".")[0] == policy["spec"]["tier"] == tier["metadata"]["name"]
    assert policy["spec"]["selector"] == "has(projectcalico.org/namespace)"
    assert policy["spec"]["types"] == ["Egress"]
    assert "ingress" not in policy["spec"]
    assert [(rule["action"], rule["protocol"], rule["destination"]["ports"]) for rule in policy["spec"]["egress"]] == [
        ("Deny", protocol, [111, 2049, 20048]) for protocol in ("TCP", "UDP")
    ]
    assert nets(seen()) == ["10.77.0.11/32"]


def test_a_server_that_is_a_node_is_meant_by_all_its_addresses_and_others_by_theirs():
    fleet = {
        "cp1": facts("cp1", "10.77.0.11/24", "192.168.5.2/16", "fd00::11/64", "172.17.0.1/16"),
        "worker1": facts("worker1", "10.77.0.12/24"),
    }
    assert nets(seen(fleet=fleet)) == ["10.77.0.11/32", "172.17.0.1/32", "192.168.5.2/32", "fd00::11/128"]
    assert nets(seen({"server": "10.99.0.1"}, fleet)) == ["10.99.0.1/32"]
    assert nets(seen({"server": "fd00::9"}, fleet)) == ["fd00::9/128"]
    assert storage_policy.target(seen({"server": "fd00::9"}, fleet)) == "[fd00::9]:2049"


def test_a_rule_has_addresses_of_one_family_only():
    rules = storage_policy.policy(seen(fleet={"cp1": facts("cp1", "10.77.0.11/24", "fd00::11/64")}))["spec"]["egress"]
    assert len(rules) == 4
    assert all(len({":" in net for net in rule["destination"]["nets"]}) == 1 for rule in rules)


def test_a_name_is_what_the_nodes_take_it_for():
    fleet = {"cp1": facts("cp1", resolved="10.9.0.1\n10.9.0.2"), "worker1": facts("worker1", resolved="10.9.0.2\nfd00::1")}
    assert nets(seen({"server": "nas.lan"}, fleet)) == ["10.9.0.1/32", "10.9.0.2/32", "fd00::1/128"]
    assert storage_policy.target(seen({"server": "nas.lan"}, fleet)) == "10.9.0.1:2049"


def test_what_a_node_says_of_a_name_is_bounded_and_only_addresses_count():
    lies = "127.0.0.1 ::1 0.0.0.0 169.254.1.1 fe80::1 224.0.0.1 10.9.0.0/8 x;y 10.9.0.7"
    assert nets(seen({"server": "nas.lan"}, {"cp1": facts("cp1", resolved=lies)})) == ["10.9.0.7/32"]
    many = " ".join(f"10.9.{number // 250}.{number % 250 + 1}" for number in range(5000))
    assert len(nets(seen({"server": "nas.lan"}, {"cp1": facts("cp1", resolved=many)}))) == limits.STORAGE_SERVER_ADDRESSES


def test_a_server_whose_address_nobody_knows_is_told_plainly_and_the_run_goes_on():
    found = STEP.check(seen({"server": "nas.lan"}, {"cp1": facts("cp1")}))
    assert isinstance(found, Conflict)
    assert found.warning
    assert "no node knows the address of nas.lan" in found.reason
    assert "storage.nfs.server" in found.hint


@pytest.mark.parametrize(
    ("storage", "applies"), [({}, True), ({"nfs": {"provisioner": "subdir"}}, True), ({"type": "local-path"}, False)]
)
def test_it_is_for_nfs_only(storage, applies):
    answers = Answers.model_validate({"nodes": NODES, "storage": storage, "spark": {"enabled": False}})
    assert STEP.applies(answers) is applies


# what a node says


def section(address):
    text = resources.script("engine/facts-lib") + "\n" + resources.script("storage/facts-nfs-server")
    run = [shutil.which("bash"), "-c", text]
    return subprocess.run(run, capture_output=True, text=True, env={"KF_MARK": "m", "KF_NFS_ADDRESS": address}, check=False).stdout


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("getent"), reason="runs the nodes' program: needs glibc's getent")
def test_the_node_is_asked_for_names_only():
    assert section("10.0.0.1") == section("fd00::1") == section("") == ""
    lines = section("localhost").splitlines()
    assert lines[0] == "@m nfs-server"
    assert set(lines[1:]) <= {"127.0.0.1", "::1"}
    assert lines[1:]
    assert section("kfinstall.invalid") == "@m nfs-server\n"
    assert section("-x") == "@m nfs-server\n"


# in a cluster


async def found(runner):
    """The check, on facts of all nodes as the engine has them."""
    bare = View(runner.answers, runner.release, CLUSTER_TARGET)
    reads = queries(STEP.reads, runner.answers)
    program = facts_program(STEP.watch(bare), reads, "0123abcd").parameters
    texts = {name: facts_output(node, program, 1000.0) for name, node in runner.world.nodes.items()}
    fleet = {name: parse_facts(name, "0123abcd", text, 1000.0, reads) for name, text in texts.items()}
    return STEP.check(dataclasses.replace(await runner.view(STEP, CLUSTER_TARGET), fleet=fleet))


async def test_a_pod_is_refused_once_and_then_nothing_is_left_to_do(tmp_path):
    async with lab(tmp_path) as runner:
        before = await runner.check(STEP)
        address = runner.answers.nfs_address
        assert before == Needed(
            (
                "apply Tier kfinstall",
                "apply GlobalNetworkPolicy kfinstall.nfs-server",
                f"see that a pod does not reach {address}:2049",
            )
        )
        await runner.apply(STEP)
        after = await runner.check(STEP)
        assert after == Satisfied(f"pods are kept from {address}:2049: one was refused")
        assert any(line.startswith("kf-refused") for line in runner.lines)
        assert runner.simulated.objects("batch/v1", "Job", "kfinstall") == []
        moved = runner.answers.storage.model_copy(
            update={"nfs": runner.answers.storage.nfs.model_copy(update={"server": "nas.lan"})}
        )
        runner.answers = runner.answers.model_copy(update={"storage": moved})
        assert (await found(runner)).changes == (
            "apply GlobalNetworkPolicy kfinstall.nfs-server",
            "see that a pod does not reach 10.99.0.1:2049",
        )


async def test_what_somebody_deleted_is_needed_again_and_what_others_made_stays(tmp_path):
    async with lab(tmp_path) as runner:
        await runner.apply(STEP)
        runner.simulated.delete(storage_policy.API, "GlobalNetworkPolicy", storage_policy.POLICY)
        assert await runner.check(STEP) == Needed(("apply GlobalNetworkPolicy kfinstall.nfs-server",))
        metadata = {"name": storage_policy.POLICY}
        runner.simulated.put({"apiVersion": storage_policy.API, "kind": "GlobalNetworkPolicy", "metadata": metadata, "spec": {}})
        found_there = await runner.check(STEP)
        assert isinstance(found_there, Conflict)
        assert not found_there.warning
        assert "kubectl delete globalnetworkpolicies.crd.projectcalico.org kfinstall.nfs-server" in found_there.hint


async def test_a_pod_that_gets_through_fails_the_step_and_says_what_to_look_at(tmp_path, monkeypatch):
    async with lab(tmp_path) as runner:
        monkeypatch.setattr(storage_policy, "_PORTS", (111,))
        with pytest.raises(CommandError, match="a pod still reaches the NFS server") as caught:
            await runner.apply(STEP)
        assert "calico-system" in caught.value.hint
        assert isinstance(await runner.check(STEP), Needed)


@pytest.mark.parametrize(
    ("words", "hint"), [("REFUSED", "does the server listen"), ("sh: /agnhost: not found", "describe job nfs-policy-proof")]
)
async def test_a_try_that_ends_otherwise_is_no_proof_and_is_told_with_its_words(tmp_path, monkeypatch, words, hint):
    def ended(pod, world):
        if storage_policy.LABEL not in (pod["metadata"].get("labels") or {}):
            return None
        return PodOutcome(log=f"{storage_policy.UNKNOWN} {pod['spec']['containers'][0]['command'][4]}: {words}\n", exit_code=1)

    async with lab(tmp_path) as runner:
        monkeypatch.setattr(pods, "POD_HOOKS", [ended, *POD_HOOKS])
        with pytest.raises(CommandError, match="is not known") as caught:
            await runner.apply(STEP)
        assert words in caught.value.message
        assert hint in caught.value.hint
        assert isinstance(await runner.check(STEP), Needed)


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("seq"), reason="runs the pod's program: needs a POSIX shell")
@pytest.mark.parametrize(
    ("answers", "status", "last"),
    [
        (["TIMEOUT"], 0, "kf-refused 10.0.0.1:2049 (TIMEOUT)"),
        (["", "", "TIMEOUT"], 0, "kf-refused 10.0.0.1:2049 (TIMEOUT)"),
        ([""], 1, "kf-reached 10.0.0.1:2049: the policy is not in force"),
        (["OTHER: no route to host", "TIMEOUT"], 0, "kf-refused 10.0.0.1:2049 (TIMEOUT)"),
        (["REFUSED"], 1, "kf-unknown 10.0.0.1:2049: REFUSED"),
        (["DNS: no * such host"], 1, "kf-unknown 10.0.0.1:2049: DNS: no * such host"),
        (["UNKNOWN: bad arguments: TIMEOUT"], 1, "kf-unknown 10.0.0.1:2049: UNKNOWN: bad arguments: TIMEOUT"),
        (None, 1, "not found"),
    ],
)
def test_the_pods_program_waits_for_calico_and_is_content_with_nothing_but_a_refusal(tmp_path, answers, status, last):
    program = tmp_path / "agnhost"
    cases = "\n".join(f"{number}) last='{answer}';;" for number, answer in enumerate(answers or ()))
    program.write_text(
        f"#!/bin/sh\nn=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) >{tmp_path}/n\nlast='{(answers or [''])[-1]}'\n"
        f'case $n in\n{cases}\nesac\n[ -z "$last" ] || {{ echo "$last"; exit 1; }}\n'
    )
    if answers is None:
        program.unlink()
    else:
        program.chmod(0o755)
    command = storage_policy.job(seen())["spec"]["template"]["spec"]["containers"][0]["command"]
    text = command[2].replace("/agnhost", str(program)).replace("sleep 2", "")
    done = subprocess.run(["sh", command[1], text, "try", "10.0.0.1:2049", "4"], capture_output=True, text=True, check=False)
    assert done.returncode == status, done
    assert done.stdout.splitlines()[-1].endswith(last), done
    assert done.stdout.startswith("kf-unknown 10.0.0.1:2049: ") == ("unknown" in last or answers is None), done


def test_the_try_is_made_on_the_control_plane_where_no_worker_is_there():
    """Reported: with the only worker set aside its pod waited ten minutes for a node."""
    (toleration,) = storage_policy.job(seen())["spec"]["template"]["spec"]["tolerations"]
    assert toleration == {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
