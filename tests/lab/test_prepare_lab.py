"""Phases connect and prepare on real Debian nodes, through the command line: plan, a killed run, its end, nothing to do, a reboot.

The sites behind pkgs.k8s.io and the downloads are stand-ins on this machine: the nodes get their names in /etc/hosts and a CA.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.parts.cluster import kubeadm
from tests.fakes import package_site
from tests.lab import installer as installed
from tests.lab.installer import Installer
from tests.lab.nodes import Lab

NUMBERS = (1, 3)
pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

# Undoes what an earlier run of this test did; then everything that an installer falls over.
SPOIL = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
set -e
apt-mark unhold kubelet kubeadm kubectl >/dev/null 2>&1 || true
dpkg --configure -a --force-confold >/dev/null 2>&1 || true
apt-get -qq -y purge kubelet kubeadm kubectl containerd ipset git >/dev/null 2>&1 || true
rm -rf /etc/containerd /etc/systemd/system/containerd.service.d /etc/apt/keyrings/kubernetes-apt-keyring.gpg
rm -f /etc/apt/sources.list.d/kubernetes.list /etc/modules-load.d/kfinstall.conf /etc/sysctl.d/9*-kfinstall* /usr/local/bin/kustomize
rm -rf /var/lib/kfinstall /var/lib/apt/lists/*Release
sed -i '/lab-swap/d' /etc/fstab
swapoff -a
for file in swap-a swap-b; do
  [[ -s /lab-$file ]] || { dd if=/dev/zero of=/lab-$file bs=1M count=16 status=none; chmod 0600 /lab-$file; mkswap -q /lab-$file; }
done
printf '# /dev/lab none swap sw 0 0 lab-swap\n/lab-swap-a\tnone\tswap\tsw\t0\t0\n' >>/etc/fstab
rm -f /etc/systemd/system/lab\\x2dswap\\x2db.swap
printf '[Swap]\nWhat=/lab-swap-b\n[Install]\nWantedBy=swap.target\n' >'/etc/systemd/system/lab\x2dswap\x2db.swap'
printf 'net.ipv4.ip_forward = 0\n' >/etc/sysctl.d/99-lab.conf
sysctl -q -w net.ipv4.ip_forward=0
# As Docker's own packages leave it, which turns the kubelets' interface off.
mkdir -p /etc/containerd
printf 'disabled_plugins = ["cri"]\n' >/etc/containerd/config.toml
rm -f /etc/apt/sources.list.d/lab-old.list
command -v zramswap >/dev/null || { apt-get -qq update; apt-get -qq -y --no-install-recommends install zram-tools >/dev/null; }
printf 'ALGO=%s\nSIZE=16\n' "$(modprobe zram; tr -d '[]' </sys/block/zram0/comp_algorithm | cut -d ' ' -f 1)" >/etc/default/zramswap
systemctl unmask -q zramswap; systemctl enable -q --now zramswap
printf 'deb http://apt.kubernetes.io/ kubernetes-xenial main\n' >/etc/apt/sources.list.d/lab-old.list
systemctl daemon-reload
systemctl enable -q --now 'lab\x2dswap\x2db.swap'
swapon -a
[[ $(wc -l </proc/swaps) -eq 4 ]]
"""
# Whether containerd takes kubelets' calls, what becomes of zram at the next boot, and which swap there is.
LIVE = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
ctr plugins ls | awk '$1 == "io.containerd.grpc.v1" && $2 == "cri" {print $NF}'
systemctl is-enabled zramswap || true
cut -f 1 /proc/swaps | cut -d ' ' -f 1
"""
HAND = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
[[ -s /lab-swap-a ]] || { dd if=/dev/zero of=/lab-swap-a bs=1M count=16 status=none; chmod 0600 /lab-swap-a; mkswap -q /lab-swap-a; }
swapon /lab-swap-a
apt-mark -qq unhold kubelet
rm /etc/modules-load.d/kfinstall.conf
# As a power cut leaves the lists: empty, beside a Release file that is the same.
apt-get -qq -y purge ethtool >/dev/null
for list in /var/lib/apt/lists/*_Packages*; do : >"$list"; done
rm -f /var/cache/apt/*.bin
"""


@pytest.fixture
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    with installed.installer(lab, tmp_path, NUMBERS) as made:
        yield made


def test_connect_and_prepare(installer: Installer) -> None:
    for address in installer.addresses:
        installer.ask(address, SPOIL)
    installer.reach()
    before = installer.states()
    planned = installer.plan()
    installer.same(before)
    needed = {key for key, state in planned.items() if state == "needed"}
    for step in (
        "apt",
        "base-packages",
        "swap-off",
        "modules",
        "sysctl",
        "containerd",
        "kubernetes-repository",
        "kubernetes-packages",
    ):
        assert {(f"prepare.{step}", name) for name in installer.names} <= needed
    assert ("prepare.tools", "node1") in needed

    # The installer dies where apt unpacks; what it started goes on, and the next run follows it.
    killed = installer.start("install", "--yes")
    assert killed.stdout is not None
    for line in killed.stdout:
        event = json.loads(line)
        if event["event"] == "stepStarted" and event["step"] == "prepare.containerd":
            break
    killed.kill()
    killed.communicate()
    outcomes = installer.install()
    changed = {key for key, outcome in outcomes.items() if outcome == "changed"}
    assert {("prepare.kubernetes-packages", name) for name in installer.names} <= changed
    assert changed < needed  # what the killed run had finished is not done again

    after = installer.states()
    for state in after:
        assert "# kfinstall turned swap off: /lab-swap-a\tnone\tswap\tsw\t0\t0" in state
        assert "# /dev/lab none swap sw 0 0 lab-swap" in state
        assert "/etc/systemd/system/lab\\x2dswap\\x2db.swap /dev/null" in state
        assert "net.ipv4.ip_forward = 1" in state
        assert {"kubeadm", "kubectl", "kubelet"} <= set(state.splitlines())  # held
    for address in installer.addresses:
        assert installer.ask(address, LIVE).splitlines() == ["ok", "masked", "Filename"]

    assert set(installer.install().values()) == {"unchanged"}
    installer.same(after)
    assert set(installer.plan().values()) == {"satisfied"}

    installer.reboot()
    assert set(installer.plan().values()) == {"satisfied"}
    for address in installer.addresses:
        assert installer.ask(address, LIVE).splitlines() == ["ok", "masked", "Filename"]


# What looks at a file decides, not what was done once: another hand on a node is seen and mended.
def test_a_hand_on_a_prepared_node_is_seen(installer: Installer) -> None:
    installer.reach()
    installer.install()
    installer.ask(installer.addresses[-1], HAND)
    name = installer.names[-1]
    wanted = {(f"prepare.{step}", name) for step in ("base-packages", "swap-off", "modules", "kubernetes-packages")}
    assert {key for key, state in installer.plan().items() if state == "needed"} == wanted
    assert {key for key, outcome in installer.install().items() if outcome == "changed"} == wanted
    assert set(installer.plan().values()) == {"satisfied"}


INIT = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
kubeadm init --ignore-preflight-errors=NumCPU --skip-token-print
kubeadm token create --print-join-command >/root/join
systemctl is-active kubelet
"""
JOIN = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
kubeadm join 10.78.0.11:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:0 && systemctl is-active kubelet
"""
RESET = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
kubeadm reset --force
! systemctl is-active kubelet >/dev/null || sleep 1
ls -A /etc/kubernetes /var/lib/etcd /var/lib/kubelet 2>/dev/null || true
"""


# What a node must be like before kubeadm runs there is what this phase makes of it.
@pytest.mark.skipif(package_site.real_programs() is not None, reason="real kubeadm has no images to start here")
def test_the_preflight_of_kubeadm_takes_prepared_nodes(installer: Installer) -> None:
    installer.reach()
    installer.install()
    first, second = installer.addresses
    spoiled = "sysctl -q -w net.ipv4.ip_forward=0; PATH=$PATH:/usr/sbin kubeadm init --ignore-preflight-errors=NumCPU 2>&1 || true"
    assert "[ERROR FileContent--proc-sys-net-ipv4-ip_forward]" in installer.ask(first, spoiled)
    installer.ask(first, "/usr/sbin/sysctl -q --system")
    assert "[WARNING NumCPU]" in installer.ask(first, f"exec 2>&1\n{INIT}")
    assert "joined the cluster" in installer.ask(second, JOIN)
    again = installer.ask(second, "kubeadm join --token abcdef.0123456789abcdef 2>&1 || true")
    assert "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]" in again
    assert installer.ask(second, "tail -n 1 /var/lib/kube-stand-in/calls") == "kubeadm join --token abcdef.0123456789abcdef"
    for address in installer.addresses:
        assert installer.ask(address, RESET).endswith("/var/lib/kubelet]")


DRY_RUN = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
cat >/root/kubeadm.yaml <<'END'
@CONFIG@
END
kubeadm config validate --config /root/kubeadm.yaml 2>&1 && echo valid
kubeadm init --dry-run --config /root/kubeadm.yaml --ignore-preflight-errors=NumCPU 2>&1 || true
kubeadm init --dry-run --config /root/kubeadm.yaml --ignore-preflight-errors=NumCPU,SystemVerification 2>&1 && echo whole
rm /root/kubeadm.yaml
kubelet --version
"""


# The real one: its own preflight, against what this phase makes of a node, and what it would do by our configuration.
# All that it misses is the user-mode kernel's: that one has no cpusets.
@pytest.mark.skipif(package_site.real_programs() is None, reason="KFINSTALL_KUBE_BIN names no real kubeadm, kubelet and kubectl")
def test_the_real_kubeadm_takes_a_prepared_node(installer: Installer) -> None:
    installer.reach()
    installer.install()
    answers = Answers.model_validate(yaml.safe_load((installer.folder / "answers.yaml").read_text()))
    view = View(answers, releases.load(answers.cluster.release), "node1")
    output = installer.ask(installer.addresses[0], DRY_RUN.replace("@CONFIG@", kubeadm.init_config(view)))
    lines = output.splitlines()
    assert [line for line in lines if "[ERROR" in line and "cpuset" not in line.lower()] == []
    assert [line for line in lines if "unknown field" in line or "deprecated" in line] == []
    assert {"valid", "whole"} <= set(lines), output
    assert lines[-1] == f"Kubernetes v{package_site.real_version()}"
