#!/usr/bin/env bash
# Packages that the other steps and Kubernetes call.
kf_wanted
