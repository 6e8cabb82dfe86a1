"""docs/answers.md, written from the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from kfinstall.answers.catalogue import keys
from kfinstall.answers.model import Answers

_HEAD: Final = """\
# The answers file

Written by `make docs` from kfinstall/answers/model.py. `kfinstall answers new` prints a commented example, `kfinstall answers check FILE` tells
all problems at once with file:line:column, `kfinstall answers schema` prints the JSON Schema for editors.

Every key but `nodes` has a default. Keys are camelCase as in Kubernetes; unknown and duplicate keys are errors; only `true` and `false` are
booleans. A secret is a reference: `{env: NAME}`, `{file: path}` (first line), `{prompt: true}` or `{generate: true}` (kept in the cluster only).
"""


def answers_document() -> str:
    """The whole document."""
    return _HEAD + "\n".join(_sections(Answers, "")) + "\n"


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    yield ""
    yield f"## {path or 'Top level'}"
    yield ""
    text = " ".join((model.__doc__ or "").split())
    yield text
    yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    rows = list(keys(model))
    for key in rows:
        default = "**needed**" if key.required else f"`{key.default}`" if key.default else ""
        where = f"[{key.kind}](#{_anchor(_join(path, key.name, many=key.many))})" if key.section else key.kind
        yield f"| `{key.name}` | {where} | {default} | {key.description} |"
    for key in rows:
        if key.section is not None:
            yield from _sections(key.section, _join(path, key.name, many=key.many))


def _join(path: str, name: str, *, many: bool) -> str:
    return f"{path}.{name}".lstrip(".") + ("[]" if many else "")


def _anchor(heading: str) -> str:
    return "".join(letter for letter in heading.lower() if letter.isalnum() or letter in "-_")
