#!/usr/bin/env bash
# customize.sh ROOT PUBLIC-KEY JUMP-ADDRESS: what makes a Debian tree a node of the lab: users, identity by kernel command line, iptables.
set -euo pipefail
root=$1 key=$2 jump=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
inside() { chroot "$root" "$@"; }

# kfadmin: sudo without a password. kfops: sudo with one. kfjump: may only be passed through, on the way to port 2222 of the others.
inside useradd --create-home --shell /bin/bash --groups sudo kfadmin
inside useradd --create-home --shell /bin/bash --groups sudo kfops
inside useradd --create-home --shell /usr/sbin/nologin kfjump
printf 'kfadmin ALL=(ALL) NOPASSWD:ALL\n' >"$root/etc/sudoers.d/90-kfadmin"
chmod 0440 "$root/etc/sudoers.d/90-kfadmin"
printf 'kfadmin:adminpw\nkfops:opspw\nroot:rootpw\n' | inside chpasswd
for user in kfadmin kfops kfjump; do
  install -d -m 0700 "$root/home/$user/.ssh"
  install -m 0600 "$key" "$root/home/$user/.ssh/authorized_keys"
  inside chown -R "$user:$user" "/home/$user/.ssh"
done
cat >"$root/etc/ssh/sshd_config.d/10-lab.conf" <<END
Port 22
Port 2222
UseDNS no
PasswordAuthentication yes
Match LocalPort 2222 Address "*,!$jump"
    DenyUsers *
END

install -m 0755 "$here/root/first-boot.sh" "$root/usr/local/sbin/lab-first-boot"
install -m 0644 "$here/root/first-boot.service" "$root/etc/systemd/system/lab-first-boot.service"
inside systemctl --quiet enable lab-first-boot.service systemd-networkd.service ssh.service
inside systemctl --quiet disable systemd-networkd-wait-online.service e2scrub_all.timer e2scrub_reap.service fstrim.timer
inside systemctl --quiet mask apt-daily.service apt-daily-upgrade.service apt-daily.timer apt-daily-upgrade.timer
# Its kernel has no nft with NAT.
inside update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
inside update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-legacy

printf 'LABEL=lab / ext4 defaults,noatime 0 1\n' >"$root/etc/fstab"
printf '# the lab has no DNS\n' >"$root/etc/resolv.conf.lab"
mv -f "$root/etc/resolv.conf.lab" "$root/etc/resolv.conf"
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/cache/apt/archives/*.deb "$root/etc/hostname" "$root"/etc/apt/apt.conf.d/99mmdebstrap
: >"$root/etc/machine-id"
mkdir -p "$root/var/log/journal"
rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
