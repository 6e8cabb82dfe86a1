"""Where a connection begins on this computer: BindAddress and BindInterface of the user's SSH configuration."""

from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kfinstall.errors import LoginError

if TYPE_CHECKING:
    from kfinstall.transport.ssh_settings import Settings

_ADDRESS_OF: Final = 0x8915
"""SIOCGIFADDR of Linux."""
_IPV6_OF_INTERFACES: Final = Path("/proc/net/if_inet6")


def local_address(settings: Settings) -> tuple[str, int] | None:
    """The local address and port to begin at; None for any.

    Raises:
        LoginError: the interface has none, or this system does not tell it.
    """
    if settings.bind_address:
        return settings.bind_address, 0
    if not settings.bind_interface:
        return None
    name = settings.bind_interface
    found = _ipv4(name) if settings.family != socket.AF_INET6 else None
    found = found or (_ipv6(name) if settings.family != socket.AF_INET else None)
    if found is None:
        raise LoginError(
            f"{settings.places.where('BindInterface', name)} can't be taken over",
            why=f"no address of the interface {name} could be found on this computer",
            hint="write BindAddress with that address instead",
        )
    return found, 0


def _ipv4(name: str) -> str | None:
    with suppress(ImportError, OSError):
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            reply = fcntl.ioctl(probe.fileno(), _ADDRESS_OF, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(reply[20:24])
    return None


def _ipv6(name: str) -> str | None:
    with suppress(OSError, ValueError):
        for line in _IPV6_OF_INTERFACES.read_text("ascii").splitlines():
            digits, *_rest, owner = line.split()
            address = ipaddress.IPv6Address(int(digits, 16))
            if owner == name and not address.is_link_local:
                return str(address)
    return None
