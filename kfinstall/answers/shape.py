"""What the models' type annotations say: their branches, literals, sections. Shared by the loader and the catalogue of keys."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from kfinstall.answers.model import Answers, SecretRef


def branches(wanted: Any) -> Iterator[Any]:
    """The members of a union, without the metadata of Annotated."""
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        for part in get_args(wanted):
            yield from branches(part)
    elif hasattr(wanted, "__metadata__"):
        yield from branches(get_args(wanted)[0])
    else:
        yield wanted


def leaves(wanted: Any) -> Iterator[Any]:
    """The same with the types of literals in place of the literals."""
    for part in branches(wanted):
        if get_origin(part) is Literal:
            yield from (type(value) for value in get_args(part))
        else:
            yield part


def models(wanted: Any) -> Iterator[type[BaseModel]]:
    """The sections among the branches."""
    for part in branches(wanted):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part


def literals(wanted: Any) -> list[str]:
    """The words that may be written."""
    return [value for part in branches(wanted) if get_origin(part) is Literal for value in get_args(part) if isinstance(value, str)]


def item_type(wanted: Any) -> Any:
    """The type of a list's items; Any where it is no list."""
    return next((get_args(part)[0] for part in branches(wanted) if get_origin(part) is tuple), Any)


def value_type(wanted: Any) -> Any:
    """The type of a mapping's values; Any where it is no mapping."""
    return next((get_args(part)[1] for part in branches(wanted) if get_origin(part) is dict), Any)


@cache
def homes(key: str) -> tuple[str, ...]:
    """The sections that know a key, by dotted path: ("cluster",) for podCIDR."""
    return tuple(path for path, name in _walk(Answers, "") if name == key and path)


def _walk(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield path, key
        for inner in (*models(field.annotation), *models(item_type(field.annotation))):
            if inner is not SecretRef:
                yield from _walk(inner, f"{path}.{key}".lstrip("."))
