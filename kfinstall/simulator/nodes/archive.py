"""What Ubuntu's archive has: versions of packages, and what else comes with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_NFS: Final = "1:2.6.4-3ubuntu5"
_OTHER: Final = "1.0-1ubuntu1"
_VERSIONS: Final[Mapping[str, str]] = {
    "containerd": "2.2.1-0ubuntu1",
    "curl": "8.5.0-2ubuntu10",
    "docker-cli": "29.1.3-0ubuntu1",
    "docker-registry": "2.8.3+ds1-2",
    "docker.io": "29.1.3-0ubuntu1",
    "git": "1:2.43.0-1ubuntu7",
    "jq": "1.7.1-3ubuntu1",
    "nfs-common": _NFS,
    "nfs-kernel-server": _NFS,
    "openssl": "3.0.13-0ubuntu3",
    "runc": "1.3.4-0ubuntu1",
    "systemd-timesyncd": "255.4-1ubuntu8.8",
}
_BRINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "containerd": ("runc",),
    "docker.io": ("containerd",),
    "nfs-kernel-server": ("nfs-common",),
}


def bring(*packages: str) -> Iterator[tuple[str, str]]:
    """(name, version) of these packages, each behind those that it depends on."""
    for name in packages:
        yield from bring(*_BRINGS.get(name, ()))
        yield name, _VERSIONS.get(name, _OTHER)
