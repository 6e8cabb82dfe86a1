#!/usr/bin/env bash
# The beginning of every facts program: reads, never writes, and a section that fails leaves the others alone.
# Forks are dear on small servers: builtins wherever they do, and tools print their own format, which the engine parses.

set +e +u +f
shopt -s nullglob
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
exec 2>/dev/null </dev/null

# kf_section NAME: what follows belongs to that section.
kf_section() {
  printf '@%s %s\n' "${KF_MARK:-}" "$1"
}

# kf_pair KEY VALUE: one line; line ends and tabs of the value become blanks.
kf_pair() {
  printf '%s\t%s\n' "$1" "${2//[$'\n\t']/ }"
}

# kf_list TEXT: the lines of a text into the array KF_LIST. (No here-string: it needs a writable disk.)
kf_list() {
  local IFS=$'\n'
  set -f
  # shellcheck disable=SC2034,SC2206  # read by the callers; the splitting is wanted
  KF_LIST=($1)
  set +f
}

# kf_words TEXT: the blank-separated words of a line into the array KF_WORDS.
kf_words() {
  set -f
  # shellcheck disable=SC2034,SC2206  # read by the callers; the splitting is wanted
  KF_WORDS=($1)
  set +f
}

# kf_read FILE: its first line into KF_LINE, empty where there is none.
kf_read() {
  KF_LINE=
  # shellcheck disable=SC2034  # read by the callers
  [[ -r $1 && ! -d $1 ]] && IFS= read -r KF_LINE <"$1"
  return 0
}

# kf_masked UNIT: whether systemd would refuse to start it.
kf_masked() {
  local folder
  for folder in /etc/systemd/system /run/systemd/system; do
    [[ -L $folder/$1 && $folder/$1 -ef /dev/null ]] && return 0
    [[ -f $folder/$1 && ! -s $folder/$1 ]] && return 0
  done
  return 1
}

# kf_pulled_in UNIT: whether something pulls it in at boot.
kf_pulled_in() {
  local links=(/etc/systemd/system/*.{wants,requires}/"$1" /usr/lib/systemd/system/*.{wants,requires}/"$1")
  ((${#links[@]} > 0))
}
