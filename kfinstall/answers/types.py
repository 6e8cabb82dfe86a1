"""Field types of the answers. The wizard validates with the same types, so it can't accept what a file may not say."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Strict

_ALIAS: Final = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9._+~=%#]{0,252}")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ENDPOINT: Final = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
_SIZE: Final = re.compile(r"([1-9][0-9]*)(Ki|Mi|Gi|Ti)")
_UNITS_BYTES: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_PATH: Final = re.compile(r"/[A-Za-z0-9._@+,=:/ '\"()&;$-]*")


def dns_label(value: str) -> str:
    """A lower-case DNS label of at most 63 characters (RFC 1123).

    Raises:
        ValueError: it is none.
    """
    if not _LABEL.fullmatch(value):
        raise ValueError(f"{value!r} is not a DNS label: lower-case letters, digits and '-', at most 63, no '-' at the ends")
    return value


def node_name(value: str) -> str:
    """DNS labels joined by dots, at most 253 characters: what the kubelet accepts as a node's name.

    Raises:
        ValueError: it is none.
    """
    if len(value) > 253 or not all(_LABEL.fullmatch(part) for part in value.split(".")):
        raise ValueError(f"{value!r} is not a node name: lower-case letters, digits, '-' and '.'; for example worker1")
    return value


def host_address(value: str) -> str:
    """An IP address or a DNS name.

    Raises:
        ValueError: it is neither, or holds for one machine only (%zone).
    """
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        if "%" in value:
            raise ValueError(f"{value!r} holds for one machine only; write the address without '%'")
        return str(address)
    if re.fullmatch(r"[0-9.]+", value) or len(value) > 253:
        raise ValueError(f"{value!r} is neither an IP address nor a DNS name")
    if not all(_LABEL.fullmatch(part) for part in value.lower().rstrip(".").split(".")):
        raise ValueError(f"{value!r} is neither an IP address nor a DNS name")
    return value.lower()


def node_address(value: str) -> str:
    """The same, for a node; what is only an alias for ssh is told where to write it, as the other nodes and kubeadm need a real one.

    Raises:
        ValueError: it is neither, or holds for one machine only (%zone).
    """
    try:
        return host_address(value)
    except ValueError as error:
        user, at, host = value.partition("@")
        if at and user and host:
            raise ValueError(f"{error}: take '{user}@' out, and write ssh: {{user: {user}}}") from error
        odd = next((sign for sign in value if not re.fullmatch(r"[A-Za-z0-9.-]", sign)), "")
        if not _ALIAS.fullmatch(value) or not odd or "%" in value:
            raise
        raise ValueError(
            f"{error}, because of {odd!r}; an alias of ~/.ssh/config is for ssh alone: write the server's address here,"
            f" and ssh: {{host: {value}}}, or rename the alias"
        ) from error


def ssh_host(value: str) -> str:
    """What ssh takes for a host: an IP address, also one of a network of this computer (%zone), a DNS name, or an alias of ~/.ssh/config.

    Raises:
        ValueError: it is none.
    """
    try:
        return str(ipaddress.IPv6Address(value)) if "%" in value else host_address(value)
    except ValueError:
        if _ALIAS.fullmatch(value) and not re.fullmatch(r"[0-9.]+", value):
            return value
        raise


def cidr(value: str) -> str:
    """An IPv4 or IPv6 network in CIDR form, without host bits.

    Raises:
        ValueError: it is none, or has host bits.
    """
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not a network in CIDR form such as 10.244.0.0/16: {error}") from error


def endpoint(value: str) -> str:
    """host or host:port, an IPv6 address in brackets, as URLs and kubeadm have it; port 6443 where absent.

    Raises:
        ValueError: it is none; how to write it.
    """
    match = _ENDPOINT.fullmatch(value)
    if match is None:
        if value.count(":") > 1 or "[" in value or "]" in value:
            raise ValueError(f"{value!r} is not host:port; an IPv6 address stands in brackets: [fd00::1]:6443")
        raise ValueError(f"{value!r} is not host:port, such as k8s.example.com:6443")
    host, port = match["ipv6"] or match["host"], match["port"] or "6443"
    if not 0 < int(port) < 65536:
        raise ValueError(f"{port} is not a TCP port")
    address = host_address(host).rstrip(".")
    if (":" in address) is (match["ipv6"] is None):
        raise ValueError(
            f"{value!r}: brackets are for an IPv6 address, such as [fd00::1]:6443; write a name or an IPv4 address without"
        )
    return f"{f'[{address}]' if ':' in address else address}:{int(port)}"


def endpoint_host(value: str) -> str:
    """The host of an endpoint of the form of `endpoint`, an IPv6 address without its brackets."""
    return value.rpartition(":")[0].removeprefix("[").removesuffix("]")


def absolute_path(value: str) -> str:
    """A normalised absolute POSIX path; not / itself.

    Raises:
        ValueError: it is none.
    """
    if not _PATH.fullmatch(value) or ".." in value.split("/"):
        raise ValueError(f"{value!r} is not an absolute path without '..' and control characters")
    path = str(PurePosixPath("/" + value.strip("/")))
    if path == "/":
        raise ValueError("'/' itself can't be used; name a directory")
    return path


def size(value: str) -> str:
    """A size in Kubernetes' binary units: 10Gi.

    Raises:
        ValueError: it has another form.
    """
    if not _SIZE.fullmatch(value):
        raise ValueError(f"{value!r} is not a size such as 10Gi (Ki, Mi, Gi or Ti)")
    return value


def size_bytes(value: str) -> int:
    """A size of the form of `size`, in bytes.

    Raises:
        ValueError: it has another form.
    """
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    return int(match[1]) * _UNITS_BYTES[match[2]]


def kubernetes_version(value: str) -> str:
    """1.34 or 1.34.2, without a leading v.

    Raises:
        ValueError: it has another form.
    """
    plain = value.removeprefix("v")
    if not re.fullmatch(r"1\.[0-9]{1,2}(\.[0-9]{1,2})?", plain):
        raise ValueError(f"{value!r} is not a Kubernetes version such as 1.34 or 1.34.2 (quote it: '1.30' is a number otherwise)")
    return plain


def email(value: str) -> str:
    """An e-mail address, as far as dex and a namespace's name need one.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise ValueError(f"{value!r} is not an e-mail address")
    return value


def http_url(value: str) -> str:
    """An http or https URL without a login in it.

    Raises:
        ValueError: it is none. The value, which may hold a password, is not repeated.
    """
    if not re.fullmatch(r"https?://[^\s@/]+(/[^\s]*)?", value):
        raise ValueError("not an http:// or https:// URL without a login in it")
    return value


def env_name(value: str) -> str:
    """The name of an environment variable.

    Raises:
        ValueError: it is none. The value, which may be the secret itself, is not repeated.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("not the name of an environment variable: letters, digits and '_'; the secret itself may not stand here")
    return value


def local_file(value: str) -> str:
    """A path on the installer's machine. What it can't be is a key pasted in its place, so the value is never repeated.

    Raises:
        ValueError: it can't be one.
    """
    if not value.strip() or not value.isprintable() or "BEGIN " in value:
        raise ValueError("not the path of a file; a key or certificate itself may not stand here")
    return value


def login_name(value: str) -> str:
    """A login name: no spaces, no control characters, no '-' in front (ssh would take it for an option).

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]{0,63}\$?", value):
        raise ValueError(f"{value!r} is not a login name")
    return value


def image(value: str) -> str:
    """An image by tag or digest, never by latest, so that the same answers give the same cluster.

    Raises:
        ValueError: it has neither tag nor digest, or the tag latest.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})", value):
        raise ValueError(f"{value!r} is not an image with a tag or a digest, such as docker.io/library/spark:3.5.2")
    if value.endswith(":latest"):
        raise ValueError("name a tag that stays what it is, not latest")
    return value


def direct_host(value: str) -> str:
    """What goes past a proxy: a host, a domain with a dot in front, an address or a network.

    Raises:
        ValueError: it is none of these.
    """
    if not re.fullmatch(r"[A-Za-z0-9.*:_\[\]/-]+", value):
        raise ValueError(f"{value!r} is not a host, a domain such as .example.com, or a network; one per item of the list")
    return value


DnsLabel = Annotated[str, AfterValidator(dns_label)]
NodeName = Annotated[str, AfterValidator(node_name)]
SshHost = Annotated[str, AfterValidator(ssh_host)]
NodeAddress = Annotated[str, AfterValidator(node_address)]
HostAddress = Annotated[str, AfterValidator(host_address)]
Cidr = Annotated[str, AfterValidator(cidr)]
Endpoint = Annotated[str, AfterValidator(endpoint)]
AbsolutePath = Annotated[str, AfterValidator(absolute_path)]
Size = Annotated[str, AfterValidator(size)]
KubernetesVersion = Annotated[str, AfterValidator(kubernetes_version)]
Email = Annotated[str, AfterValidator(email)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
EnvName = Annotated[str, AfterValidator(env_name)]
LocalFile = Annotated[str, AfterValidator(local_file)]
LoginName = Annotated[str, AfterValidator(login_name)]
Image = Annotated[str, AfterValidator(image)]
DirectHost = Annotated[str, AfterValidator(direct_host)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
NodePort = Annotated[int, Strict(), Field(ge=30000, le=32767)]
Flag = Annotated[bool, Strict()]
"""true or false; no other word."""
