"""JSON lines: one event per line, the versioned contract of docs/events.md."""

from __future__ import annotations

import json
from typing import TextIO

from kfinstall.events import Event


class JsonLines:
    """Writes every event to a text stream, flushed line by line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._stream.write(json.dumps(event.to_json(), ensure_ascii=False, default=list) + "\n")
        self._stream.flush()
