"""Preflight on a real node: a stock Debian has none of these findings, each that can be made there is made, and a look changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import installer as installed
from tests.lab.installer import Installer
from tests.lab.nodes import GATEWAY, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]
NUMBER = 1
MADE = {
    "packet-filter": "REJECT",
    "cgroup-controllers": "cgroup_enable=memory",
    "memory": "huge pages",
    "unnamed-proxy": "proxy.https: http://proxy.example:3128",
    "settings-at-boot": "/etc/sysctl.d/99-lab.conf",
    "file-system": "tmpfs",
    "noexec": "/var/lib/kubelet",
    "name-servers": "4 name servers",
    "own-name": "203.0.113.9",
    "tls-inspection": "update-ca-certificates",
}
"""What is made on the node, with a word of what must be told of it."""
TOOLS = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends iptables curl ca-certificates >/dev/null"
RED = rf"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
for tool in iptables-legacy iptables; do
  $tool -A INPUT -p tcp --dport 22 -j ACCEPT && $tool -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT &&
    $tool -A INPUT -i lo -j ACCEPT && $tool -A INPUT -j REJECT && break
done
mkdir -p /run/lab
sed 's/ *memory//' /sys/fs/cgroup/cgroup.controllers >/run/lab/controllers
mount --bind /run/lab/controllers /sys/fs/cgroup/cgroup.controllers
printf 'MemTotal: 4194304 kB\nHugePages_Total: 1900\nHugepagesize: 2048 kB\n' >/run/lab/meminfo
mount --bind /run/lab/meminfo /proc/meminfo
echo 'https_proxy="http://user:pw@proxy.example:3128"' >>/etc/environment
echo 'net.ipv4.ip_forward = 0' >/etc/sysctl.d/99-lab.conf
mkdir -p /var/lib/containerd /var/lib/kubelet
mount -t tmpfs none /var/lib/containerd
mount --bind /var/lib/kubelet /var/lib/kubelet && mount -o remount,bind,noexec /var/lib/kubelet
printf 'nameserver 192.0.2.%s\n' 1 2 3 4 >/run/lab/resolv.conf
mount --bind /run/lab/resolv.conf /etc/resolv.conf
sed -i "s/^127\.0\.1\.1.*/203.0.113.9 $(hostname)/" /etc/hosts
grep -q "203.0.113.9 $(hostname)" /etc/hosts || sed -i "1i 203.0.113.9 $(hostname)" /etc/hosts
echo '{GATEWAY} pkgs.k8s.io # lab-site' >>/etc/hosts
"""


@pytest.fixture
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    lab.reset(NUMBER)
    with installed.installer(lab, tmp_path, (NUMBER,)) as made:
        yield made
    lab.reset(NUMBER)


def check(made: Installer, *words: str) -> dict[str, dict[str, Any]]:
    """The findings by name, from the command line."""
    given = [
        "--answers",
        str(made.folder / "answers.yaml"),
        "--state-dir",
        str(made.folder / "state"),
        "--accept-new-host-keys",
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(made.folder / "copy")}
    done = subprocess.run(
        [sys.executable, "-m", "kfinstall", "check", *given, *words],
        cwd=made.folder / "copy",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode in (0, 3), events[-3:]
    return {event["called"]: event for event in events if event["event"] == "finding" and event["called"]}


def passed(found: dict[str, dict[str, Any]], name: str) -> bool:
    """Whether that was found, in the words that are meant."""
    event = found.get(name, {"message": "", "fix": ""})
    return MADE[name] in f"{event['message']}\n{event['fix']}"


def test_a_stock_debian_has_none_of_them_and_each_that_is_made_is_told(installer: Installer, lab: Lab) -> None:
    look = "export LC_ALL=C; ls -la --time-style=full-iso /etc /var /var/lib /root; "
    before = [installer.ask(installer.addresses[0], look), *installer.states()]
    green = check(installer)
    assert [installer.ask(installer.addresses[0], look), *installer.states()] == before, "a look changes nothing"
    # What the lab itself is short of (processors, memory, a name server) has other words.
    assert [name for name in MADE if passed(green, name)] == []
    assert not set(green) & {"kernel-modules", "istio-modules", "node-names", "mac-address", "same-machine"}
    lab.shell(NUMBER, TOOLS)
    lab.shell(NUMBER, RED)
    found = check(installer)
    assert {name: found.get(name) for name in MADE if not passed(found, name)} == {}
    assert "pw@" not in json.dumps(found)
    assert "settings-at-boot" not in check(installer, "--fix", "--yes")
    assert "# kfinstall turned it off: net.ipv4.ip_forward = 0" in lab.shell(NUMBER, "cat /etc/sysctl.d/99-lab.conf")
