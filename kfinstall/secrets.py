"""Secrets as a type: masked wherever they could be shown, and searched for in every text that leaves the engine."""

from __future__ import annotations

import base64
import json
import secrets as _random
import shlex
from typing import Final, final
from urllib.parse import quote

MASK: Final = "•••••"
_SHORTEST_REDACTED_CHARACTERS: Final = 4


@final
class Secret:
    """A value that nothing shows. `reveal()` is the only way to it, and easy to search for."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """`value`: in plain; nothing but `reveal` gives it back."""
        self._value = value

    def reveal(self) -> str:
        """The value itself. Hand it to standard input or to an API body, never to a log, an argument or a file."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and _random.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(Secret)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return MASK

    def __reduce__(self) -> str:
        msg = "a Secret is never serialised"
        raise TypeError(msg)


def generate(length_bytes: int = 18) -> Secret:
    """A new random secret, URL-safe text of `length_bytes` bytes of entropy."""
    return Secret(_random.token_urlsafe(length_bytes))


class Redactor:
    """Replaces every known secret, in the usual encodings, by a mask. One per session; every event passes it."""

    def __init__(self) -> None:
        """Knows no secret yet."""
        self._forms: dict[str, None] = {}
        self._telling: tuple[str, ...] = ()
        """Forms without another form in them: where none of these is, none of all is."""

    def register(self, secret: Secret) -> Secret:
        """Remember a secret, and its base64, URL, JSON and shell-quoted forms; gives it back."""
        value = secret.reveal()
        for part in {value, *value.splitlines()}:
            if len(part) < _SHORTEST_REDACTED_CHARACTERS:
                continue
            encoded = base64.b64encode(part.encode()).decode()
            for form in (part, encoded, encoded.rstrip("="), quote(part, safe=""), json.dumps(part)[1:-1], shlex.quote(part)):
                self._forms[form] = None
        self._forms = dict.fromkeys(sorted(self._forms, key=len, reverse=True))
        self._telling = tuple(form for form in self._forms if not any(other in form for other in self._forms if other != form))
        return secret

    @property
    def armed(self) -> bool:
        """Whether there is a secret to look for."""
        return bool(self._forms)

    def __call__(self, text: str) -> str:
        """The text without any learned secret; the same object where it had none."""
        for form in self._telling:  # a loop, since a generator would cost as much as the looks
            if form in text:
                break
        else:
            return text
        for form in self._forms:
            text = text.replace(form, MASK)
        return text
