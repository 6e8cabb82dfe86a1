"""Every error that kfinstall shows, and the exit code that each one becomes.

    KfError                 1    unexpected
    ├─ UsageError           2
    ├─ PreflightError       3    (PreflightWarningError 4, with --strict)
    ├─ ConflictError        3    a step can't be done as things stand
    ├─ CommandError        10    a command on a node, or a request to the cluster, failed
    ├─ TransportError      13    the connection itself
    │  ├─ LoginError       13    no method was accepted
    │  ├─ ForwardingError  13    the node's sshd forwards no connections
    │  └─ HostKeyError     13    unknown, or not to be trusted; never retried
    │     └─ ChangedHostKeyError  changed or revoked; stops the whole run
    ├─ SudoError           14
    ├─ AnswersError        15    carries every problem at once
    ├─ StepTimeoutError    16
    ├─ NodesSetAsideError  20
    ├─ ProofError          30
    ├─ StateError           1    the local state can't be read or written
    ├─ LockedError         75
    └─ InterruptedRunError 130

An error is identified by its type, never by its text.
"""

from __future__ import annotations

import asyncio
import errno
import shlex
import traceback
from enum import IntEnum
from pathlib import Path
from typing import ClassVar, Final

from kfinstall import invocation
from kfinstall.text import clean, clean_lines, clean_text, cleaned, hanging

_OF_THE_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE})
"""What this computer's disk or permissions refuse; not a defect of the program."""


class ExitCode(IntEnum):
    """What the process says to its caller. A contract: documented in docs/cli.md, tested, never renumbered."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    PREFLIGHT = 3
    PREFLIGHT_WARNING = 4
    COMMAND = 10
    CHANGES = 11
    SSH = 13
    SUDO = 14
    ANSWERS = 15
    TIMEOUT = 16
    SET_ASIDE = 20
    PROOF = 30
    LOCKED = 75
    INTERRUPTED = 130


class KfError(Exception):
    """Something a user must know: what happened, why we think so, and what to run next."""

    exit_code: ExitCode = ExitCode.UNEXPECTED
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, why: str = "", hint: str = "", node: str = "") -> None:
        """What happened, in one sentence.

        `why`: the evidence; `hint`: what to run or change next; `node`: where. Control characters are taken out of all of
        them.
        """
        message = clean_text(message)
        super().__init__(message)
        self.message = message
        """What happened, one sentence."""
        self.why = clean_text(why)
        """The evidence, or an empty string."""
        self.hint = clean_text(hint)
        """What to run or change next, or an empty string."""
        self.node = clean(node)
        """The node it happened on, or an empty string."""
        self.brief: tuple[str, str] | None = None
        """(why, hint) for a terminal that has been told the findings above; None for all of them."""

    def advise(self, line: str) -> None:
        """One more line of what to run next; none that is already there."""
        if line not in self.hint.splitlines():
            self.hint = f"{self.hint}\n{line}".strip()
            if self.brief is not None:
                self.brief = (self.brief[0], f"{self.brief[1]}\n{line}".strip())

    def lines(self) -> list[str]:
        """The three parts as lines for a terminal."""
        # Cleaned once more: whoever caught it may have put something to it.
        prefix = f"{clean(self.node)}: " if self.node else ""
        parts = [hanging(prefix + clean_text(self.message), 2)]
        why, hint = self.brief or (self.why, self.hint)
        parts += [f"  why:  {line}" for line in clean_lines(why.removesuffix("\n"))]
        parts += [f"  next: {line}" for line in clean_lines(hint.removesuffix("\n"))]
        return parts


class UsageError(KfError):
    """The command line does not make sense."""

    exit_code = ExitCode.USAGE


class PreflightError(KfError):
    """A node can't carry what was asked for."""

    exit_code = ExitCode.PREFLIGHT


class PreflightWarningError(KfError):
    """A preflight warning, under --strict."""

    exit_code = ExitCode.PREFLIGHT_WARNING


class ConflictError(KfError):
    """A step found something on the target that it will not overwrite."""

    exit_code = ExitCode.PREFLIGHT


class CommandError(KfError):
    """A command on a node, or a request to the Kubernetes API, failed.

    `status` is the exit status, or None where there was none (killed, power cut, API refusal); `tail` its last lines.
    """

    exit_code = ExitCode.COMMAND

    def __init__(
        self,
        message: str,
        *,
        why: str = "",
        hint: str = "",
        node: str = "",
        status: int | None = None,
        tail: tuple[str, ...] = (),
    ) -> None:
        """`status`: the exit status, None where there was none; `tail`: the last lines of output, oldest first."""
        super().__init__(message, why=why, hint=hint, node=node)
        self.status = status
        self.tail = cleaned(tail)


class LostStepError(CommandError):
    """A step's unit ended without a status: power cut, restart, killed from outside. Steps may be run again."""

    retryable = True


class TransportError(KfError):
    """The connection to a node could not be made, or died."""

    exit_code = ExitCode.SSH
    retryable = True


class LoginError(TransportError):
    """The node refused every way to log in."""

    retryable = False


class ForwardingError(TransportError):
    """The node's sshd refuses to forward a connection: a setting, which no second try changes."""

    retryable = False


class HostKeyError(TransportError):
    """The node's host key is unknown, or is not the one we know. `fingerprint` is the SHA256 form."""

    retryable = False

    def __init__(self, message: str, *, why: str = "", hint: str = "", node: str = "", fingerprint: str = "") -> None:
        """`fingerprint`: of the key that was shown, as `ssh-keygen -l` writes it: SHA256:..."""
        super().__init__(message, why=why, hint=hint, node=node)
        self.fingerprint = fingerprint


class ChangedHostKeyError(HostKeyError):
    """A server shows another host key than the one we know, or one that is marked as revoked: no node is set aside for it, the run stops.

    `server` is the node's name or 'jump host ADDRESS'; `node` is the one that it was met on the way to.
    """

    def __init__(
        self, message: str, *, why: str = "", hint: str = "", node: str = "", fingerprint: str = "", server: str = ""
    ) -> None:
        """`server`: the jump host, or the node itself where it is empty."""
        super().__init__(message, why=why, hint=hint, node=node, fingerprint=fingerprint)
        self.server = server or node


class SudoError(KfError):
    """The login user can't become root."""

    exit_code = ExitCode.SUDO


class AnswersError(KfError):
    """The answers can't be used. `problems` holds one line per problem, each with file:line:column."""

    exit_code = ExitCode.ANSWERS

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), why: str = "", hint: str = "") -> None:
        """`problems`: a line each, `file:line:column: key: what is wrong`; they are the evidence where `why` is empty."""
        super().__init__(message, why=why or "\n".join(problems), hint=hint)
        self.problems = cleaned(problems)


class StepTimeoutError(KfError):
    """A step, or a wait, ran out of its time."""

    exit_code = ExitCode.TIMEOUT


class NodesSetAsideError(KfError):
    """The run finished, but not on every node."""

    exit_code = ExitCode.SET_ASIDE


class ProofError(KfError):
    """Everything ran, and the proof that it works did not hold."""

    exit_code = ExitCode.PROOF


class StateError(KfError):
    """The state directory can't be read, written or understood."""


class LockedError(KfError):
    """Another run holds the lock, here or on the control plane."""

    exit_code = ExitCode.LOCKED


class InterruptedRunError(KfError):
    """The user stopped the run."""

    exit_code = ExitCode.INTERRUPTED


def defect(error: Exception, folder: Path) -> KfError:
    """What to tell of a bug: one sentence; the frames go to crash.log in a folder, without variables and without the message.

    The message of a foreign exception could hold what a node or a file said.
    """
    path = folder / "crash.log"
    place = str(path)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}", encoding="utf-8")
    except OSError:
        place = ""
    return KfError(
        f"kfinstall met a defect of its own ({type(error).__name__})",
        why="the nodes' work goes on and nothing that was done is lost",
        hint=f"run: {invocation.again()}\nand report {place}" if place else f"run: {invocation.again()}",
    )


def as_kf_error(error: BaseException, folder: Path) -> KfError:
    """What a user is told of whatever ended a run; the trace of a defect goes to a file in the state directory `folder`."""
    if isinstance(error, KfError):
        return error
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return InterruptedRunError(
            "stopped at once, as asked", hint=f"what runs on the nodes goes on; follow it with: {invocation.again()}"
        )
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        hint = f"free space there (df -h {shlex.quote(str(folder))}), or choose another --state-dir; then: {invocation.again()}"
        return StateError(f"{error.filename or folder} can't be used", why=error.strerror or str(error), hint=hint)
    if isinstance(error, Exception):
        return defect(error, folder)
    raise error
