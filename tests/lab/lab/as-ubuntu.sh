#!/usr/bin/env bash
# On a node, as root; VERSION: what an installer meets on a server as Ubuntu's own installer leaves it. The packages stay Debian's.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
case ${1:-24.04} in
22.04) version=22.04 code=jammy name='22.04.5 LTS (Jammy Jellyfish)' ;;
24.04) version=24.04 code=noble name='24.04.3 LTS (Noble Numbat)' ;;
*) echo "as-ubuntu.sh knows 22.04 and 24.04" >&2 && exit 2 ;;
esac
# shellcheck disable=SC1091  # of the node
suite=$(. /usr/lib/os-release && printf '%s' "$VERSION_CODENAME")
apt-get -qq update
apt-get -qq -y --no-install-recommends install unattended-upgrades ufw >/dev/null

rm -f /etc/os-release
cat >/etc/os-release <<END
PRETTY_NAME="Ubuntu ${name%% (*}"
NAME="Ubuntu"
VERSION_ID="$version"
VERSION="$name"
VERSION_CODENAME=$code
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=$code
END
printf 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=%s\nDISTRIB_CODENAME=%s\nDISTRIB_DESCRIPTION="Ubuntu %s"\n' \
  "$version" "$code" "${name%% (*}" >/etc/lsb-release

# Ubuntu's addresses and the form of its file; the lab's cache answers there with Debian's packages.
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
for host in archive security; do
  printf 'Types: deb\nURIs: http://%s.ubuntu.com/ubuntu/\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
    "$host" "$suite$([[ $host == archive ]] || printf '%s' -security)"
done >/etc/apt/sources.list.d/ubuntu.sources
apt-get -qq update

# The installer of Ubuntu separates with TABs, and its swap is a file.
if [[ ! -e /swap.img ]]; then
  dd if=/dev/zero of=/swap.img bs=1M count=32 status=none
  chmod 0600 /swap.img
  mkswap /swap.img >/dev/null
fi
grep -q '^/swap.img' /etc/fstab || printf '/swap.img\tnone\tswap\tsw\t0\t0\n' >>/etc/fstab
systemctl daemon-reload
swapon -a
systemctl --quiet unmask apt-daily.service apt-daily-upgrade.service apt-daily.timer apt-daily-upgrade.timer
systemctl --quiet enable unattended-upgrades.service
printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' >/etc/apt/apt.conf.d/20auto-upgrades
sync
