#!/usr/bin/env bash
# The registry on its node: package, own CA and certificate, login, unit.
# Parameters: HOST, ADDRESS (where to try it), SECURED (yes/no), USER, DIRECTORY, LOGIN, NAMES, CA_DAYS, CERTIFICATE_DAYS, RENEW_SECONDS
# Standard input, if secured: two lines, the password and the line for htpasswd.

kf_folder=/etc/kfinstall/registry
kf_service=kfinstall-registry.service
kf_restart=no
kf_password='' kf_hash=''
if [[ $KF_SECURED == yes ]]; then
  IFS= read -r kf_password
  IFS= read -r kf_hash
fi

kf_curl_escape() { # a value for curl's configuration file
  local value=${1//\\/\\\\}
  printf '%s' "${value//\"/\\\"}"
}

kf_status() { # HTTP status of GET /v2/, with the login if $1 is yes; the password goes by standard input only
  local config='' url=http://$KF_HOST/v2/
  if [[ $KF_SECURED == yes ]]; then
    url=https://$KF_HOST/v2/
    config=$(printf 'cacert = "%s/ca.crt"\n' "$kf_folder")
    if [[ $1 == yes ]]; then
      config+=$(printf '\nuser = "%s:%s"\n' "$(kf_curl_escape "$KF_USER")" "$(kf_curl_escape "$kf_password")")
    fi
  fi
  curl --noproxy '*' --silent --max-time 10 --output /dev/null --write-out '%{http_code}' --config - "$url" <<<"$config" || true
}

# Its package starts a registry of its own on the same port, with a configuration that can't work: it is masked before it comes.
if systemctl is-active --quiet docker-registry.service && [[ ! -e /etc/systemd/system/$kf_service ]]; then
  kf_fail 20 "another registry (docker-registry.service) already runs on this node" \
    "stop it (systemctl disable --now docker-registry) or choose another node: registry.node in the answers"
fi
kf_mask docker-registry.service
if ! dpkg-query -W -f='${db:Status-Status}' docker-registry 2>/dev/null | grep -qx installed; then
  kf_apt_update
  if ! apt-cache show docker-registry >/dev/null 2>&1; then
    kf_fail 21 "apt knows no package docker-registry" \
      "on Ubuntu it is in the component universe: add-apt-repository universe; behind a mirror, let the mirror carry it"
  fi
fi
kf_apt_install docker-registry openssl curl ca-certificates

kf_own /etc/kfinstall
kf_folder "$KF_DIRECTORY"
install -d -m 0755 /etc/kfinstall
install -d -m 0750 -o root -g docker-registry "$kf_folder"
install -d -m 0700 "$kf_folder/new"
if [[ $(stat -c %U -- "$KF_DIRECTORY") != docker-registry ]]; then
  chown -R docker-registry:docker-registry -- "$KF_DIRECTORY"
fi
chmod 0750 -- "$KF_DIRECTORY"

kf_own_ca() { # makes a CA unless a matching pair is there; its key never leaves this node
  local public
  public=$(openssl x509 -in "$kf_folder/ca.crt" -noout -pubkey 2>/dev/null || true)
  if [[ -n $public && $public == "$(openssl pkey -in "$kf_folder/ca.key" -pubout 2>/dev/null)" ]] &&
    openssl x509 -in "$kf_folder/ca.crt" -noout -checkend "$KF_RENEW_SECONDS" >/dev/null; then
    return 0
  fi
  kf_say "making a certificate authority for the registry"
  (
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days "$KF_CA_DAYS" \
      -subj "/O=kfinstall/CN=registry CA of ${KF_ADDRESS:0:40}" -keyout "$kf_folder/new/ca.key" -out "$kf_folder/new/ca.crt" \
      -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
  )
  chmod 0644 "$kf_folder/new/ca.crt"
  mv -f "$kf_folder/new/ca.key" "$kf_folder/ca.key"
  mv -f "$kf_folder/new/ca.crt" "$kf_folder/ca.crt"
}

kf_names() { # subject alternative names of a certificate, as the facts tell them
  openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null | sed -n '2p' | tr -d ' ' | tr ',' '\n' |
    sed 's/^IPAddress:/IP:/' | sort | tr '\n' ' ' | sed 's/ $//'
}

kf_certificate_fits() {
  [[ -s $kf_folder/server.crt && -s $kf_folder/server.key ]] &&
    openssl verify -CAfile "$kf_folder/ca.crt" "$kf_folder/server.crt" >/dev/null 2>&1 &&
    openssl x509 -in "$kf_folder/server.crt" -noout -checkend "$KF_RENEW_SECONDS" >/dev/null &&
    [[ $(openssl x509 -in "$kf_folder/server.crt" -noout -pubkey) == "$(openssl pkey -in "$kf_folder/server.key" -pubout 2>/dev/null)" ]] &&
    [[ $(kf_names "$kf_folder/server.crt") == "$KF_NAMES" ]]
}

kf_certificate() {
  if kf_certificate_fits; then
    return 0
  fi
  kf_say "signing a server certificate for $KF_NAMES"
  (
    umask 077
    printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' \
      "${KF_NAMES// /,}" >"$kf_folder/new/extensions"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -subj "/O=kfinstall/CN=registry" \
      -keyout "$kf_folder/new/server.key" -out "$kf_folder/new/server.csr" 2>/dev/null
    openssl x509 -req -sha256 -days "$KF_CERTIFICATE_DAYS" -in "$kf_folder/new/server.csr" -CA "$kf_folder/ca.crt" \
      -CAkey "$kf_folder/ca.key" -set_serial "0x$(openssl rand -hex 16)" -extfile "$kf_folder/new/extensions" \
      -out "$kf_folder/new/server.crt" 2>/dev/null
  )
  chown root:docker-registry "$kf_folder/new/server.key"
  chmod 0640 "$kf_folder/new/server.key"
  chmod 0644 "$kf_folder/new/server.crt"
  mv -f "$kf_folder/new/server.key" "$kf_folder/server.key"
  mv -f "$kf_folder/new/server.crt" "$kf_folder/server.crt"
  kf_restart=yes
}

if [[ $KF_SECURED == yes ]]; then
  kf_own_ca
  kf_certificate
fi
rm -rf -- "$kf_folder/new"

kf_files() { sha256sum -- "$kf_folder/config.yml" "/etc/systemd/system/$kf_service" 2>/dev/null || true; }
kf_before=$(kf_files)
kf_wanted
[[ $(kf_files) == "$kf_before" ]] || kf_restart=yes

if [[ $KF_SECURED == yes ]]; then
  # A bcrypt line differs each time it is made; the old one stays where the password still opens the registry.
  if [[ -s $kf_folder/htpasswd ]] && cmp -s "$kf_folder/login.json" <(printf '%s' "$KF_LOGIN") && [[ $(kf_status yes) == 200 ]]; then
    kf_say "the login is as it was"
  else
    (
      umask 077
      printf '%s\n' "$kf_hash" >"$kf_folder/.htpasswd.new"
    )
    chown root:docker-registry "$kf_folder/.htpasswd.new"
    chmod 0640 "$kf_folder/.htpasswd.new"
    mv -f "$kf_folder/.htpasswd.new" "$kf_folder/htpasswd"
    kf_restart=yes
  fi
fi

systemctl daemon-reload
kf_unit_on "$kf_service"
if [[ $kf_restart == yes ]]; then
  systemctl restart "$kf_service"
fi

kf_open() { # the registry answers: 200 with the login, and nobody gets in without one
  [[ $(kf_status yes) == 200 ]] && { [[ $KF_SECURED != yes ]] || [[ $(kf_status no) == 401 ]]; }
}
kf_closed() { # says why the registry is not as it should be
  journalctl --no-pager --quiet -n 15 -u "$kf_service" -o cat || true
  case $(kf_status yes) in
    401) kf_fail 22 "the registry refuses its own login of user $KF_USER" "run the step again; it writes the password file anew" ;;
    503) kf_fail 23 "the registry answers 503: it can't use $KF_DIRECTORY" "look at the disk: df -h '$KF_DIRECTORY'; journalctl -u $kf_service" ;;
    *) kf_fail 24 "the registry does not answer at $KF_HOST" "look at: journalctl -u $kf_service; is the port taken? ss -ltnp" ;;
  esac
}
kf_tries=0
until kf_open; do
  ((++kf_tries <= 30)) || kf_closed
  sleep 1
done
if [[ $KF_SECURED == yes ]]; then
  # Last, so that a run that was cut off makes the login again.
  kf_put "$kf_folder/login.json" 0600 root:root <<<"${KF_LOGIN%$'\n'}"
fi
kf_say "the registry answers at $KF_HOST"
