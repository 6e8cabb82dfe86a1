"""What the registry is made of: its paths, its files' contents, and the image that proves it. Pure functions of a view."""

from __future__ import annotations

import ipaddress
import json
from typing import Final

import yaml

from kfinstall.answers.model import Answers, SecretRef
from kfinstall.engine.step import View
from kfinstall.facts.model import Facts
from kfinstall.parts.preflight import hosts_folders
from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import CERTS_D, RuntimeFiles
from kfinstall.parts.registry import limits
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.text import sha256

UNIT: Final = "kfinstall-registry.service"
PACKAGE_UNIT: Final = "docker-registry.service"
PACKAGE: Final = "docker-registry"
FOLDER: Final = "/etc/kfinstall/registry"
CONFIG: Final = f"{FOLDER}/config.yml"
CERTIFICATE: Final = f"{FOLDER}/server.crt"
HTPASSWD: Final = f"{FOLDER}/htpasswd"
LOGIN: Final = f"{FOLDER}/login.json"
UNIT_FILE: Final = f"/etc/systemd/system/{UNIT}"
PASSWORD: Final = "registry.password"  # noqa: S105 (the name of a secret, not one)
_DATA: Final = "/run/kfinstall-registry/data"


def secured(answers: Answers) -> bool:
    """Whether the registry speaks TLS and asks for a login."""
    return not answers.registry.insecure


def config(answers: Answers) -> str:
    """The registry's config.yml. Nothing of the package's own configuration is used: it asks for a login of its own."""
    http: dict[str, object] = {"addr": f":{answers.registry.port}", "headers": {"X-Content-Type-Options": ["nosniff"]}}
    document: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}, "fields": {"service": "kfinstall-registry"}},
        "storage": {
            "filesystem": {"rootdirectory": _DATA},
            "delete": {"enabled": True},  # no cache: a cached blob that is gone from the disk would count as there
            "maintenance": {"uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}},
        },
        "http": http,
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    if secured(answers):
        http["tls"] = {"certificate": CERTIFICATE, "key": f"{FOLDER}/server.key", "minimumtls": "tls1.2"}
        document["auth"] = {"htpasswd": {"realm": "kfinstall registry", "path": HTPASSWD}}
    return yaml.safe_dump(document, sort_keys=False)


def unit(answers: Answers) -> str:
    """The systemd unit. It binds the data directory into its own view, so the directory's parents may be closed to its user."""
    source = answers.registry.directory.replace("\\", "\\\\").replace('"', '\\"')
    return f"""[Unit]
Description=Container registry of this cluster (kfinstall)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
User=docker-registry
Group=docker-registry
RuntimeDirectory=kfinstall-registry
BindPaths="{source}":{_DATA}
ExecStart=/usr/bin/docker-registry serve {CONFIG}
Environment=OTEL_TRACES_EXPORTER=none
Restart=always
RestartSec=2
UMask=0027
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectHome=read-only
ProtectSystem=full
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def subject_names(answers: Answers) -> tuple[str, ...]:
    """Subject alternative names of the server certificate, as openssl writes them, sorted."""
    node = answers.registry_node
    names = {f"DNS:{node.name}", "DNS:localhost", "IP:127.0.0.1"}
    try:
        names.add(f"IP:{ipaddress.ip_address(node.address)}")
    except ValueError:
        names.add(f"DNS:{node.address}")
    return tuple(sorted(names))


def _source(ref: SecretRef) -> str:
    if ref.env is not None:
        return f"env {ref.env}"
    if ref.file is not None:
        return f"file {ref.file}"
    return "prompt" if ref.prompt else "generated"


def login_record(view: View) -> str:
    """What the login was made from, without the secret: a new source, user or cluster asks for a new password file."""
    answers = view.answers
    first = view.fleet.get(answers.first_control_plane.name) or Facts(node="")
    source = _source(answers.registry.password)
    cluster = first.runtime.ca_sha256 if source == "generated" else ""
    return json.dumps({"user": answers.registry.user, "source": source, "cluster": cluster}, sort_keys=True) + "\n"


def login_fingerprint(view: View) -> str:
    """Short hash of `login_record`, for objects that hold the login."""
    return sha256(f"{view.answers.registry_host}\0{login_record(view)}")[:16]


def hosts_toml(host: str, *, scheme: str = "https", ca: str = "") -> str:
    """containerd's hosts.toml for the registry itself."""
    url = f"{scheme}://{host}"
    trust = [f"ca = {json.dumps(ca)}"] if ca else []
    # The server is also the fallback host of containerd, so it needs the CA too; else a refused login reads as a bad certificate.
    lines = [f"server = {json.dumps(url)}", *trust, "", f"[host.{json.dumps(url)}]", '  capabilities = ["pull", "resolve", "push"]']
    return "\n".join([*lines, *(f"  {line}" for line in trust)]) + "\n"


def certs_folder(view: View, node: str = "") -> str:
    """The folder in which the runtime of a node (the view's target) looks for what concerns this registry."""
    host = view.answers.registry_host
    if view.answers.cluster.runtime == "docker":
        return f"/etc/docker/certs.d/{host}"
    name = node or view.target
    facts = view.fleet.get(name) or Facts(node="")
    try:
        return f"{hosts_folders.home(view.fact_of(name, RuntimeFiles), facts.runtime.containerd_version)}/{host}"
    except Refused:
        return f"{CERTS_D}/{host}"  # preflight and phase prepare say so


def trust_files(view: View) -> dict[str, str]:
    """Path to content of every file that tells a node's runtime about registries, without the CA certificate."""
    answers = view.answers
    if answers.cluster.runtime == "docker":
        return {}
    folder = certs_folder(view)
    own = (
        hosts_toml(answers.registry_host, ca=f"{folder}/ca.crt")
        if secured(answers)
        else hosts_toml(answers.registry_host, scheme="http")
    )
    return {f"{folder}/hosts.toml": own}


def docker_daemon(answers: Answers) -> dict[str, list[str]]:
    """Keys of /etc/docker/daemon.json that concern the registry; empty where there is nothing to say."""
    return {"insecure-registries": [answers.registry_host]} if answers.registry.enabled and answers.registry.insecure else {}


def ca_sha256(view: View) -> str:
    """SHA-256 of the CA certificate on the registry's node, as its facts told; empty where there is none yet."""
    return view.fact_of(view.answers.registry_node.name, RegistryFacts).ca_sha256


def renewal_due(found: RegistryFacts, now: float) -> bool:
    """Whether the server certificate has ended or will soon."""
    return found.expires_at < now + limits.REGISTRY_RENEW_BEFORE_SECONDS
