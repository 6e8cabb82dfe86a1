"""The scripts of phase cluster, run by bash on this machine with stand-ins for kubeadm, kubectl and systemctl that write down how they were called."""

import getpass
import grp
import os
import shutil
import subprocess
import sys

import pytest

from kfinstall import resources
from kfinstall.step import failed
from kfinstall.transport.base import Completed

BASH = shutil.which("bash") or ""
pytestmark = pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="runs the nodes' scripts: needs Linux and bash")
OWNER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"
BEGUN, DONE = "cluster=lab\nstate=begun\n", "cluster=lab\nstate=done\n"
TOKEN = "abcdef.0123456789abcdef"
CALLED = """
printf '%s %s\\n' "${0##*/}" "$*" >>"$LOG/calls"
tr '\\0' '\\n' </proc/$$/environ >>"$LOG/environments"
"""
KUBEADM = """
case "$1 $2" in
"reset --force") rm -rf "$ETC/kubernetes" "$ETC/../var/lib/etcd" ;;
"init --config") [[ -z ${INIT_FAILS:-} ]] || exit 1; mkdir -p "$ETC/kubernetes"; echo admin >"$ETC/kubernetes/admin.conf" ;;
"join --config" | "init phase") cat "${@: -1}" >"$LOG/config" ;;
esac
"""
KUBECTL = """
case "$*" in
"get nodes"*) cat "$LOG/nodes" 2>/dev/null ;;
"get --raw /readyz"*) [[ -z ${DOWN:-} ]] ;;
esac
"""


class Machine:
    """A folder that stands for a node's root."""

    def __init__(self, folder):
        self.folder, self.bin, self.etc = folder, folder / "bin", folder / "etc"
        self.bin.mkdir()
        self.etc.mkdir()
        for name, text in (
            ("kubeadm", KUBEADM),
            ("kubectl", KUBECTL),
            ("systemctl", ""),
            ("journalctl", "echo kubelet says no"),
            ("curl", ""),
        ):
            path = self.bin / name
            path.write_text(f"#!{BASH}\n{CALLED}{text}\n")
            path.chmod(0o755)

    def write(self, path, text="x"):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, name, stdin="", environment=(), **parameters):
        text = f"{resources.script('lib')}\nPATH={self.bin}:$PATH\n{resources.script(f'steps/{name}')}".replace("root:root", OWNER)
        for path in ("/var/lib", "/etc"):
            text = text.replace(f" {path}", f" {self.folder}{path}").replace(f"={path}", f"={self.folder}{path}")
        given = {f"KF_{key}": str(value) for key, value in parameters.items()}
        paths = {"ETC": str(self.etc), "LOG": str(self.folder)}
        done = subprocess.run(
            [BASH, "-c", text],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=given | paths | dict(environment),
        )
        return Completed(done.returncode, tuple((done.stdout + done.stderr).splitlines()))

    def init(self, **environment):
        owner, config = f"{self.etc}/kfinstall/cluster.conf", f"{self.etc}/kfinstall/kubeadm.yaml"
        settings = {"OWNER_FILE": owner, "BEGUN": BEGUN, "DONE": DONE, "CONFIG": "kind: x\n", "CONFIG_FILE": config}
        return self.run("cluster-init", environment=environment, SOCKET="unix:///s", PATIENCE_SECONDS=1, **settings)

    def join(self, stdin):
        settings = {"OWNER_FILE": f"{self.etc}/kfinstall/cluster.conf", "BEGUN": BEGUN, "DONE": DONE, "ROLE": "worker"}
        return self.run("cluster-join", stdin, NAME="w1", SOCKET="unix:///s", ENDPOINT="10.0.0.1:6443", **settings)

    @property
    def calls(self):
        path = self.folder / "calls"
        return [line.split(" --")[0].strip() for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def state(self):
        return (self.etc / "kfinstall/cluster.conf").read_text()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def error(done):
    found = failed("cluster.x", "n1", done)
    return f"{found.message} || {found.hint}"


def test_an_empty_server_is_initialised_without_showing_a_token(machine):
    done = machine.init()
    assert done.status == 0, done.lines
    assert machine.state == DONE
    text = (machine.folder / "calls").read_text()
    assert "kubeadm init --config" in text
    assert "--skip-token-print" in text
    assert "delete secrets --field-selector type=bootstrap.kubernetes.io/token" in text
    assert "kubeadm reset" not in machine.calls


def test_a_failed_init_says_so_shows_the_kubelet_and_can_be_told_from_a_foreign_one(machine):
    done = machine.init(INIT_FAILS="1")
    assert done.status == 30
    assert "kubeadm init failed" in error(done)
    assert "kubelet says no" in done.lines
    assert machine.state == BEGUN


def test_what_a_killed_init_left_is_taken_back_first(machine):
    machine.write("etc/kfinstall/cluster.conf", BEGUN)
    machine.write("etc/kubernetes/pki/ca.crt")
    done = machine.init()
    assert done.status == 0, done.lines
    order = [call for call in machine.calls if call.startswith("kubeadm") and "images" not in call]
    assert order == ["kubeadm reset", "kubeadm init"]
    assert machine.state == DONE


def test_a_control_plane_with_members_is_never_reset(machine):
    machine.write("etc/kfinstall/cluster.conf", BEGUN)
    machine.write("etc/kubernetes/admin.conf")
    machine.write("nodes", "node/cp1\nnode/w1\n")
    done = machine.init()
    assert done.status == 20
    assert "has members" in error(done)
    assert "kubeadm reset" not in machine.calls


def test_a_foreign_control_plane_is_left_alone(machine):
    machine.write("etc/kubernetes/admin.conf")
    done = machine.init()
    assert done.status == 20
    assert machine.calls == []


def test_a_stopped_control_plane_is_waited_for_and_never_made_anew(machine):
    machine.write("etc/kfinstall/cluster.conf", DONE)
    machine.write("etc/kubernetes/admin.conf")
    assert machine.init().status == 0
    assert not [call for call in machine.calls if call.startswith("kubeadm")]
    assert machine.init(DOWN="1").status == 16


def test_a_join_hands_its_configuration_on_and_shows_the_token_nowhere(machine):
    config = f"kind: JoinConfiguration\ntoken: {TOKEN}"
    done = machine.join(config)
    assert done.status == 0, done.lines
    assert (machine.folder / "config").read_text().strip() == config
    assert machine.state == DONE
    (machine.folder / "config").unlink()
    for path in machine.folder.rglob("*"):
        if path.is_file():
            assert TOKEN not in path.read_text(errors="replace"), path
    assert not [line for line in done.lines if TOKEN in line]


def test_a_member_of_another_cluster_is_not_joined(machine):
    machine.write("etc/kubernetes/kubelet.conf")
    done = machine.join("kind: x")
    assert done.status == 20
    assert "kubeadm join" not in machine.calls


def test_an_earlier_join_is_taken_back_first(machine):
    machine.write("etc/kfinstall/cluster.conf", DONE)
    machine.write("etc/kubernetes/kubelet.conf")
    assert machine.join("kind: x").status == 0
    assert [call for call in machine.calls if call.startswith("kubeadm")] == ["kubeadm reset", "kubeadm join"]
