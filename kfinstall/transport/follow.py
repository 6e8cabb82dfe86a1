"""Turns the bytes of an exec into clean lines, and the stream of a followed unit into output, offset and end."""

from __future__ import annotations

from collections import deque
from typing import Final

from kfinstall.text import clean
from kfinstall.transport import limits
from kfinstall.transport.base import LineSink

_OPEN_LINE_BYTES: Final = 64 * 1024


class Lines:
    """Splits bytes into cleaned lines. An unfinished line is kept, at most 64 KiB of it: one line can't fill memory."""

    def __init__(self, sink: LineSink) -> None:
        """`sink`: gets each line without its end."""
        self._sink = sink
        self._open = bytearray()

    def feed(self, data: bytes) -> None:
        """Take a chunk; complete lines go to the sink."""
        first, newline, rest = data.partition(b"\n")
        self._keep(first)
        if not newline:
            return
        self._flush()
        *complete, last = rest.split(b"\n")
        for line in complete:
            self._sink(clean(line.decode("utf-8", "replace")))
        self._keep(last)

    def end(self) -> None:
        """Hand the unfinished last line on, if there is one."""
        if self._open:
            self._flush()

    def _keep(self, part: bytes) -> None:
        self._open += part
        if len(self._open) > _OPEN_LINE_BYTES:
            # A progress bar without line ends: only what its last carriage return left visible matters.
            self._open = self._open[self._open.rfind(b"\r") + 1 :][:_OPEN_LINE_BYTES]

    def _flush(self) -> None:
        self._sink(clean(self._open.decode("utf-8", "replace")))
        self._open.clear()


class Tail:
    """The last lines of an output: a sink that keeps at most 10,000 of them."""

    def __init__(self) -> None:
        """No line yet."""
        self._lines: deque[str] = deque(maxlen=limits.OUTPUT_LINES_KEPT)

    def __call__(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(line)

    @property
    def lines(self) -> tuple[str, ...]:
        """What is kept."""
        return tuple(self._lines)


class Follower:
    """Reads what unit-start and unit-follow print (see kfinstall.transport.wire), over as many connections as it takes."""

    def __init__(self, mark: str, on_line: LineSink) -> None:
        """`mark`: the random word that begins the lines of kfinstall's own; `on_line`: gets the lines of the unit."""
        self._begin = f"@{mark} ".encode()
        self._end = f"@{mark} end ".encode()
        self._lines = Lines(on_line)
        self._held = bytearray()
        self._in_output = False
        self._in_end = False
        self._at_line_start = True
        self.offset = 0
        """Bytes of output that were handed on: where the next unit-follow begins."""
        self.run = ""
        """Id of the run that is followed; empty before its first line."""
        self.found = True
        """False: there is no such unit, or another run took its place."""
        self.status: int | None = None
        self.reason = ""
        """Why there is no status."""
        self.ended = False

    def reopen(self) -> None:
        """A new exec begins: what was held back of the old one comes again."""
        self._held.clear()
        self._in_output = self._in_end = False

    def feed(self, data: bytes) -> None:
        """Take a chunk of standard output."""
        self._held += data
        if not self._in_output and not self._header():
            return
        if not self._in_end:
            self._output()
        if self._in_end and b"\n" in self._held and not self.ended:
            self._finish(self._held.split(b"\n", 1)[0].decode("ascii", "replace").split())

    def _header(self) -> bool:
        while True:
            line, newline, rest = self._held.partition(b"\n")
            if not newline:
                # Only a first line of ours is short; what is longer is not kept.
                del self._held[_OPEN_LINE_BYTES:]
                return False
            self._held = rest
            words = line.removeprefix(self._begin).decode("ascii", "replace").split()
            # Anything else is a login script's greeting, printed before the program.
            if line.startswith(self._begin) and words:
                break
        run = words[1] if words[0] == "unit" and len(words) > 1 else ""
        if not run or self.run not in ("", run):
            self.found = False
            self.ended = True
            return False
        self.run = run
        self._in_output = True
        return True

    def _output(self) -> None:
        at = self._held.find(self._end)
        if at >= 0:
            # The line end before the mark is the mark's, unless it was handed on already.
            self._hand_on(at - 1 if self._held[:at].endswith(b"\n") else at)
            del self._held[: self._held.find(self._end) + len(self._end)]
            self._in_end = True
            return
        self._hand_on(len(self._held) - self._undecided())

    def _undecided(self) -> int:
        """How many of the last bytes may be the beginning of the end mark, and are held back."""
        mark = b"\n" + self._end
        size = next((size for size in range(len(mark) - 1, 0, -1) if self._held.endswith((mark[:size], self._end[:size]))), 0)
        before = self._held[-2:-1] or (b"\n" if self._at_line_start else b"?")
        # A line end that completes a line is handed on, or each line would wait for the next one. Should it be the mark's, then
        # the unit has ended, and an offset that is one too large changes nothing.
        return 0 if size == 1 and self._held.endswith(b"\n") and before != b"\n" else size

    def _hand_on(self, size: int) -> None:
        if size <= 0:
            return
        self._lines.feed(bytes(self._held[:size]))
        self._at_line_start = self._held[size - 1 : size] == b"\n"
        del self._held[:size]
        self.offset += size

    def _finish(self, words: list[str]) -> None:
        self._lines.end()
        self.ended = True
        if words and words[0].isdigit():
            self.status = int(words[0])
        else:
            self.reason = words[1] if len(words) > 1 else "gone"
