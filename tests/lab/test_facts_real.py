"""The facts program itself, run by bash on this machine: read only, whole, and in line with the simulator."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import SECTIONS, parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.parts.cluster.kubeconfig_facts import LoginKubeconfig
from kfinstall.parts.preflight.apt_facts import AptFiles, AptTried
from kfinstall.parts.preflight.disk_facts import Latency, Mounts
from kfinstall.parts.preflight.facts import Boot, Filter, Host, Proxies, Ways
from kfinstall.parts.preflight.guests import Guests
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
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
    "apt": "/etc/apt",
    "local": "/usr/local",
    "etcunits": "/etc/systemd/system",
    "default": "/etc/default",
    "docker": "/var/lib/docker",
    "zram": "/usr/lib/systemd/system-generators/zram-generator",
}
MARK = "0123456789abcdef"
ANSWERS = Answers.model_validate(
    {"nodes": [{"name": "a", "address": "10.0.0.1"}], "registry": {"mirrors": {"docker.io": "https://mirror.example"}}}
)
READS = {
    NfsExport: {"NFS_PATH": "/srv/nfs/none"},
    NfsServerName: {"NFS_ADDRESS": "127.0.0.1"},
    RegistryFacts: {"REGISTRY_HOST": "127.0.0.1:5000", "REGISTRY_DIRECTORY": "/srv/none"},
    OthersFiles: {},
    LoginKubeconfig: {},
    UndoRecord: {},
    AptFiles: {},
    AptTried: {"APT_TRIES": "yes"},
    Guests: {},
    **{kind: kind.query_on(ANSWERS, "a") for kind in (Boot, Filter, Host, Latency, Mounts, Proxies, RuntimeFiles, Ways)},
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
    answer = parse_facts("here", MARK, done.stdout, 1.0).network.reachable["http://127.0.0.1:9"]
    assert answer != "ok"
    assert "127.0.0.1" in answer


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


def apt(tmp_path, call, **files):
    """A function of preflight/facts-apt on a configuration of apt; the lines with its folder as /etc/apt."""
    for name, text in files.items():
        path = tmp_path / "apt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    call = f"declare -A keys=()\n{call}"
    return [
        line.replace(f"{tmp_path}/apt", "/etc/apt")
        for line in function("preflight/facts-apt", call, tmp_path, apt=tmp_path / "apt")
    ]


def test_apts_sources_as_they_are_but_for_logins(tmp_path):
    written = {
        "sources.list": "# old\r\ndeb https://u:p@x@apt.corp.lan/debian bookworm main\r\n",
        "sources.list.d/k8s.sources": "Types: deb\nURIs:\n https://apt.kubernetes.io/\n\nSigned-By: /etc/k\tx.gpg\n",
        "sources.list.d/not read.list": "deb http://x y z\n",
        "sources.list.d/old.list.save": "deb http://x y z\n",
        "sources.list.d/long.list": "#\n" * 2000,
    }
    lines = apt(tmp_path, "kf_sources", **written)
    parsed = AptFiles.parse(lines)
    sources = {file.path.removeprefix("/etc/apt/"): file for file in parsed.sources}
    assert set(sources) == {"sources.list", "sources.list.d/k8s.sources", "sources.list.d/long.list"}
    assert sources["sources.list"].lines == ("# old", "deb https://***@apt.corp.lan/debian bookworm main")
    assert sources["sources.list.d/k8s.sources"].lines == (
        "Types: deb",
        "URIs:",
        " https://apt.kubernetes.io/",
        "",
        "Signed-By: /etc/k\tx.gpg",
    )
    assert sources["sources.list"].sha256 == sha256(written["sources.list"])
    assert not sources["sources.list.d/long.list"].whole


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, and a user _apt")
def test_keys_as_apt_sees_them(tmp_path):
    subprocess.run(["chmod", "a+x", *map(str, [*tmp_path.parents][:2]), str(tmp_path)], check=True)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    keys = {
        "page.asc": "<html>",
        "closed/in.gpg": "\x99\x01",
        "empty.gpg": "",
        "shut.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
    }
    for name, text in keys.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
        (tmp_path / name).chmod(0o644 if name != "shut.asc" else 0o600)
    named = "".join(f"deb [arch=amd64 signed-by={tmp_path}/{name}] http://x y z\n" for name in (*keys, "none.gpg"))
    lines = apt(tmp_path, "kf_sources; kf_keys", **{"sources.list": named})
    found = {key.path.removeprefix(f"{tmp_path}/"): (key.form, key.readable) for key in AptFiles.parse(lines).keys}
    readable = subprocess.run(["setpriv", "--reuid=_apt", "--clear-groups", "test", "-r", str(tmp_path / "page.asc")], check=False)
    if readable.returncode:
        pytest.skip("the folder of the tests is closed to other users, or there is no _apt")
    assert found == {
        "page.asc": ("page", True),
        "closed/in.gpg": ("binary", False),
        "empty.gpg": ("empty", True),
        "shut.asc": ("armored", False),
        "none.gpg": ("missing", True),
    }


@pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg")
def test_when_a_key_ends(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    words = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    for name, end in {"short": "seconds=1000", "never": "never"}.items():
        subprocess.run([*words, "--quick-gen-key", f"{name} <{name}@example.invalid>", "ed25519", "sign", end], check=True)
        subprocess.run([*words, "--output", str(tmp_path / f"{name}.gpg"), "--export", name], check=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    before = sorted(tmp_path.rglob("*"))
    ends = {}
    for name in ("short", "never"):
        (line,) = function("preflight/facts-apt", f"unreadable=; kf_key {tmp_path}/{name}.gpg", tmp_path)
        ends[name] = int(line.split("\t")[2])
    assert ends["never"] == 0
    assert 0 < ends["short"] - (tmp_path / "short.gpg").stat().st_mtime <= 1001
    assert sorted(tmp_path.rglob("*")) == before


def test_proxies_in_both_of_apts_forms(tmp_path):
    lines = apt(
        tmp_path,
        "kf_proxies",
        **{
            "apt.conf.d/80a": '// Acquire::http::Proxy "http://no:1";\nAcquire::http::Proxy "http://u:p@one:3128/";\n',
            "apt.conf.d/90b": 'Acquire {\n  HTTPS {\n    Proxy "http://two:1";\n  }\n}\nAcquire::https::Proxy::mirror.lan "DIRECT";\n',
            "apt.conf.d/95.off": 'Acquire::http::Proxy "http://no:2";\n',
            "apt.conf": 'acquire::http::proxy "DIRECT";\nAPT::X "Proxy";\n',
        },
    )
    assert lines == [
        "proxy\thttp\thttp://***@one:3128/\t/etc/apt/apt.conf.d/80a",
        "proxy\thttps\thttp://two:1\t/etc/apt/apt.conf.d/90b",
        "proxy\thttp\tDIRECT\t/etc/apt/apt.conf",
    ]


def test_pins_are_told_as_they_are(tmp_path):
    lines = apt(
        tmp_path,
        "kf_pins",
        **{"preferences.d/k8s": "Package: kubelet\nPin: version 1.2*\nPin-Priority: -1\n", "preferences.d/x.save": "Package: y\n"},
    )
    (pins,) = AptFiles.parse(lines).pins
    assert (pins.path, pins.lines[0]) == ("/etc/apt/preferences.d/k8s", "Package: kubelet")


# kubespray and KubeKey leave programs in /usr/local/bin, and a unit file that starts them.
def test_programs_and_units_that_no_package_brought(tmp_path):
    local, units = tmp_path / "usr/local/bin", tmp_path / "etc/systemd/system"
    for folder in (local, units / "kubelet.service.d", units / "docker.service.d", tmp_path / "etc/default"):
        folder.mkdir(parents=True)
    for name in ("kubeadm", "kubelet", "k3s", "runc"):
        (local / name).write_text("#!/bin/sh\n")
        (local / name).chmod(0o755)
    (local / "kubectl").symlink_to("k3s")
    (local / "etcd").write_text("not a program")
    (units / "kubelet.service").write_text("[Service]\nEnvironmentFile=-/x\nExecStart=\nExecStart=-/usr/local/bin/kubelet $A\n")
    (units / "containerd.service").symlink_to("/dev/null")
    (units / "docker.service.d/tcp.conf").write_text("[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H tcp://0.0.0.0\n")
    (tmp_path / "etc/default/kubelet").write_text(
        'KUBELET_EXTRA_ARGS="--network-plugin=cni --container-runtime-endpoint=unix:///x"\n#--cni-bin-dir=/x\n'
    )
    lines = function(
        "facts/runtime",
        "kf_programs; kf_unit_files",
        tmp_path,
        local=local.parent,
        etcunits=units,
        default=tmp_path / "etc/default",
    )
    assert [line.removeprefix("leftover\t").replace(str(tmp_path), "") for line in lines] == [
        "program /usr/local/bin/kubelet",
        "program /usr/local/bin/kubeadm",
        "program /usr/local/bin/runc",
        "unit /usr/local/bin/kubelet /etc/systemd/system/kubelet.service",
        "masked /etc/systemd/system/containerd.service",
        "drop-in /usr/bin/dockerd /etc/systemd/system/docker.service.d/tcp.conf",
        "flag --network-plugin /etc/default/kubelet",
    ]


def test_a_container_that_publishes_a_port(tmp_path):
    for number, (name, running) in enumerate({"registry": "true", "old": "false"}.items()):
        folder = tmp_path / "docker/containers" / str(number)
        folder.mkdir(parents=True)
        ports = '"5000/tcp":[{"HostIp":"0.0.0.0","HostPort":"5000"},{"HostIp":"::","HostPort":"5000"}]'
        (folder / "config.v2.json").write_text(
            f'{{"State":{{"Running":{running}}},"Config":{{"Env":["SECRET=x"],"Image":"registry:2"}},"Image":"sha256:0",'
            f'"NetworkSettings":{{"Ports":{{{ports}}}}},"Name":"/{name}"}}'
        )
    lines = function("preflight/facts-guests", "kf_containers", tmp_path, docker=tmp_path / "docker")
    assert lines == ["container\tregistry\tregistry:2\t5000 5000"]


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
    mounts = {line.split("\t")[-1]: line.split("\t") for line in lines if line.startswith("mount")}
    assert mounts[str(tmp_path)][1:3] != ["proc", "/proc"]
    assert [fields[1:3] for parent, fields in mounts.items() if parent.startswith("/proc")] == [["proc", "/proc"]]
