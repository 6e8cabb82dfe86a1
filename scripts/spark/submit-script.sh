#!/usr/bin/env bash
# Write the spark-submit script of this cluster. Parameters: PATH_NAME
kf_wanted
bash -n "$KF_PATH_NAME"
kf_say "$KF_PATH_NAME is there; try: $KF_PATH_NAME --help"
