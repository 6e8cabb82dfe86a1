"""Phases connect and prepare on real Debian nodes, through the command line: plan, a killed run, its end, nothing to do, a reboot.

Needs a lab (nodes with systemd, apt and a way to a Debian mirror), its network namespace, and root for port 443:

KFINSTALL_LAB=<folder with cache/id_ed25519> ip netns exec kflab pytest tests/lab/test_prepare_lab.py

KFINSTALL_LAB_NODES: addresses by commas (default 10.77.0.11,10.77.0.13); what is on these nodes is changed without asking.
The sites behind pkgs.k8s.io and the downloads are stand-ins on this machine: the nodes get their names in /etc/hosts and a CA.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from kfinstall import releases
from kfinstall.answers.model import Node, Ssh
from kfinstall.errors import KfError
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from tests.fakes import package_site
from tests.fakes.sshd import Known

LAB = os.environ.get("KFINSTALL_LAB", "")
ADDRESSES = os.environ.get("KFINSTALL_LAB_NODES", "10.77.0.11,10.77.0.13").split(",")
HOSTS = ("pkgs.k8s.io", "github.com")
MISSING = package_site.missing_tools()
CHECKOUT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not LAB, reason="needs KFINSTALL_LAB: a running lab, and its network namespace"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it serves port 443"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]

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
printf 'deb http://apt.kubernetes.io/ kubernetes-xenial main\n' >/etc/apt/sources.list.d/lab-old.list
systemctl daemon-reload
systemctl enable -q --now 'lab\x2dswap\x2db.swap'
swapon -a
[[ $(wc -l </proc/swaps) -eq 3 ]]
"""
# The stand-in sites get their names and their CA.
REACH = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
sed -i '/lab-site/d' /etc/hosts
printf '%s pkgs.k8s.io github.com # lab-site\n' "$KF_SITE" >>/etc/hosts
printf '%s' "$KF_CA" >/usr/local/share/ca-certificates/lab-site.crt
update-ca-certificates >/dev/null 2>&1
printf 'Acquire::https::Proxy "DIRECT";\n' >/etc/apt/apt.conf.d/99lab-site
"""
HAND = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
[[ -s /lab-swap-a ]] || { dd if=/dev/zero of=/lab-swap-a bs=1M count=16 status=none; chmod 0600 /lab-swap-a; mkswap -q /lab-swap-a; }
swapon /lab-swap-a
apt-mark -qq unhold kubelet
rm /etc/modules-load.d/kfinstall.conf
"""
# What must be the same after a run that had nothing to do; its lock on the control plane comes and goes.
STATE = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
find /etc /usr/local/bin /var/lib/kfinstall -xdev -type f ! -path '*/kfinstall/lock*' -printf '%p %m %u %s %T@\n' | sort
find /etc -xdev -type l -printf '%p %l\n' | sort
find / -xdev -name '*.kf.*'
dpkg -l; apt-mark showhold; cat /proc/swaps /etc/fstab; cut -d ' ' -f 1 /proc/modules | sort
sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables fs.inotify.max_user_instances
systemctl show -p ActiveEnterTimestampMonotonic,MainPID containerd.service
stat -c '%n %Y' /var/lib/apt/lists
"""


@dataclass
class Lab:
    """The command line in a copy with a release row of the lab, and a way to look at the nodes."""

    folder: Path
    ca: str
    site: str

    def command(self, *words: str) -> list[str]:
        given = ("--answers", str(self.folder / "answers.yaml"), "--only", "prepare", "--state-dir", str(self.folder / "state"))
        return [sys.executable, "-m", "kfinstall", *words, *given, "--accept-new-host-keys", "--json"]

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "copy")}
        return subprocess.Popen(
            self.command(*words), cwd=self.folder / "copy", env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def run(self, *words: str) -> tuple[int, list[dict[str, object]]]:
        process = self.start(*words)
        output, _ = process.communicate(timeout=1500)
        return process.returncode, [json.loads(line) for line in output.splitlines()]

    def plan(self) -> dict[tuple[str, str], str]:
        """State by step and node."""
        status, events = self.run("plan", "--detailed-exitcode")
        states = {(str(e["step"]), str(e["target"])): str(e["state"]) for e in events if e["event"] == "planned"}
        assert status == (11 if "needed" in states.values() else 0)
        return states

    def install(self) -> dict[tuple[str, str], str]:
        """Outcome by step and node."""
        status, events = self.run("install", "--yes")
        assert status == 0, events[-5:]
        return {(str(e["step"]), str(e["target"])): str(e["outcome"]) for e in events if e["event"] == "stepFinished"}

    async def entered(self, address: str) -> Host:
        ssh = Ssh(user="kfadmin", agent=False, keys=(f"{LAB}/cache/id_ed25519",))
        node = Node(name="lab", address=address)
        files = {"pins": self.folder / f"pins-{address}", "user_known_hosts": self.folder / "none"}
        return await connect_node(node, ssh, Known(), accept_new=True, **files)

    def ask(self, address: str, text: str) -> str:
        async def asked() -> str:
            host = await self.entered(address)
            try:
                done = await host.ask(Program("ask", "lab", text, {"SITE": self.site, "CA": self.ca}), timeout_seconds=300)
            finally:
                await host.close()
            assert done.status == 0, done.lines[-10:]
            return "\n".join(done.lines)

        return asyncio.run(asked())

    def states(self) -> list[str]:
        return [self.ask(address, STATE) for address in ADDRESSES]

    def same(self, before: list[str]) -> None:
        """Raise where the nodes differ from what they were."""
        for then, now in zip(before, self.states(), strict=True):
            assert set(then.splitlines()) ^ set(now.splitlines()) == set()

    def reboot(self) -> None:
        """Reboot the nodes, and come back once each runs another boot."""
        before = {address: self.ask(address, "cat /proc/sys/kernel/random/boot_id") for address in ADDRESSES}
        for address in ADDRESSES:
            self.ask(address, "systemd-run -q --on-active=1 systemctl reboot")
        deadline = time.monotonic() + 240
        for address, boot in before.items():
            while True:
                try:
                    now = self.ask(
                        address, "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running --wait >/dev/null || true"
                    )
                except KfError:
                    now = boot
                if now != boot:
                    break
                assert time.monotonic() < deadline, f"{address} did not come back"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((ADDRESSES[0], 22))
        own = probe.getsockname()[0]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((own, 443))
        except OSError as error:
            pytest.skip(f"port 443 of {own} is taken: {error}")
    copy, site, work = tmp_path / "copy", tmp_path / "site", tmp_path / "work"
    work.mkdir()
    for name in ("kfinstall", "scripts", "assets"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    release = releases.load("26.03")
    tools = copy / "assets/releases/tools.yaml"
    rows = yaml.safe_load(tools.read_text())
    row = rows["artifacts"]["kustomize-amd64"]
    row["sha256"] = package_site.write_archive(site, row["url"], "kustomize", "#!/bin/sh\necho v0.0.0-lab\n")
    tools.write_text(yaml.safe_dump(rows))
    package_site.write_repository(site, release.minor(None), ("0.0.1", release.patch(None)), work)
    ca, certificate = package_site.write_tls(work, HOSTS, own)
    nodes = [{"name": f"node{number}", "address": address} for number, address in enumerate(ADDRESSES, 1)]
    answers = {"version": 1, "cluster": {"name": "lab"}, "nodes": nodes}
    answers["ssh"] = {"user": "kfadmin", "agent": False, "keys": [f"{LAB}/cache/id_ed25519"]}
    (tmp_path / "answers.yaml").write_text(yaml.safe_dump(answers))
    with package_site.serve(site, own, certificate):
        yield Lab(tmp_path, ca.read_text(), own)


def test_connect_and_prepare(lab: Lab) -> None:
    for address in ADDRESSES:
        lab.ask(address, SPOIL)
        lab.ask(address, REACH)
    before = lab.states()
    planned = lab.plan()
    lab.same(before)
    needed = {key for key, state in planned.items() if state == "needed"}
    names = [f"node{number}" for number in range(1, len(ADDRESSES) + 1)]
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
        assert {(f"prepare.{step}", name) for name in names} <= needed
    assert ("prepare.tools", "node1") in needed

    # The installer dies where apt unpacks; what it started goes on, and the next run follows it.
    killed = lab.start("install", "--yes")
    assert killed.stdout is not None
    for line in killed.stdout:
        event = json.loads(line)
        if event["event"] == "stepStarted" and event["step"] == "prepare.containerd":
            break
    killed.kill()
    killed.communicate()
    outcomes = lab.install()
    changed = {key for key, outcome in outcomes.items() if outcome == "changed"}
    assert {("prepare.kubernetes-packages", name) for name in names} <= changed
    assert changed < needed  # what the killed run had finished is not done again

    after = lab.states()
    for state in after:
        assert "# kfinstall turned swap off: /lab-swap-a\tnone\tswap\tsw\t0\t0" in state
        assert "# /dev/lab none swap sw 0 0 lab-swap" in state
        assert "/etc/systemd/system/lab\\x2dswap\\x2db.swap /dev/null" in state
        assert "net.ipv4.ip_forward = 1" in state
        assert {"kubeadm", "kubectl", "kubelet"} <= set(state.splitlines())  # held

    assert set(lab.install().values()) == {"unchanged"}
    lab.same(after)
    assert set(lab.plan().values()) == {"satisfied"}

    lab.reboot()
    assert set(lab.plan().values()) == {"satisfied"}


# What looks at a file decides, not what was done once: another hand on a node is seen and mended.
def test_a_hand_on_a_prepared_node_is_seen(lab: Lab) -> None:
    for address in ADDRESSES:
        lab.ask(address, REACH)
    lab.install()
    lab.ask(ADDRESSES[-1], HAND)
    name = f"node{len(ADDRESSES)}"
    wanted = {(f"prepare.{step}", name) for step in ("swap-off", "modules", "kubernetes-packages")}
    assert {key for key, state in lab.plan().items() if state == "needed"} == wanted
    assert {key for key, outcome in lab.install().items() if outcome == "changed"} == wanted
    assert set(lab.plan().values()) == {"satisfied"}
