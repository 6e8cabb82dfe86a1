#!/usr/bin/env bash
# What apt is set up with by whoever was here before: its sources and their keys, pins, proxies; packages that a killed step left off hold.

# kf_shown TEXT: a line without a login in a URL, into KF_SHOWN.
kf_shown() {
  local rest=$1 host
  KF_SHOWN=
  while [[ $rest == *://* ]]; do
    KF_SHOWN+=${rest%%://*}://
    rest=${rest#*://}
    host=${rest%%[/[:space:]\"]*}
    if [[ $host == *@* ]]; then
      KF_SHOWN+='***@'
      rest=${host##*@}${rest#"$host"}
    fi
  done
  KF_SHOWN+=$rest
}

# kf_text FILE: its lines, as they are; and which keys they name, into the array `keys`.
kf_text() {
  local line lines word limit=1000
  mapfile -t -n $((limit + 1)) lines <"$1"
  if ((${#lines[@]} > limit)); then
    kf_pair cut "$1"
    return
  fi
  for line in "${lines[@]}"; do
    kf_shown "${line%$'\r'}"
    printf 'line\t%s\n' "${KF_SHOWN:0:2000}"
    [[ $line != *[./]* || $line == '#'* ]] && continue
    kf_words "${line//[][,=]/ }"
    for word in "${KF_WORDS[@]}"; do
      word=${word%$'\r'}
      [[ $word =~ ^/.*\.(gpg|asc|pgp|kbx)$ ]] && keys[$word]=1
    done
  done
}

kf_sources() {
  local path sum files=()
  for path in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    # Files of other names are nothing to apt.
    [[ -f $path && ${path##*/} =~ ^[A-Za-z0-9_.-]+$ ]] && files+=("$path")
  done
  ((${#files[@]})) || return
  mapfile -t sums < <(sha256sum -- "${files[@]}")
  for sum in "${sums[@]}"; do
    printf 'file\t%s\t%s\n' "${sum%% *}" "${sum#*  }"
    kf_text "${sum#*  }"
  done
}

# kf_key FILE: its form, and where gpg is there when the last of its keys ends (seconds since 1970; 0: never) and their fingerprints.
kf_key() {
  local path=$1 form=binary begin line ends=-1 prints='' fields primary=''
  if [[ ! -f $path ]]; then
    printf 'key\tmissing\t-1\t-\t%s\n' "$path"
    return
  fi
  IFS= read -r -N 20 begin <"$path"
  case $begin in
  '') [[ -s $path ]] || form=empty ;;
  -----BEGIN\ PGP*) form=armored ;;
  '<'* | *html* | *HTML*) form=page ;;
  esac
  [[ $unreadable == *$'\n'"$path"$'\n'* ]] && form+=,unreadable
  # Of keys that count for all sources, whoever they are of, the end is nobody's business.
  if [[ $form != empty* && $form != page* && $path != /etc/apt/trusted.gpg* ]] && type -P gpg >/dev/null; then
    while IFS= read -r line; do
      IFS=: read -r -a fields <<<"$line"
      if [[ ${fields[0]} == fpr && $primary ]]; then
        prints+=,${fields[9]} primary=''
      elif [[ ${fields[0]} == pub ]]; then
        primary=yes
        [[ -z ${fields[6]} || $ends == 0 ]] && ends=0 && continue
        ((fields[6] > ends)) && ends=${fields[6]}
      fi
    done < <(timeout 5 gpg --no-options --homedir / --no-default-keyring --keyring /dev/null --trust-model always --batch --show-keys --with-colons "$path")
  fi
  prints=${prints#,}
  printf 'key\t%s\t%s\t%s\t%s\n' "$form" "$ends" "${prints:--}" "$path"
}

# apt reads keys as its own user.
kf_keys() {
  local path unreadable=$'\n'
  for path in /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d/*.gpg /etc/apt/trusted.gpg.d/*.asc; do [[ -e $path ]] && keys[$path]=1; done
  ((${#keys[@]})) || return
  # shellcheck disable=SC2016  # the inner shell's
  unreadable+=$(setpriv --reuid _apt --regid nogroup --clear-groups bash -c 'for key; do [[ -r $key ]] || printf "%s\n" "$key"; done' _ "${!keys[@]}")$'\n'
  for path in "${!keys[@]}"; do kf_key "$path"; done
}

kf_pins() {
  local path
  for path in /etc/apt/preferences /etc/apt/preferences.d/*; do
    [[ -f $path && ${path##*/} =~ ^[A-Za-z0-9_-]+(\.pref)?$ ]] || continue
    kf_pair pins "$path"
    kf_text "$path"
  done
}

# In apt's order: the last one of a name counts.
kf_proxies() {
  local path line lines word=
  for path in /etc/apt/apt.conf.d/* /etc/apt/apt.conf; do
    [[ -f $path && (${path##*/} =~ ^[A-Za-z0-9_-]+$ || $path == *.conf) ]] || continue
    mapfile -t -n 1000 lines <"$path"
    for line in "${lines[@]}"; do
      kf_shown "$line"
      line=$KF_SHOWN
      [[ $line =~ ^[[:space:]]*(//|\#) ]] && continue
      if [[ ${line,,} =~ acquire::(https?)::proxy[[:space:]]+ ]]; then
        word=${BASH_REMATCH[1]}
      elif [[ ${line,,} =~ (^|[[:space:]{;])(https?)(::|[[:space:]]*\{) ]]; then
        word=${BASH_REMATCH[2]}
        [[ ${line,,} =~ proxy[[:space:]]+\" ]] || continue
      elif [[ ! ${line,,} =~ ^[[:space:]]*proxy[[:space:]]+\" ]]; then
        continue
      fi
      [[ -n $word && $line =~ [Pp]roxy[[:space:]]+\"([^\"]*)\" ]] && printf 'proxy\t%s\t%s\t%s\n' "$word" "${BASH_REMATCH[1]}" "$path"
    done
  done
}

# kf_tries: what apt itself says of the sources, and of each that is on whether its Release file is there.
kf_tries() {
  local line entry uri release url urls=() told=() words own='' config='' number=0
  # Without its lists, whose signatures it would look at, which takes a second.
  # shellcheck disable=SC2016  # apt's own variables
  mapfile -t lines < <(apt-get -o Dir::State::lists=/nonexistent indextargets --no-release-info --format '= $(SOURCESENTRY) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>&1)
  for line in "${lines[@]}"; do
    kf_shown "$line"
    if [[ $line == 'E: '* ]]; then printf 'said\t%s\n' "${KF_SHOWN:0:500}"; fi
    [[ $line == '= '* ]] || continue
    entry=${line#= } uri=${line##* }
    release=${entry% *} entry=${release%% *} release=${release#* }
    [[ $uri == http*://* && $uri != *[\"\\]* ]] || { printf 'tried\t%s\t%s\t0\t%s\n' "$entry" "$release" "${KF_SHOWN##* }" && continue; }
    url=$uri
    [[ -z $release || $release == */ ]] || url+=dists/
    url+=$release
    [[ $url == */ ]] || url+=/
    [[ ${urls[*]} != *"$url "* && ${#urls[@]} -lt 40 ]] || continue
    urls+=("$url ")
    told+=("$entry"$'\t'"$release")
  done
  ((${#urls[@]})) || return
  if ! type -P curl >/dev/null; then
    for number in "${!urls[@]}"; do
      kf_shown "${urls[number]% }"
      printf 'tried\t%s\t0\t%s\n' "${told[number]}" "$KF_SHOWN"
    done
    return
  fi
  [[ -n ${KF_HTTP_PROXY:-} ]] && export http_proxy=$KF_HTTP_PROXY
  [[ -n ${KF_HTTPS_PROXY:-} ]] && export https_proxy=$KF_HTTPS_PROXY
  # apt's own proxies, in no argument: they may hold a login. For https those of http count where it has none of its own.
  while IFS= read -r line; do
    [[ ${line,,} =~ ^acquire::(https?)::proxy\ \"(.*)\"\;$ && -z ${KF_HTTP_PROXY:-}${KF_HTTPS_PROXY:-} ]] || continue
    line=${line#*\"} line=${line%\"*}
    [[ -z $line || $line == DIRECT || $line == false ]] || export "${BASH_REMATCH[1]}_proxy=$line"
    own+=" ${BASH_REMATCH[1]}"
  done < <(apt-config dump)
  [[ $own == *https* || -z ${http_proxy:-} ]] || export "https_proxy=${https_proxy:-$http_proxy}"
  for url in "${urls[@]}"; do
    for line in InRelease Release; do
      config+="url = \"${url% }$line\""$'\n''output = "/dev/null"'$'\n'
    done
  done
  while read -r number words; do
    line=${urls[number / 2]}
    kf_shown "${line% }"
    printf 'tried\t%s\t%s\t%s\n' "${told[number / 2]}" "$words" "$KF_SHOWN"
  done < <(printf '%s' "$config" | curl -q -s -I -L -Z --connect-timeout 4 --max-time 6 -w '%{urlnum} %{http_code}\n' -K -)
}

# shellcheck disable=SC2034  # read by facts-apt-tried.sh
[[ -z ${KF_APT_TRIES:-} ]] || exec {KF_TRIED}< <(kf_tries)

declare -A keys=()
kf_section apt-files
kf_sources
kf_keys
kf_pins
kf_proxies
for kf_path in /var/lib/dpkg/updates/[0-9]*; do
  kf_pair interrupted yes
  break
done
[[ -s /var/lib/kfinstall/undo/loose ]] && while read -r kf_path _rest; do kf_pair loose "$kf_path"; done </var/lib/kfinstall/undo/loose
