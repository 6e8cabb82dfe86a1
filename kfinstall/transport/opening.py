"""The beginning of an exec's output: what the login shell, sudo and PAM say before our program begins, kept apart from what it says itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kfinstall.transport.wire import begin_line, login_line, torn_line

_KEPT_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Output:
    """What came before a program, or instead of it."""

    login: str
    """All of standard output, and what the login shell and its startup files said on standard error."""
    sudo: str | None
    """What was said on standard error once our command ran: sudo's and PAM's words. None where it never ran."""


class Opening:
    """Takes standard output as it comes; hands on only what follows the line that says that the program begins."""

    def __init__(self, begin: str, sink: Callable[[bytes], None]) -> None:
        """`begin`: the word in that line; `sink`: gets the program's own output."""
        self._line = begin_line(begin)
        self._login = login_line(begin)
        self._torn = torn_line(begin)
        self._sink = sink
        self._held = bytearray()
        self.begun = asyncio.Event()
        """The line has come: the node reads the program now."""
        self.before = b""
        """What came before that line, or all that came; at most the first and the last 4 KiB of it."""

    def feed(self, data: bytes) -> None:
        """Take a chunk of standard output."""
        if self.begun.is_set():
            self._sink(data)
            return
        self._held += data
        # Not only at the beginning of a line: what a startup file prints may have no line end.
        at = self._held.find(self._line)
        if at < 0:
            self._bound()
            return
        self.before = bytes(self._held[:at])
        rest = bytes(self._held[at + len(self._line) :])
        self._held.clear()
        self.begun.set()
        if rest:
            self._sink(rest)

    def _bound(self) -> None:
        # Megabytes of a greeting are no reason to keep them: its head and its tail, in which the line may have begun.
        if len(self._held) > 2 * _KEPT_BYTES:
            del self._held[_KEPT_BYTES // 2 : -_KEPT_BYTES // 2]
        self.before = bytes(self._held)

    def errors(self, stderr: bytes) -> bytes:
        """What the program itself wrote on standard error; all of it where the program never began."""
        _noise, line, own = stderr.partition(self._line)
        return own if line else stderr

    def torn(self, stderr: bytes) -> bool:
        """Whether somebody else has read what was meant for the program."""
        return self.errors(stderr) == self._torn

    def output_of(self, stderr: bytes) -> Output:
        """What was said before the program began, or instead of it."""
        noise = stderr.partition(self._line)[0]
        shells, line, sudos = noise.partition(self._login)
        # What a startup file floods standard error with may have pushed the line out of what was kept of it: then it is all one.
        login = "\n".join(part.decode("utf-8", "replace").strip() for part in (self.before, shells) if part.strip())
        return Output(login, sudos.decode("utf-8", "replace").strip() if line else None)
