"""Certificates on the way out that the server does not trust. A cause is named only where curl's words say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from kfinstall.engine.checks import Finding
from kfinstall.text import shell

_TRUST: Final = "sudo cp COMPANY-CA.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates"
_UNKNOWN_ISSUER: Final = re.compile(
    r"local issuer|self[- ]signed|unknown (ca|issuer|authority)|issuer is unknown|verification failed|verify failed|not trusted|"
    r"exit status 60\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"expired|not yet valid", re.IGNORECASE)
_NAME: Final = re.compile(r"subject name|does not match|alternative name", re.IGNORECASE)
_BUNDLE: Final = re.compile(r"verify locations|setting certificate|CAfile: none|exit status 77\b", re.IGNORECASE)
_ALL: Final = (_UNKNOWN_ISSUER, _TIME, _NAME, _BUNDLE)


def about(reason: str) -> bool:
    """Whether a host was not reached for its certificate."""
    return any(pattern.search(reason) for pattern in _ALL)


def _issuer(url: str) -> str:
    host = urlsplit(url).netloc
    target = host if ":" in host else f"{host}:443"
    return f"openssl s_client -connect {shell(target)} -servername {shell(host.partition(':')[0])} </dev/null | openssl x509 -noout -issuer"


def _shown(urls: Mapping[str, str]) -> str:
    hosts: dict[str, list[str]] = {}
    for url, reason in urls.items():
        hosts.setdefault(reason, []).append(url)
    return "; ".join(f"{', '.join(each)}: {reason}" for reason, each in hosts.items())


def findings(failed: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the certificates. `failed`: URL to curl's reason, each about its certificate."""
    left = dict(failed)

    def taken(pattern: re.Pattern[str]) -> dict[str, str]:
        found = {url: reason for url, reason in left.items() if pattern.search(reason)}
        for url in found:
            del left[url]
        return found

    if found := taken(_BUNDLE):
        text = f"this server has no certificates to trust ({_shown(found)})"
        yield Finding(
            text, "sudo apt-get install --reinstall ca-certificates && sudo update-ca-certificates --fresh", name="certificates"
        )
    if found := taken(_TIME):
        text = f"a certificate is out of its time ({_shown(found)}): is this server's clock right?"
        yield Finding(text, f"date; timedatectl\n{_issuer(next(iter(found)))} -dates", name="certificates")
    if found := taken(_NAME):
        text = f"another host answers ({_shown(found)}): a login page of the network, or a name server that leads astray"
        host = urlsplit(next(iter(found))).hostname or ""
        yield Finding(text, f"{shell('getent', 'ahosts', host)}\n{_issuer(next(iter(found)))} -subject", name="certificates")
    if found := taken(_UNKNOWN_ISSUER):
        text = (
            f"the certificates of the hosts that are reached come from an issuer that this server does not know ({_shown(found)}): "
            "something on the way looks into TLS, or the host is one of yours"
        )
        see = f"{_issuer(next(iter(found)))}  # who issued it"
        where = "# then that CA's certificate, as PEM with the ending .crt, on every server:"
        yield Finding(text, f"{see}\n{where}\n{_TRUST}", name="tls-inspection")
