"""What OpenSSH would use for one address, made of what `ssh -G` prints."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from asyncssh.encryption import get_default_encryption_algs, get_encryption_algs
from asyncssh.kex import get_default_kex_algs, get_kex_algs
from asyncssh.mac import get_default_mac_algs, get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_default_public_key_algs, get_public_key_algs

from kfinstall.errors import LoginError
from kfinstall.text import clean
from kfinstall.transport import ssh_options
from kfinstall.transport.config_places import Places

Printed = Mapping[str, Sequence[str]]
"""Options in lower case, each with its values in order."""

_TOKEN: Final = re.compile("%(.?)")
_VARIABLE: Final = re.compile(r"\$\{(.*?)\}")
_PATH_BEGINS: Final = re.compile(r"[/~%$]|[A-Za-z]:[\\/]|\\\\")
_YES: Final = ("yes", "true", "unbound", "host-bound")
_ALGORITHMS: Final[Mapping[str, tuple[str, Any, Any]]] = {
    "KexAlgorithms": ("kex_algs", get_kex_algs, lambda: _texts(get_default_kex_algs())),
    "Ciphers": ("encryption_algs", get_encryption_algs, lambda: _texts(get_default_encryption_algs())),
    "MACs": ("mac_algs", get_mac_algs, lambda: _texts(get_default_mac_algs())),
    "PubkeyAcceptedAlgorithms": ("signature_algs", get_public_key_algs, lambda: _texts(get_default_public_key_algs())),
    "HostKeyAlgorithms": (
        "server_host_key_algs",
        lambda: [*get_certificate_algs(), *get_public_key_algs()],
        lambda: _texts(get_default_public_key_algs()),
    ),
}
"""OpenSSH's option: the name that the library has for it, all that the library knows of its kind, and what it would use by itself."""
_WEAK: Final = re.compile(r"sha1|^gss-|^rsa1024|ssh-dss|ssh-rsa|x509v3|^hmac-md5")
"""What the library can do and nobody should be told to allow."""
_FAMILIES: Final = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Settings:
    """What ssh would use for an address. Paths are whole, without ~ and tokens."""

    host: str
    """Where TCP goes: HostName."""
    port: int
    user: str
    alias: str
    """HostKeyAlias; empty where there is none."""
    identities: tuple[Path, ...]
    """IdentityFile, those that are written; some may be absent."""
    usual: tuple[Path, ...]
    """ssh's own, where none is written."""
    certificates: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    """The socket of the agent: None for the usual one, empty for none."""
    known_hosts: tuple[Path, ...] | None
    """UserKnownHostsFile; None for ssh's own."""
    machine_known_hosts: tuple[Path, ...]
    known_hosts_command: str
    """With its tokens."""
    unchecked_loopback: bool
    """NoHostAuthenticationForLocalhost."""
    accepts_new: bool
    """StrictHostKeyChecking is accept-new or no."""
    revoked: tuple[Path, ...]
    jumps: str
    """ProxyJump; empty for none."""
    proxy_command: str
    """Ready for the shell; empty for none."""
    proxy_passes_socket: bool
    public_keys: bool
    keys_held_back: str
    """The option that says that keys are not offered, with its place; empty where they are."""
    shared: bool
    """Whether ssh would go by a connection that it shares (ControlPath)."""
    least_rsa_bits: int
    """RequiredRSASize: shorter RSA keys are not offered; 0 where nothing is said."""
    least_rsa_place: str
    connect_seconds: float | None
    family: int
    bind_address: str
    bind_interface: str
    algorithms: Mapping[str, tuple[str, ...]]
    """By the library's names; only where they are not OpenSSH's own."""
    notes: tuple[str, ...]
    """What is set and not done here: lines for a login that failed."""
    places: Places
    tokens: Mapping[str, str]

    def expand(self, option: str, text: str, more: Mapping[str, str] | None = None) -> str:
        """A value with its tokens replaced; `more`: tokens of this option alone.

        Raises:
            LoginError: it has a token that nobody knows.
        """
        return _expanded(option, text, {**self.tokens, **(more or {})}, self.places)


def settings(typed: str, printed: Printed, usual: Printed, places: Places) -> Settings:
    """The settings of an address; `usual` is what OpenSSH prints where nothing is configured.

    Raises:
        LoginError: an option can't be taken over; says where it stands.
    """

    def one(option: str) -> str:
        values = printed.get(option, ())
        return "" if not values or values[0].lower() == "none" else values[0]

    def yes(option: str, *, default: bool = False) -> bool:
        return (one(option).lower() in _YES) if printed.get(option) else default

    def differs(option: str) -> bool:
        return list(printed.get(option, ())) != list(usual.get(option, ()))

    host, user = one("hostname") or typed, one("user") or getpass.getuser()
    port = int(one("port")) if one("port").isdigit() else 22
    jumps = one("proxyjump")
    tokens = _tokens(typed, host, port, user, alias=one("hostkeyalias"), jumps=jumps)

    def paths(option: str, values: Sequence[str]) -> tuple[Path, ...]:
        given = [value for value in values if value.lower() != "none"]
        return tuple(_path(_expanded(option, value, tokens, places)) for value in given)

    identities = paths("IdentityFile", printed.get("identityfile", ()))
    explicit = differs("identityfile")
    preferred = one("preferredauthentications").split(",") if one("preferredauthentications") else []
    held_back = ""
    if not yes("pubkeyauthentication", default=True):
        held_back = "PubkeyAuthentication"
    elif preferred and "publickey" not in preferred:
        held_back = "PreferredAuthentications"
    return Settings(
        host=host,
        port=port,
        user=user,
        alias=one("hostkeyalias").lower(),
        identities=identities if explicit else (),
        usual=() if explicit else identities,
        certificates=paths("CertificateFile", printed.get("certificatefile", ())),
        identities_only=yes("identitiesonly"),
        agent=_agent(printed, tokens),
        known_hosts=tuple(_files(printed, "userknownhostsfile", places)) if differs("userknownhostsfile") else None,
        machine_known_hosts=tuple(_files(printed, "globalknownhostsfile", places)),
        known_hosts_command=one("knownhostscommand"),
        unchecked_loopback=yes("nohostauthenticationforlocalhost") and not one("hostkeyalias"),
        accepts_new=one("stricthostkeychecking").lower() in ("accept-new", "no", "off", "false"),
        revoked=tuple(_files(printed, "revokedhostkeys", places)),
        # OpenSSH makes a ProxyCommand of it, and replaces the tokens of that.
        jumps=_expanded("ProxyJump", jumps, tokens, places),
        proxy_command="" if jumps else _expanded("ProxyCommand", one("proxycommand"), tokens, places),
        proxy_passes_socket=yes("proxyusefdpass") and not jumps,
        public_keys=not held_back,
        keys_held_back=places.where(held_back) if held_back else "",
        shared=bool(one("controlpath")),
        least_rsa_bits=int(one("requiredrsasize")) if one("requiredrsasize").isdigit() else 0,
        least_rsa_place=places.where("RequiredRSASize"),
        connect_seconds=_seconds(one("connecttimeout")),
        family=_FAMILIES.get(one("addressfamily").lower(), socket.AF_UNSPEC),
        bind_address=one("bindaddress"),
        bind_interface=one("bindinterface"),
        algorithms=_algorithms(printed, usual, places),
        notes=tuple(_notes(printed, places)),
        places=places,
        tokens=tokens,
    )


def _tokens(typed: str, host: str, port: int, user: str, *, alias: str, jumps: str) -> dict[str, str]:
    machine = socket.gethostname()
    last_jump = jumps.rpartition(",")[2].rpartition("@")[2]
    name = re.sub(r"^\[(.*)\](:\d+)?$|:\d+$", lambda found: found[1] or "", last_jump)
    digest = hashlib.sha1(f"{machine}{host}{port}{user}{name}".encode(), usedforsecurity=False)
    return {
        "%": "%",
        "C": digest.hexdigest(),
        "d": str(Path.home()),
        "h": host,
        "i": str(os.getuid()) if hasattr(os, "getuid") else "",
        "j": name,
        "k": alias or typed,
        "L": machine.partition(".")[0],
        "l": machine,
        "n": typed,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
    }


def _expanded(option: str, text: str, tokens: Mapping[str, str], places: Places) -> str:
    def token(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise LoginError(
                f"{places.where(option, text)} can't be used",
                why=f"{found[0]} is none of the tokens that it may have: {text}",
                hint="see TOKENS in: man ssh_config",
            )
        return tokens[found[1]]

    return _TOKEN.sub(token, text)


def _path(text: str) -> Path:
    """~ and ${VARIABLE} replaced; what can't be replaced stays."""
    replaced = _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), text)
    try:
        return Path(replaced).expanduser()
    except RuntimeError:  # ~user, and there is no such user
        return Path(replaced)


def _agent(printed: Printed, tokens: Mapping[str, str]) -> str | None:
    text = next(iter(printed.get("identityagent", ())), "")
    if not text or text == "SSH_AUTH_SOCK":
        return None
    if text.lower() == "none":
        return ""
    if text.startswith("$") and not text.startswith("${"):
        # A variable that is not set is an agent that is not there.
        return os.environ.get(text[1:], "")
    # Newer versions print it with its tokens replaced.
    return str(_path(_TOKEN.sub(lambda found: tokens.get(found[1], found[0]), text)))


def _files(printed: Printed, option: str, places: Places) -> list[Path]:
    """The files of a list that OpenSSH prints in one line, without marks around what has spaces (Windows' home folders).

    Where the configuration writes just these, they are told apart as they are written there.
    """
    found: list[str] = []
    for line in printed.get(option, ()):
        if written := places.words(option, line):
            found += written
            continue
        several = not _PATH_BEGINS.match(line)
        for word in line.split(" "):
            if found and word and not several and not _PATH_BEGINS.match(word):
                found[-1] += f" {word}"
            elif word:
                found.append(word)
    return [_path(name) for name in found if name.lower() not in ("none", os.devnull)]


def _seconds(text: str) -> float | None:
    return float(text) if text.isdigit() and int(text) > 0 else None


def _algorithms(printed: Printed, usual: Printed, places: Places) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    for option, (name, known, usual_here) in _ALGORITHMS.items():
        values = list(printed.get(option.lower(), ()))
        if not values or values == list(usual.get(option.lower(), ())):
            continue
        words = [word for value in values for word in value.split(",")]
        ours = {algorithm.decode() for algorithm in known()}
        if option == "PubkeyAcceptedAlgorithms":
            words = list(dict.fromkeys(word.replace("-cert-v01@openssh.com", "") for word in words))
            words = [f"{word}@openssh.com" if word.startswith("sk-") and "@" not in word else word for word in words]
        fits = tuple(dict.fromkeys(word for word in words if word in ours))
        if not fits:
            raise LoginError(
                f"{places.where(option)} names no algorithm that kfinstall has",
                why=f"it names {', '.join(map(clean, words))}",
                hint=f"allow one of these there, too: {', '.join(one for one in usual_here() if not _WEAK.search(one))}",
            )
        chosen[name] = fits
    return chosen


def _texts(names: Sequence[bytes]) -> list[str]:
    return [name.decode() for name in names]


def _notes(printed: Printed, places: Places) -> list[str]:
    lines = []
    for option, text in ssh_options.NOTES.items():
        value = next(iter(printed.get(option.lower(), ())), "")
        if value and value.lower() not in ("no", "false", "none"):
            lines.append(f"{places.where(option, value)}: {text.format(value=clean(value))}")
    return lines
