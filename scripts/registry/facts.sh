#!/usr/bin/env bash
# The registry as this node sees it; on its own node also certificate, names and storage in use.
if [[ -n ${KF_REGISTRY_HOST:-} ]]; then
  printf '@%s registry\n' "$KF_MARK"
  kf_registry_ca='' kf_registry_there='' kf_registry_folders=(/etc/containerd/certs.d)
  for kf_registry_file in /etc/containerd/*.toml /etc/containerd/*/*.toml; do
    [[ -f $kf_registry_file && -r $kf_registry_file ]] || continue
    while IFS= read -r kf_registry_line; do
      [[ $kf_registry_line =~ ^[[:space:]]*config_path[[:space:]]*=[[:space:]]*[\"\'](/[^\"\']*)[\"\'] ]] || continue
      IFS=: read -r -a kf_registry_named <<<"${BASH_REMATCH[1]}"
      for kf_registry_folder in "${kf_registry_named[@]}"; do
        [[ " ${kf_registry_folders[*]} " == *" $kf_registry_folder "* ]] || kf_registry_folders+=("$kf_registry_folder")
      done
    done <"$kf_registry_file"
  done
  if [[ -r /etc/kfinstall/registry/ca.crt ]]; then kf_registry_ca=/etc/kfinstall/registry/ca.crt; fi
  for kf_registry_folder in "${kf_registry_folders[@]}" /etc/docker/certs.d; do
    kf_registry_file=$kf_registry_folder/$KF_REGISTRY_HOST/ca.crt
    if [[ -z $kf_registry_ca && -r $kf_registry_file ]]; then kf_registry_ca=$kf_registry_file; fi
    if [[ $kf_registry_folder != /etc/docker/certs.d && -d $kf_registry_folder/$KF_REGISTRY_HOST ]]; then kf_registry_there=yes; fi
    if [[ $kf_registry_folder != /etc/containerd/certs.d && $kf_registry_folder != /etc/docker/certs.d && -r $kf_registry_file ]]; then
      kf_registry_sum=$(sha256sum <"$kf_registry_file") || kf_registry_sum=''
      printf 'trusted=%s %s\n' "${kf_registry_sum%% *}" "$kf_registry_folder/$KF_REGISTRY_HOST"
    fi
  done
  if command -v curl >/dev/null 2>&1 && [[ -n $kf_registry_ca || -n $kf_registry_there || -d /etc/kfinstall/registry ]]; then
    kf_registry_status=000
    if [[ -n $kf_registry_ca ]]; then
      kf_registry_status=$(curl -s --noproxy '*' --max-time 3 --cacert "$kf_registry_ca" -o /dev/null -w '%{http_code}' "https://$KF_REGISTRY_HOST/v2/")
    fi
    if [[ $kf_registry_status == 000 ]]; then
      kf_registry_status=$(curl -s --noproxy '*' --max-time 3 -o /dev/null -w '%{http_code}' "http://$KF_REGISTRY_HOST/v2/")
    fi
    printf 'status=%s\n' "$kf_registry_status"
  fi
  if [[ -r /etc/kfinstall/registry/server.crt ]] && command -v openssl >/dev/null 2>&1; then
    kf_registry_end=$(openssl x509 -in /etc/kfinstall/registry/server.crt -noout -enddate 2>/dev/null) || kf_registry_end=''
    printf 'expires_at=%s\n' "$(date -d "${kf_registry_end#notAfter=}" +%s 2>/dev/null || echo 0)"
    printf 'names=%s\n' "$(openssl x509 -in /etc/kfinstall/registry/server.crt -noout -ext subjectAltName 2>/dev/null | sed -n 2p | tr -d ' ' | tr ',' '\n' | sed 's/^IPAddress:/IP:/' | sort | tr '\n' ' ')"
  fi
  if [[ -r /etc/kfinstall/registry/ca.crt ]]; then
    kf_registry_sum=$(sha256sum </etc/kfinstall/registry/ca.crt) || kf_registry_sum=''
    printf 'ca_sha256=%s\n' "${kf_registry_sum%% *}"
  fi
  if [[ -d ${KF_REGISTRY_DIRECTORY:-} && -d /etc/kfinstall/registry ]]; then
    kf_registry_used=$(timeout 2 du -sb -- "$KF_REGISTRY_DIRECTORY" 2>/dev/null) || kf_registry_used=''
    printf 'used_bytes=%s\n' "${kf_registry_used%%[[:space:]]*}"
  fi
fi
