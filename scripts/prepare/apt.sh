#!/usr/bin/env bash
# Fresh package lists; half-installed packages repaired. Parameters: MAX_AGE (seconds)
kf_apt_gone
kf_apt_repair
kf_apt_update "$KF_MAX_AGE"
