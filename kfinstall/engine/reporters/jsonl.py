"""JSON lines: one event per line, the versioned contract of docs/events.md."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final, TextIO

from kfinstall.engine import limits
from kfinstall.events import EVENTS_VERSION, Event, OutputLine

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=list)


class JsonLines:
    """Writes every event to a text stream, flushed at once; servers' output within JSONL_FLUSH_SECONDS, all that came meanwhile together."""

    def __init__(self, stream: TextIO) -> None:
        """`stream`: is flushed, and never closed, by it."""
        self._stream = stream
        self._due: asyncio.TimerHandle | None = None

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._stream.write(json_line(event))
        if type(event) is not OutputLine:
            self._flush()
        elif self._due is None:
            try:
                self._due = asyncio.get_running_loop().call_later(limits.JSONL_FLUSH_SECONDS, self._flush)
            except RuntimeError:  # nobody to do it later
                self._flush()

    def _flush(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        with suppress(ValueError):  # the stream was closed meanwhile, and flushed by that
            self._stream.flush()


def json_line(event: Event) -> str:
    """One event with its line end, as json.dumps writes it; that would make an encoder for each of thousands of lines a second."""
    if type(event) is OutputLine and isfinite(event.at):  # by far the most
        step, target, text = encode_basestring(event.step), encode_basestring(event.target), encode_basestring(event.text)
        head = f'{{"version": {EVENTS_VERSION}, "event": "{event.name}", "at": {event.at!r}'
        return f'{head}, "step": {step}, "target": {target}, "text": {text}}}\n'
    return "{" + ", ".join([f'"{key}": {_text(value)}' for key, value in event.to_json().items()]) + "}\n"


def _text(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    return repr(value) if kind is int or (kind is float and isfinite(value)) else _ENCODER.encode(value)
