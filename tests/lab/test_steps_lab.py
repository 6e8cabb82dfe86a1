"""Every step on a node by itself: its plan says exactly what then changes, a second run changes nothing, and the simulator's node has become
what the real one has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from kfinstall import prepare_site, registry_site
from kfinstall.step import Needed, Satisfied, Step
from kfinstall.steps.prepare_apt import PrepareApt
from kfinstall.steps.prepare_base_packages import PrepareBasePackages
from kfinstall.steps.prepare_clock import PrepareClock
from kfinstall.steps.prepare_containerd import PrepareContainerd
from kfinstall.steps.prepare_kubernetes_packages import PrepareKubernetesPackages
from kfinstall.steps.prepare_kubernetes_repository import PrepareKubernetesRepository
from kfinstall.steps.prepare_modules import PrepareModules
from kfinstall.steps.prepare_swap_off import PrepareSwapOff
from kfinstall.steps.prepare_sysctl import PrepareSysctl
from kfinstall.steps.prepare_tools import PrepareTools
from kfinstall.steps.registry_server import RegistryServer
from kfinstall.steps.registry_trust import RegistryTrust
from kfinstall.steps.storage_nfs_client import StorageNfsClient
from kfinstall.steps.storage_nfs_server import StorageNfsServer
from tests.lab import installer as installed
from tests.lab import look, past
from tests.lab.fleet import Fleet, fleet
from tests.lab.installer import Installer
from tests.lab.look import Look
from tests.lab.nodes import Lab
from tests.lab.twin import Twin, differences

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
NUMBER = 3
NAME = "node3"
EXPORT, IMAGES = "/srv/kf-steps/volumes", "/srv/kf-steps/images"
STEPS: tuple[type[Step], ...] = (
    PrepareApt,
    PrepareBasePackages,
    PrepareSwapOff,
    PrepareModules,
    PrepareSysctl,
    PrepareClock,
    PrepareContainerd,
    PrepareKubernetesRepository,
    PrepareKubernetesPackages,
    PrepareTools,
    StorageNfsServer,
    StorageNfsClient,
    RegistryServer,
    RegistryTrust,
)
UNLIKE = frozenset(
    {
        "/etc/apt/keyrings/kubernetes-apt-keyring.gpg",
        "/usr/local/bin/kustomize",
        f"{prepare_site.PROOFS}/prepare-tools.json",
        registry_site.HTPASSWD,
    }
)
"""Keys, downloads, what holds their digests, and salted passwords: never the same on a simulated node."""
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
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    """On a node with a new disk, which has a past."""
    with installed.installer(lab, tmp_path, (NUMBER,)) as made:
        lab.reset(NUMBER)
        made.reach()
        past.give(made)
        yield made
    lab.reset(NUMBER)


@asynccontextmanager
async def connected(installer: Installer, folder: Path) -> AsyncIterator[Fleet]:
    """The node, with the answers that every step is in."""
    cluster = yaml.safe_load((installer.folder / "answers.yaml").read_text())["cluster"]
    sections = {
        "cluster": cluster,
        "storage": {"type": "nfs", "nfs": {"path": EXPORT}},
        "registry": {"directory": IMAGES, "user": "kfinstall", "password": {"env": "REGISTRY"}},
    }
    async with fleet(installer.lab, folder, numbers=(NUMBER,), **sections) as nodes:
        nodes.secrets[registry_site.PASSWORD] = "word"
        nodes.downloads = installer.downloads
        yield nodes


async def looked(nodes: Fleet) -> Look:
    names = " ".join(
        (*prepare_site.FIXED_SYSCTLS, *prepare_site.LOWEST_SYSCTLS, "vm.swappiness", "vm.overcommit_memory", "kernel.panic")
    )
    return Look.of(await nodes.shell(NAME, look.SCRIPT.replace("@SYSCTLS@", names)))


async def one(nodes: Fleet, step: Step, twin: Twin, before: Look) -> tuple[list[str], Look]:
    """Do a step; what is not as it should be, and the node after it."""
    view, wrong = await nodes.view(step, NAME), []
    plan = step.check(view)
    assert isinstance(plan, Needed), (step.id, plan)
    twin.take(view.facts)
    simulated = twin.view(step, view, nodes.extra)
    if not isinstance(step.check(simulated), Needed):
        wrong.append(f"simulated before: {step.check(simulated)}")
    await nodes.apply(step, NAME)
    done, after = await nodes.view(step, NAME), await looked(nodes)
    if not isinstance(step.check(done), Satisfied):
        wrong.append(f"after: {step.check(done)}")
    wrong += [f"not in its plan: {kind} {subject}" for kind, subject in look.unannounced(plan, before, after)]
    wrong += [f"in its plan only: {change}" for change in look.unkept(plan, before, after)]
    await nodes.apply(step, NAME)
    last = await looked(nodes)
    wrong += [f"changed by a second run: {kind} {subject}" for kind, subject in look.changed(after, last)]
    for script, parameters, stdin in nodes.ran:
        twin.apply(script, parameters, stdin, done.facts)
    nodes.ran.clear()
    again = twin.view(step, done, nodes.extra)
    unlike = UNLIKE | {f"{registry_site.certs_folder(nodes.answers)}/ca.crt"}
    wrong += differences(done, again, step.watch(done), step.check, unlike)
    return [f"{step.id}: {line}" for line in wrong], last


async def test_each_step_by_itself(installer: Installer, tmp_path: Path) -> None:
    twin = Twin(NAME, installer.addresses[0], past.FILES, list(past.SWAPS), [past.UNIT])
    wrong: list[str] = []
    async with connected(installer, tmp_path / "first") as nodes:
        before = await looked(nodes)
        for kind in STEPS:
            found, before = await one(nodes, kind(), twin, before)
            wrong += found
    await asyncio.to_thread(installer.reboot)
    async with connected(installer, tmp_path / "second") as nodes:
        # Modules that nobody wants at boot come when they are used.
        found = [(kind, subject) for kind, subject in look.changed(before, await looked(nodes)) if kind != "module"]
        wrong += [f"changed by a reboot: {kind} {subject}" for kind, subject in found]
        checks = {kind.id: await nodes.check(kind(), NAME) for kind in STEPS}
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
