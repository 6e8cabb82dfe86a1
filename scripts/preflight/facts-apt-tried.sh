#!/usr/bin/env bash
# Collects what facts-apt.sh began: apt's own words about its sources, and what answered at each.
if [[ -n ${KF_TRIED:-} ]]; then
  kf_section apt-tried
  while IFS= read -r kf_line <&"$KF_TRIED"; do printf '%s\n' "$kf_line"; done
fi
