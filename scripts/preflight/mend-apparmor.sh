#!/usr/bin/env bash
# The parser that loads AppArmor's profiles into the kernel, where the kernel has AppArmor on and nothing fills it.
kf_apt_install apparmor
kf_unit_on apparmor.service
