#!/usr/bin/env bash
# Lets the other nodes and the pods through the firewall that runs here; it stays on. Parameters: FIREWALL (ufw/firewalld), SOURCES (by blanks)
read -r -a kf_hosts <<<"$KF_SOURCES"
case $KF_FIREWALL in
ufw)
  for kf_file in /etc/ufw/user.rules /etc/ufw/user6.rules /etc/default/ufw; do kf_keep "$kf_file"; done
  for kf_source in "${kf_hosts[@]}"; do ufw allow from "$kf_source"; done
  ufw default allow routed
  ;;
firewalld)
  kf_keep /etc/firewalld/zones/trusted.xml
  for kf_source in "${kf_hosts[@]}"; do firewall-cmd --permanent --zone=trusted --add-source="$kf_source"; done
  firewall-cmd --reload
  ;;
*) kf_fail 41 "kfinstall does not know the firewall $KF_FIREWALL" "let TCP and UDP of ${kf_hosts[*]} through" ;;
esac
kf_done mend-firewall <<<"$KF_FIREWALL ${kf_hosts[*]}"
