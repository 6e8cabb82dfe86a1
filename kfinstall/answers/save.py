"""Writes answers back as YAML: what differs from the defaults, never a secret (the model has none)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from kfinstall.answers.model import Answers
from kfinstall.durable import write_atomically

HEAD: Final = "# Written by kfinstall; run it again with: kfinstall --answers THIS-FILE\n"


def dump(answers: Answers) -> str:
    """The answers as YAML: the version, the nodes, and whatever is not the default."""
    data: dict[str, Any] = answers.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    data = {"version": answers.version, **{key: value for key, value in data.items() if key != "version"}}
    return HEAD + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def save(answers: Answers, path: Path) -> None:
    """Write the answers so that a kill leaves the old file or the new one; mode 0600.

    Raises:
        StateError: the file can't be written.
    """
    write_atomically(path, dump(answers))
