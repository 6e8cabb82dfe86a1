"""storage.default-class: exactly one StorageClass is the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import ClusterFacts, Document, ListQuery, Ref
from kfinstall.parts.storage import provisioner

_API: Final = "storage.k8s.io/v1"


class StorageDefaultClass(ObjectsStep):
    """Two defaults make claims land anywhere, none leaves them pending for ever."""

    id: ClassVar[str] = "storage.default-class"
    title: ClassVar[str] = "Make one class the default"
    timeout_seconds: ClassVar[float] = 60
    estimate_seconds: ClassVar[float] = 1
    lists: ClassVar[tuple[ListQuery, ...]] = (provisioner.CLASSES,)

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The class."""
        return {"CLASS": view.answers.storage_class}

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """Ours is the default, and no other is."""
        name, defaults = view.answers.storage_class, _defaults(view.cluster)
        changes = [f"take the default from StorageClass {other}" for other in defaults if other != name]
        if provisioner.DEFAULT not in defaults.get(name, ()):
            changes.append(f"make StorageClass {name} the default")
        return tuple(changes)

    @override
    def evidence(self, view: View) -> str:
        """The class."""
        return f"{view.answers.storage_class} is the one default class"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Others first: never two at the same time."""
        view, cluster = context.view, await context.cluster()
        for name, marks in _defaults(view.cluster).items():
            if name != view.answers.storage_class:
                context.say(f"StorageClass {name} is not the default any more")
                found = view.cluster.get(_API, "StorageClass", name) if view.cluster else None
                await cluster.apply(_without_default(found or {}, name, marks))
        await provisioner.apply_class(cluster, view, context)


def _without_default(found: Document, name: str, marks: Sequence[str]) -> Document:
    """What to apply so that a class is no default. Of others' classes nothing but that; our own are written whole.

    Server-side apply takes away what a manager had applied and leaves out: of a class of our own, its provisioner.
    """
    metadata: dict[str, Any] = {"name": name, "annotations": dict.fromkeys(marks, "false")}
    about = found.get("metadata") or {}
    labels = about.get("labels") or {}
    if not stamp.LABELS.items() <= labels.items():
        return {"apiVersion": _API, "kind": "StorageClass", "metadata": metadata}
    metadata = {"name": name, "labels": labels, "annotations": {**(about.get("annotations") or {}), **metadata["annotations"]}}
    return {**found, "apiVersion": _API, "kind": "StorageClass", "metadata": metadata}


def _defaults(cluster: ClusterFacts | None) -> dict[str, list[str]]:
    """Names of the classes that say that they are the default, with the annotations that say it."""
    found: dict[str, list[str]] = {}
    for item in cluster.of_kind("StorageClass") if cluster else []:
        annotations = (item.get("metadata") or {}).get("annotations") or {}
        marks = [mark for mark in (provisioner.DEFAULT, provisioner.OLD_DEFAULT) if annotations.get(mark) == "true"]
        if marks:
            found[Ref.of(item).name] = marks
    return found
