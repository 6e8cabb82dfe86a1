"""What Ubuntu's installer leaves on a server and other installers fall over, on a node that answers as Ubuntu."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import installer as installed
from tests.lab import nodes
from tests.lab.installer import Installer
from tests.lab.nodes import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
NUMBER = 2
# Holds the package manager's lock as unattended-upgrades does soon after the first boot: a lock of fcntl's kind.
HOLD = """
set -e
cat >/root/unattended-upgrade <<'END'
use Fcntl;
open my $file, '>', '/var/lib/dpkg/lock-frontend' or die;
my $lock = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0);
fcntl $file, F_SETLK, $lock or die;
open my $ready, '>', '/run/lab-held' or die;
close $ready;
sleep 20;
END
systemd-run -q --unit lab-holder perl /root/unattended-upgrade
until [[ -e /run/lab-held ]]; do systemctl -q is-active lab-holder; sleep 0.1; done
"""


@pytest.fixture
def installer(lab: Lab, tmp_path: Path) -> Iterator[Installer]:
    lab.reset(NUMBER)
    nodes.run("ubuntu", str(NUMBER), "24.04")
    with installed.installer(lab, tmp_path, (NUMBER,)) as made:
        made.reach()
        yield made
    lab.reset(NUMBER)


def test_a_server_as_the_installer_of_ubuntu_leaves_it(installer: Installer, lab: Lab) -> None:
    address = installer.addresses[0]
    planned = installer.plan()
    assert planned["prepare.swap-off", "node1"] == "needed"
    installer.ask(address, HOLD)
    status, events = installer.run("install", "--yes")
    assert status == 0, events[-5:]
    assert any("waiting for the package manager" in json.dumps(event) for event in events)
    output = installer.ask(
        address, "cat /proc/swaps /etc/fstab; dpkg-query -W -f '${Package} ${db:Status-Status}\\n' ufw unattended-upgrades"
    )
    assert "# kfinstall turned swap off: /swap.img\tnone\tswap\tsw\t0\t0" in output
    assert [line for line in output.splitlines() if line.startswith("/swap.img")] == []
    assert "ufw installed\nunattended-upgrades installed" in output
    lab.cut(NUMBER)
    lab.start(NUMBER)
    assert set(installer.plan().values()) == {"satisfied"}
