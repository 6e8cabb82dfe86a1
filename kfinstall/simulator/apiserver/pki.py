"""The simulated cluster's certificates: one CA, the API server's certificate, and the administrator's kubeconfig."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAMES: Final = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
_ADMINISTRATORS: Final = "kubeadm:cluster-admins"
_LIFETIME: Final = dt.timedelta(days=365)
_KUBECONFIG: Final = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {ca}
    server: {server}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {{}}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"""


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _name(common: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


@dataclass(frozen=True, slots=True)
class Pki:
    """PEM texts of a cluster's CA, API server and administrator."""

    ca: str
    server: str
    server_key: str
    admin: str
    admin_key: str

    @classmethod
    def make(cls, addresses: Sequence[str], *, administrators: str = _ADMINISTRATORS) -> Pki:
        """New keys and certificates; the server's is good for the nodes' addresses and loopback.

        `administrators`: the group that admin.conf's certificate is in.
        """
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca_name = _name("kubernetes")
        ca = (
            _builder(ca_name, ca_name, ca_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )

        def leaf(subject: x509.Name, usage: x509.ObjectIdentifier, names: Sequence[x509.GeneralName]) -> tuple[str, str]:
            key = ec.generate_private_key(ec.SECP256R1())
            builder = (
                _builder(subject, ca_name, key)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(_usage(signs=False), critical=True)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            )
            if names:
                builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            certificate = builder.sign(ca_key, hashes.SHA256())
            return certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_text(key)

        hosts = ["127.0.0.1", "10.96.0.1", *addresses]
        names = [*(x509.DNSName(name) for name in _NAMES), *(x509.IPAddress(ipaddress.ip_address(host)) for host in hosts)]
        server, server_key = leaf(_name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)
        admin, admin_key = leaf(_name("kubernetes-admin", administrators), ExtendedKeyUsageOID.CLIENT_AUTH, ())
        return cls(ca.public_bytes(serialization.Encoding.PEM).decode(), server, server_key, admin, admin_key)

    def kubeconfig(self, server: str) -> str:
        """The text of admin.conf, as kubeadm writes it."""
        values = {"ca": self.ca, "certificate": self.admin, "key": self.admin_key}
        return _KUBECONFIG.format(server=server, **{key: base64.b64encode(text.encode()).decode() for key, text in values.items()})


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=2))
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def server_context(certificate: str, key: str, folder: Path, *, client_ca: str = "") -> ssl.SSLContext:
    """A TLS server context; with `client_ca`, client certificates of that CA are asked for.

    The standard library reads certificates from files only: they are written into `folder` and removed at once.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = folder / "server.pem.tmp"
    path.touch(mode=0o600)
    try:
        path.write_text(key + certificate, encoding="ascii")
        context.load_cert_chain(path)
    finally:
        path.unlink()
    if client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=client_ca)
    return context


def pki_from_json(data: Mapping[str, str]) -> Pki:
    """The PKI that was written as plain data."""
    return Pki(**data)
