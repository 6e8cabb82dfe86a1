"""One key of the answers as a form sees it: what it means, what may be written, and what is wrong with what was typed.

Everything is read from the models, so that a screen can't accept what a file may not say.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from kfinstall.answers import shape
from kfinstall.answers.load import explain
from kfinstall.answers.model import Answers, SecretRef

Kind = Literal["text", "number", "flag", "choice", "secret", "list", "mapping", "section"]

_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Field:
    """One key. `path` is dotted, with the file's own names: storage.nfs.path."""

    path: str
    kind: Kind
    help: str
    choices: tuple[str, ...]
    default: Any
    """Plain data as it would stand in a file; None where the key has none, or is required."""
    optional: bool
    required: bool

    @property
    def key(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def field(path: str) -> Field:
    """The key at a path; an item of a list is written without its number: nodes.address.

    Raises:
        KeyError: no section has it.
    """
    return _field(path)


@cache
def _field(path: str) -> Field:
    info = _info(path)
    annotation = info.annotation
    branches = list(shape.branches(annotation))
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        default = default.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(default, tuple):
        default = list(default)
    return Field(
        path,
        _kind(annotation),
        info.description or "",
        tuple(shape.literals(annotation)),
        default,
        optional=type(None) in branches or not info.is_required(),
        required=info.is_required(),
    )


def _kind(annotation: Any) -> Kind:
    sections = list(shape.models(annotation))
    if sections:
        return "secret" if SecretRef in sections else "section"
    branches = [part for part in shape.branches(annotation) if part is not types.NoneType]
    if any(get_origin(part) is tuple for part in branches):
        return "list"
    if any(get_origin(part) is dict for part in branches):
        return "mapping"
    if all(get_origin(part) is Literal for part in branches):
        return "choice"
    return "flag" if bool in branches else "number" if int in branches else "text"


def _info(path: str) -> FieldInfo:
    model: type[BaseModel] = Answers
    info: FieldInfo | None = None
    for key in path.split("."):
        if info is not None:
            inner = [*shape.models(info.annotation), *shape.models(shape.item_type(info.annotation))]
            if not inner:
                raise KeyError(path)
            model = inner[0]
        info = next((known for name, known in model.model_fields.items() if key == (known.alias or name)), None)
        if info is None:
            raise KeyError(path)
    if info is None:
        raise KeyError(path)
    return info


@cache
def _adapter(path: str) -> TypeAdapter[Any]:
    info = _info(path)
    annotation: Any = info.annotation
    return TypeAdapter(Annotated[annotation, *info.metadata] if info.metadata else annotation)


def read(path: str, text: str) -> Any:
    """What was typed, as plain data for the draft; None where nothing was, and the key may be absent."""
    known = field(path)
    text = text.strip()
    if not text:
        return None
    numeric = known.kind == "number" or (known.kind == "choice" and not known.choices)
    if numeric and text.removeprefix("-").isdecimal():
        return int(text)
    if known.kind == "flag":
        return _FLAGS.get(text, text)
    if known.kind == "list":
        return text if text in known.choices else [part for part in text.replace(",", " ").split() if part]
    return text


def write(value: object) -> str:
    """Plain data as it stands in an input."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    return str(value)


def problem(path: str, value: object) -> str:
    """What is wrong with a value by itself, in the file's own words; empty where nothing is."""
    known = field(path)
    if value is None or value == "":
        return "is missing" if known.required else ""
    try:
        _adapter(path).validate_python(value)
    except ValidationError as error:
        return " or ".join(dict.fromkeys(explain(item) for item in error.errors(include_url=False, include_input=False)))
    return ""
