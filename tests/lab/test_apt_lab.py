"""A server on which an older guide was followed: its sources of apt, its packages on hold, its programs beside them; and the way back from there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfinstall.engine.step import Conflict
from kfinstall.parts.preflight.apt import PreflightApt
from kfinstall.parts.preflight.leftovers import PreflightLeftovers
from tests.fakes import package_site
from tests.lab import installer as installed
from tests.lab.fleet import fleet
from tests.lab.installer import Installer
from tests.lab.nodes import Lab
from tests.lab.test_reset_lab import LOOK, reset

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
GUIDE = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
set -e
apt-get -qq update
apt-get -qq -y --no-install-recommends install curl >/dev/null
mkdir -p /run/lab-old
cd /run/lab-old
@PACKAGES@
dpkg -i --force-depends ./*.deb >/dev/null 2>&1
apt-mark hold kubelet kubeadm kubectl kubernetes-cni cri-tools >/dev/null
systemctl disable -q --now kubelet || true
sources=/etc/apt/sources.list.d
printf 'Types: deb\nURIs: https://apt.kubernetes.io/\nSuites: kubernetes-xenial\nComponents: main\n\n# stays\nTypes: deb\nURIs: https://x.example/\nSuites: y\nComponents: z\nEnabled: no\n' >$sources/lab-modernized.sources
printf 'deb [signed-by=/etc/apt/keyrings/lab-other.gpg] https://pkgs.k8s.io/core:/stable:/v1.34/deb/ /\n' >$sources/lab-doubled.list
printf 'deb https://packages.cloud.google.com/apt kubernetes-xenial main\r\n' >$sources/lab-google.list
mkdir -p /etc/apt/keyrings
printf 'another key' >/etc/apt/keyrings/lab-other.gpg
printf '#!/bin/sh\necho "kubeadm v1.24.9"\n' >/usr/local/bin/kubeadm
chmod 755 /usr/local/bin/kubeadm
sync
"""
SINCE = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
apt-mark showhold
dpkg-query -W -f '${Package} ${Version}\n' kubelet kubernetes-cni cri-tools
apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' | sort -u
"""


# What a guide for KubeKey leaves, and a repository that has nothing for this release.
MORE = r"""
printf '[Service]\nExecStart=/usr/local/bin/kubelet $A\n' >/etc/systemd/system/kubelet.service
printf 'deb [signed-by=/root/none.gpg] https://github.com/debian trixie stable\n' >/etc/apt/sources.list.d/lab-docker.list
"""


async def preflight(installer: Installer) -> tuple[str, str]:
    """What two of its checks say, in words."""
    async with fleet(installer.lab, installer.folder / "fleet", numbers=(1,), storage={"type": "local-path"}) as nodes:
        found = [await nodes.check(step, "node1") for step in (PreflightLeftovers(), PreflightApt())]
    assert all(isinstance(check, Conflict) for check in found)
    return str(found[0]), str(found[1])


@pytest.fixture
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    sections = {"storage": {"type": "local-path"}, "registry": {"enabled": False}, "spark": {"enabled": False}}
    with installed.installer(lab, tmp_path, (1,), **sections) as made:
        lab.reset(1)
        made.reach()
        packages = package_site.write_old_packages(tmp_path / "old", tmp_path / "old-work")
        text = "".join(
            f"base64 -d >'{path.name}' <<'END'\n{base64.encodebytes(path.read_bytes()).decode()}END\n" for path in packages
        )
        made.ask(made.addresses[0], GUIDE.replace("@PACKAGES@", text))
        yield made


@pytest.mark.skipif(package_site.real_programs() is not None, reason="the old packages are stand-ins")
def test_what_an_older_guide_left_is_turned_off_and_comes_back(installer: Installer) -> None:
    address = installer.addresses[0]
    installer.ask(address, MORE)
    leftovers, apt = asyncio.run(preflight(installer))
    assert "/usr/local/bin/kubeadm is no package's" in leftovers
    assert "/etc/systemd/system/kubelet.service starts /usr/local/bin/kubelet" in leftovers
    assert "the key /root/none.gpg is not there" in apt
    assert "lab-docker.list has no Release file for trixie (HTTP 404)" in apt
    assert "apt.kubernetes.io" not in apt
    installer.ask(
        address, "rm /etc/systemd/system/kubelet.service /etc/apt/sources.list.d/lab-docker.list; systemctl daemon-reload"
    )

    before = set(installer.ask(address, LOOK).splitlines())
    assert {f"held {name}" for name in package_site.OLD} <= before

    installer.install()
    since = installer.ask(address, SINCE).splitlines()
    assert since[:5] == sorted(package_site.OLD)  # all five are on hold again
    assert not {"kubelet 1.22.4-00", "kubernetes-cni 0.8.7-00", "cri-tools 1.13.0-01"} & set(since)
    assert [line for line in since if "k8s.io" in line] == ["https://pkgs.k8s.io/core:/stable:/v1.34/deb/"]
    assert not any("kubernetes.io" in line or "google" in line for line in since)
    assert "v1.24.9" not in installer.ask(address, "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin kubeadm version")
    assert set(installer.plan().values()) == {"satisfied"}

    reset(installer)
    after = set(installer.ask(address, LOOK).splitlines())
    # An upgrade can't be taken back, and is told; their files and units in /usr are the new version's.
    differ = {line for line in before ^ after if not any(f" {name} " in line for name in package_site.OLD)}
    assert differ == set(), "\n".join(sorted(f"{'-' if line in before else '+'} {line}" for line in differ))
    assert {f"held {name}" for name in package_site.OLD} <= after
