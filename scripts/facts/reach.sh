#!/usr/bin/env bash
# Collects the reachability tries that machine.sh started.

kf_section reach
while IFS= read -r -u "$KF_REACH" line; do printf '%s\n' "$line"; done
