"""Packages on hold: let go for a step that has to change them, and held again however the step ends."""

import pytest

from kfinstall import resources
from tests.unit.parts.prepare.test_prepare_lib import Machine, error, pytestmark  # noqa: F401

GUIDE = ("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni")
"""What older guides hold."""
MARK = """
case $1 in
showhold) sort -u holds ;;
hold) [[ ! -e locked ]] || exit 100; shift; printf '%s\\n' "$@" >>holds; sort -u -o holds holds ;;
unhold) shift; echo "unhold $*" >>calls; for name in "$@"; do sed -i "/^$name\\$/d" holds; done ;;
esac
"""
# As apt: what is on hold is not changed; with -s it tells what would be, holds or not.
GET = """
[[ " $* " == *" install "* ]] || exit 0
needs="kubelet kubeadm kubectl kubernetes-cni cri-tools $MORE"
if [[ $1 == -s ]]; then
  for name in $needs; do
    [[ $* != *Ignore-Hold* ]] && grep -qxF "$name" holds || echo "Inst $name [1.22.4-00] (1.34.2-1.1 x [amd64])"
  done
  exit 0
fi
for name in $needs; do ! grep -qxF "$name" holds || { echo "E: Unable to correct problems, you have held broken packages."; exit 100; }; done
[[ ! -e broken ]] || { echo "E: it breaks"; exit 100; }
[[ ! -e killing ]] || { kill -9 "$(cat shell)"; exit 1; }
echo "install ${*: -3}" >>calls; touch done
"""
QUERY = """
[[ -e done ]] && version=1.34.2-1.1 || version=$(cat version)
[[ $* == *Status-Status* ]] && echo "installed $version" || echo "$version"
"""


@pytest.fixture
def node(tmp_path):
    machine = Machine(tmp_path)
    machine.program("apt-mark", MARK)
    machine.program("apt-get", GET)
    machine.program("apt-cache", 'echo "$2 | 1.34.2-1.1 | https://pkgs.k8s.io"')
    machine.program("dpkg-query", QUERY)
    machine.program(
        "dpkg", '[[ $1 == --compare-versions ]] || exit 0; [[ $(printf "%s\\n" "$2" "$4" | sort -V | tail -n 1) == "$2" ]]'
    )
    machine.program("systemctl", "exit 0")
    machine.program("sleep", ":")
    (tmp_path / "version").write_text("1.22.4-00")
    (tmp_path / "holds").write_text("".join(f"{name}\n" for name in (*GUIDE, "linux-image-amd64")))
    return machine


def install(machine, **more):
    body = resources.script("prepare/kubernetes-packages").replace("kf_own /etc", "true /etc")
    given = {"VERSION": "1.34.2", "PACKAGES": "kubelet kubeadm kubectl"}
    return machine.run(f'echo $BASHPID >shell\nexport MORE="$KF_MORE"\n{body}', **{**given, "MORE": "", **more})


def holds(machine):
    return (machine.folder / "holds").read_text().split()


def record(machine, name):
    path = machine.folder / "var/lib/kfinstall/undo" / name
    return path.read_text().split() if path.exists() else []


def test_all_that_older_guides_hold_is_let_go_and_held_again(node):
    done = install(node)
    assert done.status == 0, done
    assert (node.folder / "done").exists()
    assert holds(node) == [*GUIDE, "linux-image-amd64"]
    # They were on hold before: a reset leaves them so.
    assert record(node, "held") == []
    assert record(node, "loose") == []
    assert "not on hold for now: kubelet kubeadm kubectl kubernetes-cni cri-tools" in done.lines
    # A second run has nothing to change, and touches no hold.
    (node.folder / "calls").unlink()
    assert install(node).status == 0
    assert not (node.folder / "calls").exists()


def test_what_was_not_held_is_recorded_for_a_reset(node):
    (node.folder / "holds").write_text("kubernetes-cni\n")
    assert install(node).status == 0
    assert holds(node) == ["kubeadm", "kubectl", "kubelet", "kubernetes-cni"]
    assert record(node, "held") == ["kubelet", "kubeadm", "kubectl"]


def test_a_failure_leaves_all_of_them_held(node):
    (node.folder / "broken").touch()
    done = install(node)
    assert done.status == 100
    assert "apt can't install kubelet=1.34.2-1.1" in error(done)
    assert holds(node) == [*GUIDE, "linux-image-amd64"]


def test_a_script_that_was_killed_is_made_good_by_the_next_and_by_a_reset(node):
    (node.folder / "killing").touch()
    assert install(node).status == -9
    assert holds(node) == ["linux-image-amd64"]
    assert sorted(record(node, "loose")) == sorted(GUIDE)
    assert node.run("kf_hold_again").lines == ("on hold again: kubelet kubeadm kubectl kubernetes-cni cri-tools",)
    assert holds(node) == [*GUIDE, "linux-image-amd64"]
    assert install(node).status == -9
    (node.folder / "killing").unlink()
    reset = resources.script("reset/packages").split("kf_list=")[0]
    assert node.run(reset).status == 0
    assert holds(node) == [*GUIDE, "linux-image-amd64"]
    assert record(node, "loose") == []


def test_a_lock_at_the_end_leaves_the_record_for_the_next_time(node):
    node.run("kf_let_go kubelet")
    (node.folder / "holds").write_text("")
    (node.folder / "var/lib/kfinstall/undo/loose").write_text("kubelet\n")
    (node.folder / "locked").touch()
    done = node.run("exit 3")
    assert done.status == 3
    assert "apt-mark hold kubelet" in done.lines[-1]
    assert record(node, "loose") == ["kubelet"]
    (node.folder / "locked").unlink()
    assert node.run("true").lines == ("on hold again: kubelet",)
    assert holds(node) == ["kubelet"]


def test_what_somebody_else_holds_stays(node):
    (node.folder / "holds").write_text("libc6\n")
    done = install(node, MORE="libc6")
    assert done.status == 100
    assert "on hold on this node: libc6" in error(done)
    assert "apt-mark unhold libc6" in error(done)
    assert holds(node) == ["libc6"]


def test_a_runtime_on_hold_is_let_go_where_it_has_to_change(node):
    (node.folder / "holds").write_text("containerd\nrunc\nnginx\n")
    node.program("apt-get", GET.replace('needs="kubelet', 'needs="containerd runc" # "kubelet'))
    node.program("dpkg-query", "exit 1")
    done = node.run("kf_apt_install containerd")
    assert done.status == 0, done
    assert "not on hold for now: containerd runc" in done.lines
    assert holds(node) == ["containerd", "nginx", "runc"]


@pytest.mark.parametrize(
    ("version", "fine"), [("1.36.0-1.1", False), ("1.34.9-1.1", False), ("1.34.2-2.1", True), ("1.9.11-00", True)]
)
def test_a_newer_one_is_not_downgraded(node, version, fine):
    (node.folder / "version").write_text(version)
    done = install(node)
    assert (done.status == 0) == fine, done
    if not fine:
        assert f"kubelet {version.partition('-')[0]} is installed on this node, newer than 1.34.2" in error(done)
        assert "apt-get purge" in error(done)
    assert holds(node) == [*GUIDE, "linux-image-amd64"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("E: The repository 'https://download.docker.com/linux/debian trixie Release' does not have a Release file.", "etc/apt/sources.list.d/docker.list: The repository"),
        ("W: GPG error: https://download.docker.com/linux/debian trixie InRelease: The following signatures were invalid: EXPKEYSIG 7EA0A9C3F273FCD8", "EXPKEYSIG"),
        ("E: Failed to fetch https://download.docker.com/linux/debian/dists/trixie/InRelease  403  Forbidden", "docker.list: Failed to fetch"),
        ("E: Malformed entry 1 in list file /etc/apt/sources.list.d/x.list (Suite)", "/etc/apt/sources.list.d/x.list: Malformed"),
        ("E: Conflicting values set for option Signed-By regarding source https://ppa.launchpadcontent.net/x/y/ubuntu/ noble: /a != /b", "ppa.sources: Conflicting"),
        ("E: Failed to fetch https://elsewhere.example/debian/x  Could not resolve", "the package lists can't be read"),
    ],
)  # fmt: skip
def test_a_source_that_fails_is_named_with_its_file(tmp_path, message, words):
    machine = Machine(tmp_path)
    folder = tmp_path / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    (folder / "docker.list").write_text("deb [arch=amd64] https://download.docker.com/linux/debian trixie stable\n")
    (folder / "ppa.sources").write_text("Types: deb\nURIs: https://ppa.launchpadcontent.net/x/y/ubuntu\nSuites: noble\n")
    machine.program("dpkg", "true")
    machine.program("apt-get", f'echo "{message}"; exit 100')
    done = machine.run("kf_apt_update; echo went on")
    assert done.status == 100
    assert words in error(done)
    assert "went on" not in done.lines
