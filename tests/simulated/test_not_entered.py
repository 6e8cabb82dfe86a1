"""Servers that can't be entered: each is a finding, the others are looked at, and the exit code is theirs by one rule."""

import xml.etree.ElementTree as ET

DOWN = ("--fault", "node-down:cp1", "--fault", "sudo-password:worker2")
FAST = ("--headless", "--pace", "0")


def found(events, node):
    return [event for event in events if event["event"] == "finding" and event["node"] == node]


def test_a_check_goes_on_without_the_first_control_plane_and_ends_by_the_cause(kfinstall):
    report = kfinstall.folder / "report.xml"
    code, events, stderr = kfinstall.events("demo", "--check", *FAST, *DOWN, "--junit", str(report))
    assert code == 13, stderr[-2000:]
    for node in ("cp1", "worker2"):
        (only,) = found(events, node)
        assert (only["check"], only["called"], only["severity"]) == ("connect.login", "connect.login", "blocking")
        assert only["fix"]
    assert {event["check"] for event in found(events, "worker1")} >= {"preflight.disk", "preflight.network", "connect.os"}
    assert "worker2: set ssh.sudoPassword" in stderr
    suites = {suite.get("name"): suite for suite in ET.parse(report).getroot()}
    assert set(suites) == {"cp1", "worker1", "worker2"}
    for node in ("cp1", "worker2"):
        assert [case.get("name") for case in suites[node]] == ["connect.login"]
        assert "fix: " in suites[node].find(".//failure").text


def test_other_findings_make_it_3_and_sudo_alone_14(kfinstall):
    code, events, stderr = kfinstall.events(
        "demo", "--check", *FAST, "--fault", "node-down:worker1", "--fault", "duplicate-machine-id:worker2"
    )
    assert code == 3, stderr[-2000:]
    assert "connect.login on worker1" in stderr
    assert "machine-id" in stderr
    code, events, stderr = kfinstall.events("demo", "--check", *FAST, "--fault", "sudo-password:worker1")
    assert code == 14, stderr[-2000:]
    assert found(events, "cp1")


def test_an_installation_tells_it_as_a_finding_and_strict_ends_it_before_any_change(kfinstall):
    """Reported: no finding, and --strict installed on the others."""
    code, events, stderr = kfinstall.events("demo", *FAST, "--only", "preflight", "--fault", "node-down:worker1")
    assert code in (0, 20), stderr[-2000:]
    (only,) = found(events, "worker1")
    assert only["level"] == "error"
    code, events, stderr = kfinstall.events("demo", *FAST, "--strict", "--fault", "node-down:worker1")
    assert code == 13, stderr[-2000:]
    assert found(events, "worker1")
    assert not [event for event in events if event["event"] == "stepStarted"]
    hints = [line for line in stderr.splitlines() if "resume" in line]
    assert len(hints) == 1, hints


def test_fix_without_anybody_to_ask_tells_the_findings_and_fixes_nothing(kfinstall):
    words = ("demo", "--check", *FAST, "--fix", "--fault", "duplicate-machine-id:worker2")
    done = kfinstall(*words)
    assert done.returncode == 3, done.stderr[-2000:]
    assert "machine-id" in done.stderr
    assert "systemd-machine-id-setup" in done.stderr
    assert "nothing was fixed" in done.stderr
    assert "--yes" in done.stderr
    done = kfinstall(*words, "--yes")
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_fixes_of_warnings_are_told_where_strict_ends_it(kfinstall):
    done = kfinstall("demo", "--check", *FAST, "--strict", "--fault", "apt-lock:cp1")
    assert done.returncode == 4, done.stderr[-2000:]
    assert "fix: or: sudo systemctl stop unattended-upgrades.service" in done.stderr
    assert "apt-lock on cp1" in done.stderr
