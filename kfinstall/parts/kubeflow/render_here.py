"""Renders Kubeflow on the computer that kfinstall runs on, by the very script that the first control plane runs: for an offline bundle."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kfinstall import invocation
from kfinstall.engine.programs import failed, step_program
from kfinstall.engine.step import View
from kfinstall.errors import CommandError, UsageError
from kfinstall.parts.kubeflow import choice, limits
from kfinstall.text import clean
from kfinstall.transport.base import Completed

_SCRIPT: Final = "kubeflow-render"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
Say = Callable[[str], None]


def render_here(view: View, parameters: Mapping[str, str], cache: Path, say: Say) -> bytes:
    """The rendering for these answers: YAML, gzip. `parameters` are those of kubeflow.render; what is fetched stays in `cache`.

    Raises:
        UsageError: this computer can't run the script.
        CommandError: it failed; says why.
    """
    kustomize = view.release.artifacts.get(f"kustomize-{_ARCHITECTURES.get(platform.machine(), '')}")
    if sys.platform != "linux" or kustomize is None:
        raise UsageError(
            "Kubeflow can only be rendered on Linux on x86_64 or aarch64",
            hint=f"take it from a cluster that rendered it: {invocation.bundle()}",
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kfinstall-bundle-") as folder:
        place = Path(folder)
        here = {
            **parameters,
            "CACHE": str(cache.absolute()),
            "RENDERING_PATH": str(place / "rendering.yaml.gz"),
            "RECORD_PATH": str(place / "record.json"),
            "STATE_DIRECTORY": str(place / "state"),
            "KUSTOMIZE_URL": kustomize.url,
            "KUSTOMIZE_SHA256": kustomize.sha256,
            "OWNER": f"{os.getuid()}:{os.getgid()}",
        }
        program = place / "program.sh"
        program.write_text(step_program(_SCRIPT, here).render(), encoding="utf-8")
        done = _run(program, say)
        if done.status != 0:
            raise failed(_SCRIPT, "", done)
        return (place / "rendering.yaml.gz").read_bytes()


def _run(program: Path, say: Say) -> Completed:
    lines: list[str] = []
    limit = f"{limits.KUBEFLOW_RENDER_TIMEOUT_SECONDS:.0f}"
    command = ("timeout", limit, "bash", str(program))
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for raw in process.stdout or ():
            line = clean(raw.rstrip("\n"))
            lines.append(line)
            if not line.startswith(("kf-error: ", "kf-hint: ")):
                say(line)
    return Completed(process.returncode, tuple(lines))


def packed(done: Completed) -> bytes:
    """The rendering out of what scripts/kubeflow/ask-rendering.sh printed on a node.

    Raises:
        CommandError: there is none, or it arrived damaged.
    """
    if done.status != 0:
        raise CommandError(
            "the first control plane has not rendered these components",
            why="\n".join(done.lines[-3:]),
            hint=f"render them: {invocation.only('kubeflow')}; or here: {invocation.command('bundle', '--out', 'FILE', '--release', 'RELEASE')}",
        )
    return choice.unpacked(done.lines)
