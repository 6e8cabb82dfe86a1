"""Kills and power cuts in the middle of steps, and at random instants; whatever they hit, the next run ends where an undisturbed one does.

KFINSTALL_CAMPAIGN_SEED repeats a campaign (its seed is shown); KFINSTALL_CAMPAIGN_BLOWS sets how long it is. A round begins with fresh disks: a
power cut for each node and a kill of the installer, all while a run goes on; then every node is compared with an undisturbed run's.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import installer as installed
from tests.lab import nodes, preexisting, proxy
from tests.lab.installer import Installer
from tests.lab.nodes import Lab
from tests.lab.power import cut_in_each

SEED = int(os.environ.get("KFINSTALL_CAMPAIGN_SEED") or random.SystemRandom().randrange(10**6))
BLOWS = int(os.environ.get("KFINSTALL_CAMPAIGN_BLOWS") or 30)
RUNS = 6
"""So many runs at most until one ends well, once nothing strikes any more."""
SHORT_SECONDS = 1.0
"""A step that takes less may be over before a cord can be pulled."""
EVERY_STEP = {
    "prepare.apt",
    "prepare.base-packages",
    "prepare.swap-off",
    "prepare.modules",
    "prepare.sysctl",
    "prepare.clock",
    "prepare.containerd",
    "prepare.kubernetes-repository",
    "prepare.kubernetes-packages",
    "prepare.tools",
}
WITH_DOCKER = {"prepare.proxy", "prepare.docker"}
# All that the phase decides about: packages, files, units, kernel. Left out: what is random (keys, machine-id), and caches; and what a power
# cut leaves of others' work for ever: an empty file of readline's maintainer script (dpkg has put down by then that the package is whole, and
# nothing writes it again), and copies of the user database, with random names, that systemd-sysusers was about to put in its place.
OUTCOME = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'; dpkg --audit; apt-mark showhold; apt-mark showauto
find /etc /usr/local /var/lib/kfinstall -xdev ! -type d ! -path '/etc/ssh/ssh_host_*' ! -path /etc/machine-id ! -path /etc/.pwd.lock \
  ! -path '/etc/ld.so.cache' ! -path '*/kfinstall/units/*' ! -path '*/undo/sysctls' ! -path '*/undo/swaps' ! -path '*/undo/packages' ! -path '*/undo/units' ! -path /etc/inputrc ! -path '*/kfinstall/lock*' ! -path '/etc/*-' ! -path '/etc/chrony/chrony.keys' \
  ! -path '/etc/.#passwd*' ! -path '/etc/.#group*' ! -path '/etc/.#shadow*' ! -path '/etc/.#gshadow*' \
  -printf '%p %m %u %g %l ' \( -type f -exec sh -c 'sha256sum <"$1"' sh {} \; -o -printf '\n' \) | sort
# That one the kernel works out at each boot, from memory that is never quite the same.
sed -E 's/(max_user_watches) [0-9]+$/\1/' /var/lib/kfinstall/undo/sysctls
# In these lists, which comes first depends on what was done already when a cord was pulled, and on the boot.
for list in swaps packages units; do sort "/var/lib/kfinstall/undo/$list" | sed "s/^/$list /"; done
find / -xdev -name '*.kf.*' -o -xdev -name '*.dpkg-new' -o -xdev -name '*.dpkg-tmp'
cat /proc/swaps; cut -d ' ' -f 1 /proc/modules | sort
sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables fs.inotify.max_user_instances vm.overcommit_memory
systemctl list-unit-files --no-legend --no-pager | grep -v ' transient ' || { echo 'systemctl told no units'; exit 1; }
systemctl --failed --no-legend --plain --no-pager; ls -A /var/lib/dpkg/updates
"""


def outcomes(installer: Installer) -> list[list[str]]:
    """Each node's lines; names of units that were detached steps are gone by then."""
    with ThreadPoolExecutor() as pool:
        outputs = pool.map(lambda address: installer.ask(address, OUTCOME), installer.addresses)
    return [text.splitlines() for text in outputs]


@dataclass(frozen=True)
class Setting:
    """Which nodes, and what they are installed with."""

    numbers: tuple[int, ...]
    docker: bool = False
    """Debian 13 with Docker, behind a proxy."""

    @property
    def sections(self) -> dict[str, dict[str, str]]:
        return {"cluster": {"runtime": "docker"}, "proxy": {"http": proxy.URL, "https": proxy.URL}} if self.docker else {}


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> Setting:
    """What the test names."""
    found: Setting = request.param
    return found


@pytest.fixture
def installer(lab: Lab, tmp_path: Path, setting: Setting) -> Iterator[Installer]:
    """On these nodes, which are as the others again afterwards."""
    with ExitStack() as stack:
        if setting.docker:
            stack.enter_context(proxy.serve(installed.HOSTS))
            stack.callback(lab.reset, *setting.numbers)
        yield stack.enter_context(installed.installer(lab, tmp_path, setting.numbers, **setting.sections))


def fresh(installer: Installer, setting: Setting) -> None:
    """New disks with a past, so new host keys and nothing that an earlier round left."""
    if setting.docker:
        installer.lab.suite("trixie", *installer.numbers)
    else:
        installer.lab.reset(*installer.numbers)
    for path in installer.folder.glob("pins-*"):
        path.unlink()
    shutil.rmtree(installer.folder / "state", ignore_errors=True)
    installer.reach()
    preexisting.give(installer)
    if setting.docker:
        for address in installer.addresses:
            installer.ask(address, preexisting.BEHIND_A_PROXY)


class Faults:
    """Power cuts and a kill, each while the installer runs, which goes on after each."""

    def __init__(self, installer: Installer, chance: random.Random, seconds: float) -> None:
        """`seconds`: how long an undisturbed run takes; the instants are spread over it."""
        self.installer = installer
        self.plan = [(chance.uniform(0.02, 1) * seconds, number) for number in (*installer.numbers, 0)]
        self.struck: list[str] = []
        self.process = installer.start("install", "--yes")
        self._over = threading.Event()

    def strike(self) -> int:
        """All of them that come before a run ends well; how many runs that took."""
        begin = time.monotonic()
        threads = [threading.Thread(target=self._fault, args=(begin + instant, number)) for instant, number in self.plan]
        for thread in threads:
            thread.start()
        runs = 1
        while True:
            output, _none = self.process.communicate()
            if self.process.returncode == 0 or runs == len(self.plan) + RUNS:
                break
            self.process = self.installer.start("install", "--yes")
            runs += 1
        self._over.set()
        for thread in threads:
            thread.join()
        if self.process.returncode != 0:
            pytest.fail(f"{runs} runs, and it still ends with {self.process.returncode}: {output.splitlines()[-4:]}")
        return runs

    def _fault(self, at: float, number: int) -> None:
        begin = time.monotonic()
        with nodes.inside():
            # Between two runs nothing would be struck.
            while time.monotonic() < at or self.process.poll() is not None:
                if self._over.wait(0.01):
                    return
            if number:
                self.installer.lab.cut(number)
                self.struck.append(f"node{number} {time.monotonic() - begin:.1f} s")
                self.installer.lab.start(number)
            else:
                self.process.kill()
                self.struck.append(f"installer {time.monotonic() - begin:.1f} s")


def resumed(installer: Installer) -> int:
    """How many runs it took until one ended well."""
    status, events = 1, []
    for turn in range(1, RUNS + 1):
        status, events = installer.run("install", "--yes")
        if status == 0:
            return turn
    pytest.fail(f"{RUNS} runs after the last blow it still ends with {status}: {events[-4:]}")


def same(installer: Installer, wanted: list[list[str]], about: object) -> None:
    """Raise where a node is not what an undisturbed run makes of it."""
    for number, (want, got) in enumerate(zip(wanted, outcomes(installer), strict=True), 1):
        lines = sorted(f"{'-' if line in want else '+'} {line}" for line in set(want) ^ set(got))
        assert not lines, f"seed {SEED}, node{number}, {about}:\n" + "\n".join(lines)
    assert set(installer.plan().values()) == {"satisfied"}


def campaign(installer: Installer, setting: Setting, wanted_blows: int) -> int:
    """So many blows, in rounds that each begin with fresh disks; how many there were."""
    chance, struck, turn = random.Random(SEED), 0, 0
    print(f"campaign: seed {SEED}, {wanted_blows} blows", file=sys.stderr, flush=True)
    fresh(installer, setting)
    begin = time.monotonic()
    assert resumed(installer) == 1
    seconds, wanted = time.monotonic() - begin, outcomes(installer)
    while struck < wanted_blows and turn < wanted_blows:
        turn += 1
        fresh(installer, setting)
        faults = Faults(installer, chance, seconds)
        runs = faults.strike()
        struck += len(faults.struck)
        print(f"campaign: round {turn}: {', '.join(faults.struck)}; {runs} runs", file=sys.stderr, flush=True)
        same(installer, wanted, faults.struck)
    print(f"campaign: {struck} blows in {turn} rounds", file=sys.stderr, flush=True)
    return struck


def durations(installer: Installer) -> dict[str, float]:
    """An undisturbed run: seconds of each step that changed something, in order."""
    begun, took = {}, {}
    with installer.start("install", "--yes") as process:
        assert process.stdout is not None
        for line in process.stdout:
            event, now = json.loads(line), time.monotonic()
            if event["event"] == "stepStarted":
                begun[event["step"]] = now
            elif event["event"] == "stepFinished" and event["outcome"] == "changed":
                took[event["step"]] = now - begun[event["step"]]
    assert process.returncode == 0
    return took


def in_the_middle(installer: Installer, setting: Setting, steps: set[str]) -> None:
    """Strike each of these steps while it runs, resume, and compare; those that were quicker than the cord once more, sooner."""
    chance = random.Random(SEED)
    fresh(installer, setting)
    took = durations(installer)
    assert set(took) == (EVERY_STEP - {"prepare.containerd"} | WITH_DOCKER if setting.docker else EVERY_STEP)
    wanted, left, part = outcomes(installer), steps, (0.1, 0.6)
    for _again in range(2):
        fresh(installer, setting)
        instants = {
            step: chance.uniform(*part) * took[step] if took[step] > SHORT_SECONDS else 0.0 for step in took if step in left
        }
        print(f"cuts: seed {SEED}, {instants}", file=sys.stderr, flush=True)
        struck, over = cut_in_each(installer, ("install", "--yes"), instants)
        print(f"cuts: {len(struck)} struck, over before: {sorted(over)}", file=sys.stderr, flush=True)
        resumed(installer)
        same(installer, wanted, instants)
        # What one step did for the next one counts as done.
        left, part = left - set(struck) | {step for step in over if took[step] > SHORT_SECONDS}, (0.02, 0.1)
        if not left:
            break
    assert not left


# One node, so that each cut hits the step that it is meant for.
@pytest.mark.lab
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("setting", [Setting((1,))], indirect=True, ids=["node1"])
def test_a_power_cut_in_the_middle_of_every_step(installer: Installer, setting: Setting) -> None:
    in_the_middle(installer, setting, EVERY_STEP)


@pytest.mark.lab
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("setting", [Setting((2,), docker=True)], indirect=True, ids=["node2"])
def test_a_power_cut_in_the_middle_of_docker_and_the_proxy(installer: Installer, setting: Setting) -> None:
    in_the_middle(installer, setting, WITH_DOCKER)


@pytest.mark.lab
@pytest.mark.campaign
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("setting", [Setting((1, 2, 3))], indirect=True, ids=["three"])
def test_thirty_blows(installer: Installer, setting: Setting) -> None:
    assert campaign(installer, setting, BLOWS) >= BLOWS
