"""How the API server is reached: a kubeconfig's certificate authority and client certificate, held in memory."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kfinstall.errors import CommandError


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a kubeadm kubeconfig holds. Nothing of it is shown by `repr`."""

    authority: str = field(repr=False)
    """PEM of the certificate authority."""
    certificate: str = field(default="", repr=False)
    """PEM of the client certificate; empty with a token."""
    key: str = field(default="", repr=False)
    """PEM of its private key."""
    token: str = field(default="", repr=False)
    """Bearer token, instead of a client certificate."""

    def ssl_context(self) -> ssl.SSLContext:
        """A context that trusts this authority only and shows the client certificate."""
        try:
            context = ssl.create_default_context(cadata=self.authority)
            if self.certificate:
                _load_chain(context, self.certificate + "\n" + self.key)
        except _EncryptedKeyError:
            raise _unusable("its client key is encrypted, and nobody can be asked for the passphrase") from None
        except (OSError, ValueError) as error:
            raise _unusable(f"a certificate or key in it can't be read: {error}") from error
        return context


class _EncryptedKeyError(Exception):
    """The key needs a passphrase."""


def _asked() -> str:
    # Without this OpenSSL asks at the terminal, behind the screens' back.
    raise _EncryptedKeyError


def _load_chain(context: ssl.SSLContext, pem: str) -> None:
    """OpenSSL only loads keys from files: one in memory where the system has such files, else one that is gone at once."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("kfinstall", os.MFD_CLOEXEC)
        try:
            os.write(handle, pem.encode())
            context.load_cert_chain(f"/proc/self/fd/{handle}", password=_asked)
        finally:
            os.close(handle)
        return
    folder = Path(tempfile.mkdtemp(prefix="kfinstall-"))  # made with mode 0700
    try:
        path = folder / "client.pem"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(pem)
        context.load_cert_chain(path, password=_asked)
    finally:
        shutil.rmtree(folder)


def _unusable(why: str) -> CommandError:
    return CommandError(
        "the cluster's kubeconfig can't be used", why=why, hint="look at /etc/kubernetes/admin.conf on the first control plane"
    )


def _named(config: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    entries = config.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(kind), dict):
            return dict(entry[kind])
    raise _unusable(f"it names the {kind} {name!r} but does not hold it")


def _pem(section: Mapping[str, Any], key: str) -> str:
    try:
        # As Go's decoder, which kubectl reads it with, does not mind line breaks.
        return base64.b64decode("".join(str(section.get(key) or "").split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unusable(f"{key} is not base64 of a PEM text") from error


def parse_kubeconfig(text: str) -> Credentials:
    """The credentials of the current context.

    Raises:
        CommandError: it is no kubeconfig with embedded certificates, as kubeadm writes it.
    """
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The parser's own message quotes the text, which holds a private key.
        mark = getattr(error, "problem_mark", None)
        raise _unusable(f"it is not YAML (line {mark.line + 1})" if mark else "it is not YAML") from None
    except (ValueError, RecursionError):  # a date that there is not; brackets without end
        raise _unusable("it is not YAML") from None
    if not isinstance(config, dict):
        raise _unusable("it is not a mapping")
    context = _named(config, "context", str(config.get("current-context") or ""))
    cluster = _named(config, "cluster", str(context.get("cluster") or ""))
    user = _named(config, "user", str(context.get("user") or ""))
    found = Credentials(
        _pem(cluster, "certificate-authority-data"),
        _pem(user, "client-certificate-data"),
        _pem(user, "client-key-data"),
        str(user.get("token") or "").strip(),
    )
    if not (found.token.isascii() and found.token.isprintable()):
        raise _unusable("its token holds characters that no token has")
    if not found.authority:
        raise _unusable("it has no certificate-authority-data")
    if not found.token and not (found.certificate and found.key):
        raise _unusable("its user has neither a client certificate with key nor a token")
    return found
