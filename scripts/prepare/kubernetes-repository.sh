#!/usr/bin/env bash
# The signed repository of one Kubernetes minor. Parameters: KEY_URL, KEY_FILE, FINGERPRINTS (of the keys that may be in it), LIST_FILE
# shellcheck disable=SC2153  # KF_FINGERPRINTS is a parameter
kf_folder /etc/apt/keyrings
type -P gpg >/dev/null || kf_apt_install gnupg
kf_work=$(mktemp -d)
if ! curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --retry 4 --connect-timeout 15 --max-time 60 \
  --output "$kf_work/key" -- "$KF_KEY_URL"; then
  rm -rf "$kf_work"
  kf_fail 22 "the key of the Kubernetes repository can't be fetched from $KF_KEY_URL" \
    "is it reachable from there? curl -I $KF_KEY_URL; behind a proxy set proxy.https in the answers"
fi
kf_gpg() { gpg --batch --yes --no-tty --homedir "$kf_work" --no-default-keyring --keyring "$kf_work/ring.gpg" --trust-model always "$@"; }
if ! kf_gpg --import "$kf_work/key" >/dev/null 2>"$kf_work/said"; then
  cat "$kf_work/said"
  rm -rf "$kf_work"
  kf_fail 23 "$KF_KEY_URL did not give a PGP key" "a proxy or a login page may answer instead of it: curl $KF_KEY_URL"
fi
kf_given=() kf_fingerprints=() kf_primary=''
while IFS=: read -r -a kf_fields; do
  case ${kf_fields[0]} in
  pub) kf_primary=yes ;;
  fpr)
    [[ -z $kf_primary ]] || kf_given+=("${kf_fields[9]}")
    kf_primary=''
    ;;
  esac
done < <(kf_gpg --list-keys --with-colons)
for kf_one in "${kf_given[@]}"; do
  if [[ " $KF_FINGERPRINTS " == *" $kf_one "* ]]; then kf_fingerprints+=("$kf_one"); fi
done
if ((${#kf_fingerprints[@]} == 0)); then
  rm -rf "$kf_work"
  kf_fail 23 "the key at $KF_KEY_URL is another one: its fingerprint is ${kf_given[*]:-not there}, and the repository's is $KF_FINGERPRINTS; it was not taken" \
    "something on the way may answer instead of it (a proxy, a mirror); compare: curl -L $KF_KEY_URL | gpg --show-keys"
fi
# What else was in it would count for the repository too.
kf_gpg --output "$kf_work/key.gpg" --export "${kf_fingerprints[@]}"
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
