#!/usr/bin/env bash
# The signed repository of one Kubernetes minor. Parameters: KEY_URL, KEY_FILE, LIST_FILE
kf_folder /etc/apt/keyrings
kf_work=$(mktemp -d)
if ! curl --fail --silent --show-error --location --proto '=https' --retry 4 --connect-timeout 15 --max-time 60 --output "$kf_work/key" -- "$KF_KEY_URL"; then
  rm -rf "$kf_work"
  kf_fail 22 "the key of the Kubernetes repository can't be fetched from $KF_KEY_URL" \
    "is it reachable from there? curl -I $KF_KEY_URL; behind a proxy set proxy.https in the answers"
fi
if ! gpg --batch --yes --no-tty --homedir "$kf_work" --dearmor --output "$kf_work/key.gpg" "$kf_work/key" 2>"$kf_work/said"; then
  cat "$kf_work/said"
  rm -rf "$kf_work"
  kf_fail 23 "$KF_KEY_URL did not give a PGP key" "a proxy or a login page may answer instead of it: curl $KF_KEY_URL"
fi
kf_put "$KF_KEY_FILE" 0644 root:root <"$kf_work/key.gpg"
rm -rf "$kf_work"
# apt reads keys as its own user.
if id -u _apt >/dev/null 2>&1 && ! setpriv --reuid _apt --regid nogroup --clear-groups test -r "$KF_KEY_FILE"; then
  kf_fail 23 "apt's own user _apt can't read $KF_KEY_FILE: a directory on the way to it is closed" \
    "look at it there: namei -l $KF_KEY_FILE; then: chmod a+rx ${KF_KEY_FILE%/*}, and kfinstall resume"
fi
kf_wanted
# Only this list: another source that is broken is not this step's business.
if ! kf_apt -o Dir::Etc::sourcelist="$KF_LIST_FILE" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 --error-on=any update; then
  kf_fail 100 "apt does not accept the Kubernetes repository" "its last lines say why: signature, reachability or clock"
fi
