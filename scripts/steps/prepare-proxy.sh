#!/usr/bin/env bash
# The proxy for apt and the container runtime. Parameters: APT_FILE, APT, UNIT_FILE, DROP_IN, SERVICE
kf_put "$KF_APT_FILE" 0644 root:root <<<"${KF_APT%$'\n'}"
kf_changed=$(kf_put "$KF_UNIT_FILE" 0644 root:root <<<"${KF_DROP_IN%$'\n'}")
if [[ -n $kf_changed ]]; then
  kf_say "$kf_changed"
  systemctl daemon-reload
  if systemctl is-active --quiet "$KF_SERVICE"; then systemctl restart "$KF_SERVICE"; fi
fi
