#!/usr/bin/env bash
# Tries the ways between this server and the others (scripts/preflight/reachability/); nothing that it does stays. Prints lines of words.
# Parameters: MODE (listen, probe, stream, collect), INTERPRETER (perl, python3), PROGRAM (for it), RULES (yes, no), and what the program's head names.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec 2>&1 </dev/null
export -n KF_PROGRAM # a process's environment has little room
ulimit -n 4096 2>/dev/null

kf_program() {
  local said
  if type -P "$KF_INTERPRETER" >/dev/null && said=$(printf '%s' "$KF_PROGRAM" | "$KF_INTERPRETER" - 2>&1); then
    printf '%s\n' "$said"
  else
    printf '%s\n' "${said:0:500}" 'program none'
  fi
}

# kf_there MODULE: whether the kernel has it already; asking it for its rules would load it else.
kf_there() { [[ -d /sys/module/$1 || ! -e /proc/modules ]] || grep -qsF "/$1.ko" "/lib/modules/$(uname -r)/modules.builtin"; }

# Whose packet filter it is, and where the machine stands: they name the rule to add.
kf_rules() {
  local chain
  if kf_there nf_tables && type -P nft >/dev/null; then
    nft list chains 2>/dev/null | grep -E '^table|chain |hook (input|output)' | head -n 200 | cut -c -200 | sed 's/^/rules nft /'
  fi
  if { kf_there ip_tables || kf_there nf_tables; } && type -P iptables >/dev/null; then
    for chain in INPUT OUTPUT; do iptables -S "$chain" 2>/dev/null | head -n 100 | cut -c -200 | sed 's/^/rules iptables /'; done
  fi
  cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/chassis_asset_tag 2>/dev/null | cut -c -100 | sed 's/^/vendor /'
}

kf_program
if [[ $KF_MODE == collect && ${KF_RULES:-} == yes ]]; then kf_rules; fi
exit 0
