#!/usr/bin/env bash
# Packages that the other steps and Kubernetes call. Parameters: PACKAGES (names, by blanks)
read -r -a kf_wanted <<<"$KF_PACKAGES"
kf_apt_install "${kf_wanted[@]}"
