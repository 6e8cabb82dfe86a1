"""Writes the generated documents: docs/answers.md from the models, docs/steps.md from the phases, the rooms in docs/architecture.md.

`python docs/generate.py` writes them; contract tests say whether they are up to date.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kfinstall import resources
from kfinstall.answers.docs import answers_document
from kfinstall.engine.step import Step
from kfinstall.simulator.faults import FAULTS
from kfinstall.workflows import EVERY_PHASE

DOCS = Path(__file__).resolve().parent
ROOMS: Final = ("<!-- rooms: `make docs` writes this table from the packages' docstrings -->\n", "<!-- /rooms -->")
"""What stands before and after the table of rooms in docs/architecture.md."""


def steps_document() -> str:
    """docs/steps.md: every step with what it does, where, how long, and which script."""
    lines = [
        "# Steps",
        "",
        "Written by `make docs` from kfinstall/workflows. A step is done when its check on fresh facts is satisfied.",
    ]
    for phase in EVERY_PHASE:
        lines += ["", f"## {phase.id}: {phase.title}", ""]
        if phase.needs:
            lines += [f"Needs: {', '.join(phase.needs)}.", ""]
        lines += ["| step | what | where | limit | script |", "|---|---|---|---|---|"]
        lines += [_row(kind) for kind in phase.steps]
    return "\n".join(lines) + "\n"


def _row(kind: type[Step]) -> str:
    marks = " **Point of no return.**" if kind.danger == "point of no return" else " Proof." if kind.proof else ""
    what = (kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|").strip()
    what = " ".join(what.split())
    script = f"[{kind.script}](../scripts/{resources.step_script(kind.script)}.sh)" if kind.script else ""
    return f"| `{kind.id}` | **{kind.title}.** {what}{marks} | {kind.scope} | {kind.timeout_seconds:.0f} s | {script} |"


SIMULATOR = """# The simulator

Written by `make docs`. `kfinstall demo` runs the real engine over real SSH on servers that this process simulates: real SSH servers and a
Kubernetes API over TLS on loopback, with a model of each node behind them. What a script does to a real node is held against it by the lab tests.
What its API answers is held against the answers of a real kube-apiserver, recorded and live (tests/differential).

    kfinstall demo                                   # three nodes, no fault
    kfinstall demo --nodes 10
    kfinstall demo --fault ssh-drop:worker1          # NAME:NODE; may be given several times
    kfinstall demo --fault power-cut:worker1:prepare-containerd     # in that script
    kfinstall resume                                 # goes on; faults are over then
    kfinstall status

Nodes are called cp1, worker1, worker2 ... The state of the simulated machines is kept in the state directory, so a rehearsal that was killed is
resumed like a real run: for the machines it was a power cut.

| fault | what it does | when |
|---|---|---|
"""


def simulator_document() -> str:
    """docs/simulator.md: how to rehearse, and every fault."""
    rows = [
        f"| `{name}` | {kind.description} | {'in the middle of a step, once' if kind.in_step else 'from the beginning'} |"
        for name, kind in FAULTS.items()
    ]
    return SIMULATOR + "\n".join(rows) + "\n"


def rooms() -> Iterator[tuple[str, str, int, int]]:
    """(folder, what it is for, modules, lines) of each room, from the top down as the contracts of import-linter have them."""
    contracts = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = {tuple(item.get("containers", ())): item["layers"] for item in contracts if item["type"] == "layers"}

    def named(*containers: str) -> list[str]:
        return [name.strip() for layer in layers[containers] for name in layer.replace(":", "|").split("|")]

    for name in ("screens", *(f"kfinstall/{name}" for name in named("kfinstall"))):
        inner = {"kfinstall/parts": named("kfinstall.parts")[::-1], "kfinstall/simulator": named("kfinstall.simulator")}.get(
            name, []
        )
        folder = DOCS.parent / name
        if folder.is_dir():
            yield name, *_room(folder, deep=not inner)
        yield from ((f"{name}/{each}", *_room(folder / each, deep=True)) for each in inner if (folder / each).is_dir())
    yield "kfinstall", "The words that all rooms use.", *_room(DOCS.parent / "kfinstall", deep=False)[1:]


def _room(folder: Path, *, deep: bool) -> tuple[str, int, int]:
    """(the first sentence of a package, its modules, their lines); `deep`: with the packages in it."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    modules = list(folder.rglob("*.py") if deep else folder.glob("*.py"))
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in modules)
    return f"{' '.join(docstring.split()).partition('. ')[0].rstrip('.')}.", len(modules), lines


def rooms_table() -> str:
    """The table of rooms in docs/architecture.md."""
    rows = [f"| `{folder}/` | {what} | {modules} | {lines} |" for folder, what, modules, lines in rooms()]
    return "\n".join(["", "| room | what it is for | modules | lines |", "|---|---|---|---|", *rows, "", ""])


def with_rooms(text: str) -> str:
    """docs/architecture.md with its table of rooms as things are."""
    before, after = (text.partition(mark) for mark in ROOMS)
    return before[0] + before[1] + rooms_table() + after[1] + after[2]


def documents() -> dict[Path, str]:
    """Path to content of every generated document."""
    return {
        DOCS / "answers.md": answers_document(),
        DOCS / "steps.md": steps_document(),
        DOCS / "simulator.md": simulator_document(),
    }


if __name__ == "__main__":
    architecture = DOCS / "architecture.md"
    for path, text in {**documents(), architecture: with_rooms(architecture.read_text(encoding="utf-8"))}.items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(resources.root())}")
