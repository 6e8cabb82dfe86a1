"""What server-side apply must know of a field: whether a list has keys, whether a map is one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "webhooks": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "hostAliases": ("ip",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
}
_SETS: Final = ("finalizers",)
_MAPS: Final = ("labels", "annotations", "data", "binaryData", "limits", "requests", "capacity", "allocatable")
_ATOMIC: Final = (
    "selector",
    "labelSelector",
    "namespaceSelector",
    "objectSelector",
    "podSelector",
    "nodeSelector",
    "roleRef",
    "fieldRef",
    "resourceFieldRef",
    "configMapKeyRef",
    "secretKeyRef",
    "stringData",
)
_ONE_VALUE: Final = "one value"
_AT_TOP: Final[Mapping[str, str]] = {"imagePullSecrets": _ONE_VALUE}
"""Fields of an object itself that are not what fields of that name are elsewhere: a ServiceAccount's list, not a pod's."""
_ATOMIC_ITEMS: Final = ("ownerReferences", "imagePullSecrets")


class Shape(Protocol):
    """How one value is owned."""

    @property
    def atomic(self) -> bool:
        """Whether it is owned as a whole."""

    @property
    def granular_map(self) -> bool:
        """Whether it is a map of any keys, which an update owns beside its keys; False for a structure of known fields."""

    @property
    def is_set(self) -> bool:
        """Whether it is a list whose items are owned one by one as values."""

    def keys(self, items: Sequence[Any]) -> tuple[str, ...] | None:
        """The fields that tell a list's items apart; None for a list that is one value."""

    def field(self, name: str) -> Shape:
        """The shape of a field."""

    def item(self) -> Shape:
        """The shape of a list's items."""


class BuiltIn:
    """The shape of a field of a built-in kind, known by its name."""

    __slots__ = ("_is_item", "_name")

    def __init__(self, name: str = "", *, is_item: bool = False) -> None:
        """`name`: of the field, empty for the document itself; `is_item`: whether it is an item of the list of that name."""
        self._name = name
        self._is_item = is_item

    @property
    def atomic(self) -> bool:
        """Selectors and references are one value."""
        return self._name in _ATOMIC_ITEMS if self._is_item else self._name in _ATOMIC

    @property
    def granular_map(self) -> bool:
        """Labels, annotations and the like."""
        return self._name in _MAPS and not self._is_item

    @property
    def is_set(self) -> bool:
        """Finalizers."""
        return self._name in _SETS

    def keys(self, items: Sequence[Any]) -> tuple[str, ...] | None:
        """By the name of the list; of ports by what they hold."""
        if self._name != "ports":
            return _KEYS.get(self._name)
        for key in ("containerPort", "port"):
            if all(isinstance(item, dict) and key in item for item in items):
                return (key, "protocol")
        return None

    def field(self, name: str) -> BuiltIn:
        """What is known of that name."""
        return BuiltIn(name if self._name else _AT_TOP.get(name, name))

    def item(self) -> BuiltIn:
        """The shape of an item, where it is a list."""
        return BuiltIn(self._name, is_item=True)


class Custom:
    """The shape of a field of a custom kind, as its schema says."""

    __slots__ = ("_node", "_top")

    def __init__(self, node: Mapping[str, Any], *, top: bool = False) -> None:
        """`node`: the schema of the value; `top` where it is a whole object."""
        self._node = node
        self._top = top

    @property
    def atomic(self) -> bool:
        """As marked."""
        return self._node.get("x-kubernetes-map-type") == "atomic"

    @property
    def granular_map(self) -> bool:
        """Any object of it: a custom kind has no structures."""
        return True

    @property
    def is_set(self) -> bool:
        """As marked."""
        return self._node.get("x-kubernetes-list-type") == "set"

    def keys(self, items: Sequence[Any]) -> tuple[str, ...] | None:  # noqa: ARG002
        """As marked."""
        if self._node.get("x-kubernetes-list-type") != "map":
            return None
        return tuple(self._node.get("x-kubernetes-list-map-keys") or ())

    def field(self, name: str) -> Shape:
        """By the schema; metadata is the same in all kinds."""
        if self._top and name == "metadata":
            return BuiltIn(name)
        known = (self._node.get("properties") or {}).get(name)
        more = self._node.get("additionalProperties")
        return Custom(known if isinstance(known, Mapping) else more if isinstance(more, Mapping) else {})

    def item(self) -> Shape:
        """By the schema."""
        return Custom(self._node.get("items") or {})
