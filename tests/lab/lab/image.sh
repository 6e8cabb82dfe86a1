#!/usr/bin/env bash
# The nodes' kernel and disk, from Debian's packages alone. Both are made once, and anew when what they are made from changes.
# shellcheck source-path=SCRIPTDIR source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

image_packages=(
  systemd systemd-sysv udev dbus libpam-systemd openssh-server sudo iproute2 iputils-ping kmod procps ca-certificates iptables less
)
image_proxy() { printf 'Acquire::http::Proxy "http://%s:%s";' "$lab_gateway" "$lab_proxy_port"; }

# image_recipe FILE...: names what an image or kernel is made from; another recipe is another file in the cache.
image_recipe() {
  {
    printf '%s\n' "$lab_suite" "$lab_kernel_suite" "$lab_mirror" "$lab_disk" "${image_packages[@]}"
    (cd "$lab_here" && cat -- "$@")
    if [[ -e $lab_key.pub ]]; then cat -- "$lab_key.pub"; fi
  } | sha256sum | cut -c 1-16
}

image_key() {
  [[ -s $lab_key ]] || ssh-keygen -q -t ed25519 -N '' -C "$lab_name" -f "$lab_key"
}

# A kernel that runs as a process, with the C library that it was linked with beside it: this machine's may be older.
image_kernel() {
  local folder=$lab_cache/kernel-$lab_kernel_suite work=$lab_run/kernel options
  [[ ! -s $folder/whole ]] || return 0
  lab_say "fetching the user-mode kernel of Debian $lab_kernel_suite"
  rm -rf -- "$folder" "$work"
  mkdir -p -- "$work/lists/partial" "$work/archives/partial" "$folder"
  chmod -R go+rX -- "$work"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$lab_mirror" "$lab_kernel_suite" >"$work/sources.list"
  options=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work" -o "Dir::Cache::archives=$work/archives" -o APT::Sandbox::User=root
    -o "Acquire::http::Proxy=http://$lab_gateway:$lab_proxy_port" -o Acquire::Languages=none)
  {
    host_in apt-get "${options[@]}" update &&
      (cd "$work" && host_in apt-get "${options[@]}" download "user-mode-linux/$lab_kernel_suite" "libc6:amd64/$lab_kernel_suite") &&
      dpkg-deb -x "$work"/user-mode-linux_*.deb "$work/kernel" && dpkg-deb -x "$work"/libc6_*.deb "$work/libc"
  } >"$lab_run/kernel.log" 2>&1 || { tail -n 5 "$lab_run/kernel.log" >&2; lab_lack "the user-mode kernel can't be fetched from $lab_mirror"; }
  install -m 0755 "$(find "$work/libc" -type f -name 'ld-linux-x86-64.so.2')" "$folder/ld.so"
  install -m 0755 "$(find "$work/libc" -type f -name libc.so.6)" "$folder/libc.so.6"
  install -m 0755 "$work/kernel/usr/bin/linux.uml" "$folder/linux"
  patchelf --set-interpreter "$folder/ld.so" --set-rpath "$folder" "$folder/linux"
  cp -a -- "$work/kernel/usr/lib/uml/modules" "$folder/modules"
  "$folder/linux" --version >"$folder/whole.new"
  mv -- "$folder/whole.new" "$folder/whole"
  rm -rf -- "$work"
}

image_base() {
  local root=$lab_run/root sources file name
  image_key
  name=base-$lab_suite-$(image_recipe image.sh customize.sh root/first-boot.sh root/first-boot.service)
  lab_image=$lab_cache/$name.raw
  if [[ -e $lab_image && -s $lab_image.sum ]]; then
    [[ $("$lab_python" "$lab_here/image_sum.py" "$lab_image") != "$(<"$lab_image.sum")" ]] || return 0
    lab_say "$lab_image is not what it was when it was made"
  fi
  lab_say "making the nodes' image ($lab_suite)"
  rm -rf --one-file-system -- "$root"
  rm -f -- "$lab_cache"/base-"$lab_suite"-*
  sources=("deb $lab_mirror $lab_suite main" "deb $lab_mirror $lab_suite-updates main" "deb $lab_security $lab_suite-security main")
  # In the namespace: what is not reached through the cache is not reached.
  host_in mmdebstrap --quiet --variant=minbase --mode=root --include="$(IFS=,; printf '%s' "${image_packages[*]}")" \
    --aptopt="$(image_proxy)" --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --aptopt='APT::Sandbox::User "root"' --dpkgopt=force-unsafe-io --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    "$lab_suite" "$root" "${sources[@]}" >"$lab_run/image.log" 2>&1 {lab_lock}>&- ||
    { tail -n 8 "$lab_run/image.log" >&2; lab_lack "the image can't be made from $lab_mirror"; }
  mkdir -p -- "$root/usr/lib/modules"
  cp -a -- "$lab_cache/kernel-$lab_kernel_suite/modules/." "$root/usr/lib/modules/"
  for file in "$root"/usr/lib/modules/*; do depmod -b "$root/usr" "$(basename "$file")"; done
  bash "$lab_here/customize.sh" "$root" "$lab_key.pub" "$lab_net.$((lab_first + 1))"
  truncate -s "$lab_disk" "$lab_image.new"
  mkfs.ext4 -q -L lab -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$lab_image.new"
  "$lab_python" "$lab_here/image_sum.py" "$lab_image.new" >"$lab_image.sum"
  mv -- "$lab_image.new" "$lab_image"
  rm -rf --one-file-system -- "$root"
}
