#!/usr/bin/env bash
# Kernel parameters now and at every boot. Parameters: FILE, CONTENT
kf_wanted

# A file that is read later wins at the next boot. Hardening guides put net.ipv4.ip_forward = 0 into one: pods would lose their network.
# Its line is turned off in /etc (the old file is kept for undo); higher values stay.
kf_lower() { # FILE: the file with such lines turned off
  awk -v content="$KF_CONTENT" '
    function name_of(text) { sub(/=.*/, "", text); gsub(/[[:space:]]/, "", text); sub(/^-/, "", text); gsub("/", ".", text); return text }
    BEGIN {
      n = split(content, lines, "\n")
      for (i = 1; i <= n; i++) if (lines[i] ~ /^[a-z].*=/) { value = lines[i]; sub(/.*=/, "", value); wanted[name_of(lines[i])] = value + 0 }
    }
    /^[[:space:]]*-?[a-z].*=/ {
      value = $0; sub(/[^=]*=/, "", value)
      if (name_of($0) in wanted && value + 0 < wanted[name_of($0)]) { print "# kfinstall turned it off: " $0; next }
    }
    { print }' "$1"
}
kf_folders=(/etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d)
for kf_other in "${kf_folders[@]/%//*.conf}"; do
  while IFS= read -r kf_path; do
    [[ ${kf_path##*/} > ${KF_FILE##*/} ]] || continue
    kf_path=$(readlink -f -- "$kf_path")
    [[ -f $kf_path ]] || continue
    kf_new=$(kf_lower "$kf_path")
    [[ $kf_new != "$(<"$kf_path")" ]] || continue
    if [[ $kf_path == /etc/* ]]; then
      kf_put "$kf_path" "0$(stat -c %a "$kf_path")" "$(stat -c %U:%G "$kf_path")" <<<"$kf_new"
    else
      kf_say "note: $kf_path sets some of these lower and is read later at boot"
    fi
  done < <(compgen -G "$kf_other" || true)
done
