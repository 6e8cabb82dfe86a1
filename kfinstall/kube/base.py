"""What the engine may ask of a cluster. Documents are plain dicts; only this package imports kubernetes and aiohttp."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Names one object."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Ref:
        """The reference to a document."""
        metadata = document.get("metadata") or {}
        return cls(
            str(document.get("apiVersion", "")),
            str(document.get("kind", "")),
            str(metadata.get("name", "")),
            str(metadata.get("namespace", "")),
        )


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list that the checks of a plan need: all objects of a kind, in a namespace or everywhere."""

    api_version: str
    kind: str
    namespace: str = ""
    metadata_only: bool = False
    """Secrets and CRDs are only ever read so."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the list calls told. A kind that the server does not know is an empty list."""

    version: str = ""
    """Server version, for example v1.34.2."""
    objects: Mapping[Ref, Document] = field(default_factory=dict)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Document | None:
        """One object, or None."""
        return self.objects.get(Ref(api_version, kind, name, namespace))

    def of_kind(self, kind: str, namespace: str | None = None) -> list[Document]:
        """All objects of a kind, in a namespace if one is given, by name."""
        chosen = [ref for ref in self.objects if ref.kind == kind and namespace in (None, ref.namespace)]
        return [self.objects[ref] for ref in sorted(chosen)]


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one server-side apply."""

    ref: Ref
    changed: bool
    conflicts: tuple[str, ...] = ()
    """Field managers that were overridden."""
    fields: str = ""
    """Short hash of the fields that kfinstall now owns in it; another one later means that somebody changed it."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """Not there yet: the reason in the user's words, with the remedy where one is known."""

    reason: str
    hint: str = ""
    hopeless: bool = False
    """Waiting alone never ends it: an image that its registry does not have."""


Probe = Callable[[Document | None], NotReady | None]
"""Looks at an object (None where it does not exist): None when it is as wanted, else what is missing."""


class Cluster(Protocol):
    """The Kubernetes API."""

    async def snapshot(self, wants: Sequence[ListQuery]) -> ClusterFacts:
        """Read the lists that checks need, concurrently, in pages."""

    async def get(self, ref: Ref) -> Document | None:
        """One object, or None where it (or its kind) does not exist."""

    async def list(self, want: ListQuery, *, label_selector: str = "") -> list[Document]:
        """All objects that a want names."""

    async def apply(self, document: Document, *, timeout_seconds: float = 60) -> Applied:
        """Server-side apply with field manager kfinstall, forced.

        429, 5xx and a webhook that is not up yet are retried until the limit.
        """

    async def delete(self, ref: Ref, *, timeout_seconds: float = 60, orphan: bool = False) -> bool:
        """Delete in the background and wait until it is gone; False where it was not there. `orphan`: what it owns stays."""

    async def release(self, ref: Ref, *, timeout_seconds: float = 60) -> bool:
        """Take all finalizers off an object, so that a deletion ends; False where it is not there."""

    async def wait(self, ref: Ref, probe: Probe, *, timeout_seconds: float, say: Callable[[str], None]) -> Document | None:
        """Watch one object until the probe is content; every new reason is said, with what it waits for and since when.

        Raises:
            StepTimeoutError: with the last reason and its remedy.
        """

    async def logs(self, namespace: str, pod: str, *, container: str = "", tail_lines: int = 200) -> tuple[str, ...]:
        """The last lines of a container's log, cleaned."""
