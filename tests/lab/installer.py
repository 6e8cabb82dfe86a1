"""The installer on nodes of the lab, with stand-ins for the sites that it downloads from."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kfinstall import releases
from kfinstall.answers.model import Node, Ssh
from kfinstall.errors import KfError
from kfinstall.releases import Artifact
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from tests.fakes import kubeadm, package_site
from tests.fakes.sshd import Known
from tests.lab.nodes import CHECKOUT, GATEWAY, Lab

HOSTS = ("pkgs.k8s.io", "github.com")
# The stand-in sites get their names and their CA.
REACH = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
sed -i '/lab-site/d' /etc/hosts
printf '%s pkgs.k8s.io github.com # lab-site\n' "$KF_SITE" >>/etc/hosts
printf '%s' "$KF_CA" >/usr/local/share/ca-certificates/lab-site.crt
update-ca-certificates >/dev/null 2>&1
printf 'Acquire::https::Proxy "DIRECT";\n' >/etc/apt/apt.conf.d/99lab-site
# A power cut is to hit what the installer writes, not this: it would be lost for half a minute.
sync
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
class Installer:
    """The command line in a copy with a release row of the lab, and a way to look at the nodes."""

    lab: Lab
    numbers: tuple[int, ...]
    folder: Path
    ca: str
    gateway: str
    requests: Mapping[str, int]
    """How often each path of the sites was asked for."""
    downloads: Mapping[str, Artifact]
    """What the sites have in the place of the release's downloads."""

    @property
    def addresses(self) -> list[str]:
        return [self.lab.address(number) for number in self.numbers]

    @property
    def names(self) -> list[str]:
        return [f"node{number}" for number in range(1, len(self.numbers) + 1)]

    def command(self, *words: str) -> list[str]:
        given = ["--answers", str(self.folder / "answers.yaml"), "--state-dir", str(self.folder / "state")]
        phase = [] if words[0] == "reset" else ["--only", "prepare"]
        return [sys.executable, "-m", "kfinstall", *words, *given, *phase, "--accept-new-host-keys", "--json"]

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

    def reach(self) -> None:
        """Give the nodes the sites' names and CA."""
        for address in self.addresses:
            self.ask(address, REACH)

    async def entered(self, address: str) -> Host:
        ssh = Ssh(user="kfadmin", agent=False, keys=(self.lab.key,), use_ssh_config=False)
        node = Node(name="lab", address=address)
        files = {"pins": self.folder / f"pins-{address}", "user_known_hosts": self.folder / "none"}
        return await connect_node(node, ssh, Known(), accept_new=True, **files)

    def ask(self, address: str, text: str) -> str:
        async def output() -> str:
            host = await self.entered(address)
            try:
                done = await host.ask(Program("ask", "lab", text, {"SITE": self.gateway, "CA": self.ca}), timeout_seconds=300)
            finally:
                await host.close()
            assert done.status == 0, done.lines[-10:]
            return "\n".join(done.lines)

        return asyncio.run(output())

    def states(self) -> list[str]:
        return [self.ask(address, STATE) for address in self.addresses]

    def same(self, before: list[str]) -> None:
        """Raise where the nodes differ from what they were."""
        for then, now in zip(before, self.states(), strict=True):
            assert set(then.splitlines()) ^ set(now.splitlines()) == set()

    def reboot(self) -> None:
        """Reboot the nodes, and come back once each runs another boot."""
        before = {address: self.ask(address, "cat /proc/sys/kernel/random/boot_id") for address in self.addresses}
        for address in self.addresses:
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


def _downloads(root: Path, tools: Path) -> dict[str, Artifact]:
    """Put stand-ins of the downloads on the site, and their checksums into a copy of the release rows."""
    rows = yaml.safe_load(tools.read_text())
    contents = {
        "kustomize": ("kustomize", "#!/bin/sh\necho v0.0.0-lab\n"),
        "cri-dockerd": ("cri-dockerd/cri-dockerd", (package_site.STAND_INS / "cri-dockerd.pl").read_text()),
    }
    found = {}
    for name, (member, content) in contents.items():
        row = rows["artifacts"][f"{name}-amd64"]
        row["sha256"] = package_site.write_archive(root, row["url"], member, content)
        found[f"{name}-amd64"] = Artifact.model_validate(row)
    tools.write_text(yaml.safe_dump(rows))
    return found


def _key(kubernetes: Path, fingerprint: str) -> dict[str, Artifact]:
    """Pin the stand-in's key in a copy of the release rows, in the place of the real repository's."""
    rows = yaml.safe_load(kubernetes.read_text())
    row = rows["artifacts"]["kubernetes-repository-key"]
    row["fingerprints"] = [fingerprint]
    kubernetes.write_text(yaml.safe_dump(rows))
    return {"kubernetes-repository-key": Artifact.model_validate(row)}


@contextmanager
def installer(
    lab: Lab, folder: Path, numbers: tuple[int, ...], *, control_planes: bool = False, **answers: Any
) -> Iterator[Installer]:
    """An installer in `folder`, with its sites served to the nodes; `answers` are sections beside nodes and ssh.

    `control_planes`: every node is one, instead of the first.
    """
    copy, root, work = folder / "copy", folder / "site", folder / "work"
    work.mkdir(parents=True)
    for name in ("kfinstall", "scripts", "assets"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    downloads = _downloads(root, copy / "assets/releases/tools.yaml")
    own = kubeadm.settings(package_site.real_version()) if package_site.real_version() else {"release": "26.03"}
    version = releases.load(own["release"]).patch(own.get("kubernetesVersion"))
    fingerprint = package_site.write_repository(root, version.rpartition(".")[0], ("0.0.1", version), work)
    downloads |= _key(copy / "assets/releases/kubernetes.yaml", fingerprint)
    ca, certificate = package_site.write_tls(work, HOSTS, GATEWAY)
    nodes: list[dict[str, Any]] = [
        {"name": f"node{place}", "address": lab.address(number)} for place, number in enumerate(numbers, 1)
    ]
    given = {"version": 1, "nodes": nodes, "ssh": {"user": "kfadmin", "agent": False, "keys": [lab.key]}}
    given["cluster"] = {"name": "lab", "release": own["release"], "kubernetesVersion": version}
    if control_planes:
        given["cluster"]["apiEndpoint"] = f"{GATEWAY}:443"
        for node in nodes:
            node["roles"] = ["control-plane", "worker"]
    for section, values in answers.items():
        given[section] = {**given.get(section, {}), **values}
    (folder / "answers.yaml").write_text(yaml.safe_dump(given))
    with package_site.serve(root, GATEWAY, certificate) as requests:
        made = Installer(lab, numbers, folder, ca.read_text(), GATEWAY, requests, downloads)
        try:
            yield made
        finally:
            # Its site is gone after this, and apt reads no list while one of its sources does not answer.
            for number in numbers:
                lab.shell(number, "rm -f /etc/apt/sources.list.d/kubernetes.list")
