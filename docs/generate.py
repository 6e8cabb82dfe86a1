"""Writes the generated documents: docs/answers.md from the models, docs/steps.md from the phases.

`python docs/generate.py` writes them; a contract test says whether they are up to date.
"""

from __future__ import annotations

from pathlib import Path

from kfinstall import phases, resources
from kfinstall.answers.docs import answers_document
from kfinstall.step import Step

DOCS = Path(__file__).resolve().parent


def steps_document() -> str:
    """docs/steps.md: every step with what it does, where, how long, and which script."""
    lines = [
        "# Steps",
        "",
        "Written by `make docs` from kfinstall/phases.py. A step is done when its check on fresh facts is satisfied.",
    ]
    for phase in phases.PHASES:
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
    script = f"[{kind.script}](../scripts/steps/{kind.script}.sh)" if kind.script else ""
    return f"| `{kind.id}` | **{kind.title}.** {what}{marks} | {kind.scope} | {kind.timeout_seconds:.0f} s | {script} |"


def documents() -> dict[Path, str]:
    """Path to content of every generated document."""
    return {DOCS / "answers.md": answers_document(), DOCS / "steps.md": steps_document()}


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(resources.root())}")
