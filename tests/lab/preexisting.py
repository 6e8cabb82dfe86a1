"""What servers were before kfinstall came: each line of it breaks somebody's installer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.lab.installer import Installer

OLD = "/etc/apt/sources.list.d/lab-old.list"
LOWER = "/etc/sysctl.d/99-lab.conf"
FILES = {
    "/etc/fstab": "LABEL=lab / ext4 defaults,noatime 0 1\n# /dev/lab none swap sw 0 0\n/lab-swap-a\tnone\tswap\tsw\t0\t0\n",
    LOWER: "net.ipv4.ip_forward = 0\nvm.swappiness = 10\n",
    OLD: "deb http://apt.kubernetes.io/ kubernetes-xenial main\n",
}
SWAPS = ("/lab-swap-a", "/lab-swap-b")
UNIT = "lab\\x2dswap\\x2db.swap"
MAKE_SWAPS = """\
for file in swap-a swap-b; do
  dd if=/dev/zero of=/lab-$file bs=1M count=16 status=none
  chmod 0600 /lab-$file
  mkswap -q /lab-$file
done
"""
_TEXT = rf"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -e
{MAKE_SWAPS}printf '[Swap]\nWhat=/lab-swap-b\n[Install]\nWantedBy=swap.target\n' >'/etc/systemd/system/{UNIT}'
sysctl -q -w net.ipv4.ip_forward=0 vm.swappiness=10
systemctl daemon-reload
systemctl enable -q --now '{UNIT}'
swapon -a
# It is to outlive a power cut.
sync
"""
DAEMON = {"/etc/docker/daemon.json": '{"debug": true, "exec-opts": ["native.cgroupdriver=cgroupfs"]}'}
# Neither the sites' names nor a way round the proxy: what is fetched is fetched through it. And a daemon.json with a setting of somebody's.
BEHIND_A_PROXY = f"""
set -e
sed -i '/lab-site/d' /etc/hosts
rm -f /etc/apt/apt.conf.d/99lab-site /etc/apt/apt.conf.d/90lab-proxy
# The lab writes its own way at every boot.
PATH=$PATH:/usr/sbin systemctl disable -q lab-first-boot.service
mkdir -p /etc/docker
printf '{DAEMON["/etc/docker/daemon.json"]}' >/etc/docker/daemon.json
sync
"""


def give(installer: Installer) -> None:
    """Give the nodes a past."""
    files = "".join(f"cat >'{path}' <<'END'\n{content}END\n" for path, content in FILES.items())
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda address: installer.ask(address, files + _TEXT), installer.addresses))
