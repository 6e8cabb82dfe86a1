"""The gateway's certificate: which names it is for, and whether a given one can be used at all."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509

from kfinstall import invocation
from kfinstall.errors import CommandError
from kfinstall.text import sha256


def names(pem: str) -> tuple[str, ...]:
    """The DNS names and addresses that a certificate (the first of a chain) is for; empty where it can't be read."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return ()
    addresses = (str(address) for address in found.value.get_values_for_type(x509.IPAddress))
    return (*found.value.get_values_for_type(x509.DNSName), *addresses)


def host(pem: str, preferred: str) -> str:
    """A name to ask for that a certificate covers: the preferred one where it does, else the first; `preferred` where it has none."""
    known = names(pem)
    if any(_covers(name, preferred) for name in known):
        return preferred
    first = next(iter(known), preferred)
    named = f"kubeflow{first[1:]}" if first.startswith("*.") else first
    return f"[{named}]" if ":" in named else named


def _covers(name: str, wanted: str) -> bool:
    if name.startswith("*."):
        return wanted.partition(".")[2].lower() == name[2:].lower()
    return name.lower() == wanted.lower()


def digest(certificate: str) -> str:
    """Hex SHA-256 of a given certificate (path of a PEM file); empty where it can't be read."""
    try:
        return sha256(Path(certificate).expanduser().read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return ""


def check(certificate: str, key: str) -> None:
    """Whether a given certificate and its key (paths of PEM files) can be shown to browsers.

    Raises:
        CommandError: they don't belong together, are no PEM files, or the certificate's time is over.
    """
    chain = Path(certificate).expanduser()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, Path(key).expanduser())
        found = x509.load_pem_x509_certificate(chain.read_bytes())
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        reason = {"KEY_VALUES_MISMATCH": "the key is another certificate's"}.get(why, why)
        raise CommandError(
            f"{certificate} and {key} can't be shown to browsers",
            why=reason,
            hint="kubeflow.tls names PEM files: the chain, and its key",
        ) from None
    if found.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise CommandError(
            f"{certificate} is not valid any more",
            why=f"it ended on {found.not_valid_after_utc:%Y-%m-%d}",
            hint=f"renew it, then: {invocation.again()}",
        )
