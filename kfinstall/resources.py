"""Finds scripts/ and assets/ in a checkout and in an installed wheel alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_PLACEHOLDER: Final = re.compile(r"@([A-Z_]+)@")


@cache
def root() -> Path:
    """The folder that holds scripts/ and assets/: kfinstall/_bundle in a wheel, the checkout otherwise."""
    bundle = _PACKAGE / "_bundle"
    return bundle if bundle.is_dir() else _PACKAGE.parent


_OWNERS: Final = {"forget": "reset", "mend": "preflight", "rotate": "kubeflow"}
"""The parts of scripts whose names begin with another word: nodes know these names as their units', so they stay."""


@cache
def script(name: str) -> str:
    """The text of scripts/<name>.sh, for example `script("prepare/swap-off")`."""
    return (root() / "scripts" / f"{name}.sh").read_text(encoding="utf-8")


@cache
def program(name: str) -> str:
    """The text of scripts/<name>, a program that a script hands to an interpreter: "preflight/reachability/common.pl"."""
    return (root() / "scripts" / name).read_text(encoding="utf-8")


def step_script(name: str) -> str:
    """Which script a step's is, by its name (its unit's, without kf-): "prepare-swap-off" is prepare/swap-off, "mend-clock" preflight/mend-clock."""
    return "/".join(_place(name))


def ask_script(name: str) -> str:
    """Which script a question's is, by its name: "registry-ca" is registry/ask-ca."""
    part, rest = _place(name)
    return f"{part}/ask-{rest}"


def _place(name: str) -> tuple[str, str]:
    """The part that a script belongs to, and what it is called there."""
    word, _dash, rest = name.partition("-")
    return (_OWNERS[word], name) if word in _OWNERS else (word, rest)


@cache
def _asset_text(name: str) -> str:
    return asset(name).read_text(encoding="utf-8")


def filled(name: str, values: Mapping[str, str] | None = None) -> str:
    """The text of assets/<name>, each @KEY@ replaced by its value.

    Raises:
        KeyError: a placeholder has no value.
        ValueError: a value is used nowhere.
    """
    given, text = dict(values or {}), _asset_text(name)
    unused = sorted(given.keys() - set(_PLACEHOLDER.findall(text)))
    if unused:
        raise ValueError(f"{name} has no placeholder {', '.join(unused)}")
    return _PLACEHOLDER.sub(lambda found: given[found[1]], text)


def asset(name: str) -> Path:
    """The path of assets/<name>."""
    return root() / "assets" / name
