"""A stand-in for the sites that phase prepare downloads from: a signed repository laid out like pkgs.k8s.io, and a release file.

Names, versions, dependencies, layout and signature of the packages are as with the real ones. kubelet, kubeadm and kubectl are the
stand-ins of tests/fakes/kube, or the real programs where KFINSTALL_KUBE_BIN names a folder that holds all three.
"""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import hashlib
import http.server
import io
import ipaddress
import os
import shutil
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOOLS = ("dpkg-deb", "apt-ftparchive", "gpg", "gpgconf")
DEPENDS = {"kubelet": "iptables (>= 1.4.21), kubernetes-cni (>= 1.2.0)", "kubeadm": "cri-tools (>= 1.30.0), kubelet, kubectl"}
UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
DROP_IN = """[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
STAND_INS = Path(__file__).parent / "kube"
PROGRAMS = ("kubelet", "kubeadm", "kubectl")


def missing_tools() -> list[str]:
    return [name for name in TOOLS if shutil.which(name) is None]


def real_programs() -> Path | None:
    """The folder of the real kubelet, kubeadm and kubectl, where there is one."""
    given = os.environ.get("KFINSTALL_KUBE_BIN", "")
    folder = Path(given)
    return folder if given and all(os.access(folder / name, os.X_OK) for name in PROGRAMS) else None


def real_version() -> str:
    """The version of the real programs: 1.34.2; empty where there are none."""
    folder = real_programs()
    if folder is None:
        return ""
    words = [str(folder / "kubeadm"), "version", "-o", "short"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip().removeprefix("v")


def write_program(target: Path, name: str, version: str) -> None:
    """The real program of that version, or its stand-in."""
    real, stand_in = real_programs(), STAND_INS / f"{name}.sh"
    if name in PROGRAMS and real is not None and version.startswith(f"{real_version()}-"):
        shutil.copyfile(real / name, target)
    elif stand_in.exists():
        target.write_text(stand_in.read_text().replace("@VERSION@", version.partition("-")[0]))
    else:
        target.write_text(f"#!/bin/sh\necho '{name} v{version}'\n")
    target.chmod(0o755)


def write_package(folder: Path, name: str, version: str, work: Path, depends: Mapping[str, str] = DEPENDS) -> None:
    root = work / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr/bin").mkdir(parents=True)
    line = f"Depends: {depends[name]}\n" if name in depends else ""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: lab\n{line}Description: stand-in\n"
    (root / "DEBIAN/control").write_text(control)
    write_program(root / "usr/bin" / name, name, version)
    if name == "kubelet":
        units = root / "usr/lib/systemd/system"
        (units / "kubelet.service.d").mkdir(parents=True)
        (units / "kubelet.service").write_text(UNIT)
        (units / "kubelet.service.d/10-kubeadm.conf").write_text(DROP_IN)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", root, target], check=True, stdout=subprocess.DEVNULL)


OLD = {
    "kubelet": "1.22.4-00",
    "kubeadm": "1.22.4-00",
    "kubectl": "1.22.4-00",
    "kubernetes-cni": "0.8.7-00",
    "cri-tools": "1.13.0-01",
}
"""What a guide of that time installs, and holds."""


def write_old_packages(folder: Path, work: Path) -> list[Path]:
    """Write the packages of OLD, as the repository that is gone had them; gives their files."""
    needs = {
        "kubelet": "kubernetes-cni (>= 0.8.7)",
        "kubeadm": "kubelet, kubectl, kubernetes-cni (>= 0.8.7), cri-tools (>= 1.13.0)",
    }
    for name, version in OLD.items():
        write_package(folder, name, version, work, needs)
    return sorted(folder.glob("*.deb"))


def write_repository(root: Path, minor: str, versions: tuple[str, ...], work: Path) -> str:
    """Write core:/stable:/v<minor>/deb below root, signed by a key that is made for it; gives the key's fingerprint."""
    folder, home = root / f"core:/stable:/v{minor}/deb", work / "gnupg"
    home.mkdir(mode=0o700, parents=True)
    for name, version in (("kubernetes-cni", "1.5.1-1.1"), ("cri-tools", f"{minor}.0-1.1")):
        write_package(folder / "amd64", name, version, work)
    for version in versions:
        for name in ("kubelet", "kubeadm", "kubectl"):
            write_package(folder / "amd64", name, f"{version}-1.1", work)

    def run(*words: str) -> bytes:
        environment = {**os.environ, "GNUPGHOME": str(home)}
        return subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True).stdout

    (folder / "Packages").write_bytes(run("apt-ftparchive", "packages", "amd64"))
    release = run("apt-ftparchive", "-o", "APT::FTPArchive::Release::Architectures=amd64", "release", ".")
    (folder / "Release").write_bytes(release)
    gpg = ("gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "")
    run(*gpg, "--quick-gen-key", "lab <lab@example.invalid>", "rsa2048", "sign", "never")
    run(*gpg, "--clearsign", "-o", "InRelease", "Release")
    run(*gpg, "--armor", "--output", "Release.key", "--export")
    listed = run("gpg", "--batch", "--list-keys", "--with-colons").decode().splitlines()
    run("gpgconf", "--kill", "all")
    return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))


def write_archive(root: Path, url: str, name: str, content: str) -> str:
    """Write a .tar.gz with one program where the URL's path points; gives its SHA-256, which only depends on the content."""
    target = root / unquote(urlsplit(url).path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o755
    with gzip.GzipFile(target, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(member, io.BytesIO(data))
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _certificate(subject: str, key: Any, issuer: Any, signer: Any, extensions: tuple[Any, ...]) -> Any:
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(issuer or name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=2))
    for extension in extensions:
        made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return made.sign(signer, hashes.SHA256())


def write_tls(folder: Path, hosts: tuple[str, ...], address: str) -> tuple[Path, Path]:
    """Write a CA's certificate (ca.crt) and a server's certificate with its key (server.pem)."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("lab CA", ca_key, None, ca_key, (x509.BasicConstraints(ca=True, path_length=0),))
    names = [*(x509.DNSName(host) for host in hosts), x509.IPAddress(ipaddress.ip_address(address))]
    more = (x509.BasicConstraints(ca=False, path_length=None), x509.SubjectAlternativeName(names))
    certificate = _certificate(hosts[0], key, ca.subject, ca_key, more)
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem) + private)
    return folder / "ca.crt", folder / "server.pem"


@contextmanager
def serve(root: Path, address: str, certificate: Path, port: int = 443) -> Iterator[Mapping[str, int]]:
    """Serve a folder over HTTPS; gives how often each path was asked for."""
    requests: dict[str, int] = {}

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # apt takes the end of an HTTP/1.0 answer for a broken connection
        timeout = 60

        def log_message(self, *_words: object) -> None:
            requests[self.path] = requests.get(self.path, 0) + 1

    server = http.server.ThreadingHTTPServer((address, port), functools.partial(Handler, directory=str(root)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
