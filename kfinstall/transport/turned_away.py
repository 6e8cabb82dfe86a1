"""What a server says before SSH begins: why it takes no connection now, and how long that is worth waiting for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kfinstall.errors import TransportError
from kfinstall.text import clean_lines

_KEPT_BYTES: Final = 4096
_SHOWN_LINES: Final = 3
_VERSION: Final = b"SSH-"
_MORE: Final = (
    "for good: MaxStartups 100, or PerSourcePenaltyExemptList with this computer's address, in /etc/ssh/sshd_config,"
    " then: sudo sshd -t && sudo systemctl reload ssh"
)


class TurnedAwayError(TransportError):
    """The server answers, and takes no connection from here now; it may a moment later."""


@dataclass(slots=True)
class Greeting:
    """The text before a server's version line."""

    text: bytearray
    versioned: bool = False
    """Whether the version line came."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines, cleaned, none of them empty."""
        return tuple(line for line in clean_lines(bytes(self.text).decode("utf-8", "replace")) if line.strip())


def listen(connection: Any) -> Greeting:
    """Hear what comes before the version line on a connection of asyncssh, which reads over it and keeps nothing.

    Its `data_received` is what asyncio calls for each chunk; it is put back with the first that has the version.
    """
    heard = Greeting(bytearray())
    take = connection.data_received

    def data_received(data: bytes, *more: Any) -> None:
        if not heard.versioned:
            heard.text += data[: _KEPT_BYTES - len(heard.text)]
            at = 0 if heard.text.startswith(_VERSION) else heard.text.find(b"\n" + _VERSION)
            if at >= 0 or len(heard.text) >= _KEPT_BYTES:
                heard.versioned = True
                del heard.text[max(at, 0) :]
                connection.data_received = take
        take(data, *more)

    connection.data_received = data_received
    return heard


def lines_of(banner: str) -> list[str]:
    """The end of what a server says to whoever logs in: PAM's reason for a refusal is there, behind the file of sshd's Banner."""
    return [f"it says: {line}" for line in [line for line in clean_lines(banner) if line.strip()][-_SHOWN_LINES:]]


def explained(greeting: Greeting | None, *, node: str, where: str) -> TransportError | None:
    """The error for a connection that ended before the server's version line; None where there is nothing to say about it."""
    if greeting is None or greeting.versioned:
        return None
    text = "\n".join(greeting.lines[:5])
    if "Exceeded MaxStartups" in text:
        return TurnedAwayError(
            f"{where} takes no more logins at the same time",
            node=node,
            why=f"it says: {text}",
            hint=f"others log in there all the time, or its limit is low: sudo sshd -T | grep -i maxstartups\n{_MORE}",
        )
    if "Not allowed at this time" in text:
        return TurnedAwayError(
            f"{where} takes no login from this computer now",
            node=node,
            why=f"it says: {text}\nOpenSSH 9.8 and newer says so for MaxStartups, PerSourceMaxStartups and PerSourcePenalties alike; a penalty"
            " is for logins from this address that failed or were left unfinished",
            hint=f"its log says which: sudo journalctl -u ssh -g 'drop connection|penal' -n 5; a penalty passes by itself within minutes\n{_MORE}",
        )
    if text:
        return TransportError(
            f"{where} ended the connection before SSH began",
            node=node,
            why=f"it says: {text}",
            hint="what it says is its reason; does another service have that port?",
        )
    return None
