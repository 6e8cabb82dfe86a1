"""The scripts of phase cluster, run by bash on this machine with stand-ins for kubeadm, kubectl and systemctl that write down how they were called."""

import getpass
import grp
import os
import shutil
import subprocess
import sys

import pytest

from kfinstall import resources
from kfinstall.engine.programs import failed
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
kubelet_starts() { # what kubeadm does in kubelet-start; then it waits
  [[ -n ${KUBELET:-} ]] || return 0
  [[ ! -e $LOG/story-before ]] || read -rt 0.5 <>"$LOG/never" || true
  mkdir -p "$ETC/../var/lib/kubelet"
  echo "kind: KubeletConfiguration" >"$ETC/../var/lib/kubelet/config.yaml"
  : >"$LOG/started"
  trap 'echo ended >>"$LOG/kubeadm-ended"; exit 143' TERM
  # As the real one it waits until the kubelet is well, and this one is where its story says so.
  until [[ -e $LOG/well ]]; do read -rt 0.02 <>"$LOG/never" || true; done
}
case "$1 $2" in
"init "* | "join "*) kubelet_starts ;;
esac
case "$1 $2" in
"reset --force") rm -rf "$ETC/kubernetes" "$ETC/../var/lib/etcd" ;;
"init --config") [[ -z ${INIT_FAILS:-} ]] || exit 1; mkdir -p "$ETC/kubernetes"; echo admin >"$ETC/kubernetes/admin.conf" ;;
"join --config" | "init phase") [[ -z ${JOIN_FAILS:-} ]] || exit 1; cat "${@: -1}" >"$LOG/config" ;;
esac
"""
# Each look at the kubelet reads the next line of its story, the last one again and again: NRestarts Result ActiveState SubState.
SYSTEMCTL = """
[[ "$1 $2" == "show kubelet.service" && -e $LOG/story ]] || exit 0
story=$LOG/story
[[ -e $LOG/started ]] || story=$LOG/story-before
[[ -e $story ]] || exit 0
read -r restarts result active sub <"$story" || exit 0
if [[ $restarts == well ]]; then : >"$LOG/well"; exit 0; fi
[[ $(wc -l <"$story") -lt 2 ]] || sed -i 1d "$story"
printf 'NRestarts=%s\\nResult=%s\\nActiveState=%s\\nSubState=%s\\n' "$restarts" "$result" "$active" "$sub"
"""
JOURNALCTL = """
case "$*" in
_SYSTEMD_UNIT=kubelet.service*) cat "$LOG/journal" ;;
*) echo kubelet says no; cat "$LOG/tail" 2>/dev/null ;;
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
        os.mkfifo(folder / "never")
        for name, text in (
            ("kubeadm", KUBEADM),
            ("kubectl", KUBECTL),
            ("systemctl", SYSTEMCTL),
            ("journalctl", JOURNALCTL),
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
        text = f"{resources.script('engine/lib')}\nPATH={self.bin}:$PATH\n{resources.script(resources.step_script(name))}".replace(
            "root:root", OWNER
        )
        for path in ("/var/lib", "/etc"):
            text = text.replace(f" {path}", f" {self.folder}{path}").replace(f"={path}", f"={self.folder}{path}")
        given = {f"KF_{key}": str(value) for key, value in parameters.items()}
        paths = {
            "ETC": str(self.etc),
            "LOG": str(self.folder),
            "KF_LOOK_SECONDS": "0.05",
            "KF_STATE_DIRECTORY": f"{self.folder}/state",
        }
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

    def join(self, stdin, **environment):
        settings = {"OWNER_FILE": f"{self.etc}/kfinstall/cluster.conf", "BEGUN": BEGUN, "DONE": DONE, "ROLE": "worker"}
        return self.run("cluster-join", stdin, environment, NAME="w1", SOCKET="unix:///s", ENDPOINT="10.0.0.1:6443", **settings)

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


# The kubelet while kubeadm waits

LOOP = ["0 exit-code activating auto-restart", "1 success active running", "1 exit-code activating auto-restart"]
LOOP += ["2 success active running", "2 exit-code activating auto-restart"]
SWAP = (
    'E1130 12:00:{:02d}.123456    {} run.go:72] "command failed" err="failed to run Kubelet: running with swap on is not supported, '
    'please disable swap or set --fail-swap-on flag to false. /proc/swaps contained: [Filename /swap.img]"'
)


def kubelet(machine, story, journal=(), before=()):
    """What looks at the kubelet will see, and its journal."""
    machine.write("story", "".join(f"{line}\n" for line in story))
    if before:
        machine.write("story-before", "".join(f"{line}\n" for line in before))
    machine.write("journal", "".join(f"{line}\n" for line in journal))


def begin(machine, which):
    return machine.init(KUBELET="1") if which == "init" else machine.join(f"token: {TOKEN}", KUBELET="1")


@pytest.mark.parametrize("which", ["init", "join"])
def test_a_kubelet_that_ends_again_and_again_ends_kubeadm_at_once_with_its_words(machine, which):
    journal = [
        "I1130 12:00:00.000001    100 server.go:1] Starting",
        *(SWAP.format(second, pid) for second, pid in ((1, 100), (11, 102))),
    ]
    kubelet(machine, LOOP, journal)
    done = begin(machine, which)
    assert done.status == 33, done.lines
    assert "the kubelet ends again and again on this node: running with swap on is not supported" in error(done)
    assert "sudo swapoff -a" in error(done)
    assert "kfinstall resume" in error(done)
    assert (machine.folder / "kubeadm-ended").read_text() == "ended\n"
    assert machine.state == BEGUN
    # Each error once, though the kubelet's process had another number.
    assert len([line for line in done.lines if line.startswith("  ") and "swap" in line]) == 1
    assert not [line for line in done.lines if "server.go" in line]


@pytest.mark.parametrize("which", ["init", "join"])
def test_it_is_made_anew_after_that(machine, which):
    kubelet(machine, LOOP, [SWAP.format(1, 100)])
    assert begin(machine, which).status == 33
    machine.write("etc/kubernetes/pki/ca.crt")  # what kubeadm had made by then
    (machine.folder / "started").unlink()
    kubelet(machine, ["0 success active running", "well"])
    done = begin(machine, which)
    assert done.status == 0, done.lines
    assert "kubeadm reset" in machine.calls
    assert machine.state == DONE


@pytest.mark.parametrize(
    "story",
    [
        ["0 success active running"],
        ["0 exit-code activating auto-restart", "1 success active running"],
        ["0 exit-code activating auto-restart", "1 exit-code activating auto-restart", "1 success active running"],
        # kubeadm starts it itself: systemd counts from 0
        [
            "57 exit-code activating auto-restart",
            "0 success active running",
            "1 exit-code activating auto-restart",
            "1 success active running",
        ],
        # stopped by kubeadm for a moment
        ["0 exit-code failed failed", "0 success active running"],
        ["9 success active running"],
    ],
)
def test_a_start_or_two_are_no_loop(machine, story):
    kubelet(machine, [*story, "well"], [SWAP.format(1, 100)])
    done = machine.init(KUBELET="1")
    assert done.status == 0, done.lines
    assert not (machine.folder / "kubeadm-ended").exists()


def test_before_kubeadm_has_written_its_configuration_the_kubelet_can_only_end(machine):
    before = [f"{count} exit-code activating auto-restart" for count in range(50, 60)]
    kubelet(machine, ["0 success active running", "well"], [SWAP.format(1, 100)], before)
    machine.write("var/lib/kubelet/config.yaml", "an older one\n")  # what something else left counts as none
    done = machine.init(KUBELET="1")
    assert done.status == 0, done.lines


def test_one_that_systemd_has_given_up_is_told_too(machine):
    kubelet(machine, ["0 exit-code failed failed"], ["panic: assignment to entry in nil map", "goroutine 1 [running]:"])
    done = machine.init(KUBELET="1")
    assert done.status == 33
    assert "systemd does not start it again: panic: assignment to entry in nil map || why is not known yet" in error(done)
    assert "journalctl -u kubelet" in error(done)


def test_an_api_server_that_does_not_answer_the_kubelet_yet_is_waited_for(machine):
    refused = (
        'E1130 12:00:01.1    7 run.go:72] "command failed" err="failed to run Kubelet: cannot create certificate signing request: '
        'Post \\"https://10.0.0.1:6443/apis\\": dial tcp 10.0.0.1:6443: connect: connection refused"'
    )
    kubelet(machine, [*LOOP, "5 exit-code activating auto-restart", "6 success active running", "well"], [refused])
    assert machine.join("x", KUBELET="1").status == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            'validate service connection: validate CRI v1 runtime API for endpoint "unix:///s": rpc error',
            "systemctl status containerd",
        ),
        (
            'misconfiguration: kubelet cgroup driver: "cgroupfs" is different from docker cgroup driver: "systemd"',
            "cgroup driver, systemd",
        ),
        ("kubelet is configured to not run on a host using cgroup v1", "cgroup v2"),
        ("listen tcp 0.0.0.0:10250: bind: address already in use", "ss -ltnp"),
        ("failed to parse kubelet flag: unknown flag: --cni-bin-dir", "/etc/default/kubelet"),
        ("mkdir /var/lib/kubelet/pods: no space left on device", "df -h"),
        (
            "x509: certificate has expired or is not yet valid: current time 2020-01-01T00:00:00Z is before 2026-01-01",
            "timedatectl",
        ),
        ("could not detect clock speed from output", "why is not known yet"),
        ("swap: unknown", "why is not known yet"),
    ],
)
def test_a_cause_is_named_only_where_the_words_say_it(machine, words, hint):
    noise = 'E1130 12:00:01.1    7 kubelet.go:3] "Container runtime network not ready" err="running with swap on"'
    kubelet(machine, LOOP, [noise, f'E1130 12:00:02.1    7 run.go:72] "command failed" err="failed to run Kubelet: {words}"'])
    found = error(machine.init(KUBELET="1"))
    assert f"on this node: {words} || " in found.replace('\\"', '"')
    assert hint in found.partition(" || ")[2]


def test_the_kubelets_words_are_bounded_and_hold_no_secret(machine):
    secrets = [
        "http://joe:hunter2@proxy:3128",
        f"token={TOKEN}",
        f"bootstrap {TOKEN}",
        'Authorization: "Bearer eyJabc.def"',
        "password: s3cret",
    ]
    journal = [f"E1130 12:00:0{n}.1    7 x.go:{n}] {'x' * n} {text} {'y' * 900}" for n, text in enumerate(secrets)]
    journal += [f"F1130 12:00:07.1    7 x.go:7] {'z' * 5000}"] + ["E1130 12:00:07.2    7 x.go:7] the same 1 again"] * 300
    kubelet(machine, LOOP, journal)
    done = machine.init(KUBELET="1")
    assert done.status == 33
    text = "\n".join(done.lines)
    for word in ("hunter2", TOKEN, "eyJabc", "s3cret"):
        assert word not in text
    assert len(text) < 6000
    assert max(map(len, done.lines)) < 500
    assert text.count("the same 1 again") <= 2  # among its errors, and where it is the reason


def test_a_container_runtime_that_is_merely_slow_is_waited_for(machine):
    words = (
        'validate service connection: validate CRI v1 runtime API for endpoint \\"unix:///run/containerd/containerd.sock\\": '
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    )
    line = f'E1130 12:00:01.1    7 run.go:72] "command failed" err="failed to run Kubelet: {words}"'
    kubelet(machine, [*LOOP, "5 exit-code activating auto-restart", "6 success active running", "well"], [line])
    assert machine.join("x", KUBELET="1").status == 0


LEAKS = [
    ('parse "http://user:pa/ss-s3cret@proxy:3128": invalid port ":pa-s3cret" after host', "s3cret"),
    ('pull "https://user:p@ss-s3cret@reg/v2/" failed', "s3cret"),
    ("http_proxy=user:s3cret@proxy:3128", "s3cret"),
    ("HTTPS_PROXY: user:s3@kreet@proxy", "kreet"),
    ("passphrase=s3cret", "s3cret"),
    ("pwd: s3cret", "s3cret"),
    ('password="two s3cret words"', "s3cret"),
    ('\\"password\\": \\"two s3cret words\\"', "s3cret"),
    ("secret: 'two s3cret words'", "s3cret"),
    ("credential eyJhbGciOiJSUzI1NiJ9.s3cret-part.sig_s3cret", "s3cret"),
    ("Authorization: bearer s3cret", "s3cret"),
    ("login joe:s3cret@registry refused", "s3cret"),
]


@pytest.mark.parametrize(("line", "secret"), LEAKS)
def test_no_secret_is_in_the_kubelets_words_or_last_lines(machine, line, secret):
    kubelet(machine, LOOP, [f"E1130 12:00:01.1    7 x.go:1] {line}"])
    done = machine.init(KUBELET="1")
    assert done.status == 33
    machine.write("tail", f"{line}\n")
    for failing in (machine.init(INIT_FAILS="1"), machine.join("x", JOIN_FAILS="1")):
        assert failing.status == 30
        assert "kubelet says no" in failing.lines
        assert secret not in "\n".join((*failing.lines, *done.lines))


def test_what_names_the_cause_is_not_redacted(machine):
    words = 'Get "https://10.0.0.1:6443/api": dial tcp [fd00::1]:6443: x509: certificate signed by unknown authority'
    machine.write("tail", f"{words}\n")
    assert words in machine.init(INIT_FAILS="1").lines


def test_a_silent_kubelet_is_told_as_silent(machine):
    kubelet(machine, LOOP)
    assert "on this node: it says nothing || why is not known yet" in error(machine.init(KUBELET="1"))


def test_kubeadms_status_is_not_lost_where_it_comes_as_a_looks_time_is_up(tmp_path):
    text = f"""{resources.script("engine/lib")}
systemctl() {{ :; }}
kubeadm() {{ return "$1"; }}
for number in {{1..60}}; do kf_kubeadm 0; done
for number in {{1..20}}; do kf_kubeadm 7 && exit 1 || [[ $? == 7 ]] || exit 2; done
"""
    environment = {"KF_LOOK_SECONDS": "0.001", "KF_STATE_DIRECTORY": str(tmp_path)}
    done = subprocess.run([BASH, "-c", text], env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
