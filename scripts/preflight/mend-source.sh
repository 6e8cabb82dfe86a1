#!/usr/bin/env bash
# Turns a source of apt off; the file is kept for undo. Parameters: OFF (what kf_sources_off reads)
kf_sources_off <<<"$KF_OFF"
