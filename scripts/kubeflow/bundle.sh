#!/usr/bin/env bash
# Put the rendering of an offline bundle, which lies beside its place, there, and record what it was made from.
# Parameters: FILE, SHA256, RECORD_PATH, RECORD

if [[ -f $KF_FILE.incoming ]]; then
  sync -- "$KF_FILE.incoming"
  mv -fT -- "$KF_FILE.incoming" "$KF_FILE"
fi
sha256sum --status -c <<<"$KF_SHA256  $KF_FILE" 2>/dev/null ||
  kf_fail 57 "the bundle's rendering is not there, or damaged" "bring it again: kfinstall resume; is the disk full? df -h $(dirname -- "$KF_FILE")"
printf '%s' "$KF_RECORD" | kf_put "$KF_RECORD_PATH" 0644 root:root
kf_say "$(gzip -dc -- "$KF_FILE" | grep -c '^kind: ') objects taken from the bundle"
