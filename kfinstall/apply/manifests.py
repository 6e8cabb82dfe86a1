"""Manifests that ship with kfinstall: assets/<part>/*.yaml, valid YAML, with placeholders only as whole scalars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import yaml

from kfinstall import resources
from kfinstall.kube.base import Document

_PLACEHOLDER: Final = re.compile(r"\$\{([a-z0-9-]+)\}")


@cache
def _text(name: str) -> str:
    return resources.asset(f"{name}.yaml").read_text(encoding="utf-8")


def load(name: str, values: Mapping[str, str] | None = None) -> list[Document]:
    """The documents of assets/<name>.yaml ("storage/nfs-csi"), with `${key}` replaced where a whole scalar is one.

    Raises:
        KeyError: a placeholder has no value.
        ValueError: a value is used nowhere.
    """
    given = dict(values or {})
    used: set[str] = set()
    documents = [_filled(document, given, used) for document in yaml.safe_load_all(_text(name)) if document]
    unused = sorted(given.keys() - used)
    if unused:
        raise ValueError(f"manifest {name} has no placeholder {', '.join(unused)}")
    return documents


def _filled(value: Any, given: Mapping[str, str], used: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, given, used) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, given, used) for item in value]
    if isinstance(value, str) and (found := _PLACEHOLDER.fullmatch(value)):
        used.add(found[1])
        return given[found[1]]
    return value
