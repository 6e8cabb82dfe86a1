#!/usr/bin/env bash
# Kubernetes' packages of one version, held. Parameters: VERSION, PACKAGES (names by blanks)
read -r -a kf_names <<<"$KF_PACKAGES"

kf_full() { # PACKAGE: its full version in the repository, 1.34.9-1.1
  apt-cache madison "$1" | awk -F ' *[|] *' -v wanted="$KF_VERSION-" 'index($2, wanted) == 1 && !found {print $2; found = 1}'
}

kf_refuse_newer() { # PACKAGE: one that is newer than what is wanted ends the script
  local present
  present=$(dpkg-query -W -f='${Version}' "$1" 2>/dev/null) || return 0
  if [[ -n $present && $present != "$KF_VERSION"-* ]] && dpkg --compare-versions "$present" gt "$KF_VERSION-~"; then
    kf_fail 100 "$1 ${present%%-*} is installed on this node, newer than $KF_VERSION, and kfinstall does not downgrade it" \
      "set cluster.kubernetesVersion to ${present%%-*}, or, if nothing needs it there: apt-get purge --allow-change-held-packages $KF_PACKAGES; then: kfinstall resume"
  fi
}

# What the programs themselves make; the packages bring only the first files of it.
kf_own /etc/kubernetes /var/lib/kubelet /etc/cni /opt/cni /var/lib/cni /var/log/pods /var/log/containers
kf_apt_repair
kf_hold_again || true # of a run that was killed
for kf_name in "${kf_names[@]}"; do kf_refuse_newer "$kf_name"; done
if [[ -z $(kf_full "${kf_names[0]}") ]]; then
  kf_apt_anew # the repository was written by a run that was killed before it was read, or its list is torn
fi
kf_held=$(apt-mark showhold)
kf_missing=()
for kf_name in "${kf_names[@]}"; do
  kf_exact=$(kf_full "$kf_name")
  if [[ -z $kf_exact ]]; then
    kf_there=$(apt-cache madison "$kf_name" | awk -F ' *[|] *' 'NR <= 5 {printf "%s ", $2}')
    kf_fail 100 "the repository has no $kf_name $KF_VERSION" \
      "${kf_there:+versions there: $kf_there; }set cluster.kubernetesVersion to one that pkgs.k8s.io has"
  fi
  kf_installed "$kf_name" "$kf_exact" || kf_missing+=("$kf_name=$kf_exact")
done
if [[ ${#kf_missing[@]} -gt 0 ]]; then
  # Older guides hold what these need as well.
  mapfile -t kf_loose < <(printf '%s\n' "${kf_names[@]}" kubernetes-cni cri-tools | grep -xF -e "${kf_held:-no package}")
  kf_let_go "${kf_loose[@]}"
  kf_apt_add "${kf_missing[@]}" ||
    kf_fail 100 "apt can't install ${kf_missing[*]}" "its last lines say why; try it there: apt-get install ${kf_missing[*]}"
fi
for kf_name in "${kf_names[@]}"; do
  grep -qxF -- "$kf_name" <<<"$kf_held" || kf_note held "$kf_name"
done
kf_apt_free # apt-mark does not wait for the lock
apt-mark hold "${kf_names[@]}" >/dev/null
kf_enable kubelet.service
