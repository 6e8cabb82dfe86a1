#!/usr/bin/env bash
# Write the spark-submit script of this cluster.
# Parameters: PATH_NAME, CONTENT
kf_put "$KF_PATH_NAME" 0755 root:root <<<"${KF_CONTENT%$'\n'}"
bash -n "$KF_PATH_NAME"
kf_say "$KF_PATH_NAME is there; try: $KF_PATH_NAME --help"
