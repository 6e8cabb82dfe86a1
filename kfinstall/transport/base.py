"""What the engine may ask of a node.

Every exchange is one program for /bin/bash, run by root: never a templated command line. Parameters are KF_*
variables that `program` quotes in the one place of the project that quotes for a shell; secrets travel on standard input.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, runtime_checkable

from kfinstall.errors import UsageError
from kfinstall.secrets import Secret
from kfinstall.transport import limits

_PARAMETER: Final = re.compile("[A-Z_][A-Z0-9_]*")

LineSink = Callable[[str], None]
"""Takes one line of remote output, already cleaned of control sequences."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished program left. `lines` are cleaned; at most the last 10,000 of them."""

    status: int
    lines: tuple[str, ...]


def unfit(name: str, value: str) -> str:
    """Why a program can't be given a parameter, "" if it can. `name` is without KF_.

    Raises:
        ValueError: the value has no form in UTF-8.
    """
    if not _PARAMETER.fullmatch(name):
        return f"{name!r} is no name of a parameter"
    if "\0" in value:
        return f"parameter {name} holds a NUL byte"
    if _bytes(name, value) > limits.PARAMETER_BYTES:
        return f"parameter {name} is longer than {limits.PARAMETER_BYTES} bytes"
    return ""


def _bytes(name: str, value: str) -> int:
    return len(f"KF_{name}={value}".encode())


@dataclass(frozen=True, slots=True)
class Program:
    """A program for a node: a kind and a name (both for the header that people, logs and the simulator read), text, parameters."""

    kind: str
    """facts, step, ask or lock."""
    name: str
    """For a step, the name of its script: prepare-swap-off."""
    text: str
    """Bash. For a step: scripts/engine/lib.sh followed by the step's script."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Names without the prefix KF_, in upper case; values are any text without NUL."""
    stdin: Secret | None = None
    """Handed to the program's standard input; never written to a disk."""

    def render(self) -> str:
        """The program as sent: a header line, the quoted parameters, and the text.

        Raises:
            UsageError: a parameter that no shell can be given (a NUL byte, a name that is none, too long), or too much of them.
        """
        lines = [f"# kfinstall {self.kind} {self.name}"]
        for key, value in sorted(self.parameters.items()):
            if why := unfit(key, value):
                raise UsageError(f"parameter {key} of {self.name} can't be passed to a shell", why=why)
            lines.append(f"export KF_{key}={shlex.quote(value)}")
        if sum(_bytes(key, value) for key, value in self.parameters.items()) > limits.PARAMETERS_BYTES:
            raise UsageError(f"the parameters of {self.name} are longer than {limits.PARAMETERS_BYTES} bytes together")
        return "\n".join([*lines, "# kfinstall body", self.text, ""])


class Host(Protocol):
    """One node, logged in and able to become root."""

    @property
    def name(self) -> str:
        """The node's name in the answers."""

    async def ask(self, program: Program, *, timeout_seconds: float) -> Completed:
        """Run a short program to its end, in one exec. A non-zero status is an answer, not an error.

        Raises:
            TransportError: the connection failed or died before there was a status.
            StepTimeoutError: it ran out of time; the remote process was ended.
        """

    async def run(self, program: Program, *, timeout_seconds: float, on_line: LineSink, attach: bool = False) -> Completed:
        """Run a step detached, as the transient systemd unit kf-<program.name>; follow its output.

        A lost connection is made anew and the output goes on where it stopped. A unit of that name that still runs
        (a killed installer's) is followed instead of started again; with `attach`, nothing is started if none runs,
        and the last result is given.

        Raises:
            TransportError: the node could not be reached again within its limit.
            StepTimeoutError: the unit ran out of time and was stopped.
            CommandError: the unit ended without a status (power cut, out of memory).
        """

    def forward(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """A local TCP port on 127.0.0.1 that leads to host:port as seen from the node."""

    async def close(self) -> None:
        """Close the connection. What runs detached goes on."""


@runtime_checkable
class Reaching(Protocol):
    """A host whose connection can be made anew by itself."""

    async def reach(self) -> None:
        """Be connected: log in again if the connection was lost; nothing is run there.

        Raises:
            TransportError: it can't be reached.
        """


@runtime_checkable
class Forwarding(Protocol):
    """A host whose sshd may refuse to forward connections."""

    async def forwarding_refused(self, host: str, port: int) -> str:
        """What it says to a connection that is to be forwarded to host:port; empty where that is allowed, whether something listens or not.

        Raises:
            TransportError: it can't be reached.
        """


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A host key that nobody has seen before."""

    server: str
    """The node's name, or 'jump host ADDRESS'."""
    name: str
    """The address, or [address]:port: how known_hosts names it."""
    kind: str
    """The algorithm: ssh-ed25519, ecdsa-sha2-nistp256, ssh-rsa ..."""
    fingerprint: str
    """SHA256:..."""

    @property
    def jump(self) -> bool:
        """Whether it is a jump host's."""
        return self.server.startswith("jump host ")

    @property
    def short_kind(self) -> str:
        """The type as ssh-keygen -l writes it: ED25519, ECDSA, RSA."""
        return self.kind.removeprefix("sk-").removeprefix("ssh-").partition("-")[0].upper()

    @property
    def command(self) -> str:
        """What prints the same fingerprint on that server."""
        return f"ssh-keygen -lf /etc/ssh/ssh_host_{self.short_kind.lower()}_key.pub"


HostKeyQuestion = Callable[[Sequence[UnknownKey]], Awaitable[bool]]
"""Asked with all unknown host keys that were met at once, at least one; True accepts and pins all of them."""


@dataclass(frozen=True, slots=True)
class LoginNote:
    """One thing that was learnt on the way into a server."""

    where: str
    """'the node' or 'jump host ADDRESS'."""
    stage: Literal["reached", "host-key", "offered", "refused", "accepted", "root"]
    detail: str = ""
    """The host key's type and fingerprint, the key or method that was offered, refused or accepted; never a secret."""


LoginListener = Callable[[LoginNote], None]
