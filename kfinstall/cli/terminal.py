"""What the terminal can do, and the only places that ask the user something."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TextIO

from kfinstall.cli import host_keys
from kfinstall.engine.reporters.paths import COLUMNS
from kfinstall.errors import KfError, UsageError
from kfinstall.text import clean, clean_text, cleaned, printable
from kfinstall.transport.base import UnknownKey

_COLUMNS_DIGITS: Final = 6
_LEAST_COLUMNS: Final = 40


class Steady:
    """A stream whose reader may go away (`kfinstall status | head`), or that was never there: what is written then is dropped, and the work goes on."""

    def __init__(self, stream: TextIO | None, *, kept: bool = False) -> None:
        """`stream`: what is written on as long as somebody reads it. `kept`: what can't be written for want of room is an error."""
        self._stream = stream
        self._kept = kept
        self.encoding = (stream.encoding if stream is not None else "") or "utf-8"

    def write(self, text: str) -> int:
        """Write, or drop it."""
        if self._stream is not None:
            with self._dropping():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop it."""
        if self._stream is not None:
            with self._dropping():
                self._stream.flush()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is still buffered would be written at the interpreter's end, and fail there.
            if self._stream is not None:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            if self._kept and not isinstance(error, BrokenPipeError):
                hint = "is there room where it goes to? nothing else has failed"
                raise UsageError("what was to be printed can't be written", why=error.strerror or str(error), hint=hint) from error


@dataclass(frozen=True, slots=True)
class Terminal:
    """Colour, characters, and whether somebody is there to answer."""

    interactive: bool
    """Standard input and standard error are terminals."""
    colour: bool
    unicode: bool
    environ: Mapping[str, str]
    screens: bool = False
    """It can show the wizard: all three standard streams are a terminal that moves its cursor."""
    columns: int = 0
    """Width of standard error's terminal; 0 where it is none."""

    @property
    def table_columns(self) -> int:
        """Width of a table: the terminal's; in a pipe what COLUMNS says, else 80."""
        said = self.environ.get("COLUMNS", "")
        given = int(said) if said.isascii() and said.isdigit() and len(said) < _COLUMNS_DIGITS else 0
        return max(self.columns or given or COLUMNS, _LEAST_COLUMNS)

    @classmethod
    def detect(cls, environ: Mapping[str, str]) -> Self:
        """Look at the streams, TERM, NO_COLOR and the encoding."""
        tty = _is_terminal(sys.stderr)
        colour = tty and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
        encoding = (getattr(sys.stderr, "encoding", "") or "").lower().replace("-", "")
        fancy = encoding == "utf8" and environ.get("TERM") != "linux"
        columns = shutil.get_terminal_size().columns if tty else 0
        interactive = tty and _is_terminal(sys.stdin)
        screens = interactive and _is_terminal(sys.stdout) and environ.get("TERM", "dumb") != "dumb"
        return cls(interactive, colour, fancy, environ, screens, columns)

    def say(self, text: str) -> None:
        """One line of narration, cleaned: it may hold what a server said."""
        _narrate(clean_text(text))

    def data(self, text: str) -> None:
        """Lines of data, cleaned and never cut."""
        stream = Steady(sys.stdout, kept=True)
        lines = "\n".join(map(printable, text.split("\n")))
        stream.write(lines.encode(stream.encoding, "replace").decode(stream.encoding) + "\n")
        stream.flush()

    def record(self, value: Mapping[str, Any], *, indent: int | None = None) -> None:
        """A JSON object of data; every text in it is cleaned before it is encoded, which would hide from `data` what it holds."""
        self.data(json.dumps(cleaned(value), ensure_ascii=False, indent=indent))

    def error(self, error: KfError) -> None:
        """What happened, why, what to run next."""
        # The program's own colour comes last: what is cleaned has none.
        first, *rest = map(clean_text, error.lines())
        _narrate(("\x1b[31merror\x1b[0m: " if self.colour else "error: ") + first)
        for line in rest:
            _narrate(line)

    async def ask_host_keys(self, keys: Sequence[UnknownKey]) -> bool:
        """Show the fingerprints of all unknown host keys, with what each has to equal, and ask whether they are right."""
        return await asyncio.to_thread(self.confirm, host_keys.question(keys))

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question; anything but yes is no."""
        _forget_what_was_typed()
        sys.stderr.write(_safe(clean_text(question)))
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def ask_secret(self, purpose: str) -> str:
        """Ask for a secret without echo."""
        return getpass.getpass(_safe(f"{clean(purpose)}: "), stream=sys.stderr)


def _forget_what_was_typed() -> None:
    """Who typed ahead has not read the question: an answer counts from when it is asked."""
    if not _is_terminal(sys.stdin):
        return
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        with contextlib.suppress(termios.error, OSError):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether it is one; a stream that was closed before we began is None."""
    return stream is not None and stream.isatty()


def _narrate(text: str) -> None:
    stream = Steady(sys.stderr)
    stream.write(_safe(text) + "\n")
    stream.flush()


def _safe(text: str) -> str:
    encoding = getattr(sys.stderr, "encoding", "") or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
