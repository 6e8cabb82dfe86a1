#!/usr/bin/env bash
# record.sh: writes beside itself what the containerd of each Debian suite says of its configuration, by its own program:
# VERSION.toml its defaults, VERSION-ours.toml what it makes of our file, VERSION-migrated-*.toml what 2.x makes of the form before it.
# Needs a way to Debian's mirror, and kfinstall in the Python that $PYTHON names. Run again where Debian or our file has changed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mirror=${KFINSTALL_LAB_MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f "$here"/*.toml
for form in 2 3; do
  "${PYTHON:-python3}" - "$form" >"$work/form$form.toml" <<'END'
import sys
from kfinstall.parts.prepare import files as prepare_site, releases
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
answers = Answers.model_validate({"nodes": [{"name": "cp1", "address": "10.77.0.11"}]})
view = View(answers, releases.load(answers.cluster.release), "cp1")
print(getattr(prepare_site, f"containerd_v{sys.argv[1]}")(view), end="")
END
done
before=$work/form2.toml
for suite in bookworm trixie forky; do
  path=$(curl -fsS "$mirror/dists/$suite/main/binary-amd64/Packages.xz" | xz -dc |
    awk '/^Package: /{found = $2 == "containerd"} found && /^Filename: /{print $2}')
  curl -fsS -o "$work/$suite.deb" "$mirror/$path"
  dpkg-deb -x "$work/$suite.deb" "$work/$suite"
  containerd=$work/$suite/usr/bin/containerd
  version=$("$containerd" --version | sed -nE 's/.* v?([0-9]+\.[0-9]+\.[0-9]+).*/\1/p')
  form=2
  [[ $version == 1.* ]] || form=3
  "$containerd" config default >"$here/$version.toml"
  # Its path would be another at each run.
  "$containerd" -c "$work/form$form.toml" config dump 2>"$work/said" | sed -E 's/^imports = .*/imports = []/' >"$here/$version-ours.toml"
  if grep 'unknown key' "$work/said"; then
    echo "containerd $version does not know a key of ours" >&2
    exit 1
  fi
  if [[ $form == 2 ]]; then
    cp "$here/$version.toml" "$work/default-before.toml"
  else
    "$containerd" -c "$before" config migrate >"$here/$version-migrated-ours.toml" 2>/dev/null
    "$containerd" -c "$work/default-before.toml" config migrate >"$here/$version-migrated-default.toml" 2>/dev/null
  fi
done
