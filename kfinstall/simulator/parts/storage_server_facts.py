"""Section nfs-server: what a simulated node takes the NFS server's name for."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final

_ADDRESS: Final = "10.99.0.1"
"""The simulated network knows every name."""


def render(parameters: Mapping[str, str]) -> str:
    """What scripts/storage/facts-nfs-server.sh prints."""
    name = parameters.get("NFS_ADDRESS", "")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return f"{_ADDRESS}\n" if name else ""
    return ""
