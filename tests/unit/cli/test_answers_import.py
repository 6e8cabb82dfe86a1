"""`kfinstall answers import`: what it writes, what it tells, and how it ends."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.unit.cli.test_cli import run

INI = """[kube_control_plane]
m ansible_host=10.0.0.1 ansible_password=Geh3im
[kube_node]
w ansible_host=10.0.0.2
[bastion]
b ansible_host=203.0.113.5 ansible_user=jump
[all:vars]
ansible_user=ops
"""


@pytest.fixture()
def inventory(tmp_path):
    path = tmp_path / "hosts.ini"
    path.write_text(INI)
    return path


def test_answers_are_written_and_what_was_left_is_on_stderr(inventory, tmp_path):
    target = tmp_path / "answers.yaml"
    done = run("answers", "import", str(inventory), "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "2 server(s) taken from an Ansible inventory (--format ansible-ini)" in done.stderr
    assert "left: line 2: ansible_password" in done.stderr
    assert "left: line 6: b: a jump host (203.0.113.5), no node" in done.stderr
    assert "Geh3im" not in done.stderr + target.read_text()
    assert target.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(target.read_text())["nodes"][1] == {
        "name": "w",
        "address": "10.0.0.2",
        "roles": ["worker"],
        "ssh": {"user": "ops", "jumpHosts": [{"address": "203.0.113.5", "user": "jump"}]},
    }
    assert run("answers", "check", str(target)).returncode == 0


def test_an_existing_file_is_written_only_with_overwrite(inventory, tmp_path):
    target = tmp_path / "answers.yaml"
    target.write_text("mine\n")
    done = run("answers", "import", str(inventory), "--output", str(target))
    assert done.returncode == 2
    assert target.read_text() == "mine\n"
    assert "--overwrite" in done.stderr
    assert run("answers", "import", str(inventory), "--output", str(target), "--overwrite").returncode == 0
    assert "version: 1" in target.read_text()


def test_standard_input_gives_answers_on_stdout():
    done = subprocess.run(
        [sys.executable, "-m", "kfinstall", "answers", "import", "-"],
        input=b"127.0.0.1 localhost\n192.168.0.111 master\n192.168.0.169 w\xf6rker1\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [node["name"] for node in yaml.safe_load(done.stdout)["nodes"]] == ["master", "w-rker1"]
    assert b"left: line 1: localhost" in done.stderr
    assert b"note: no role is said: master" in done.stderr


@pytest.mark.parametrize(
    ("text", "words", "code", "expected"),
    [
        ("a 10.0.0.1\na 10.0.0.2\n", (), 15, "one name for several servers"),
        ("Vagrant.configure('2') do |c|\n", (), 15, "a Vagrantfile"),
        ("", (), 15, "no server was taken"),
        ("127.0.0.1 localhost\n10.0.0.1 m\n", ("--strict",), 15, "were left"),
        ("10.0.0.1 m\n", ("--strict",), 0, "taken from"),
        ("10.0.0.1 m\n", ("--format", "rke"), 15, "not the form rke"),
        ("10.0.0.1 m\n", ("--format", "nope"), 2, "--format"),
        ("a 10.0.0.1 control-plane\nb 10.0.0.2 control-plane\nc 10.0.0.3 worker\n", (), 15, "still to do: nodes"),
    ],
)
def test_how_it_ends(tmp_path, text, words, code, expected):
    path = tmp_path / "inventory"
    path.write_text(text)
    target = tmp_path / "out.yaml"
    done = run("answers", "import", str(path), "-o", str(target), *words)
    assert done.returncode == code, done.stderr
    assert expected in done.stderr
    assert target.exists() is (code == 0 or "still to do" in expected)
    assert "Traceback" not in done.stderr


def test_what_can_not_be_read_or_written_is_a_matter_of_usage(inventory, tmp_path):
    assert run("answers", "import", str(tmp_path / "none")).returncode == 2
    done = run("answers", "import", str(tmp_path))
    assert done.returncode == 2
    assert "is a folder" in done.stderr
    assert run("answers", "import", str(inventory), "-o", str(tmp_path / "no" / "where.yaml")).returncode == 2


def test_json_says_all_of_it_in_one_line(inventory):
    done = run("answers", "import", str(inventory), "--json")
    record = json.loads(done.stdout)
    assert done.returncode == 0
    assert (record["event"], record["form"], record["nodes"]) == ("imported", "ansible-ini", 2)
    assert len(record["left"]) == 2
    assert [node["name"] for node in record["answers"]["nodes"]] == ["m", "w"]


def test_a_refusal_says_nothing_of_taking_and_gives_no_answers(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("name,ip,role\ncp,10.0.0.1,master\nw,10.0.0.2,worker\nw,10.0.0.3,worker\n")
    done = run("answers", "import", str(path), "--json")
    assert done.returncode == 15
    assert "2 server(s) read in a table" in done.stderr
    assert "taken" not in done.stderr
    assert "line 4: w: stands twice, as 10.0.0.2 in line 3 and as 10.0.0.3 here" in done.stderr
    assert "answers" not in json.loads(done.stdout.splitlines()[0])


def test_what_is_no_list_of_servers_says_what_to_do_instead(tmp_path):
    path = tmp_path / "Vagrantfile"
    path.write_text("Vagrant.configure('2') do |c|\nend\n")
    done = run("answers", "import", str(path))
    assert done.returncode == 15
    assert "--format" not in done.stderr
    assert "write a line for each box" in done.stderr.partition("next:")[2]
