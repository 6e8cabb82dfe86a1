"""The main job, end to end: the real engine over real SSH to the simulator, as a user runs it."""

import json
import os
import signal

import pytest

from kfinstall.workflows import installation

FAST = ("--headless", "--pace", "0")


def outcomes(events):
    return [
        (event["step"], event["target"]) for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"
    ]


def test_demo_installs_and_ends_with_the_proof_card(kfinstall):
    done = kfinstall("demo", *FAST)
    assert done.returncode == 0, done.stderr[-3000:]
    for phase in installation.names():
        assert f"{phase}:" in done.stderr
    for node in ("cp1", "worker1", "worker2"):
        assert node in done.stderr
    assert "PROOF" in done.stdout
    folder = kfinstall.state / "clusters" / "demo"
    card = json.loads((folder / "proof.json").read_text())
    assert card
    assert "<html" in (folder / "proof.html").read_text()

    # Everything is there: doctor finds no drift, a second run changes nothing, status tells what was done.
    code, events, stderr = kfinstall.events("resume")
    assert code == 0, stderr[-3000:]
    assert outcomes(events) == []
    status = kfinstall("status", "--json")
    assert json.loads(status.stdout)["inDoubt"] == []
    text = kfinstall("status").stdout
    assert "cluster.init on cp1" in text


@pytest.mark.parametrize("step", ["prepare.containerd", "cluster.init", "storage.nfs-server", "registry.push", "kubeflow.apply"])
def test_killed_in_the_middle_of_a_step_and_resumed(kfinstall, step):
    def begins(event):
        return event["event"] == "stepStarted" and event["step"] == step

    code, seen = kfinstall.kill_when(begins, "demo", "--headless")
    assert code == -signal.SIGKILL
    assert any(begins(event) for event in seen)
    doubt = json.loads(kfinstall("status", "--json").stdout)["inDoubt"]
    assert step in {entry["step"] for entry in doubt}
    code, events, stderr = kfinstall.events("resume")
    assert code == 0, stderr[-3000:]
    before = set(outcomes(seen))
    again = before & set(outcomes(events))
    assert not again, "done before the kill and done again"


def test_first_ctrl_c_finishes_what_runs_and_resume_goes_on(kfinstall):
    def begins(event):
        return event["event"] == "stepStarted" and event["step"] == "prepare.containerd"

    code, seen = kfinstall.kill_when(begins, "demo", "--headless", sig=signal.SIGINT)
    assert code == 130
    assert [event["event"] for event in seen[-2:]] == ["runFinished", "error"]
    assert [event for event in seen if event["event"] == "stepFinished" and event["step"] == "prepare.containerd"]
    code, _events, stderr = kfinstall.events("resume")
    assert code == 0, stderr[-3000:]


def test_phases_can_be_run_one_by_one(kfinstall):
    code, _events, stderr = kfinstall.events("demo", *FAST, "--only", "prepare")
    assert code == 0, stderr[-3000:]
    done = kfinstall("resume", "--only", "storage")
    assert done.returncode == 2
    assert "needs phase cluster" in done.stderr
    for phase in ("cluster", "storage"):
        code, _events, stderr = kfinstall.events("resume", "--only", phase)
        assert code == 0, stderr[-3000:]


def test_a_second_run_on_the_same_cluster_is_refused_while_one_runs(kfinstall):
    result = []

    def first_step(event):
        if event["event"] == "stepStarted" and not result:
            result.append(kfinstall("resume"))
            return True
        return False

    kfinstall.kill_when(first_step, "demo", "--headless", sig=signal.SIGINT)
    assert result[0].returncode == 75
    assert "another run" in result[0].stderr


# Somebody at a terminal gets the same run as a pipe does, with colour; a rehearsal asks nothing.
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_the_demo_at_a_terminal(kfinstall):
    code, text = kfinstall.at_a_terminal("demo", *FAST, "--only", "prepare")
    assert code == 0, text[-2000:]
    assert "\x1b[1mprepare: Prepare the servers" in text
    assert "finished in" in text
