"""Which parts of a Kubeflow release are rendered, where the rendering lies on the node, and how it is fetched."""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import CommandError, UsageError
from kfinstall.kube import raw
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.kubeflow import profile_documents
from kfinstall.releases import KubeflowRow, Release
from kfinstall.text import sha256

DIRECTORY: Final = "/var/lib/kfinstall/kubeflow"
CACHE: Final = "/var/cache/kfinstall"
FETCH_TIMEOUT_SECONDS: Final = 300.0
_FORMAT: Final = 2
"""Of the rendering; 2 tells which folder each object is from."""
_FOLDER: Final = re.compile(r"^--- # folder (\S+)$\n", re.MULTILINE)
"""The line before what a folder gives; a separator of documents with a comment, as YAML has it."""


def row(release: Release) -> KubeflowRow:
    """The Kubeflow part of a release.

    Raises:
        UsageError: the release has none.
    """
    if release.kubeflow is None:
        raise UsageError(f"release {release.name} has no Kubeflow", hint=release.instead)
    return release.kubeflow


def components(answers: Answers, release: Release) -> tuple[str, ...]:
    """The chosen components and all that they need, in the release's order.

    Raises:
        UsageError: one of them is unknown.
    """
    known = row(release)
    chosen = answers.kubeflow.components
    names = list(known.presets.get(chosen, ()) if isinstance(chosen, str) else chosen)
    wanted: set[str] = set()
    while names:
        name = names.pop()
        if name not in known.components:
            raise UsageError(f"Kubeflow {known.tag} has no component {name}", hint=f"components: {', '.join(known.components)}")
        if name not in wanted:
            wanted.add(name)
            names += known.components[name].needs
    return tuple(name for name in known.components if name in wanted)


def paths(answers: Answers, release: Release) -> tuple[str, ...]:
    """The kustomize folders of the chosen components, in order, each once."""
    chosen = [row(release).components[name] for name in components(answers, release)]
    return tuple(dict.fromkeys(path for part in chosen for path in (*part.paths, *part.profile_paths)))


def profile_paths(answers: Answers, release: Release) -> tuple[str, ...]:
    """Those of them whose objects go into the profile of the user."""
    chosen = [row(release).components[name] for name in components(answers, release)]
    return tuple(dict.fromkeys(path for part in chosen for path in part.profile_paths))


def record(view: View) -> str:
    """What the rendering is made from; its hash names the rendering."""
    known = row(view.release)
    content = {
        "format": _FORMAT,
        "repository": known.repository,
        "tag": known.tag,
        "commit": known.commit,
        "kustomize": view.release.versions.get("kustomize", ""),
        "paths": paths(view.answers, view.release),
        "remote": known.remote_bases,
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def key(view: View) -> str:
    """Short hash of `record`."""
    return sha256(record(view))[:12]


def rendering_path(view: View) -> str:
    """The rendering on the first control plane: YAML, gzip."""
    return f"{DIRECTORY}/{row(view.release).tag}-{key(view)}.yaml.gz"


def record_path(view: View) -> str:
    """Beside it, what it was made from; written last, so that it is there only with a whole rendering."""
    return f"{DIRECTORY}/{row(view.release).tag}-{key(view)}.json"


def by_folder(packed: bytes) -> dict[str, list[Document]]:
    """The documents of a packed rendering by the kustomize folder that they are from, each object once (several folders may hold the same).

    Raises:
        CommandError: it is damaged.
    """
    try:
        parts = _FOLDER.split(gzip.decompress(packed).decode("utf-8"))
        found = {folder: list(_documents(raw.read(text))) for folder, text in zip(["", *parts[1::2]], parts[::2], strict=True)}
    except (OSError, EOFError, zlib.error, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(
            "Kubeflow's rendering can't be read",
            why=str(error)[:300],
            hint=f"remove {DIRECTORY} on the first control plane, then resume",
        ) from error
    last = {Ref.of(document): folder for folder, documents in found.items() for document in documents}
    return {
        folder: list({ref: document for document in documents if last[ref := Ref.of(document)] == folder}.values())
        for folder, documents in found.items()
    }


def parse(packed: bytes) -> list[Document]:
    """The documents of a packed rendering.

    Raises:
        CommandError: it is damaged.
    """
    return [document for documents in by_folder(packed).values() for document in documents]


def _documents(loaded: Iterator[Any]) -> Iterator[Document]:
    for document in loaded:
        if isinstance(document, dict) and document.get("kind"):
            if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
                yield from _documents(iter(document["items"]))
            else:
                yield document


@dataclass(frozen=True, slots=True)
class Fetched:
    """Documents of the rendering, and the kustomize folder that each object is from."""

    documents: list[Document]
    folders: Mapping[Ref, str]


async def fetch(context: ApplyContext, *, in_profile: bool = False) -> Fetched:
    """The rendering's documents, in one exchange: those that can be applied before there is a profile, or those in its namespace.

    Raises:
        CommandError: it is not there, or damaged.
    """
    view = context.view
    done = await context.ask_script("kubeflow-rendering", {"FILE": rendering_path(view)}, timeout_seconds=FETCH_TIMEOUT_SECONDS)
    if done.status != 0:
        raise CommandError(
            "Kubeflow's rendering is not there", why="\n".join(done.lines[-3:]), hint=f"make it: {invocation.only('kubeflow')}"
        )
    folders = await asyncio.to_thread(_unpack, done.lines)
    namespace = view.answers.profile_namespace
    own = [(folder, document) for folder in profile_paths(view.answers, view.release) for document in folders.pop(folder, [])]
    moved = profile_documents.placed([document for _folder, document in own], namespace)
    of_own = {_name(Ref.of(document)): folder for folder, document in own}
    places = {Ref.of(document): folder for folder, documents in folders.items() for document in documents}
    places |= {ref: of_own[_name(ref)] for ref in map(Ref.of, moved) if _name(ref) in of_own}
    if in_profile:
        return Fetched([document for document in moved if Ref.of(document).namespace == namespace], places)
    first = [document for documents in folders.values() for document in documents]
    return Fetched([*first, *(document for document in moved if Ref.of(document).namespace != namespace)], places)


def _name(ref: Ref) -> tuple[str, str]:
    return ref.kind, ref.name


def unpacked(lines: Sequence[str]) -> bytes:
    """The packed rendering out of the lines that it came in.

    Raises:
        CommandError: it arrived damaged.
    """
    try:
        return base64.b64decode("".join(lines), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CommandError("Kubeflow's rendering arrived damaged", why=str(error), hint=invocation.again()) from error


def _unpack(lines: Sequence[str]) -> dict[str, list[Document]]:
    return by_folder(unpacked(lines))
