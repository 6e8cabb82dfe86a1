#!/usr/bin/env bash
# Fresh package lists; half-installed packages repaired. Parameters: MAX_AGE (seconds)

# The old guide's repository is gone since March 2024: its line makes every update fail.
for kf_list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [[ -f $kf_list ]] || continue
  kf_new=$(awk '/^[[:space:]]*deb/ && /apt\.kubernetes\.io|packages\.cloud\.google\.com\/apt[\/ ].*kubernetes-/ {
    print "# kfinstall turned it off, this repository is gone: " $0; next } { print }' "$kf_list")
  [[ $kf_new == "$(<"$kf_list")" ]] || kf_put "$kf_list" "0$(stat -c %a "$kf_list")" "$(stat -c %U:%G "$kf_list")" <<<"$kf_new"
done
kf_apt_repair
kf_apt_update "$KF_MAX_AGE"
