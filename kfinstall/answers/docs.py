"""docs/answers.md, written from the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from kfinstall import releases
from kfinstall.answers.catalogue import keys
from kfinstall.answers.model import Answers

_HEAD: Final = """\
# The answers file

Written by `make docs` from kfinstall/answers/model.py. `kfinstall answers new` prints a commented example, `kfinstall answers check FILE` tells
all problems at once with file:line:column, `kfinstall answers schema` prints the JSON Schema for editors.

Every key but `nodes` has a default. Keys are camelCase as in Kubernetes; unknown and duplicate keys are errors; only `true` and `false` are
booleans. A secret is a reference: `{env: NAME}`, `{file: path}` (first line), `{prompt: true}` or `{generate: true}` (kept in the cluster only).
Relative paths of files on the installer's machine are seen from the folder that the answers file is in.
"""


def answers_document() -> str:
    """The whole document."""
    return _HEAD + "\n".join([*_sections(Answers, ""), *_releases()]) + "\n"


def _releases() -> Iterator[str]:
    yield from ("", "## Releases", "", "| `cluster.release` | Kubernetes | default |", "|---|---|---|")
    rows = [releases.load(name) for name in releases.names()]
    for row in rows:
        if row.kubernetes is not None:
            yield f"| `{row.name}` | {row.kubernetes.minimum} to {row.kubernetes.maximum} | {row.kubernetes.default} |"
    yield from ("", "Refused, each with its reason:", "")
    yield from (f"- `{row.name}`: {_sentence(row.refused)} Take {row.instead}." for row in rows if row.refused)
    for row in rows:
        if row.kubeflow is not None:
            yield from _components(row.name, row.kubeflow)


def _components(name: str, row: releases.KubeflowRow) -> Iterator[str]:
    yield from ("", f"### Components of {name}", "")
    yield "Requests of its pods without Istio's sidecars; volumes as claimed."
    yield ""
    yield "| `kubeflow.components` | what | needs | presets | pods | CPU | memory | volumes |"
    yield "|---|---|---|---|---|---|---|---|"
    for key, item in row.components.items():
        presets = ", ".join(preset for preset, chosen in row.presets.items() if key in chosen)
        cost = f"{item.pods} | {item.cpu_millicores}m | {item.memory_mebibytes} MiB | {item.volumes_gibibytes} GiB"
        yield f"| `{key}` | {item.title} | {', '.join(item.needs)} | {presets} | {cost} |"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


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
