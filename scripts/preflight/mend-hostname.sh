#!/usr/bin/env bash
# Names this machine. Parameters: NAME
kf_old=$(</proc/sys/kernel/hostname)
kf_keep /etc/hosts
kf_put /etc/hostname "0644" root:root <<<"$KF_NAME"
hostname -F /etc/hostname
if ! getent hosts "$KF_NAME" >/dev/null; then
  { cat /etc/hosts; printf '127.0.1.1 %s\n' "$KF_NAME"; } | kf_put /etc/hosts "0$(stat -c %a /etc/hosts)" "$(stat -c %U:%G /etc/hosts)"
fi
kf_say "$kf_old is $KF_NAME now"
