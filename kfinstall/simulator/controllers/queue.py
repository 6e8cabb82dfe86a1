"""The engine of the simulated controllers: a queue of objects that changed, and who looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from kfinstall.simulator.apiserver.kinds import Kinds
from kfinstall.simulator.apiserver.objects import Objects
from kfinstall.simulator.apiserver.patches import timestamp
from kfinstall.simulator.apiserver.status import StatusError
from kfinstall.simulator.apiserver.store import Change, Store, identity
from kfinstall.simulator.nodes.model import World

Document = dict[str, Any]
Where = tuple[str, str, str]
"""(kind key, namespace, name)"""
_LINES_PER_DELAY: Final = 1.0
_AT_ONCE: Final = 50
"""Objects that are looked at before others get their turn on the loop."""


class Controllers:
    """Runs reconcilers. Each gets the object that changed, or None once it is gone."""

    def __init__(self, world: World, store: Store, kinds: Kinds, objects: Objects) -> None:
        """Nothing runs before `start`; controllers register themselves with `on` until then."""
        self.world = world
        self.store = store
        self.kinds = kinds
        self.objects = objects
        self.problems: list[str] = []
        """What a reconciler could not do; for tests."""
        self._reconcilers: dict[str, list[Reconciler]] = {}
        self._queue: dict[Where, None] = {}
        self._timers: dict[Where, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def on(self, key: str, reconciler: Reconciler) -> None:
        """Call a reconciler for every change of a kind ('*': of every kind)."""
        self._reconcilers.setdefault(key, []).append(reconciler)

    def start(self) -> None:
        """Begin with everything that is there."""
        self._unsubscribe = self.store.subscribe(self._changed)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="simulated controllers")

    def look_at_everything(self) -> None:
        """Reconcile every object once."""
        for key in {kind.key for kind in self.kinds}:
            for document in self.store.list(key):
                self.enqueue(key, *identity(document))

    async def close(self) -> None:
        """Stop."""
        self._unsubscribe()
        for timer in self._timers.values():
            timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def delay(self, lines: float) -> float:
        """Seconds that so many lines of a script's output take: the measure of everything."""
        return self.world.pace * lines * _LINES_PER_DELAY

    def enqueue(self, key: str, namespace: str, name: str) -> None:
        """Look at an object soon."""
        self._queue[key, namespace, name] = None
        self._wake.set()

    def later(self, seconds: float, key: str, namespace: str, name: str) -> None:
        """Look at an object after a while; the earliest wish counts."""
        where = (key, namespace, name)
        loop = asyncio.get_running_loop()
        old = self._timers.get(where)
        if old is not None and not old.cancelled() and loop.time() < old.when() <= loop.time() + seconds:
            return
        if old is not None:
            old.cancel()
        self._timers[where] = loop.call_later(seconds, self.enqueue, *where)

    def _changed(self, change: Change) -> None:
        document = change.new or change.old
        if document is not None:
            self.enqueue(change.key, *identity(document))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            done = 0
            while self._queue:
                where = next(iter(self._queue))
                del self._queue[where]
                self._reconcile(where)
                done += 1
                if done % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)

    def _reconcile(self, where: Where) -> None:
        key, namespace, name = where
        document = self.store.get(key, namespace, name)
        for reconciler in [*self._reconcilers.get(key, ()), *self._reconcilers.get("*", ())]:
            try:
                reconciler(where, document)
            except StatusError as error:
                # As real controllers do: try again later.
                self.problems.append(f"{key} {namespace}/{name}: {error.message}")
                self.later(max(0.05, self.delay(20)), *where)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                self.problems.append(f"{key} {namespace}/{name}: {type(error).__name__}: {error}")

    # what reconcilers write with

    def create(self, document: Document) -> Document | None:
        """Create an object if it is not there; None where its kind is unknown."""
        kind = self.kinds.by_kind(document["apiVersion"], document["kind"])
        if kind is None:
            return None
        metadata = document["metadata"]
        name = metadata.get("name")
        found = self.store.get(kind.key, metadata.get("namespace", "") if kind.namespaced else "", name) if name else None
        return found or self.objects.create(kind, document)

    def set_status(self, key: str, document: Document, status: Document) -> Document:
        """Write an object's status if it is another one."""
        if document.get("status") == status:
            return document
        return self.store.put(key, {**document, "status": status})

    def pods_of(self, owner: Document) -> list[Document]:
        """The pods that an object owns."""
        uid, namespace = owner["metadata"]["uid"], owner["metadata"].get("namespace", "")
        return [pod for pod in self.store.list("pods", namespace) if owned_by(pod, uid)]

    def record(self, about: Document, reason: str, message: str, *, kind: str = "Warning") -> None:
        """Write an Event."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        name = f"{metadata['name']}.{reason.lower()}"
        old = self.store.get("events", namespace, name)
        if old is not None and old["message"] == message:
            return
        now = timestamp()
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace, "uid": f"event-{name}", "creationTimestamp": now},
            "involvedObject": {
                "kind": about["kind"],
                "apiVersion": about["apiVersion"],
                "name": metadata["name"],
                "namespace": namespace,
                "uid": metadata["uid"],
            },
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "simulator"},
        }
        self.store.put("events", event)


Reconciler = Callable[[Where, Document | None], None]


def owned_by(document: Document, uid: str) -> bool:
    """Whether an object has that owner."""
    return any(owner["uid"] == uid for owner in document["metadata"].get("ownerReferences") or ())


def owner_of(document: Document) -> list[Document]:
    """The ownerReferences of what an object's controller makes."""
    metadata = document["metadata"]
    owner = {"apiVersion": document["apiVersion"], "kind": document["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return [owner | {"controller": True, "blockOwnerDeletion": True}]


def condition(what: str, *, true: bool, reason: str, message: str = "") -> Document:
    """A condition with a transition time of now."""
    status = "True" if true else "False"
    return {"type": what, "status": status, "reason": reason, "message": message, "lastTransitionTime": timestamp()}


def conditions_like(old: Document | None, new: Sequence[Document]) -> list[Document]:
    """The new conditions, with the old transition times where nothing changed."""
    before = {item["type"]: item for item in ((old or {}).get("conditions") or ())}
    kept: list[Document] = []
    for item in new:
        last = before.get(item["type"])
        same = last is not None and all(last.get(field) == item.get(field) for field in ("status", "reason", "message"))
        kept.append(last if same and last is not None else item)
    return kept


def is_true(document: Document | None, what: str) -> bool:
    """Whether an object has a condition with status True."""
    status = (document or {}).get("status") or {}
    return any(item["type"] == what and item["status"] == "True" for item in status.get("conditions") or ())
