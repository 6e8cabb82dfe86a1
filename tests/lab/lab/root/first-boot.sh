#!/bin/sh
# A node's name, address and way to the package cache come with the kernel's command line; they are written at every boot.
name='' address='' gateway='' proxy=''
read -r line </proc/cmdline
for word in $line; do
  case $word in
  lab.name=*) name=${word#*=} ;;
  lab.address=*) address=${word#*=} ;;
  lab.gateway=*) gateway=${word#*=} ;;
  lab.proxy=*) proxy=${word#*=} ;;
  esac
done
if [ -n "$name" ] && [ "$(cat /etc/hostname 2>/dev/null)" != "$name" ]; then
  printf '%s\n' "$name" >/etc/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
fi
[ -z "$name" ] || hostname "$name"
if [ -n "$address" ]; then
  mkdir -p /etc/systemd/network
  printf '[Match]\nName=vec* eth* en*\n[Network]\nAddress=%s/24\nGateway=%s\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n' \
    "$address" "$gateway" >/etc/systemd/network/10-lab.network
fi
[ -z "$proxy" ] || printf 'Acquire::http::Proxy "%s";\n' "$proxy" >/etc/apt/apt.conf.d/90lab-proxy
[ -s /etc/ssh/ssh_host_ed25519_key ] || {
  ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
  sync /etc/ssh/ssh_host_ed25519_key
}
exit 0
