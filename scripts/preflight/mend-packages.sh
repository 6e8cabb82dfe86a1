#!/usr/bin/env bash
# Finishes half-installed packages, without removing any.
kf_apt_repair
