"""What the steps of phase storage read of a node beyond what every node is asked: its export, and whom it takes the NFS server for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from kfinstall.answers.model import Answers
from kfinstall.facts.section import FactSection, assignments
from kfinstall.parts.storage import limits

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPECIAL: Final = re.compile(r"""[\x00-\x20\x7f"#\\]""")
"""What nfs-utils writes as octal in etab, and nothing else: the same path must read the same in both files."""


def export_path(path: str) -> str:
    """A path as exports(5) and etab write it: blanks, quotes, hashes and backslashes as octal."""
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):03o}", path)


def server_address(text: str) -> Address | None:
    """The IP address that a text is; None for any other text, and for an address that no server is reached by from elsewhere."""
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    special = found.is_loopback or found.is_unspecified or found.is_link_local or found.is_multicast
    return None if special else found


@dataclass(frozen=True, slots=True)
class NfsExport(FactSection):
    """The directory that is served by NFS, as its own node sees it."""

    section: ClassVar[str] = "nfs"
    script: ClassVar[str] = "storage/facts"
    order: ClassVar[int] = 60

    directory: bool = False
    """Whether the directory is there."""
    clients: frozenset[str] = frozenset()
    """Whom the kernel exports it to: addresses, names and patterns as /var/lib/nfs/etab has them."""
    elsewhere: str = ""
    """Path of another exports file than ours that exports the directory too; empty where none does."""

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """The directory, plain and as etab writes it."""
        if answers.storage.type != "nfs":
            return {}
        path = answers.storage.nfs.path
        return {"NFS_PATH": path, "NFS_EXPORT": export_path(path)}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `directory=mode owner`, `clients=blank-separated` and `foreign=path`."""
        values = assignments(cls.section, lines)
        return cls("directory" in values, frozenset(values.get("clients", "").split()), values.get("foreign", ""))


@dataclass(frozen=True, slots=True)
class NfsServerName(FactSection):
    """What a node takes the name of the NFS server for; nothing where the answers give an address."""

    section: ClassVar[str] = "nfs-server"
    script: ClassVar[str] = "storage/facts-nfs-server"
    order: ClassVar[int] = 64

    addresses: tuple[Address, ...] = ()
    """In the order in which they were told, those of the first limits.STORAGE_SERVER_ADDRESSES words."""

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """The server's name or address."""
        return {"NFS_ADDRESS": answers.nfs_address} if answers.storage.type == "nfs" else {}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """One address a line; what is none, or leads to no server, counts for nothing."""
        words = " ".join(lines).split()[: limits.STORAGE_SERVER_ADDRESSES]
        return cls(tuple(found for found in map(server_address, words) if found is not None))
