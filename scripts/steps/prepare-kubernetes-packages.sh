#!/usr/bin/env bash
# Kubernetes' packages of one version, held. Parameters: VERSION, PACKAGES (names by blanks)
read -r -a kf_names <<<"$KF_PACKAGES"
kf_apt_repair
kf_missing=()
for kf_package in "${kf_names[@]}"; do
  kf_full=$(apt-cache madison "$kf_package" | awk -F ' *[|] *' -v wanted="$KF_VERSION-" 'index($2, wanted) == 1 {print $2; exit}')
  if [[ -z $kf_full ]]; then
    kf_fail 100 "the repository has no $kf_package $KF_VERSION" \
      "versions there: $(apt-cache madison "$kf_package" | awk -F ' *[|] *' '{print $2}' | head -n 5 | tr '\n' ' '); set cluster.kubernetesVersion to one of them"
  fi
  kf_installed "$kf_package" "$kf_full" || kf_missing+=("$kf_package=$kf_full")
done
if [[ ${#kf_missing[@]} -gt 0 ]]; then
  apt-mark unhold "${kf_names[@]}" >/dev/null || true
  kf_apt --no-install-recommends --allow-downgrades install "${kf_missing[@]}" ||
    kf_fail 100 "apt can't install ${kf_missing[*]}" "its last lines say why; try it there: apt-get install ${kf_missing[*]}"
fi
apt-mark hold "${kf_names[@]}" >/dev/null
systemctl enable --quiet kubelet.service
