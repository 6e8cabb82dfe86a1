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
from typing import Any, Self, TextIO

from kfinstall.cli import host_keys
from kfinstall.errors import KfError
from kfinstall.text import clean, clean_text, cleaned, printable
from kfinstall.transport.base import UnknownKey


class Steady:
    """A stream whose reader may go away (`kfinstall status | head`): what is written then is dropped, and the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        """`stream`: what is written on as long as somebody reads it."""
        self._stream = stream
        self.encoding = stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write, or drop it."""
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop it."""
        with self._dropping():
            self._stream.flush()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # What is still buffered would be written at the interpreter's end, and fail there.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


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

    @classmethod
    def detect(cls, environ: Mapping[str, str]) -> Self:
        """Look at the streams, TERM, NO_COLOR and the encoding."""
        tty = sys.stderr.isatty()
        colour = tty and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
        encoding = (getattr(sys.stderr, "encoding", "") or "").lower().replace("-", "")
        fancy = encoding == "utf8" and environ.get("TERM") != "linux"
        columns = shutil.get_terminal_size().columns if tty else 0
        interactive = tty and sys.stdin.isatty()
        screens = interactive and sys.stdout.isatty() and environ.get("TERM", "dumb") != "dumb"
        return cls(interactive, colour, fancy, environ, screens, columns)

    def say(self, text: str) -> None:
        """One line of narration, cleaned: it may hold what a server said."""
        _narrate(clean_text(text))

    def data(self, text: str) -> None:
        """Lines of data, cleaned and never cut."""
        stream = Steady(sys.stdout)
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
        sys.stderr.write(_safe(clean_text(question)))
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def ask_secret(self, purpose: str) -> str:
        """Ask for a secret without echo."""
        return getpass.getpass(_safe(f"{clean(purpose)}: "), stream=sys.stderr)


def _narrate(text: str) -> None:
    stream = Steady(sys.stderr)
    stream.write(_safe(text) + "\n")
    stream.flush()


def _safe(text: str) -> str:
    encoding = sys.stderr.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
