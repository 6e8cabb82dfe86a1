#!/usr/bin/env bash
# The proxy for apt, the container runtime, and what these scripts fetch.
# Parameters: APT, DROP_IN, ENV (files; the last one is sourced by lib.sh), SERVICE, PROOF (what its environment then holds)
kf_wanted DROP_IN
if [[ -d /run/systemd/system ]]; then systemctl daemon-reload; fi
# What the running process has counts, not whether the file changed just now: a run may have been killed in between.
kf_pid=$(systemctl show -p MainPID --value "$KF_SERVICE" 2>/dev/null || true)
if [[ ${kf_pid:-0} -gt 0 ]] && ! tr '\0' '\n' <"/proc/$kf_pid/environ" | grep -qxF -- "$KF_PROOF"; then
  kf_say "restarting $KF_SERVICE"
  systemctl restart "$KF_SERVICE" || kf_fail 13 "$KF_SERVICE does not start" "look at: journalctl -u $KF_SERVICE -n 30"
fi
# Last: with them the step is done.
kf_wanted ENV APT
