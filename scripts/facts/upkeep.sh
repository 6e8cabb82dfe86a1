#!/usr/bin/env bash
# Swap from every source, and the package manager.

kf_swap_fstab() {
  local line
  [[ -r /etc/fstab ]] || return
  # By field: Ubuntu's installer separates with tabs. Only swap lines are printed: others may hold a password.
  while IFS= read -r line || [[ -n $line ]]; do
    kf_words "$line"
    [[ ${KF_WORDS[0]} == \#* || ${KF_WORDS[2]} != swap ]] || kf_pair fstab "$line"
  done </etc/fstab
}

kf_swap_units() {
  local unit lines
  for unit in /etc/systemd/system/*.swap /run/systemd/system/*.swap /usr/lib/systemd/system/*.swap; do
    kf_masked "${unit##*/}" || ! kf_pulled_in "${unit##*/}" || kf_pair unit "${unit##*/}"
  done
  for unit in /run/systemd/generator{,.early,.late}/*.swap; do
    [[ ${unit##*/} == dev-zram* ]] || kf_masked "${unit##*/}" && continue
    mapfile -t lines <"$unit"
    [[ ${lines[*]} == *SourcePath=/etc/fstab* ]] || kf_pair unit "${unit##*/}"
  done
}

kf_swap_zram() {
  local name line lines
  for name in zramswap.service zram-config.service; do
    kf_pulled_in "$name" && ! kf_masked "$name" && kf_pair zram yes
  done
  [[ -x /usr/lib/systemd/system-generators/zram-generator ]] || return
  for name in /etc /run /usr/local/lib /usr/lib; do
    [[ -e $name/systemd/zram-generator.conf ]] || continue
    mapfile -t lines <"$name/systemd/zram-generator.conf"
    for line in "${lines[@]}"; do [[ $line == '[zram'* ]] && kf_pair zram yes; done
    return
  done
}

# What makes swap again at boot without fstab and without a swap unit. The first two are turned off, the others do more than that.
kf_swap_makers() {
  local name line lines
  for name in dphys-swapfile.service swapspace.service; do
    kf_pulled_in "$name" && ! kf_masked "$name" && kf_pair unit "$name"
  done
  name=armbian-zram-config.service
  if kf_pulled_in "$name" && ! kf_masked "$name"; then
    lines=()
    [[ -r /etc/default/armbian-zram-config ]] && mapfile -t lines </etc/default/armbian-zram-config
    [[ $'\n'$(printf '%s\n' "${lines[@]}") =~ $'\n'[[:space:]]*(SWAP|ENABLED)=\"?false ]] || kf_pair again "$name"
  fi
  for name in walinuxagent.service waagent.service; do
    kf_pulled_in "$name" && ! kf_masked "$name" && [[ -r /etc/waagent.conf ]] || continue
    mapfile -t lines </etc/waagent.conf
    for line in "${lines[@]}"; do
      [[ $line =~ ^[[:space:]]*ResourceDisk.EnableSwap=[yY] ]] && kf_pair again "$name (ResourceDisk.EnableSwap=y in /etc/waagent.conf)"
    done
  done
}

kf_swap() {
  local line lines
  mapfile -t -s 1 lines </proc/swaps
  for line in "${lines[@]}"; do kf_words "$line" && kf_pair active "${KF_WORDS[0]}"; done
  kf_swap_fstab
  kf_swap_units
  kf_swap_zram
  kf_swap_makers
}

# All packages pass through awk once; what was asked for, what is broken, and what other sections need comes out.
kf_packages() {
  # shellcheck disable=SC2016  # dpkg's and awk's own variables
  dpkg-query -W -f '${db:Status-Want}\t${db:Status-Status}\t${db:Status-Eflag}\t${Version}\t${Package}\n' | awk -F '\t' '
    BEGIN {
      n = split(ENVIRON["KF_PACKAGES"], names, "\n"); for (i = 1; i <= n; i++) asked[names[i]]
      n = split("containerd containerd.io containerd-stable docker.io docker-ce kubelet unattended-upgrades", names, " ")
      for (i = 1; i <= n; i++) known[names[i]]
    }
    $2 == "not-installed" { next }
    $5 in asked { print "package\t" $1 "\t" $2 "\t" $4 "\t" $5 }
    $2 == "half-installed" || $2 == "half-configured" || $2 == "unpacked" || $3 == "reinstreq" { print "broken\t" $5 }
    $5 in known && $2 == "installed" { print "known\t" $4 "\t" $5 }'
}

# Who holds one of the lock files given: a process that /proc/locks names and that has the file open.
kf_lock_holder() {
  local line lines open path
  local -A seen=()
  mapfile -t lines </proc/locks
  for line in "${lines[@]}"; do
    kf_words "$line"
    [[ ${KF_WORDS[1]} == POSIX && -z ${seen[${KF_WORDS[4]}]:-} ]] || continue
    seen[${KF_WORDS[4]}]=1
    for open in /proc/"${KF_WORDS[4]}"/fd/*; do
      for path in "$@"; do
        [[ $open -ef $path ]] || continue
        kf_read "/proc/${KF_WORDS[4]}/comm"
        kf_pair lock "${KF_WORDS[4]} ${KF_LINE:-?}"
        return
      done
    done
  done
}

# When the lists were read is told by watched.sh, whose stat looks at them too.
kf_apt() {
  local line lines path lists=(/var/lib/apt/lists/*Release)
  kf_lock_holder /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock
  ((${#lists[@]})) && kf_pair lists yes
  for path in /etc/apt/apt.conf.d/*; do
    [[ -f $path ]] || continue
    mapfile -t lines <"$path"
    for line in "${lines[@]}"; do
      [[ $line =~ ^[[:space:]]*APT::Periodic::Unattended-Upgrade[[:space:]]+\"?([0-9a-z]+) ]] && kf_pair unattended "${BASH_REMATCH[1]}"
    done
  done
  [[ -d /run/cloud-init && -e /run/cloud-init/enabled && ! -e /run/cloud-init/result.json ]] && kf_pair cloud_init running
}

kf_section swap && kf_swap
kf_section packages && kf_packages
kf_section apt && kf_apt
