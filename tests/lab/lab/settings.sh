#!/usr/bin/env bash
# shellcheck disable=SC2034  # those who read it use them
# What the lab's scripts share: places, names, addresses. Everything can be set from outside; nothing here changes anything.
lab_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Network namespace, and the folder of what runs. There can be several labs on one machine, by name.
lab_name=${KFINSTALL_LAB_NAME:-kfinstall-lab}
lab_run=/var/tmp/$lab_name
# What is worth keeping from one lab to the next: Debian packages, kernel, images, key.
lab_cache=${KFINSTALL_LAB_CACHE:-$(cd "$lab_here/../../.." && pwd)/.lab}
lab_suite=${KFINSTALL_LAB_SUITE:-bookworm}
# The newest suite whose user-mode kernel boots the others.
lab_kernel_suite=trixie
lab_mirror=${KFINSTALL_LAB_MIRROR:-http://deb.debian.org/debian}
lab_security=${KFINSTALL_LAB_SECURITY:-http://deb.debian.org/debian-security}
lab_net=10.78.0
lab_gateway=$lab_net.1
lab_proxy_port=3142
lab_first=10
lab_memory=${KFINSTALL_LAB_MEMORY:-2048M}
lab_disk=12G
lab_boot_seconds=180
# Descriptor of the lock, where it is held.
lab_lock=
lab_python=${PYTHON:-python3}
lab_key=$lab_cache/id_ed25519
# Programs of this machine, and the Debian packages that hold them.
declare -A lab_programs=(
  [mmdebstrap]=mmdebstrap [patchelf]=patchelf [mkfs.ext4]=e2fsprogs [ip]=iproute2 [ssh]=openssh-client [apt-ftparchive]=apt-utils
  [gpg]=gnupg [dpkg-deb]=dpkg [flock]=util-linux [depmod]=kmod
)

lab_address() { printf '%s.%d' "$lab_net" "$((lab_first + $1))"; }
lab_say() { printf 'lab: %s\n' "$*" >&2; }
lab_fail() {
  printf 'lab: %s\n' "$*" >&2
  exit 1
}
# What is not there can't be helped by the lab: packages, or the way to a mirror.
lab_lack_status=69
lab_lack() {
  printf 'lab: %s\n' "$*" >&2
  exit "$lab_lack_status"
}
