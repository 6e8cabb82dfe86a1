#!/usr/bin/env bash
# Where containerd gets images from. It reads these files at each pull. Parameters: EDITS (see kf_edit), CERTS_D
kf_own "$KF_CERTS_D"
kf_edit "$KF_EDITS"
