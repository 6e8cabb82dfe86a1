"""A step that wants objects to be in the cluster: which lists it reads, its check, what it sends and waits for follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.workloads import wait_available
from kfinstall.engine.step import ApplyContext, Check, Conflict, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Document, ListQuery, Ref

WORKLOADS: Final = frozenset({"DaemonSet", "Deployment", "StatefulSet"})
"""Kinds of apps/v1 whose pods become available."""


class ObjectsStep(Step):
    """Objects are in the cluster as they would be written, and their workloads are available.

    Subclasses say `documents` and `evidence`. Where that is not all, they say more with `conflict`, `changes`, `waited`,
    `lists` and `whole`, or do more in `send` and `apply`: an object that holds a secret is none of `documents`.
    """

    scope: ClassVar[Scope] = Scope.CLUSTER
    lists: ClassVar[tuple[ListQuery, ...]] = ()
    """What the check reads beside the lists that its objects are in."""
    whole: ClassVar[frozenset[str]] = frozenset()
    """Kinds of its objects of which the check reads more than the metadata, which hold the stamp. Of what is waited for it always does."""

    def evidence(self, view: View) -> str:
        """How it is known that nothing is to be done, where nothing is."""
        raise NotImplementedError

    def conflict(self, view: View) -> Conflict | None:
        """What is in the way; None where nothing is."""

    def changes(self, view: View) -> tuple[str, ...]:
        """What is to be changed, one line each: objects that are missing, or are not the newest form."""
        return stamp.outdated(view.cluster, self.documents(view))

    def waited(self, view: View) -> Sequence[Ref]:
        """What must be available in the end: its workloads."""
        return [Ref.of(document) for document in self.documents(view) if document["kind"] in WORKLOADS]

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """A list for each kind and namespace of its objects, of as little of them as the check reads."""
        waited = self.waited(view)
        read: dict[tuple[str, str, str], bool] = {}
        for ref in (*map(Ref.of, self.documents(view)), *waited):
            key = ref.api_version, ref.kind, ref.namespace
            read[key] = read.get(key, False) or ref in waited or ref.kind in self.whole
        found = (ListQuery(*key, metadata_only=not whole) for key, whole in read.items())
        return tuple(dict.fromkeys((*found, *self.lists)))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Its objects, by their hashes."""
        return {"OBJECTS": " ".join(stamp.content(document) for document in self.documents(view))}

    @override
    def check(self, view: View) -> Check:
        """Nothing is in the way, nothing is to be changed, and nothing is waited for."""
        conflict = self.conflict(view)
        if conflict is not None:
            return conflict
        changes = self.changes(view) or self._waits(view)
        return Needed(changes) if changes else Satisfied(self.evidence(view))

    def named(self, ref: Ref) -> str:
        """How a plan calls what is waited for."""
        return str(ref)

    def _waits(self, view: View) -> tuple[str, ...]:
        for ref in self.waited(view):
            waiting = workload_waiting(view.cluster.objects.get(ref) if view.cluster else None)
            if waiting:
                return (f"wait for {self.named(ref)}: {waiting.reason}",)
        return ()

    async def send(self, context: ApplyContext, document: Document) -> None:
        """Apply one of its objects on the server's side, with its stamp."""
        await (await context.cluster()).apply(stamp.stamped(document))

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Send its objects in their order, all of them, and wait for what must be available.

        Raises:
            CommandError: the server refused one.
            StepTimeoutError: something did not become available within the step's limit; with the root cause.
        """
        for document in self.documents(context.view):
            await self.send(context, document)
        waited = self.waited(context.view)
        if waited:
            await wait_available(await context.cluster(), waited, timeout_seconds=self.timeout_seconds, say=context.say)
