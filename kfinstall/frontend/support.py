"""A support bundle: what somebody else needs to understand a run, and nothing that is a secret."""

from __future__ import annotations

import io
import json
import platform
import sys
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kfinstall import __version__
from kfinstall.engine.state import ClusterState
from kfinstall.errors import KfError, StateError
from kfinstall.secrets import Redactor

_RUNS: Final = 5
_LARGEST_BYTES: Final = 20_000_000
_FILES: Final = ("journal.jsonl", "answers.yaml", "cluster.json", "proof.json")
"""Of the cluster's directory. Not known_hosts, and nothing of the simulator, which holds its machines' keys."""


def write(cluster: ClusterState, path: Path, *, redact: Redactor | None = None, error: KfError | None = None) -> list[str]:
    """Write a .tar.gz (mode 0600) with journal, answers, events of the newest runs, and versions; gives the names in it.

    What is in the state holds no secret already; `redact` masks those that are known again.

    Raises:
        StateError: it can't be written.
    """
    masked = redact or Redactor()
    names = []
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        with tarfile.open(path, "w:gz") as bundle:
            for name, text in _parts(cluster, error):
                data = masked(text).encode("utf-8", "replace")[-_LARGEST_BYTES:]
                info = tarfile.TarInfo(f"kfinstall-{cluster.name}/{name}")
                info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
                bundle.addfile(info, io.BytesIO(data))
                names.append(name)
    except OSError as problem:
        raise StateError(
            f"{path} can't be written", why=problem.strerror or str(problem), hint="free space there, or choose another place"
        ) from problem
    return names


def _parts(cluster: ClusterState, error: KfError | None) -> Iterable[tuple[str, str]]:
    yield "versions.json", json.dumps(_versions(), indent=1) + "\n"
    if error is not None:
        yield "failure.txt", "\n".join(error.lines()) + "\n"
    for name in _FILES:
        yield from _file(cluster.path / name, name)
    for record in cluster.runs()[-_RUNS:]:
        folder = cluster.run_directory(record.id)
        for name in ("run.json", "events.jsonl"):
            yield from _file(folder / name, f"runs/{record.id}/{name}")
    yield from _file(cluster.path.parents[1] / "crash.log", "crash.log")


def _file(path: Path, name: str) -> Iterable[tuple[str, str]]:
    try:
        yield name, path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"kfinstall": __version__, "python": sys.version.split()[0], "platform": platform.platform()}
    for package in ("textual", "asyncssh", "pydantic", "kubernetes", "aiohttp", "cryptography"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not found"
    return found
