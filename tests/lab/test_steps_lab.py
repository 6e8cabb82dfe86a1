"""Every step on a node by itself: its plan says exactly what then changes, a second run changes nothing, and the simulator's node has become
what the real one has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfinstall.engine.step import Satisfied, Step
from kfinstall.parts.prepare.apt import PrepareApt
from kfinstall.parts.prepare.base_packages import PrepareBasePackages
from kfinstall.parts.prepare.clock import PrepareClock
from kfinstall.parts.prepare.containerd import PrepareContainerd
from kfinstall.parts.prepare.docker import PrepareDocker
from kfinstall.parts.prepare.kubernetes_packages import PrepareKubernetesPackages
from kfinstall.parts.prepare.kubernetes_repository import PrepareKubernetesRepository
from kfinstall.parts.prepare.mirrors import PrepareMirrors
from kfinstall.parts.prepare.modules import PrepareModules
from kfinstall.parts.prepare.proxy import PrepareProxy
from kfinstall.parts.prepare.swap_off import PrepareSwapOff
from kfinstall.parts.prepare.sysctl import PrepareSysctl
from kfinstall.parts.prepare.tools import PrepareTools
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry.pull_proof import RegistryPullProof
from kfinstall.parts.registry.push import RegistryPush
from kfinstall.parts.registry.server import RegistryServer
from kfinstall.parts.registry.trust import RegistryTrust
from kfinstall.parts.storage.local_directory import StorageLocalDirectory
from kfinstall.parts.storage.nfs_client import StorageNfsClient
from kfinstall.parts.storage.nfs_server import StorageNfsServer
from tests.lab import installer as installed
from tests.lab import look, preexisting, proxy, single_step
from tests.lab.fleet import Fleet, fleet
from tests.lab.installer import Installer
from tests.lab.nodes import Lab
from tests.lab.twin import Twin

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
NUMBER = 3
NAME = "node3"
EXPORT, IMAGES = "/srv/kf-steps/volumes", "/srv/kf-steps/images"
IN_BOTH: tuple[type[Step], ...] = (PrepareApt, PrepareBasePackages, PrepareSwapOff, PrepareModules, PrepareSysctl)
REGISTRY: tuple[type[Step], ...] = (RegistryServer, RegistryTrust, RegistryPush, RegistryPullProof)


@dataclass(frozen=True)
class Setting:
    """A node, what it is installed with, and the steps in their order."""

    number: int
    steps: tuple[type[Step], ...]
    docker: bool = False
    """Debian 13 with Docker, behind a proxy; Debian 12's is too old."""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"node{self.number}"


CONTAINERD = Setting(
    NUMBER,
    (
        *IN_BOTH,
        PrepareClock,
        PrepareContainerd,
        PrepareMirrors,
        PrepareKubernetesRepository,
        PrepareKubernetesPackages,
        PrepareTools,
        StorageNfsServer,
        StorageNfsClient,
        *REGISTRY,
    ),
    answers={"storage": {"type": "nfs", "nfs": {"path": EXPORT}}},
)
DOCKER = Setting(
    2,
    (PrepareProxy, *IN_BOTH, PrepareDocker, StorageLocalDirectory, *REGISTRY),
    docker=True,
    answers={"cluster": {"runtime": "docker"}, "proxy": {"http": proxy.URL, "https": proxy.URL}},
)
# As a power cut leaves a service that kfinstall brings: unpacked, so that systemd knows it, and not set up.
HALF = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
cd /run
apt-get -qq update
apt-get -qq -y purge systemd-timesyncd >/dev/null
apt-get -qq -o APT::Sandbox::User=root download systemd-timesyncd
rm -rf /var/lib/kfinstall/undo
dpkg --unpack systemd-timesyncd_*.deb >/dev/null
rm systemd-timesyncd_*.deb
systemctl daemon-reload
[[ $(systemctl show -p LoadState --value systemd-timesyncd.service) == loaded ]]
[[ -n $(dpkg --audit) ]]
"""
NOTHING_HALF = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
dpkg --audit
grep -s timesyncd /var/lib/kfinstall/undo/units
systemctl is-enabled systemd-timesyncd.service
systemctl is-active systemd-timesyncd.service
"""


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> Setting:
    """What the test names."""
    found: Setting = request.param
    return found


@pytest.fixture
def installer(lab: Lab, tmp_path: Path, setting: Setting) -> Iterator[Installer]:
    """On a node with a new disk, which has a past."""
    with ExitStack() as stack:
        stack.callback(lab.reset, setting.number)
        if setting.docker:
            stack.enter_context(proxy.serve(installed.HOSTS))
            lab.suite("trixie", setting.number)
        else:
            lab.reset(setting.number)
        made = stack.enter_context(installed.installer(lab, tmp_path, (setting.number,), **setting.answers))
        made.reach()
        preexisting.give(made)
        if setting.docker:
            made.ask(made.addresses[0], preexisting.BEHIND_A_PROXY)
        yield made


@asynccontextmanager
async def connected(installer: Installer, folder: Path, setting: Setting) -> AsyncIterator[Fleet]:
    """The node, with the answers that every step is in."""
    given = yaml.safe_load((installer.folder / "answers.yaml").read_text())
    sections = {section: given[section] for section in {"cluster", *setting.answers}}
    sections["registry"] = {"directory": IMAGES, "user": "kfinstall", "password": {"env": "REGISTRY"}}
    if not setting.docker:
        sections["registry"]["mirrors"] = {"quay.io": "https://mirror.example/v2/quay"}
    async with fleet(installer.lab, folder, numbers=(setting.number,), **sections) as nodes:
        nodes.secrets[registry_files.PASSWORD] = "word"
        nodes.downloads = installer.downloads
        yield nodes


@pytest.mark.parametrize("setting", [pytest.param(CONTAINERD, id="containerd"), pytest.param(DOCKER, id="docker")], indirect=True)
async def test_each_step_by_itself(installer: Installer, tmp_path: Path, setting: Setting) -> None:
    files = preexisting.FILES | (preexisting.DAEMON if setting.docker else {})
    twin = Twin(setting.name, installer.addresses[0], files, list(preexisting.SWAPS), [preexisting.UNIT])
    if setting.docker:
        twin.node.version_id, twin.node.codename = "13", "trixie"
    wrong: list[str] = []
    async with connected(installer, tmp_path / "first", setting) as nodes:
        before = await single_step.looked(nodes, setting.name)
        for kind in setting.steps:
            found, before = await single_step.done(nodes, kind(), twin, before)
            wrong += found
    await asyncio.to_thread(installer.reboot)
    async with connected(installer, tmp_path / "second", setting) as nodes:
        # Modules that nobody wants at boot come when they are used.
        changes = look.changed(before, await single_step.looked(nodes, setting.name))
        wrong += [f"changed by a reboot: {kind} {subject}" for kind, subject in changes if kind != "module"]
        checks = {kind.id: await nodes.check(kind(), setting.name) for kind in setting.steps}
    wrong += [f"{name}: {check} after a reboot" for name, check in checks.items() if not isinstance(check, Satisfied)]
    assert not wrong, "\n".join(wrong)


# A run that outlives the power cut does the step again: the unit is no service of the administrator's that was off.
async def test_a_service_that_a_power_cut_left_unpacked_is_set_up_first(lab: Lab, tmp_path: Path) -> None:
    step = PrepareClock()
    async with fleet(lab, tmp_path, numbers=(NUMBER,)) as nodes:
        await nodes.shell(NAME, HALF)
        await nodes.apply(step, NAME)
        assert (await nodes.shell(NAME, NOTHING_HALF)).splitlines() == ["enabled", "active"]
        assert isinstance(await nodes.check(step, NAME), Satisfied)
