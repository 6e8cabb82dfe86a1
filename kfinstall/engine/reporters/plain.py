"""Plain lines for people: progress per phase and per node, for terminals, pipes and CI logs alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Final, TextIO

from kfinstall.engine.findings import grouped
from kfinstall.engine.reporters.paths import COLUMNS, table
from kfinstall.events import (
    Event,
    Finding,
    NodeConnected,
    NodePath,
    NodeSetAside,
    Notice,
    OutputLine,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from kfinstall.text import duration, hanging, names_in_words

_COLOURS: Final = {
    "ok": "32",
    "changed": "32",
    "unchanged": "2",
    "warning": "33",
    "error": "31",
    "failed": "31",
    "dim": "2",
    "bold": "1",
}
_GLYPHS: Final = {
    "changed": ("✓", "+"),
    "unchanged": ("·", "="),
    "failed": ("✗", "x"),
    "conflict": ("✗", "x"),
    "interrupted": ("!", "!"),
    "skipped": ("-", "-"),
}
_WORDS: Final = {"blocking": "error (blocking)"}
"""Severities that are told by another word than their level."""
_EVIDENCE_CHARACTERS: Final = 110
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")
_QUIET_SECONDS: Final = 10.0
"""A step that runs for longer shows its newest line this often, so that nobody wonders whether it still lives."""


def _short(text: str) -> str:
    return text if len(text) <= _EVIDENCE_CHARACTERS else text[: _EVIDENCE_CHARACTERS - 1].rstrip() + "…"


@dataclass(slots=True)
class Plain:
    """Writes events as lines. Status is always glyph and word; colour only adds."""

    stream: TextIO
    colour: bool = False
    unicode: bool = True
    verbose: bool = False
    """Show every line of the nodes' output, not only the steps."""
    columns: int = 0
    """Width to cut steps' lines at; 0 for none. Files and pipes get whole lines."""
    table_columns: int = COLUMNS
    """Width of the table of the ways between servers, whatever it is written to."""
    _done: int = field(default=0, init=False)
    _steps: int = field(default=0, init=False)
    _seen: set[str] = field(default_factory=set, init=False)
    _width: int = field(default=8, init=False)
    _looks: bool = field(default=False, init=False)
    """It is a check, whose reader is told also what is only worth knowing: whether what is chosen fits."""
    _reported_at: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    """(step, target) to when it last showed a line, epoch seconds."""
    _found: list[Finding] = field(default_factory=list, init=False)
    _paths: list[NodePath] = field(default_factory=list, init=False)

    def __call__(self, event: Event) -> None:
        """Write one event. Findings and ways between nodes are kept till something else comes: each finding is told once, the ways are a table."""
        if isinstance(event, NodePath):
            self._paths.append(event)
            return
        self._tell_paths()
        if isinstance(event, Finding):
            self._found.append(event)
            return
        self._tell_findings()
        self._show(event)
        self.stream.flush()

    def _paint(self, kind: str, text: str) -> str:
        return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if self.colour and kind in _COLOURS else text

    def _line(self, text: str) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        text = hanging(text, self._width + 4)
        self.stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")

    def _step_line(self, head: str, rest: str) -> None:
        """One line of a step: the head whole, the rest as far as the terminal is wide."""
        room = self.columns - len(_ESCAPES.sub("", head)) if self.columns else len(rest)
        self._line(head + (rest if len(rest) <= room else rest[: max(room - 1, 8)].rstrip() + "…"))

    def _glyph(self, outcome: str) -> str:
        fancy, ascii_form = _GLYPHS.get(outcome, ("·", "."))
        return fancy if self.unicode else ascii_form

    @singledispatchmethod
    def _show(self, event: Event) -> None:
        """Events without a line of their own."""

    @_show.register
    def _(self, event: RunStarted) -> None:
        self._looks = event.kind == "check"
        self._width = max([8, *(len(node) for node in event.nodes)])
        self._line(self._paint("bold", f"{event.kind} of cluster {event.cluster} on {', '.join(event.nodes)} (run {event.run})"))
        self._line(self._paint("dim", f"  connecting to {len(event.nodes)} node{'' if len(event.nodes) == 1 else 's'}"))

    @_show.register
    def _(self, event: NodeConnected) -> None:
        self._line(f"  {event.node:<{self._width}} {self._paint('ok', 'connected')}  {event.description}")

    @_show.register
    def _(self, event: PhaseStarted) -> None:
        self._done, self._steps, self._seen = 0, event.steps, set()
        count = f"  ({event.steps} step{'' if event.steps == 1 else 's'})"
        self._line("")
        self._line(self._paint("bold", f"{event.phase}: {event.title}") + self._paint("dim", count))

    @_show.register
    def _(self, event: PhaseFinished) -> None:
        word = "nothing to change" if event.outcome == "unchanged" else f"{event.outcome} in {duration(event.seconds)}"
        self._line(self._paint("dim", f"  {event.phase}: {word}"))

    @_show.register
    def _(self, event: StepStarted) -> None:
        count = self._count(event.step)
        self._reported_at[event.step, event.target] = event.at
        what = "went on meanwhile, following it: " if event.attached else ""
        head = f"  {event.target:<{self._width}} {count} {event.title}: {what}"
        self._step_line(head, "; ".join(event.changes) if self.columns else _short("; ".join(event.changes)))

    def _count(self, step: str) -> str:
        self._seen.add(step)
        return self._paint("dim", f"{len(self._seen):>2}/{self._steps}")

    @_show.register
    def _(self, event: StepFinished) -> None:
        count = self._count(event.step)
        if event.outcome == "unchanged" and not self.verbose:
            return
        word = self._paint(event.outcome, f"{self._glyph(event.outcome)} {event.outcome}")
        took = f" in {duration(event.seconds)}" if event.seconds else ""
        self._step_line(f"  {event.target:<{self._width}} {count} {event.step}: {word}{took}: ", event.evidence)
        self._advice("next", event.hint, 6)

    @_show.register
    def _(self, event: OutputLine) -> None:
        where = (event.step, event.target)
        if self.verbose or event.at - self._reported_at.get(where, event.at) >= _QUIET_SECONDS:
            self._reported_at[where] = event.at
            self._line(self._paint("dim", f"  {event.target:<{self._width}}       | {event.text}"))

    def _tell_paths(self) -> None:
        paths, self._paths = self._paths, []
        for line in table(paths, unicode=self.unicode, columns=self.table_columns):
            self._line(line)

    def _tell_findings(self) -> None:
        found, self._found = self._found, []
        for each in found if self.verbose else ():
            if each.level == "ok":
                self._line(f"  {each.node:<{self._width}} {self._paint('ok', 'ok')}: {each.check}: {each.message}")
        for group in grouped(each for each in found if self.verbose or self._looks or each.ignored or each.level != "info"):
            name = f" [{group.called}]" if group.called not in ("", group.check) else ""
            word = self._paint(
                group.level, f"{group.severity}, ignored" if group.ignored else _WORDS.get(group.severity, group.level)
            )
            for text, nodes in group.messages.items():
                self._line(f"  {names_in_words(nodes):<{self._width}} {word}: {group.check}: {text}{name}")
            for text, nodes in () if group.ignored else group.fixes.items():
                self._advice("fix" if nodes == group.nodes else f"fix on {names_in_words(nodes)}", text, 2)

    def _advice(self, word: str, text: str, indent: int) -> None:
        """What to do about it, one command or key of the answers per line."""
        for line in text.split("\n") if text else ():
            self._line(f"  {'':<{self._width}} {'':<{indent}}{word}: {line}")

    @_show.register
    def _(self, event: NodeSetAside) -> None:
        self._line(f"  {event.node:<{self._width}} {self._paint('warning', 'set aside')}: {event.reason}; the rest goes on")

    @_show.register
    def _(self, event: Notice) -> None:
        target = event.target or ""
        self._line(f"  {target:<{self._width}} {self._paint(event.level, event.level)}: {event.text}")

    @_show.register
    def _(self, event: RunFinished) -> None:
        word = "finished" if event.exit_code == 0 else f"ended with exit code {event.exit_code}"
        aside = f"; set aside: {', '.join(event.set_aside)}" if event.set_aside else ""
        self._line("")
        self._line(self._paint("bold", f"{word} in {duration(event.seconds)}{aside}"))
