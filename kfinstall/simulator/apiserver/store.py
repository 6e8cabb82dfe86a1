"""Objects of the simulated cluster, their history for watches, and their log on disk."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

Document = dict[str, Any]
_HISTORY: Final = 20_000
"""Changes that a watch can go back; an older resourceVersion is gone (410)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object; `old` is None for a new object, `new` for a deleted one."""

    revision: int
    key: str
    """Kind.key"""
    old: Document | None
    new: Document | None


Listener = Callable[[Change], None]


def identity(document: Document) -> tuple[str, str]:
    """(namespace, name) of a document."""
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Store:
    """Objects by kind key, namespace and name. What it gives is never to be changed in place."""

    def __init__(self, path: Path) -> None:
        """`path`: the log, one JSON line per change. A torn last line is left out."""
        self._path = path
        self._objects: dict[str, dict[tuple[str, str], Document]] = {}
        self._order: dict[str, list[tuple[str, str]]] = {}
        self._listeners: list[Listener] = []
        self._log: TextIOWrapper | None = None
        self.revision = 1
        self.history: deque[Change] = deque(maxlen=_HISTORY)
        self.first_revision = 1
        """Watches can begin after this revision."""

    def load(self) -> None:
        """Read the log, and write it anew without what is outdated."""
        if self._path.exists():
            with self._path.open(encoding="utf-8") as lines:
                for line in lines:
                    self._replay(line)
        self.first_revision = self.revision
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            for key, objects in self._objects.items():
                for document in objects.values():
                    out.write(_line(self.revision, key, *identity(document), document))
        temporary.replace(self._path)
        self._log = self._path.open("a", encoding="utf-8")

    def _replay(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        self.revision = max(self.revision, entry["r"])
        objects = self._objects.setdefault(entry["k"], {})
        if entry["o"] is None:
            objects.pop((entry["s"], entry["n"]), None)
        else:
            objects[entry["s"], entry["n"]] = entry["o"]

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener at each change; what comes back ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def get(self, key: str, namespace: str, name: str) -> Document | None:
        """One object, or None."""
        return self._objects.get(key, {}).get((namespace, name))

    def list(self, key: str, namespace: str | None = None) -> list[Document]:
        """All objects of a kind, sorted by namespace and name; None for every namespace."""
        objects = self._objects.get(key, {})
        order = self._order.get(key)
        if order is None or len(order) != len(objects):
            # Only a new or removed object changes the order; sorting at each list is most of a controller's time otherwise.
            order = self._order[key] = sorted(objects)
        return [objects[where] for where in order if namespace is None or where[0] == namespace]

    def in_namespace(self, namespace: str) -> Iterator[tuple[str, Document]]:
        """(kind key, object) of everything in a namespace."""
        for key, objects in list(self._objects.items()):
            for where, document in list(objects.items()):
                if where[0] == namespace:
                    yield key, document

    def put(self, key: str, document: Document) -> Document:
        """Store an object under a new resourceVersion; gives it as stored."""
        self.revision += 1
        stored = {**document, "metadata": {**document["metadata"], "resourceVersion": str(self.revision)}}
        objects = self._objects.setdefault(key, {})
        where = identity(stored)
        old = objects.get(where)
        objects[where] = stored
        if old is None:
            self._order.pop(key, None)
        self._tell(Change(self.revision, key, old, stored))
        return stored

    def remove(self, key: str, namespace: str, name: str) -> Document | None:
        """Remove an object; gives its last form."""
        old = self._objects.get(key, {}).pop((namespace, name), None)
        if old is None:
            return None
        self._order.pop(key, None)
        self.revision += 1
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self._tell(Change(self.revision, key, old, None))
        return gone

    def clear(self) -> None:
        """Lose everything, as with the last member of etcd; nobody is told, for nobody is served any more."""
        self._objects.clear()
        self._order.clear()
        self.history.clear()
        self.first_revision = self.revision
        if self._log is not None:
            self._log.truncate(0)

    def forget(self, revision: int) -> None:
        """Keep no history of what was before a revision, as after a compaction."""
        self.first_revision = max(self.first_revision, revision)

    def list_at(self, revision: int, key: str, namespace: str | None = None) -> Sequence[Document] | None:
        """All objects of a kind as they were right after a revision; None where that is forgotten."""
        if revision < self.first_revision:
            return None
        found = dict(self._objects.get(key, {}))
        for change in reversed(self.history):
            if change.revision <= revision:
                break
            document = change.new or change.old
            if change.key != key or document is None:
                continue
            if change.old is None:
                found.pop(identity(document), None)
            else:
                found[identity(document)] = change.old
        return [found[where] for where in sorted(found) if namespace is None or where[0] == namespace]

    def _tell(self, change: Change) -> None:
        if len(self.history) == _HISTORY:
            self.first_revision = self.history[0].revision
        self.history.append(change)
        if self._log is not None:
            document = change.new or change.old
            where = identity(document) if document is not None else ("", "")
            self._log.write(_line(change.revision, change.key, *where, change.new))
            self._log.flush()
        for listener in list(self._listeners):
            listener(change)


def _line(revision: int, key: str, namespace: str, name: str, document: Document | None) -> str:
    return json.dumps({"r": revision, "k": key, "s": namespace, "n": name, "o": document}, separators=(",", ":")) + "\n"
