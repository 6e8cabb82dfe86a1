#!/usr/bin/env bash
# Takes the rendering of an offline bundle, base64 on standard input, and keeps it beside its place if it arrived whole.
# Parameters: FILE, SHA256
set -euo pipefail
umask 022
mkdir -p -- "$(dirname -- "$KF_FILE")"
base64 -d >"$KF_FILE.part"
sha256sum --status -c <<<"$KF_SHA256  $KF_FILE.part" || {
  rm -f -- "$KF_FILE.part"
  echo "it arrived damaged: its SHA-256 is not $KF_SHA256"
  exit 4
}
mv -fT -- "$KF_FILE.part" "$KF_FILE.incoming"
echo arrived
