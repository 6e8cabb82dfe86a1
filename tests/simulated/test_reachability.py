"""The ways between simulated servers: what a check and an installation make of them, headless and in every form of output."""

import json
import xml.etree.ElementTree as ET

import pytest

from kfinstall.errors import PreflightError
from kfinstall.parts.preflight import limits, ways
from kfinstall.simulator.fleet import Fleet
from tests.simulated.engine import place, run


async def checked(tmp_path, *, nodes=3, faults=(), control_planes=1, kind="check", **more):
    async with Fleet(nodes=nodes, control_planes=control_planes, faults=faults, state_dir=place(tmp_path), pace=0) as fleet:
        events, error = [], None
        try:
            await run(fleet, fleet.answers(), tmp_path, kind=kind, reporters=(events.append,), **more)
        except PreflightError as caught:
            error = caught
        return events, error, fleet


def paths(events):
    return {(event.source, event.target): event for event in events if event.name == "nodePath"}


def findings(events):
    return [e for e in events if e.name == "finding" and e.check == "preflight.reachability" and e.level != "ok"]


async def test_a_whole_network_is_told_path_by_path(tmp_path):
    events, error, fleet = await checked(tmp_path)
    assert error is None
    found = paths(events)
    assert {pair for pair in found if pair[0] != pair[1]} == {
        (a, b) for a in fleet.world.nodes for b in fleet.world.nodes if a != b
    }
    assert {path.level for path in found.values()} == {"ok"}
    assert sum(path.megabits_per_second == 940 for path in found.values()) == 3
    assert {path.mtu_bytes for pair, path in found.items() if pair[0] != pair[1]} == {1500}
    assert not findings(events)


@pytest.mark.parametrize(
    ("fault", "node", "words", "rule"),
    [
        (
            "blocked-in:worker1",
            "worker1",
            "its packet filter (iptables) drops what arrives from cp1 and worker2: TCP 10250 (kubelet), UDP 4789 (VXLAN)",
            "sudo iptables -I INPUT -s {cp1},10.77.0.13 -p tcp -m multiport --dports 10250 -j ACCEPT",
        ),
        (
            "blocked-out:worker1",
            "worker1",
            "its own packet filter (nft) drops what it sends to cp1: TCP 6443 (API server)",
            "sudo nft insert rule inet filter output ip daddr {cp1} tcp dport '{{ 6443 }}' accept",
        ),
        (
            "blocked-between:worker1",
            "worker1",
            "what comes from cp1 and worker2 does not arrive, though it leaves there: something in between drops it: UDP 4789 (VXLAN)",
            "a rule that lets UDP 4789 in from {cp1}",
        ),
        ("two-networks:worker2", "worker2", "it has no route to cp1 and worker1", "ip route get {cp1}"),
        ("small-mtu:worker2", "worker2", "must have 1350", "mtu 1400"),
    ],
)
async def test_each_fault_stops_the_run_with_its_side_and_its_rule(tmp_path, fault, node, words, rule):
    events, error, fleet = await checked(tmp_path, faults=[fault], kind="install", only=("preflight", "prepare"))
    assert error is not None
    assert not [e for e in events if e.name == "stepStarted"], "nothing was changed"
    matching = [e for e in findings(events) if e.node == node and words in e.message]
    assert matching
    assert rule.format(cp1=fleet.world.nodes["cp1"].address) in matching[0].fix
    assert any(path.level == "error" for path in paths(events).values())


async def test_a_slow_link_is_a_warning(tmp_path):
    events, error, _fleet = await checked(tmp_path, faults=["slow-link:worker1"])
    assert error is None
    assert {e.called for e in findings(events)} == {"round-trip", "bandwidth"}
    assert {e.level for e in findings(events)} == {"warning"}


async def test_what_is_ignored_by_name_lets_the_run_go_on(tmp_path):
    events, error, _fleet = await checked(tmp_path, faults=["blocked-in:worker1"], ignore=("port-blocked",))
    assert error is None
    assert {(e.level, e.ignored) for e in findings(events)} == {("info", True)}


async def test_of_many_servers_a_sample_is_tried_and_that_is_said(tmp_path):
    events, error, fleet = await checked(tmp_path, nodes=limits.REACH_WHOLE_NODES + 6)
    assert error is None
    found, names = paths(events), list(fleet.world.nodes)
    assert len(found) < len(names) * (len(names) - 1) / 2
    for name in names[1:]:
        assert (name, "cp1") in found
        assert ("cp1", name) in found
        assert sum(1 for source, _target in found if source == name) >= limits.REACH_NEIGHBOURS + 1
    assert any("not each was tried with each" in e.text for e in events if e.name == "notice")


async def test_an_installed_cluster_is_checked_against_its_services(tmp_path):
    async with Fleet(nodes=2, state_dir=place(tmp_path), pace=0) as fleet:
        answers = fleet.answers()
        await run(fleet, answers, tmp_path, only=("preflight", "prepare", "cluster"))
        events = []
        await run(fleet, answers, tmp_path, kind="check", reporters=(events.append,))
        assert not [e for e in findings(events) if e.level in ("warning", "error")]
        assert {e.called for e in findings(events)} == {"port-in-use"}


def test_the_command_line_shows_a_table_and_writes_json_and_junit(kfinstall, tmp_path):
    report = tmp_path / "report.xml"
    done = kfinstall("demo", "--headless", "--only", "preflight", "--fault", "blocked-in:worker1", "--junit", str(report))
    assert done.returncode == 3
    assert "from / to" in done.stderr
    assert "drops what arrives from cp1 and worker2: TCP 10250 (kubelet), UDP 4789 (VXLAN)" in done.stderr
    root = ET.fromstring(report.read_bytes())
    assert {suite.get("name") for suite in root} == {"cp1", "worker1", "worker2"}
    failed = root.find("testsuite[@name='worker1']/testcase[@name='preflight.reachability']/failure")
    assert "UDP 4789" in failed.get("message")
    code, events, _err = kfinstall.events("demo", "--headless", "--only", "preflight", "--fault", "blocked-in:worker1")
    assert code == 3
    blocked = [event for event in events if event["event"] == "nodePath" and event["blocked"]]
    assert {event["target"] for event in blocked} == {"worker1"}
    assert json.loads(json.dumps(blocked[0]))["roundTripMilliseconds"] > 0


def test_a_report_that_can_not_be_written_is_refused_before_anything_is_done(kfinstall, tmp_path):
    done = kfinstall("demo", "--headless", "--only", "preflight", "--junit", str(tmp_path / "none" / "x.xml"))
    assert done.returncode == 2
    assert "there is no directory" in done.stderr


def test_roles_decide_what_is_tried(tmp_path):
    fleet = Fleet(nodes=4, control_planes=2, state_dir=tmp_path / "s")
    answers = fleet.answers()
    tried = {(w.source, w.target, w.port.number) for w in ways.ways(answers, [node.name for node in answers.nodes])}
    assert ("cp1", "cp2", 2379) in tried
    assert ("worker1", "cp2", 6443) in tried
    assert ("worker1", "cp1", 2379) not in tried
    assert ("cp1", "worker1", 6443) not in tried
    assert ("worker1", "worker2", 4789) in tried
    assert ("cp2", "cp2", 10259) in tried
    assert ("worker1", "cp1", 5000) in tried
    assert ("worker1", "cp1", 2049) in tried
