"""Phase prepare on a Debian 13 node, which has a Docker that cri-dockerd takes, and containerd 1.7; all of it through a proxy, the only way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.lab import installer as installed
from tests.lab import preexisting, proxy
from tests.lab.installer import HOSTS, Installer
from tests.lab.nodes import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
NUMBER = 2
QUERY = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
docker info --format '{{.CgroupDriver}} {{.LoggingDriver}}'
tr -d ' \\n' </etc/docker/daemon.json; echo
containerd --version | sed -nE 's/.* v?([0-9]+[.][0-9]+)[.].*/\\1/p'
tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value docker)/environ | grep ^HTTPS_PROXY
"""
DUMP = "PATH=$PATH:/usr/sbin; containerd config dump | grep -E 'SystemdCgroup|config_path|sandbox_image|bin_dir' | tr -d ' '"


@pytest.fixture
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    with ExitStack() as stack:
        stack.callback(lab.reset, NUMBER)
        lab.suite("trixie", NUMBER)
        sections = {"cluster": {"runtime": "docker"}, "proxy": {"http": proxy.URL, "https": proxy.URL}}
        made = stack.enter_context(installed.installer(lab, tmp_path, (NUMBER,), **sections))
        made.reach()
        made.ask(made.addresses[0], preexisting.BEHIND_A_PROXY)
        yield made


def settled(installer: Installer) -> None:
    """A second run changes nothing, and a reboot leaves nothing to do."""
    before = installer.states()
    assert set(installer.install().values()) == {"unchanged"}
    installer.same(before)
    installer.reboot()
    assert set(installer.plan().values()) == {"satisfied"}


def test_docker_and_then_containerd(installer: Installer) -> None:
    address = installer.addresses[0]
    with proxy.serve(HOSTS) as requests:
        planned = installer.plan()
        assert {planned[f"prepare.{step}", "node1"] for step in ("proxy", "docker", "kubernetes-packages")} == {"needed"}
        assert ("prepare.containerd", "node1") not in planned
        installer.install()
        lines = installer.ask(address, QUERY).splitlines()
        settings = (
            '"exec-opts":["native.cgroupdriver=systemd"],"log-driver":"json-file","log-opts":{"max-size":"100m","max-file":"3"}'
        )
        assert lines == ["systemd json-file", f'{{"debug":true,{settings}}}', "1.7", f"HTTPS_PROXY={proxy.URL}"]
        assert {"CONNECT pkgs.k8s.io:443", "CONNECT github.com:443"} <= set(requests)
        assert any(line.startswith("GET http://") and line.endswith(".deb") for line in requests)
        settled(installer)

        # The same node with the runtime that Docker stands on: Debian 13's containerd reads the second form.
        answers = yaml.safe_load((installer.folder / "answers.yaml").read_text())
        answers["cluster"]["runtime"] = "containerd"
        (installer.folder / "answers.yaml").write_text(yaml.safe_dump(answers))
        needed = {step for (step, _node), state in installer.plan().items() if state == "needed"}
        assert needed == {"prepare.proxy", "prepare.containerd"}
        installer.install()
        shown = installer.ask(address, DUMP)
        assert "SystemdCgroup=true" in shown
        assert 'config_path="/etc/containerd/certs.d"' in shown
        assert 'bin_dir="/opt/cni/bin"' in shown
        settled(installer)
        assert installer.ask(address, QUERY).splitlines()[:2] == lines[:2]
