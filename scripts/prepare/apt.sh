#!/usr/bin/env bash
# Fresh package lists; half-installed packages repaired; others' sources of Kubernetes' packages turned off.
# Parameters: MAX_AGE (seconds), OFF (what kf_sources_off reads)
kf_hold_again || true # of a script that was killed
kf_sources_off <<<"${KF_OFF:-}"
kf_apt_gone
kf_apt_repair
kf_apt_update "$KF_MAX_AGE"
