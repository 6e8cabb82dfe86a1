"""Finds the word that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word, else an empty string."""
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""


def meant(word: str, known: Iterable[str]) -> str:
    """The same, with all known words where none is near."""
    words = list(known)
    return nearest(word, words) or f"; known: {', '.join(words)}"
