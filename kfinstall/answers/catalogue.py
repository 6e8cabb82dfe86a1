"""Every key of the answers with its type, default and meaning, read from the models: for the example and the document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kfinstall.answers.model import SecretRef
from kfinstall.answers.shape import branches


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section."""

    name: str
    kind: str
    """text, number, true or false, list, secret, section ..."""
    default: str
    """As YAML in flow form; empty where there is none."""
    description: str
    required: bool
    section: type[BaseModel] | None
    """The section behind it, if it is one (or a list of them)."""
    many: bool = False
    """A list of sections."""


def keys(model: type[BaseModel]) -> Iterator[Key]:
    """The keys of a section, in the order of the model."""
    for name, field in model.model_fields.items():
        section, many = _section(field.annotation)
        kind = _kind(field.annotation) if section is None else "list of sections" if many else "section"
        default = "" if field.is_required() or (section is not None and not many and section is not SecretRef) else _default(field)
        secret = section is SecretRef
        yield Key(
            field.alias or name,
            "secret" if secret else kind,
            default,
            field.description or "",
            field.is_required(),
            None if secret else section,
            many,
        )


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return "{" + ", ".join(f"{key}: {json.dumps(inner)}" for key, inner in value.items()) + "}"
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    for part in branches(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part, False
        if get_origin(part) is tuple:
            inner, _many = _section(get_args(part)[0])
            if inner is not None:
                return inner, True
    return None, False


def _kind(annotation: Any) -> str:
    words: list[str] = []
    for part in branches(annotation):
        origin = get_origin(part)
        if str(origin) == "typing.Literal":
            words.append(" or ".join(str(value) for value in get_args(part)))
        elif origin is tuple:
            words.append(f"list of {_kind(get_args(part)[0])}")
        elif origin is dict:
            words.append("mapping")
        elif part is not type(None):
            words.append({str: "text", int: "number", bool: "true or false"}.get(part, str(part)))
    return " or ".join(dict.fromkeys(words))
