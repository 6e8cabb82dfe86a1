"""What the terminal can do, and the only places that ask the user something."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from kfinstall.errors import KfError


@dataclass(frozen=True, slots=True)
class Terminal:
    """Colour, characters, and whether somebody is there to answer."""

    interactive: bool
    """Standard input and standard error are terminals."""
    colour: bool
    unicode: bool
    environ: Mapping[str, str]

    @classmethod
    def detect(cls, environ: Mapping[str, str]) -> Self:
        """Look at the streams, TERM, NO_COLOR and the encoding."""
        tty = sys.stderr.isatty()
        colour = tty and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
        encoding = (getattr(sys.stderr, "encoding", "") or "").lower().replace("-", "")
        fancy = encoding == "utf8" and environ.get("TERM") != "linux"
        return cls(tty and sys.stdin.isatty(), colour, fancy, environ)

    def say(self, text: str) -> None:
        """One line of narration."""
        sys.stderr.write(_safe(text) + "\n")
        sys.stderr.flush()

    def data(self, text: str) -> None:
        """One line of data."""
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()

    def error(self, error: KfError) -> None:
        """What happened, why, what to run next."""
        lines = error.lines()
        if lines:
            self.say(("\x1b[31merror\x1b[0m: " if self.colour else "error: ") + lines[0])
        for line in lines[1:]:
            self.say(line)

    async def ask_host_key(self, node: str, kind: str, fingerprint: str) -> bool:
        """Show an unknown host key's fingerprint and ask whether it is right."""
        question = f"{node}: unknown host key {kind} {fingerprint}\n  compare it with the node's console; is it right? [y/N] "
        return await asyncio.to_thread(self.confirm, question)

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question; anything but yes is no."""
        sys.stderr.write(_safe(question))
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def ask_secret(self, purpose: str) -> str:
        """Ask for a secret without echo."""
        return getpass.getpass(f"{purpose}: ", stream=sys.stderr)


def _safe(text: str) -> str:
    encoding = sys.stderr.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
