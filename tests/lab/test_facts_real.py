"""The facts program itself, run by bash on this machine: read only, whole, and in line with the simulator."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfinstall import resources
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import SECTIONS, parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.parts.cluster.kubeconfig_facts import LoginKubeconfig
from kfinstall.parts.prepare.facts import OthersFiles
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.parts.reset.facts import UndoRecord
from kfinstall.parts.storage.facts import NfsExport, NfsServerName
from kfinstall.simulator.facts import renderers
from kfinstall.text import sha256

BASH = shutil.which("bash") or ""


def _bash_is_new_enough():
    if not BASH:
        return False
    shown = subprocess.run([BASH, "-c", "echo $((BASH_VERSINFO[0]))"], capture_output=True, text=True, check=False)
    return int(shown.stdout or 0) >= 5


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not _bash_is_new_enough(), reason="runs the nodes' program: needs Linux and bash 5"
)
_REPLACED = {
    "fstab": "/etc/fstab",
    "swaps": "/proc/swaps",
    "kubernetes": "/etc/kubernetes",
    "kubelet": "/var/lib/kubelet",
    "units": "/var/lib/kfinstall/units",
    "sysctls": "/etc/sysctl.d",
    "elsewhere": "/etc/*",
    "sources": "/etc/apt/sources.list.d",
    "zram": "/usr/lib/systemd/system-generators/zram-generator",
}
MARK = "0123456789abcdef"
READS = {
    NfsExport: {"NFS_PATH": "/srv/nfs/none"},
    NfsServerName: {"NFS_ADDRESS": "127.0.0.1"},
    RegistryFacts: {"REGISTRY_HOST": "127.0.0.1:5000", "REGISTRY_DIRECTORY": "/srv/none"},
    OthersFiles: {},
    LoginKubeconfig: {},
    UndoRecord: {},
}


def run(program, cwd, *, path=None):
    text = program.render()
    if path is not None:
        text = text.replace("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin", f"PATH={path}")
    return subprocess.run(
        [BASH, "-c", text], capture_output=True, text=True, timeout=60, cwd=cwd, stdin=subprocess.DEVNULL, check=False
    )


def function(script, call, cwd, **replaced):
    """One function of a facts script, with other paths in the place of the system's."""
    text = resources.script(script).partition("\nkf_section ")[0]
    for path, other in replaced.items():
        text = text.replace(_REPLACED[path], str(other))
    whole = "\n".join([resources.script("engine/facts-lib"), text, call])
    done = subprocess.run([BASH, "-c", whole], capture_output=True, text=True, timeout=30, cwd=cwd, check=False)
    return done.stdout.splitlines()


def test_the_whole_program(tmp_path):
    awkward = tmp_path / "a b'\"$(touch pwned)`touch pwned`;&* é"
    awkward.write_text("content")
    awkward.chmod(0o640)
    (tmp_path / "link").symlink_to("/etc/shadow")
    watch = NodeQuery(
        files=frozenset({str(awkward), str(tmp_path), str(tmp_path / "link"), str(tmp_path / "none"), "/dev/null"}),
        packages=frozenset({"dpkg", "no-such-package"}),
        units=frozenset({"no-such.service"}),
        sysctls=frozenset({"kernel.ostype", "no.such.setting"}),
        modules=frozenset({"no_such_module"}),
        space=frozenset({str(tmp_path / "not" / "there" / "yet"), "/"}),
        commands=frozenset({"bash", "no-such-program"}),
    )
    before = sorted(tmp_path.iterdir())
    done = run(facts_program(watch, READS, MARK), tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert sorted(tmp_path.iterdir()) == before
    facts = parse_facts("here", MARK, done.stdout, 1.0, READS)
    assert set(facts.sections) == set(READS)
    assert facts.has_file(str(awkward), sha256("content"), mode=0o640)
    assert facts.files[str(tmp_path / "link")].kind == "symlink"
    assert facts.files["/dev/null"].kind == "other"
    assert str(tmp_path / "none") not in facts.files
    assert facts.sysctls == {"kernel.ostype": "Linux"}
    assert facts.modules == frozenset()
    assert facts.commands["bash"].endswith("/bash")
    assert "no-such-program" not in facts.commands
    assert facts.space[str(tmp_path / "not" / "there" / "yet")].total_bytes > 0
    assert facts.hardware.cpus == (os.cpu_count() or 0)
    assert facts.hardware.memory_bytes > 2**27
    assert facts.os.hostname
    assert facts.os.kernel == os.uname().release
    if Path("/var/lib/dpkg/status").exists():
        assert facts.packages["dpkg"].status == "installed"
        assert "no-such-package" not in facts.packages


# A simulated node prints what a real one does. A phase's own section may come from its effects instead (SimNode.extra).
def test_the_simulator_has_the_same_sections(tmp_path):
    done = run(facts_program(NodeQuery(), READS, MARK), tmp_path)
    real = [line.removeprefix(f"@{MARK} ") for line in done.stdout.splitlines() if line.startswith(f"@{MARK} ")]
    assert len(real) == len(set(real))
    assert [name for name in real if name in SECTIONS] == list(SECTIONS)
    # Sections of a phase are there only where that phase has left something on this machine, or something was asked for.
    assert set(renderers()) - set(real) <= {"nfs", "nfs-server", "cluster", "registry", "undo"}
    assert real[-1] == "end"


# A container, or a broken server: no tool at all but bash. Everything still arrives, just with less in it.
def test_without_any_tool(tmp_path):
    watch = NodeQuery(
        files=frozenset({"/etc"}), packages=frozenset({"dpkg"}), space=frozenset({"/"}), modules=frozenset({"overlay"})
    )
    done = run(facts_program(watch, READS, MARK), tmp_path, path="/nowhere")
    assert done.returncode == 0
    facts = parse_facts("here", MARK, done.stdout, 1.0, READS)
    assert facts.os.kernel
    assert facts.hardware.cpus
    assert facts.packages == {}


def test_a_host_that_refuses_is_told_with_its_reason(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = run(facts_program(NodeQuery(hosts=frozenset({"http://127.0.0.1:9"})), {}, MARK), tmp_path)
    told = parse_facts("here", MARK, done.stdout, 1.0).network.reachable["http://127.0.0.1:9"]
    assert told != "ok"
    assert "127.0.0.1" in told


def test_a_host_is_tried_without_curl_too(tmp_path):
    lines = function("facts/machine", 'KF_HOSTS=; kf_reach_tcp "http://127.0.0.1:9/x"', tmp_path)
    assert lines[-1].split("\t")[0] == "http://127.0.0.1:9/x"
    assert lines[-1].split("\t")[2] != "0"


# Ubuntu's installer separates with tabs; a pattern with blanks misses the line and swap is back after a reboot.
def test_swap_lines_of_fstab_are_found_by_field(tmp_path):
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "# /swap.img none swap sw 0 0\n"
        "//server/share\t/mnt\tcifs\tusername=u,password=secret\t0\t0\n"
        "UUID=1 /swap ext4 defaults 0 1\n"
        "/swap.img\tnone\tswap\tsw\t0\t0\n"
        "  /dev/sdb1   none   swap   sw"
    )
    lines = function("facts/upkeep", "kf_swap_fstab", tmp_path, fstab=fstab)
    assert [line.split()[1] for line in lines] == ["/swap.img", "/dev/sdb1"]
    assert "secret" not in "".join(lines)


# The order at boot is by the name in sysctl.d, the file may be elsewhere in /etc; of others' files only what was asked for is told.
def test_settings_that_are_read_at_boot(tmp_path):
    folder = tmp_path / "sysctl.d"
    folder.mkdir()
    (folder / "10-a.conf").write_text("# net.ipv4.ip_forward=1\n-net/ipv4/ip_forward\t= 0\nkernel.secret = x\n;vm.swappiness=1\n")
    (tmp_path / "sysctl.conf").write_text("net.ipv4.ip_forward=1")
    (folder / "99-sysctl.conf").symlink_to("../sysctl.conf")
    (folder / "50-gone.conf").symlink_to("../gone")
    lines = function(
        "prepare/facts", "KF_SYSCTLS=net.ipv4.ip_forward; kf_set_at_boot", tmp_path, sysctls=folder, elsewhere=f"{tmp_path}/*"
    )
    assert lines == [
        f"sysctl\t10-a.conf\t{folder}/10-a.conf\tnet.ipv4.ip_forward\t0",
        f"sysctl\t99-sysctl.conf\t{tmp_path}/sysctl.conf\tnet.ipv4.ip_forward\t1",
    ]


def test_a_source_that_is_gone(tmp_path):
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    (lists / "new.list").write_text("deb https://pkgs.k8s.io/core:/stable:/v1.34/deb/ /\n# deb http://apt.kubernetes.io/ x main\n")
    (lists / "old.list").write_text("deb [arch=amd64] https://apt.kubernetes.io/ kubernetes-xenial main\n" * 2)
    (lists / "google.list").write_text("\tdeb https://packages.cloud.google.com/apt/ kubernetes-jammy main\n")
    lines = function("prepare/facts", "kf_gone_sources", tmp_path, sources=lists)
    assert lines == [f"gone\t{lists}/google.list", f"gone\t{lists}/old.list"]


def test_active_swap_of_any_device(tmp_path):
    swaps = tmp_path / "swaps"
    swaps.write_text(
        "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swap.img   file  100 0 -2\n/dev/zram0  partition 100 0 100\n"
    )
    lines = function("facts/upkeep", "kf_swap", tmp_path, swaps=swaps)
    assert [line for line in lines if line.startswith("active")] == ["active\t/swap.img", "active\t/dev/zram0"]


def test_the_holder_of_a_lock_is_named(tmp_path):
    path = tmp_path / "lock-frontend"
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        lines = function("facts/upkeep", f"kf_lock_holder /none {path}", tmp_path)
    if not lines and not Path("/proc/locks").read_text():
        pytest.skip("/proc/locks shows nothing here")
    assert lines[0].startswith(f"lock\t{os.getpid()} ")
    assert function("facts/upkeep", f"kf_lock_holder /none {path}", tmp_path) == []


def test_listeners_without_ss(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        lines = function("facts/network", "kf_listeners_proc", tmp_path)
        assert f"LISTEN 0 0 *:{server.getsockname()[1]} *:*" in lines


def node_name(folder, *, conf, flags=""):
    (folder / "kubelet").mkdir(exist_ok=True)
    (folder / "kubelet.conf").write_text(conf)
    (folder / "kubelet" / "kubeadm-flags.env").write_text(flags)
    lines = function("facts/runtime", "kf_node_name", folder, kubernetes=folder, kubelet=folder / "kubelet")
    return [line.removeprefix("node_name\t") for line in lines]


def test_the_name_that_the_node_joined_under(tmp_path):
    assert node_name(tmp_path, conf="contexts:\n- context: {user: system:node:cp1}\n  name: system:node:cp1@kubernetes\n") == [
        "cp1"
    ]
    joined = "users:\n- name: default-auth\n  user: {client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem}\n"
    assert node_name(tmp_path, conf=joined, flags='KUBELET_KUBEADM_ARGS="--hostname-override=worker-1 --x=y"\n') == ["worker-1"]
    assert node_name(tmp_path, conf=joined) == [Path("/proc/sys/kernel/hostname").read_text().strip().lower()]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_name_in_the_kubelets_certificate(tmp_path):
    pki = tmp_path / "kubelet" / "pki"
    pki.mkdir(parents=True)
    key, pem = pki / "key.pem", pki / "kubelet-client-current.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj"]
    subject = "/O=system:nodes/CN=system:node:worker10"
    subprocess.run([*words, subject, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    assert node_name(tmp_path, conf="users:\n- name: default-auth\n") == ["worker10"]


def test_detached_steps(tmp_path):
    for name, status in {"kf-a": "0\n", "kf-b": None, "kf-c d": "3"}.items():
        (tmp_path / name).mkdir()
        if status is not None:
            (tmp_path / name / "status").write_text(status)
    lines = function("facts/watched", "kf_detached", tmp_path, units=tmp_path)
    assert lines == ["kf-a\t0\t", "kf-b\t\t", "kf-c d\t3\t"]


def test_space_is_that_of_the_right_file_system(tmp_path):
    lines = function("facts/watched", f"KF_SPACE=$'/proc/self/none\n{tmp_path}/x y/z'; kf_space", tmp_path)
    told = {line.split("\t")[-1]: line.split("\t") for line in lines if line.startswith("mount")}
    assert told[str(tmp_path)][1:3] != ["proc", "/proc"]
    assert [fields[1:3] for parent, fields in told.items() if parent.startswith("/proc")] == [["proc", "/proc"]]
