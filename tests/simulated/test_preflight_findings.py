"""Findings of servers as they are, from the command line: exit codes, --ignore, --strict, each told once with its fix."""

import json

import pytest

LOOK = ("--headless", "--pace", "0", "--only", "preflight")


def findings(events, called):
    return [event for event in events if event["event"] == "finding" and event["called"] == called]


@pytest.mark.parametrize(
    "case",
    [
        ("little-memory:worker1", "memory", "failing", 3, "hypervisor"),
        ("memory-cgroup-off:worker1", "cgroup-controllers", "blocking", 3, "cgroup_enable=memory"),
        ("slow-disk:cp1", "disk-latency", "failing", 3, "/var/lib/etcd"),
        ("tls-inspection:worker2", "tls-inspection", "failing", 3, "update-ca-certificates"),
        ("packet-filter:worker1", "packet-filter", "warning", 3, "iptables -I INPUT"),
        (
            "node-proxy:worker1",
            "unnamed-proxy",
            "warning",
            0,
            "proxy: {https: 'http://proxy.example:3128', http: 'http://proxy.example:3128'}",
        ),
    ],
)
def test_each_is_found_told_once_and_can_be_ignored_unless_it_is_blocking(kfinstall, case):
    fault, called, severity, code, fix = case
    found, events, stderr = kfinstall.events("demo", *LOOK, "--fault", fault)
    assert found == code, stderr[-2000:]
    (event,) = findings(events, called)
    assert (event["severity"], event["ignored"]) == (severity, False)
    assert event["node"] == fault.partition(":")[2]
    assert fix in event["fix"]
    assert stderr.count(f"[{called}]") == 1
    strict, _events, stderr = kfinstall.events("demo", *LOOK, "--fault", fault, "--strict")
    assert strict == (code or 4)
    assert ("--ignore" in stderr) is (severity != "blocking")
    ignoring, events, stderr = kfinstall.events(
        *("demo", *LOOK, "--fault", fault, "--strict", "--ignore", called, "--ignore", "no-proxy", "--ignore", "port-blocked")
    )
    assert ignoring == (3 if severity == "blocking" else 0), stderr[-2000:]
    (event,) = findings(events, called)
    assert event["ignored"] is (severity != "blocking")


def test_what_is_ignored_is_in_the_record_and_a_resume_ignores_it_too(kfinstall):
    code, _events, _stderr = kfinstall.events("demo", *LOOK, "--fault", "little-memory:worker1", "--ignore", "memory")
    assert code == 0
    (record,) = [json.loads(path.read_text()) for path in kfinstall.state.rglob("run.json")]
    assert record["ignore"] == ["memory"]
    code, _events, stderr = kfinstall.events("resume")
    assert code == 0
    assert "these findings do not end it: memory" in stderr


def test_a_name_that_nothing_has_is_refused_with_what_is_near(kfinstall):
    done = kfinstall("demo", *LOOK, "--ignore", "memmory")
    assert done.returncode == 2
    assert "did you mean memory" in done.stderr


def test_what_was_ignored_stands_on_the_proof_card(kfinstall):
    done = kfinstall("demo", "--headless", "--pace", "0", "--fault", "little-memory:worker1", "--ignore", "memory")
    assert done.returncode == 0, done.stderr[-2000:]
    (card,) = kfinstall.state.rglob("proof.json")
    (line,) = json.loads(card.read_text())["ignored"]
    assert line["what"] == "memory on worker1"
    assert "800 MiB of memory" in line["evidence"]
    assert "ignored memory on worker1" in done.stdout
    assert "<h2>Ignored</h2>" in card.with_suffix(".html").read_text()


def test_a_blocking_finding_that_is_to_be_ignored_is_told_why_it_is_not(kfinstall):
    """Reported: it ended as if --ignore had not been given."""
    code, _events, stderr = kfinstall.events(
        "demo", *LOOK, "--fault", "memory-cgroup-off:worker1", "--ignore", "cgroup-controllers", "--ignore", "memory"
    )
    assert code == 3
    assert "cgroup-controllers on worker1 is blocking and can't be ignored" in stderr
    assert stderr.count("can't be ignored") == 1


def test_what_the_rules_say_and_what_was_tried_agree(kfinstall):
    """Reported: the finding said that packets are refused, the tries went through, and the exit code was 0."""
    code, events, stderr = kfinstall.events("demo", *LOOK, "--fault", "packet-filter:worker1")
    assert code == 3
    (rules,) = findings(events, "packet-filter")
    (tried,) = findings(events, "port-blocked")
    assert rules["node"] == tried["node"] == "worker1"
    for port in ("TCP 10250", "TCP 5473", "UDP 4789"):
        assert port in rules["message"]
        assert port in tried["message"]
    assert "its packet filter (iptables) refuses what arrives from cp1 and worker2" in tried["message"]
    shut = {(event["source"], event["target"]) for event in events if event["event"] == "nodePath" and event["level"] == "error"}
    assert shut == {("cp1", "worker1"), ("worker2", "worker1")}
    last = next(line for line in stderr.splitlines() if "if that is known to be well" in line)
    assert " demo --headless --pace 0 --only preflight --fault packet-filter:worker1 " in last, "the command that was called"
    assert last.endswith("--ignore port-blocked")
    code, _events, stderr = kfinstall.events("resume")
    assert code == 0, stderr[-2000:]
