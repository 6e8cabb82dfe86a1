"""Paths on the installer's machine, made to mean the same wherever a run is resumed from."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel

from kfinstall.answers import types as t

SectionType = TypeVar("SectionType", bound=BaseModel)


def anchored(section: SectionType, folder: Path) -> SectionType:
    """The section with its relative paths of local files seen from `folder`, the one that the answers file is in."""
    changed: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        moved = _moved(value, folder, local=_is_local(type(section), name))
        if moved != value:
            changed[name] = moved
    return section.model_copy(update=changed) if changed else section


def _moved(value: Any, folder: Path, *, local: bool) -> Any:
    if isinstance(value, BaseModel):
        return anchored(value, folder)
    if isinstance(value, tuple):
        return tuple(_moved(item, folder, local=local) for item in value)
    if local and isinstance(value, str) and not value.startswith("~"):
        return str(folder / value)
    return value


@cache
def _is_local(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields[name]
    return _names_a_file([*field.metadata, field.annotation])


def _names_a_file(parts: list[Any]) -> bool:
    for part in parts:
        if isinstance(part, AfterValidator) and part.func is t.local_file:
            return True
        inner = [*getattr(part, "__metadata__", ()), *get_args(part)]
        if inner and _names_a_file(inner):
            return True
    return False
