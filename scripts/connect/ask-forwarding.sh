#!/usr/bin/env bash
# Which settings may keep this node's sshd from forwarding connections for the login user: a line each, FILE:LINE: WORDS. Read only.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
shopt -s nullglob
user=${SUDO_USER:-root}
home=$(getent passwd "$user" | cut -d : -f 6)

settings=(/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf)
grep -HniE '^[[:space:]]*(AllowTcpForwarding[[:space:]=]+"?(no|remote)|DisableForwarding[[:space:]=]+"?yes|PermitOpen[[:space:]=])' \
  -- "${settings[@]}" 2>/dev/null | grep -viE 'PermitOpen[[:space:]=]+"?any' | cut -c 1-200

keys=()
for pattern in $(sshd -T -C "user=$user,host=localhost,addr=127.0.0.1" 2>/dev/null | sed -n 's/^authorizedkeysfile //p'); do
  pattern=${pattern//%h/$home}
  pattern=${pattern//%u/$user}
  [[ $pattern == /* ]] || pattern=$home/$pattern
  keys+=("$pattern")
done
((${#keys[@]})) || keys=("$home/.ssh/authorized_keys")
# The options before a key; the key itself is nobody's business.
grep -HnE '^[^#]*(restrict|no-port-forwarding|permitopen=)' -- "${keys[@]}" 2>/dev/null |
  sed -E 's/[[:space:]]+(ssh-|ecdsa-|sk-).*//' | cut -c 1-200
exit 0
