"""A server whose container runtime somebody configured before: what he wrote stays and works, Kubernetes gets what it needs, and a reset gives all of it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import installer as installed
from tests.lab.installer import Installer
from tests.lab.nodes import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
NUMBER = 1
CRI = 'plugins."io.containerd.grpc.v1.cri"'
CONFIG = f"""version = 2
root = "/data/containerd"
imports = ["/etc/containerd/conf.d/*.toml"]
[{CRI}.containerd]
  default_runtime_name = "nvidia"  # of the GPU
[{CRI}.containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
[{CRI}.containerd.runtimes.nvidia.options]
  BinaryName = "/usr/bin/nvidia-container-runtime"
"""
HOSTS = 'server = "https://quay.io"\n\n[host."https://cache.corp"]\n  capabilities = ["pull", "resolve"]\n'
BEFORE = f"""
set -e
mkdir -p /etc/containerd/conf.d /etc/containerd/certs.d/quay.io
printf '%s' '{CONFIG}' >/etc/containerd/config.toml
printf '%s' '{HOSTS}' >/etc/containerd/certs.d/quay.io/hosts.toml
chmod 0600 /etc/containerd/config.toml
sync
"""
FILES = "find /etc/containerd /data -xdev \\( -type f -exec sha256sum {} + \\) 2>/dev/null | sort; stat -c '%n %a %U' /etc/containerd/config.toml; ls -d /data 2>&1 || true"
DUMP = 'PATH=$PATH:/usr/sbin; containerd config dump; ctr plugins ls | awk \'$2 == "cri" {print "cri", $NF}\''
# As nvidia-ctk does it: its runtime once more, by another program of its own.
SINCE = f"""
set -e
printf '[{CRI}.containerd.runtimes.nvidia-cdi]\\n  runtime_type = "io.containerd.runc.v2"\\n[{CRI}.containerd.runtimes.nvidia-cdi.options]\\n  BinaryName = "/usr/bin/nvidia-container-runtime.cdi"\\n  SystemdCgroup = true\\n' >>/etc/containerd/config.toml
systemctl restart containerd
"""
MIRRORS = {
    "docker.io": "https://harbor.corp.example/v2/dockerhub",
    "registry.k8s.io": "https://m.corp.example",
    "quay.io": "https://m.corp.example",
}


@pytest.fixture
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    sections = {"registry": {"enabled": False, "mirrors": MIRRORS}, "spark": {"enabled": False}}
    with installed.installer(lab, tmp_path, (NUMBER,), **sections) as made:
        lab.reset(NUMBER)
        made.reach()
        made.ask(made.addresses[0], BEFORE)
        yield made


def test_a_gpu_nodes_containerd(installer: Installer) -> None:
    address = installer.addresses[0]
    before = installer.ask(address, FILES)
    assert {installer.plan()[f"prepare.{step}", "node1"] for step in ("containerd", "mirrors")} == {"needed"}
    installer.install()
    dumped = installer.ask(address, DUMP)
    assert 'root = "/data/containerd"' in dumped
    assert 'default_runtime_name = "nvidia"' in dumped
    assert dumped.count("SystemdCgroup = true") == 2
    assert 'BinaryName = "/usr/bin/nvidia-container-runtime"' in dumped
    assert 'config_path = "/etc/containerd/certs.d"' in dumped
    assert dumped.splitlines()[-1] == "cri ok"
    assert "# of the GPU" in installer.ask(address, "cat /etc/containerd/config.toml")
    mirrors = installer.ask(address, "cd /etc/containerd/certs.d && tail -n +1 */hosts.toml")
    assert "override_path = true" in mirrors
    assert mirrors.index('[host."https://cache.corp"]') < mirrors.index('[host."https://m.corp.example"]')
    installer.ask(address, SINCE)
    assert set(installer.plan().values()) == {"satisfied"}, "what the GPU's operator adds is no drift"
    status, events = installer.run("reset", "--yes")
    assert status == 0, events[-5:]
    assert installer.ask(address, FILES) == before
