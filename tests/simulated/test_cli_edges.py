"""What somebody new ran into: rehearsals and real clusters, broken state, closed pipes, Ctrl-C before anything began."""

import json
import signal
import socket
import subprocess
import time

import pytest

FAST = ("--headless", "--pace", "0", "--only", "prepare")


# The node is looked for behind a jump host on this computer: nodes themselves may not be loopback addresses.
def answers(folder, name="real", port=1):
    path = folder / "answers.yaml"
    path.write_text(
        f"cluster: {{name: {name}}}\n"
        f"ssh: {{user: nobody, agent: false, jumpHosts: [{{address: 127.0.0.1, user: nobody, port: {port}}}]}}\n"
        "nodes:\n  - {name: a, address: 10.9.8.7}\n"
    )
    return str(path)


def test_a_rehearsal_and_a_real_cluster_of_its_name_keep_apart(kfinstall, tmp_path):
    assert kfinstall("demo", *FAST).returncode == 0
    done = kfinstall("check", "--answers", answers(tmp_path, "demo"))
    assert done.returncode == 2
    assert "rehearsal" in done.stderr


def test_a_real_cluster_named_demo_is_not_rehearsed_over(kfinstall, tmp_path):
    assert kfinstall("check", "--answers", answers(tmp_path, "demo")).returncode == 13
    done = kfinstall("demo", *FAST)
    assert done.returncode == 2
    assert "real cluster" in done.stderr


def test_a_new_rehearsal_forgets_the_last_ones_machines(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    assert kfinstall("demo", "--headless", "--fault", "clock-skew:worker1").returncode == 3
    assert "nothing was changed yet" in kfinstall("status").stdout


def test_advice_can_be_pasted(kfinstall, tmp_path):
    done = kfinstall("demo", *FAST, "--fault", "disk-full:cp1")
    assert f"kfinstall resume --state-dir {kfinstall.state}" in done.stderr
    done = kfinstall("demo", "--headless", "--only", "cluster")
    assert "phase cluster needs phase prepare" in done.stderr
    assert f"kfinstall resume --only cluster --state-dir {kfinstall.state}" in done.stderr
    done = kfinstall("resume", "--only", "cluster")
    assert "kfinstall resume --only prepare" in done.stderr
    assert "FILE" not in done.stderr


MEANINGLESS = [
    (("--fault", "nope:cp1"), "there is no fault"),
    (("--fault", "ssh-drop:zzz"), "names no node"),
    (("--delete-data",), "--delete-data needs --reset or --uninstall"),
    (("--reset", "--force-finalizers"), "--force-finalizers needs --uninstall"),
    (("--rotate", "--only", "storage"), "--rotate has no phases to choose"),
    (("--from", "storage"), "phase storage needs phase cluster"),
    (("--answers", "FILE"), "unrecognized arguments"),
]


def test_a_call_that_can_not_be_meant_leaves_the_last_rehearsal_alone(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    before = sorted(path for path in kfinstall.state.rglob("*") if path.name != "lock")
    for words, said in MEANINGLESS:
        done = kfinstall("demo", "--headless", "--pace", "0", *words)
        assert (done.returncode, said in done.stderr, "next: " in done.stderr) == (2, True, True), done.stderr
        assert sorted(path for path in kfinstall.state.rglob("*") if path.name != "lock") == before


def test_after_a_reset_there_is_nothing_to_rotate_and_the_hint_leads_out(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    assert kfinstall("demo", "--headless", "--pace", "0", "--reset").returncode == 0
    for word in ("--rotate", "--uninstall"):
        done = kfinstall("demo", "--headless", "--pace", "0", word)
        assert done.returncode == 2
        assert "has been reset" in done.stderr
        assert "kfinstall demo --headless" in done.stderr


def test_with_json_the_last_line_says_why(kfinstall, tmp_path):
    done = kfinstall("check", "--answers", answers(tmp_path), "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["exitCode"], last["node"]) == ("error", 13, "a")
    assert last["message"]
    assert last["hint"]


@pytest.mark.parametrize("words", [("status",), ("resume",)])
def test_a_reader_that_goes_away_changes_nothing(kfinstall, words):
    assert kfinstall("demo", *FAST).returncode == 0
    with subprocess.Popen(
        kfinstall.command(*words, *(("--json",) if words == ("resume",) else ())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=kfinstall.environ,
        cwd=kfinstall.folder,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(timeout=60) == 0, errors
    assert "Traceback" not in errors
    assert json.loads(kfinstall("status", "--json").stdout)["run"]["exitCode"] == 0


# A server that accepts and says nothing: the login limit is far away, and nobody wants to wait for it.
def test_ctrl_c_before_anything_began_ends_at_once(kfinstall, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = kfinstall.command("check", "--answers", answers(tmp_path, port=server.getsockname()[1]))
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=kfinstall.environ, cwd=tmp_path) as process:
            connection, _peer = server.accept()
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            errors = process.stderr.read().decode()
            assert process.wait(timeout=60) == 130, errors
            assert time.monotonic() - began < 10
            connection.close()
    assert "Traceback" not in errors


def test_torn_state_is_named_and_nothing_is_called_a_defect(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    folder = kfinstall.state / "clusters" / "demo"
    machines = folder / "simulator" / "fleet.json"
    machines.write_text(machines.read_text()[:100])
    done = kfinstall("resume")
    assert done.returncode == 1
    assert str(machines) in done.stderr
    assert "defect" not in done.stderr
    for record in folder.glob("runs/*/run.json"):
        record.write_text("{")
    done = kfinstall("resume")
    assert "run.json" in done.stderr
    assert "there is no run yet" not in done.stderr


def test_status_says_that_lines_of_the_journal_are_torn(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    journal = kfinstall.state / "clusters" / "demo" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    done = kfinstall("status")
    assert done.returncode == 0
    assert "1 line(s) can't be read" in done.stderr


def test_a_state_directory_that_is_a_file_is_said_to_be_one(kfinstall):
    kfinstall.state.write_text("x")
    for words in (("status",), ("resume",), ("demo", *FAST)):
        done = kfinstall(*words)
        assert done.returncode == 1, words
        assert "can't be used" in done.stderr
        assert "defect" not in done.stderr


def test_the_card_is_shown_with_a_worker_set_aside(kfinstall):
    done = kfinstall("demo", "--headless", "--pace", "0", "--fault", "node-down:worker1")
    assert done.returncode == 20
    assert "PROOF of cluster demo" in done.stdout
    assert "a rehearsal" in done.stdout
    assert "the card:" in done.stdout


def test_answers_check_notes_what_is_not_on_this_computer(kfinstall, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("ssh: {keys: [/no/such/key]}\nregistry: {password: {env: NOT_SET}}\nnodes:\n  - {name: a, address: 10.0.0.1}\n")
    done = kfinstall("answers", "check", str(path), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["event"] == "good"
    assert "ssh.keys[0]: there is no file /no/such/key here" in done.stderr
    assert "registry.password: the environment variable NOT_SET is not set here" in done.stderr


def test_a_fault_on_the_way_back_counts(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    assert kfinstall("demo", "--headless", "--reset", "--fault", "nothing:worker2").returncode == 2
    code, events, _errors = kfinstall.events("demo", "--headless", "--reset", "--pace", "0", "--fault", "node-down:worker2")
    assert (code, events[-2]["setAside"]) == (20, ["worker2"])
    assert kfinstall("resume").returncode == 0


def test_status_names_the_run_that_is_not_whole(kfinstall):
    assert kfinstall("demo", "--headless", "--pace", "0", "--only", "prepare", "--fault", "disk-full:cp1").returncode == 10
    failed = json.loads(kfinstall("status", "--json").stdout)["run"]["id"]
    assert kfinstall("resume", "--only", "connect").returncode == 0
    assert f"resume {failed} --state-dir" in kfinstall("status").stdout, "the newest run did its part, and would do no more"
    assert kfinstall("resume", failed).returncode == 0
    assert "next:" not in kfinstall("status").stdout
