"""Calls of functions that take only what they name: effects of scripts and renderers of facts need different things of one node."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


def asking(function: Callable[..., Result], known: tuple[str, ...]) -> Callable[..., Result]:
    """The function as one that takes all of `known` by position, and hands over those that the function names.

    Raises:
        TypeError: it names another one.
    """
    names = frozenset(inspect.signature(function).parameters)
    if unknown := names - set(known):
        raise TypeError(f"{function.__module__}.{function.__qualname__} asks for {', '.join(sorted(unknown))}")

    def call(*values: Any) -> Result:
        return function(**{name: value for name, value in zip(known, values, strict=True) if name in names})

    return call
