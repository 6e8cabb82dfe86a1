"""The offline bundle: a rendering with the record of what it was made from, its checksum, and the images that it needs, in one file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kfinstall import durable, invocation
from kfinstall.engine.step import View
from kfinstall.errors import CommandError
from kfinstall.parts.kubeflow import choice, limits
from kfinstall.parts.kubeflow.images import images
from kfinstall.text import sha256

FORMAT: Final = 1
_MODE: Final = 0o644
"""It is handed on, and holds no secret."""
_MANIFEST: Final = "bundle.json"
_RENDERING: Final = "rendering.yaml.gz"
_RECORD: Final = "record.json"
_IMAGES: Final = "images.txt"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle's file holds."""

    release: str
    components: tuple[str, ...]
    record: str
    """What the rendering was made from, as kubeflow.render records it."""
    rendering: bytes
    """YAML, gzip."""
    images: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the rendering."""
        return hashlib.sha256(self.rendering).hexdigest()


def of(view: View, rendering: bytes, more_images: Sequence[str] = ()) -> Bundle:
    """The bundle of a rendering that was made for these answers.

    Raises:
        CommandError: the rendering is damaged or empty.
    """
    folders = choice.by_folder(rendering)
    missing = [path for path in choice.paths(view.answers, view.release) if path not in folders]
    documents = [document for found in folders.values() for document in found]
    if missing or not documents:
        raise CommandError("the rendering is not whole", why=f"it lacks {', '.join(missing) or 'every object'}", hint=_again())
    return Bundle(
        view.release.name,
        choice.components(view.answers, view.release),
        choice.record(view),
        rendering,
        tuple(sorted({*images(documents), *more_images})),
    )


def pack(bundle: Bundle) -> bytes:
    """The file; the same content gives the same bytes."""
    members = {
        _RENDERING: bundle.rendering,
        _RECORD: bundle.record.encode(),
        _IMAGES: "".join(f"{i}\n" for i in bundle.images).encode(),
    }
    manifest = {
        "format": FORMAT,
        "release": bundle.release,
        "components": bundle.components,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
    }
    members = {_MANIFEST: (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode(), **members}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def write(path: Path, bundle: Bundle) -> None:
    """Write the file whole or not at all.

    Raises:
        CommandError: it can't be written.
    """
    try:
        durable.replace(path, pack(bundle), mode=_MODE)
    except OSError as error:
        raise CommandError(
            f"{path} can't be written", why=error.strerror or str(error), hint="name another file with --out"
        ) from error


def read(path: str | Path) -> Bundle:
    """A bundle's file, each part held against its checksum.

    Raises:
        CommandError: it can't be read, is no bundle, of another format, or damaged.
    """
    place = Path(path).expanduser()
    try:
        if place.stat().st_size > limits.KUBEFLOW_BUNDLE_LARGEST_BYTES:
            raise CommandError(
                f"{path} is no offline bundle",
                why=f"it is larger than {limits.KUBEFLOW_BUNDLE_LARGEST_BYTES // 10**6} MB",
                hint=_again(),
            )
        with tarfile.open(place, mode="r:") as archive:
            members = {
                name: file.read()
                for name in (_MANIFEST, _RENDERING, _RECORD, _IMAGES)
                if (file := archive.extractfile(name)) is not None
            }
        manifest = json.loads(members[_MANIFEST])
        known, sums = manifest["format"], manifest["sha256"]
        release, components = str(manifest["release"]), tuple(map(str, manifest["components"]))
    except OSError as error:
        hint = "is the path right? it is seen from the folder of the answers file"
        raise CommandError(f"{path} can't be read", why=error.strerror or str(error), hint=hint) from error
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{path} is no offline bundle, or a damaged one", why=str(error)[:200], hint=_again()) from error
    if known != FORMAT:
        hint = "make it anew with this kfinstall, or use the one that made it"
        raise CommandError(f"{path} has format {known}; this kfinstall reads format {FORMAT}", hint=hint)
    for name in (_RENDERING, _RECORD, _IMAGES):
        found = hashlib.sha256(members[name]).hexdigest()
        if found != sums.get(name):
            why = f"SHA-256 of {name} is {found}, not {sums.get(name)}"
            raise CommandError(f"{path} is damaged", why=why, hint="copy it again, and compare sha256sum on both sides")
    return Bundle(release, components, members[_RECORD].decode(), members[_RENDERING], tuple(members[_IMAGES].decode().split()))


def refuse_another(bundle: Bundle, view: View, path: str) -> None:
    """Hold a bundle against the answers.

    Raises:
        CommandError: it is of another release, of other components, or made from other manifests; says which.
    """
    if bundle.release != view.release.name:
        raise CommandError(
            f"{path} is of release {bundle.release}, the answers want {view.release.name}",
            hint=f"set cluster.release, or make one of it: {invocation.command('bundle', '--out', path, '--release', view.release.name)}",
        )
    wanted, brought = choice.components(view.answers, view.release), bundle.components
    if set(wanted) != set(brought):
        lacks = [name for name in wanted if name not in brought]
        beyond = [name for name in brought if name not in wanted]
        parts = [f"it lacks {', '.join(lacks)}"] if lacks else []
        parts += [f"it brings {', '.join(beyond)} beyond them"] if beyond else []
        raise CommandError(
            f"{path} is of other components than the answers want",
            why="; ".join(parts),
            hint=f"make one of the same components: {invocation.bundle(path)}",
        )
    if bundle.record != choice.record(view):
        raise CommandError(
            f"{path} was made from other manifests than this kfinstall pins",
            why=f"its record has SHA-256 {sha256(bundle.record)[:12]}, wanted is {sha256(choice.record(view))[:12]}",
            hint="make it anew with this kfinstall",
        )


def _again() -> str:
    return f"make it anew: {invocation.command('bundle', '--out', invocation.FILE)}"
