"""`reset`: the way back, on simulated machines, through the command line; killed, resumed, refused, and installed again after it."""

import json

import pytest

from kfinstall.simulator.nodes.machine import fresh_node, node_from_json, node_to_json

FAST = ("--headless", "--pace", "0")
VOLATILE = {"boot_id", "modules", "kf_units", "apt_updated", "before", "images"}
"""What a reboot renews, what runs have left to read, and what nobody takes back: loaded modules, package lists."""


def machines(kfinstall):
    data = json.loads((kfinstall.state / "clusters" / "demo" / "simulator" / "fleet.json").read_text())
    return {name: node_from_json(saved) for name, saved in data["nodes"].items()}, data


def _around(path, kept):
    return any(part.startswith(path) or path.startswith(part) for part in kept)


def differences(node, kept=()):
    """What is not as on a new machine, but for paths that were to be kept."""
    now, new = node_to_json(node), node_to_json(fresh_node(node.name, node.index))
    now["sysctls"] = {key: value for key, value in now["sysctls"].items() if not key.startswith("net.bridge.")}
    for files in (now, new):
        files["files"] = {path: file for path, file in files["files"].items() if not _around(path, kept)}
    found = {key for key in now if key not in VOLATILE and now[key] != new[key]}
    return {key: set(now[key]) ^ set(new[key]) or (now[key], new[key]) for key in found}


@pytest.fixture
def installed(kfinstall):
    """A cluster with everything."""
    done = kfinstall("demo", *FAST)
    assert done.returncode == 0, done.stderr[-2000:]
    return kfinstall


def test_servers_are_as_they_were_and_can_be_used_again(installed):
    code, events, stderr = installed.events("demo", "--reset")
    assert code == 0, stderr[-2000:]
    order = [event["step"] for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"]
    assert list(dict.fromkeys(order)) == [
        "reset.leave-workers",
        "reset.leave-first",
        "reset.services",
        "reset.packages",
        "reset.files",
    ]
    nodes, data = machines(installed)
    assert differences(nodes["worker1"]) == {}
    assert differences(nodes["worker2"]) == {}
    # Volumes and images are kept, and nothing else.
    kept = ("/srv/nfs/kubeflow", "/var/lib/kfinstall/registry")
    assert differences(nodes["cp1"], kept) == {}
    assert all(any(path.startswith(part) for path in nodes["cp1"].files) for part in kept)
    assert not data["api"]
    assert data["joined"] == {}

    # What is known says so: nothing is done, nothing is to be resumed.
    status = installed("status").stdout
    assert "nothing was changed yet" in status
    assert "kfinstall resume" not in status
    assert not (installed.state / "clusters" / "demo" / "proof.html").exists()
    code, events, _stderr = installed.events("demo", "--reset")
    assert code == 0
    assert not [event for event in events if event["event"] == "stepStarted"]

    # The same servers take a cluster again.
    code, events, stderr = installed.events("demo", "--reset", "--delete-data")
    assert code == 0, stderr[-2000:]
    nodes, _data = machines(installed)
    left = differences(nodes["cp1"])
    # The record went with the first reset, so the export's own folder may be anybody's by now: its volumes are gone.
    assert left == {"files": {"/srv/nfs", "/srv/nfs/kubeflow"}}


def test_data_goes_where_that_is_asked_for(installed):
    code, events, stderr = installed.events("demo", "--reset", "--delete-data")
    assert code == 0, stderr[-2000:]
    assert ("reset.data", "cp1") in {(event["step"], event["target"]) for event in events if event["event"] == "stepFinished"}
    nodes, _data = machines(installed)
    assert differences(nodes["cp1"]) == {}


@pytest.mark.parametrize("step", ["reset.leave-workers", "reset.packages", "reset.files"])
def test_killed_in_the_middle_and_resumed(installed, step):
    def begins(event):
        return event["event"] == "stepStarted" and event["step"] == step

    installed.kill_when(begins, "demo", "--reset", "--delete-data")
    code, _events, stderr = installed.events("resume")
    assert code == 0, stderr[-2000:]
    nodes, _data = machines(installed)
    assert {name: differences(node) for name, node in nodes.items()} == {name: {} for name in nodes}


def test_there_is_nothing_to_reset_before_a_rehearsal(kfinstall):
    done = kfinstall("demo", "--reset")
    assert done.returncode == 2
    assert "there is no rehearsal to reset" in done.stderr
