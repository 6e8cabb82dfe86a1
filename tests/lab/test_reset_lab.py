"""The way back on real nodes: what a node is like before kfinstall and after `kfinstall reset` is the same, by every line that is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from kfinstall.engine.step import Scope, Step
from kfinstall.parts.cluster import kubeadm
from kfinstall.parts.preflight import membership
from kfinstall.parts.registry.push import RegistryPush
from kfinstall.parts.registry.server import RegistryServer
from kfinstall.parts.registry.trust import RegistryTrust
from kfinstall.parts.storage.nfs_client import StorageNfsClient
from kfinstall.parts.storage.nfs_server import StorageNfsServer
from kfinstall.secrets import Secret
from tests.fakes import package_site
from tests.lab import installer as installed
from tests.lab import preexisting
from tests.lab.fleet import Context, Fleet, fleet
from tests.lab.installer import Installer
from tests.lab.nodes import GATEWAY, Lab
from tests.lab.power import cut_in_each

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
EXPORT, IMAGES = "/srv/kf-reset/volumes", "/var/lib/kf-reset-images"
# A server with a past: swap from fstab (with TABs) and by a unit, a hardened setting, a source that is gone, a package taken by hand.
PAST = rf"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
set -e
{preexisting.MAKE_SWAPS}printf '/lab-swap-a\tnone\tswap\tsw\t0\t0\n' >>/etc/fstab
printf '[Swap]\nWhat=/lab-swap-b\n[Install]\nWantedBy=swap.target\n' >'/etc/systemd/system/lab\x2dswap\x2db.swap'
printf 'net.ipv4.ip_forward = 0\n' >/etc/sysctl.d/99-lab.conf
sysctl -q -w net.ipv4.ip_forward=0
printf 'deb http://apt.kubernetes.io/ kubernetes-xenial main\n' >/etc/apt/sources.list.d/lab-old.list
systemctl daemon-reload
systemctl enable -q --now 'lab\x2dswap\x2db.swap'
swapon -a
[[ $(wc -l </proc/swaps) -eq 3 ]]
rm /etc/apt/sources.list.d/lab-old.list
apt-get -qq update
apt-get -qq -y install socat >/dev/null
printf 'deb http://apt.kubernetes.io/ kubernetes-xenial main\n' >/etc/apt/sources.list.d/lab-old.list
"""
# What is looked at. Left out: what only time changes (logs, caches, lists), random keys, and the user
# database: Debian's packages leave their system users when they go, so that no other user ever gets the number.
LOOK = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Abbrev}\n'; dpkg --audit
apt-mark showhold | sed 's/^/held /'; apt-mark showmanual | sed 's/^/manual /'
find /etc /usr/local /opt /var/spool/cron -xdev ! -path '/etc/ssh/ssh_host_*' ! -path /etc/machine-id ! -path /etc/.pwd.lock ! -path '/etc/ld.so.cache' \
  ! -path '/etc/*-' ! -path /etc/mtab \
  ! -path /etc/passwd ! -path /etc/group ! -path /etc/shadow ! -path /etc/gshadow ! -path /etc/subuid ! -path /etc/subgid \( -type d -printf 'folder %p %m %u %g\n' -o -type f -printf 'file %p %m %u %g ' -exec sh -c 'sha256sum <"$1"' sh {} \; \
  -o -printf 'link %p %l\n' \) | sort
find /var/lib /var/cache /srv /root /home -maxdepth 1 ! -name kube-stand-in -printf 'folder %p %m %u %g\n' | sort
find / -xdev -name '*.kf.*'
sed 's/^/swap /' /proc/swaps | awk '{print $1, $2, $4}'
sysctl net.ipv4.ip_forward fs.inotify.max_user_instances
# The kernel works it out at each boot, from memory that is never quite the same; kfinstall's is over a million.
sysctl -n fs.inotify.max_user_watches | awk '{print "watches", $1 < 100000}'
systemctl list-unit-files --no-legend --no-pager | awk '$2 != "transient" {print "unit", $1, $2}'; systemctl --failed --no-legend --plain --no-pager
systemctl list-units --no-legend --plain --no-pager --type service,socket,swap,timer | awk '$3 == "active" && $1 !~ /^(user|session|kf-|systemd-)/ {print "runs", $1, $4}'
ip -o link show | awk '{print "interface", $2}'
ss -Hltn | awk '{print "listens", $4}' | sort -u
"""
MODULES = "cut -d ' ' -f 1 /proc/modules | sort"
# Since then: a package of the administrator's that needs one that kfinstall brought, and a volume that a pod has mounted by NFS.
SINCE = rf"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
mkdir -p /run/lab-admin/DEBIAN
printf 'Package: lab-admin\nVersion: 1\nArchitecture: all\nMaintainer: lab <lab@lab>\nDescription: needs conntrack\nDepends: conntrack\n' >/run/lab-admin/DEBIAN/control
dpkg-deb -b /run/lab-admin /run/lab-admin.deb >/dev/null
dpkg -i /run/lab-admin.deb >/dev/null
rm -rf /run/lab-admin /run/lab-admin.deb
mkdir -p /var/lib/kubelet/pods/1/volumes/nfs
mount -t nfs -o vers=4.2,soft,timeo=50 10.78.0.11:{EXPORT} /var/lib/kubelet/pods/1/volumes/nfs
mkdir -p /var/lib/kubelet/pods/1/volumes/nfs/pvc-0-0-0-0-1
printf 'data\n' >/var/lib/kubelet/pods/1/volumes/nfs/pvc-0-0-0-0-1/precious
"""


def looks(installer: Installer, text: str = LOOK) -> list[set[str]]:
    """Each node's lines."""
    with ThreadPoolExecutor() as pool:
        return [set(output.splitlines()) for output in pool.map(lambda address: installer.ask(address, text), installer.addresses)]


@pytest.fixture
def installer(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installer]:
    """On nodes with new disks, which have a past."""
    sections = {
        "storage": {"type": "nfs", "nfs": {"path": EXPORT}},
        "registry": {"directory": IMAGES, "insecure": True},
        "spark": {"enabled": False},
    }
    numbers = request.param
    with installed.installer(lab, tmp_path, numbers, control_planes=len(numbers) > 2, **sections) as made:
        lab.reset(*made.numbers)
        made.reach()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda address: made.ask(address, PAST), made.addresses))
        yield made


def join(nodes: Fleet, name: str) -> Step:
    """A step that makes a node a member, by the script of the real one and the stand-in for kubeadm; no API server is needed."""

    class Join(Step):
        """Join."""

        id = "lab.join"
        title = "Join"
        scope = Scope.EVERY_NODE

        async def apply(self, context: object) -> None:
            """Run the script."""
            assert isinstance(context, Context)
            view = context.view
            parameters = {
                "NAME": name,
                "OWNER_FILE": membership.OWNER_FILE,
                "BEGUN": membership.owner_begun(view),
                "DONE": membership.owner_done(view),
                "SOCKET": kubeadm.socket(nodes.answers),
                "ENDPOINT": f"{GATEWAY}:443",
                "ROLE": "worker",
            }
            token = {"apiServerEndpoint": f"{GATEWAY}:443", "token": "abcdef.0123456789abcdef", "caCertHashes": ["sha256:0"]}
            config = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration", "discovery": {"bootstrapToken": token}}
            await context.run_script("cluster-join", parameters, stdin=Secret(yaml.safe_dump(config)))

    return Join()


async def build_on(lab: Lab, installer: Installer) -> None:
    """NFS, the registry and a membership, by the real steps and scripts."""
    answers = yaml.safe_load((installer.folder / "answers.yaml").read_text())
    sections = {key: answers[key] for key in ("cluster", "storage", "registry")}
    async with fleet(lab, installer.folder / "fleet", **sections) as nodes:
        await nodes.apply(StorageNfsServer(), "node1")
        await nodes.apply(RegistryServer(), "node1")
        await nodes.apply(RegistryPush(), "node1")

        async def rest(name: str) -> None:
            for step in (StorageNfsClient(), RegistryTrust(), join(nodes, name)):
                await nodes.apply(step, name)

        await asyncio.gather(*(rest(name) for name in installer.names))


def reset(installer: Installer, *words: str) -> list[dict[str, object]]:
    """The changed steps' events."""
    status, events = installer.run("reset", "--yes", *words)
    assert status == 0, events[-6:]
    return [event for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"]


@pytest.mark.skipif(package_site.real_programs() is not None, reason="real kubeadm has nothing to join here")
@pytest.mark.parametrize("installer", [(1, 2), (1, 2, 3)], indirect=True, ids=["a worker", "three control planes"])
def test_nodes_are_as_they_were(installer: Installer) -> None:
    before, modules = looks(installer), looks(installer, MODULES)
    installer.install()
    asyncio.run(build_on(installer.lab, installer))
    installer.ask(installer.addresses[1], SINCE)
    assert all(then != now for then, now in zip(before, looks(installer), strict=True))

    status, _events = installer.run("reset")
    assert status == 2, "nobody is there to confirm it"
    status, _events = installer.run("reset", "--dry-run")
    assert status == 0
    changed = reset(installer)
    assert {event["target"] for event in changed if event["step"] == "reset.files"} == set(installer.names)
    others = "reset.leave-workers" if len(installer.numbers) == 2 else "reset.leave-control-planes"
    wanted = {others, "reset.leave-first", "reset.services", "reset.packages", "reset.files"}
    assert {event["step"] for event in changed} == wanted

    # Volumes and images are kept; so is what the administrator's package needs.
    after = looks(installer)
    meant = ("folder /srv", f"folder {IMAGES}")
    for then, now in zip(before, after, strict=True):
        differ = [line for line in then ^ now if not line.startswith(meant) and "lab-admin" not in line and "conntrack" not in line]
        assert not differ, "\n".join(sorted(f"{'-' if line in then else '+'} {line}" for line in differ))
    assert any("package conntrack" in line for line in after[1])
    others_lines = (line for number, lines in enumerate(after) if number != 1 for line in lines)
    assert not any("package conntrack" in line for line in others_lines)
    assert installer.ask(installer.addresses[0], f"cat {EXPORT}/pvc-0-0-0-0-1/precious") == "data"
    assert reset(installer) == []

    # Only the next boot unloads modules; nothing of kfinstall comes back with it.
    installer.reboot()
    assert not any(then ^ now for then, now in zip(modules, looks(installer, MODULES), strict=True))
    assert [then ^ now for then, now in zip(after, looks(installer), strict=True)] == [set() for _node in after]
    assert {event["step"] for event in reset(installer, "--delete-data")} == {"reset.data"}
    assert installer.ask(installer.addresses[0], f"ls -A {EXPORT} 2>/dev/null || true") == ""


@pytest.mark.parametrize("installer", [(1,)], indirect=True, ids=["node1"])
def test_a_power_cut_in_the_middle_of_the_way_back(installer: Installer) -> None:
    before = looks(installer)
    installer.install()
    steps = ["reset.packages", "reset.files"]
    struck, _over = cut_in_each(installer, ("reset", "--yes"), dict.fromkeys(steps, 0.0))
    assert struck == steps
    reset(installer)
    assert looks(installer)[0] ^ before[0] == set()
