"""What the steps of phase registry, and those that push images, read of a node beyond what every node is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from kfinstall.answers.model import Answers
from kfinstall.facts.section import FactSection

_MOST_DIGITS: Final = 18
"""Of a number: enough for every disk and every date."""


@dataclass(frozen=True, slots=True)
class RegistryFacts(FactSection):
    """The registry as one node sees it; certificate and storage on its own node only."""

    section: ClassVar[str] = "registry"
    script: ClassVar[str] = "registry/facts"
    order: ClassVar[int] = 61

    status: int = 0
    """HTTP status of GET /v2/ as the node sees it; 0 where there was no answer."""
    expires_at: float = 0.0
    """End of the server certificate, epoch seconds; 0 where there is none."""
    names: tuple[str, ...] = ()
    """Subject alternative names of the server certificate, as openssl writes them, sorted."""
    used_bytes: int | None = None
    """What the registry's directory holds; None where there is none, or it could not be counted in time."""
    ca_sha256: str = ""
    """SHA-256 of the CA certificate's file; empty on other nodes."""
    trusted: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Folder of this registry, of those that containerd is told to look in, to the SHA-256 of the CA certificate there."""

    @property
    def answers(self) -> bool:
        """Whether a registry answered: 200, or 401 for a visitor without a login."""
        return self.status in (200, 401)

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """How the registry is called, and where its images lie."""
        if not answers.registry.enabled:
            return {}
        return {"REGISTRY_HOST": answers.registry_host, "REGISTRY_DIRECTORY": answers.registry.directory}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """`key=value` lines. Whatever is not understood counts as absent: then the registry is set up anew, which mends it."""
        values = {key: value for key, separator, value in (line.partition("=") for line in lines) if separator}
        digits = {key: int(values[key]) for key in ("status", "expires_at", "used_bytes") if _is_number(values.get(key, ""))}
        return cls(
            status=digits.get("status", 0),
            expires_at=float(digits.get("expires_at", 0)),
            names=tuple(sorted(values.get("names", "").split())),
            used_bytes=digits.get("used_bytes"),
            ca_sha256=values.get("ca_sha256", ""),
            trusted={path: sum_ for line in lines if line.startswith("trusted=") for sum_, _, path in (line[8:].partition(" "),)},
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
