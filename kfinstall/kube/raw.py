"""Definitions of custom resources that are sent as they were rendered.

Their schemas are nine tenths of Kubeflow's YAML, and parsing it is nearly all of a client's work; nobody here looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

_SEPARATOR: Final = re.compile(r"^---[ \t]*(?:#.*)?$\n?", re.MULTILINE)
_DEFINITION: Final = re.compile(r"^kind: CustomResourceDefinition[ \t]*$", re.MULTILINE)
_VERSIONS: Final = re.compile(r"^  versions:[ \t]*\n(?:(?:  -|   ).*\n|[ \t]*\n)+", re.MULTILINE)
_METADATA: Final = re.compile(r"^metadata:[ \t]*\n(?:(?:  .*)?\n)*?  annotations:[ \t]*\n|^metadata:[ \t]*\n", re.MULTILINE)
_ANNOTATIONS: Final = "  annotations:"
_VERSION_NAME: Final = re.compile(r"^    name: [\"']?([^\s\"']+)", re.MULTILINE)
_VERSION_SERVED: Final = re.compile(r"^    served: true[ \t]*$", re.MULTILINE)


class RawDocument(dict[str, Any]):
    """A document without `spec.versions`, beside the YAML of all of it."""

    __slots__ = ("text",)

    def __init__(self, head: dict[str, Any], text: str) -> None:
        """`head`: the document without what is long; `text`: the YAML of all of it."""
        super().__init__(head)
        self.text = text

    def annotated(self, name: str, value: str) -> RawDocument:
        """With one more annotation."""
        metadata = dict(self["metadata"])
        metadata["annotations"] = {**(metadata.get("annotations") or {}), name: value}
        found = _METADATA.search(self.text)
        if found is None:
            raise ValueError("a definition without metadata")
        line = f'    {name}: "{value}"\n'
        if not found.group().rstrip("\n").endswith(_ANNOTATIONS):
            line = f"{_ANNOTATIONS}\n{line}"
        return RawDocument({**self, "metadata": metadata}, self.text[: found.end()] + line + self.text[found.end() :])


def served_versions(definition: dict[str, Any]) -> tuple[str, ...]:
    """The versions that a definition serves, in its order."""
    if not isinstance(definition, RawDocument):
        versions = (definition.get("spec") or {}).get("versions") or []
        return tuple(str(version["name"]) for version in versions if version.get("served"))
    block = _VERSIONS.search(definition.text)
    found = []
    for entry in re.split(r"^  - ", block.group() if block else "", flags=re.MULTILINE)[1:]:
        text = f"    {entry}"
        name = _VERSION_NAME.search(text)
        if name and _VERSION_SERVED.search(text):
            found.append(name.group(1))
    return tuple(found)


def read(text: str) -> Iterator[Any]:
    """The documents of a stream of YAML, definitions of custom resources raw.

    Raises:
        yaml.YAMLError: it is none.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times faster; not every wheel has it
    for part in _SEPARATOR.split(text):
        raw = _raw(part, loader) if _DEFINITION.search(part) else None
        if raw is not None:
            yield raw
        else:
            yield from yaml.load_all(part, Loader=loader)


def _raw(text: str, loader: Any) -> RawDocument | None:
    """A definition, if it is written as kustomize writes them; else it is parsed as everything else is."""
    head_text, count = _VERSIONS.subn("", text if text.endswith("\n") else f"{text}\n")
    # A CA that is filled in later must not be sent empty: such a definition is looked at whole.
    if count != 1 or "caBundle" in head_text or "\t" in head_text:
        return None
    head = yaml.load(head_text, Loader=loader)  # noqa: S506 (both are safe loaders)
    if not isinstance(head, dict) or not isinstance(head.get("spec"), dict):
        return None
    spec, metadata = head["spec"], head.get("metadata")
    known = isinstance(metadata, dict) and {"group", "names", "scope"} <= spec.keys() and "versions" not in spec
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    plain = annotations is None or f"\n{_ANNOTATIONS}\n" in head_text
    return RawDocument(head, text) if known and plain else None
