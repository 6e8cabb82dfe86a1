"""Judges a commit's message (git calls it with the file): a subject of at most 72 characters, and a body that says why.

A message without a body is let pass with a word about it: a subject can say all of it ("Fix a typo in the README"), and no program
knows when. What git writes by itself, and what a rebase will fold away, is left alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

LONGEST_SUBJECT = 72
"""Characters; more is cut off by `git log --oneline` on a terminal of 80, and by most other tools."""
_BY_ITSELF = ("Merge branch ", "Merge branches ", "Merge remote-tracking ", "Merge tag ", "Merge pull request ")
_FOLDED = ("fixup! ", "squash! ", "amend! ")
_SCISSORS = "# ------------------------ >8 ------------------------"


def judge(text: str) -> tuple[list[str], list[str]]:
    """(what must be changed, what is to be thought of) of a message, as the editor left it."""
    lines = [line.rstrip() for line in text.partition(_SCISSORS)[0].splitlines() if not line.startswith("#")]
    while lines and not lines[0]:
        lines.pop(0)
    subject, body = (lines[0], lines[1:]) if lines else ("", [])
    if not subject or subject.startswith(_BY_ITSELF + _FOLDED):
        return [], []  # git itself refuses an empty message
    wrong = []
    if len(subject) > LONGEST_SUBJECT:
        wrong.append(f"the subject has {len(subject)} characters, at most {LONGEST_SUBJECT} are wanted: {subject}")
    if body and body[0]:
        wrong.append("the line after the subject must be empty")
    return wrong, [] if any(body) else ["does the subject alone say why? if not: git commit --amend, and say it in a body"]


def main(path: str) -> int:
    """Judge the file's message; 1 where it must be changed."""
    wrong, doubtful = judge(Path(path).read_text(encoding="utf-8", errors="replace"))
    for line in wrong or doubtful:
        print(f"commit message: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
