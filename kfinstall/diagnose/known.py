"""What is known of a cluster while something is explained: lists are read when an explanation first asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from kfinstall.errors import KfError
from kfinstall.kube.base import Cluster, Document, ListQuery, Ref

_ROUNDS: Final = 24
"""Each round reads what the last one asked for; chains are shorter than this."""
_LOG_LINES: Final = 30
_METADATA_ONLY: Final = frozenset({"Secret", "ConfigMap"})
"""Whether one is there is all that is asked; their contents are never read."""

Result = TypeVar("Result")
Planned = Mapping[Ref, tuple[Document, tuple[Ref, ...]]]
"""What will be sent, each with the objects that it waits for."""
Container = tuple[Ref, str]
"""A pod and the name of one of its containers."""


class Known:
    """Lists of a cluster. Pure: what is not there yet is noted in `open_lists` and `open_logs`, and counts as empty."""

    def __init__(
        self,
        documents: Iterable[Document] | None = None,
        logs: Mapping[Ref, Sequence[str]] | None = None,
        planned: Planned | None = None,
    ) -> None:
        """With `documents` those are all there is (`logs`: of every container of a pod); without, nothing was read yet."""
        self.planned: Planned = planned or {}
        self._whole = None if documents is None else list(documents)
        self._pod_logs = dict(logs or {})
        self._lists: dict[ListQuery, list[Document]] = {}
        self._unread: set[ListQuery] = set()
        self._logs: dict[Container, tuple[str, ...]] = {}
        self._unreadable: dict[Container, str] = {}
        self.open_lists: set[ListQuery] = set()
        self.open_logs: set[Container] = set()

    def all(self, api_version: str, kind: str, namespace: str = "") -> list[Document]:
        """All objects of a kind, in a namespace or everywhere."""
        want = ListQuery(api_version, kind, namespace, metadata_only=kind in _METADATA_ONLY)
        if want not in self._lists and self._whole is not None:
            self._lists[want] = [item for item in self._whole if _is(item, want)]
        if want not in self._lists and want not in self._unread:
            self.open_lists.add(want)
        return self._lists.get(want, [])

    def get(self, ref: Ref) -> Document | None:
        """One object; None where it is not there, or was not read."""
        return next((item for item in self.all(ref.api_version, ref.kind, ref.namespace) if Ref.of(item).name == ref.name), None)

    def lacks(self, ref: Ref) -> bool:
        """Whether it is sure that an object is not there."""
        found = self.get(ref)
        want = ListQuery(ref.api_version, ref.kind, ref.namespace, metadata_only=ref.kind in _METADATA_ONLY)
        return found is None and want in self._lists

    def planned_of(self, kind: str, namespace: str) -> list[Document]:
        """What will be sent of a kind into a namespace."""
        return [document for ref, (document, _needs) in self.planned.items() if (ref.kind, ref.namespace) == (kind, namespace)]

    def log(self, pod: Ref, container: str) -> tuple[str, ...]:
        """The last lines of a container's log; empty where there is none."""
        if self._whole is not None:
            return tuple(self._pod_logs.get(pod, ()))
        key = (pod, container)
        if key not in self._logs and key not in self._unreadable:
            self.open_logs.add(key)
        return self._logs.get(key, ())

    def why_no_log(self, pod: Ref, container: str) -> str:
        """Why a log can't be read; empty where it can."""
        return self._unreadable.get((pod, container), "")

    def unreadable(self, pod: Ref, container: str, why: str) -> None:
        """Note that a log can't be read."""
        self._unreadable[pod, container] = why

    def put(self, want: ListQuery, documents: Iterable[Document]) -> None:
        """Take a list that was read already."""
        self._lists[want] = list(documents)

    async def read(self, cluster: Cluster) -> bool:
        """Read what was asked for and is not there yet; whether there was anything. What can't be read stays unknown."""
        wants, logs = sorted(self.open_lists, key=repr), sorted(self.open_logs)
        self.open_lists, self.open_logs = set(), set()
        await asyncio.gather(*(self._list(cluster, want) for want in wants), *(self._log(cluster, *key) for key in logs))
        return bool(wants or logs)

    async def _list(self, cluster: Cluster, want: ListQuery) -> None:
        try:
            self._lists[want] = await cluster.list(want)
        except KfError:
            self._unread.add(want)

    async def _log(self, cluster: Cluster, pod: Ref, container: str) -> None:
        try:
            self._logs[pod, container] = await cluster.logs(pod.namespace, pod.name, container=container, tail_lines=_LOG_LINES)
        except KfError as error:
            self.unreadable(pod, container, error.why or error.message)


def _is(document: Document, want: ListQuery) -> bool:
    ref = Ref.of(document)
    return ref.kind == want.kind and ref.api_version in ("", want.api_version) and want.namespace in ("", ref.namespace)


async def explained(cluster: Cluster, ask: Callable[[Known], Result], begin: Known | None = None) -> Result:
    """What a pure function of `Known` gives, once all that it asks for was read."""
    known = begin or Known()
    for _round in range(_ROUNDS):
        found = ask(known)
        if not await known.read(cluster):
            return found
    return ask(known)
