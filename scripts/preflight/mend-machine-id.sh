#!/usr/bin/env bash
# A machine id of this machine's own; the old one is kept for undo.
kf_keep /etc/machine-id
if [[ -e /var/lib/dbus/machine-id && ! -L /var/lib/dbus/machine-id ]]; then
  kf_keep /var/lib/dbus/machine-id
  rm -f /var/lib/dbus/machine-id
fi
# Through a file beside it: a machine without an id does not boot as the same one.
kf_new=$(tr -d - </proc/sys/kernel/random/uuid)
kf_put /etc/machine-id 0444 root:root <<<"$kf_new"
if [[ -d /var/lib/dbus && ! -e /var/lib/dbus/machine-id ]]; then ln -s /etc/machine-id /var/lib/dbus/machine-id; fi
kf_say "the journal and DHCP use the new id from the next boot on"
