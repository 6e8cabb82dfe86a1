"""How this process was called, and the commands that its texts tell people to run: all built here, so that each can be pasted as it stands.

A command ends its line, or is followed by `;`, `,`, `)`, `?` or a backtick: a reader must see where it ends.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = "kfinstall"
FILE: Final = "FILE"
"""Stands for an answers file that nobody has named."""
ANSWERED: Final = ("install", "check", "plan", "doctor", "reset", "uninstall", "rotate")
"""Commands that can't do without an answers file."""
_LOOKING: Final = ("check", "plan", "doctor", "bundle")
"""Commands that change nothing, so that there is nothing of them to go on with: they are called again."""
_TAKING: Final = ("reset", "uninstall", "rotate")
_REHEARSED: Final = ("--delete-data", "--force-finalizers")
_WRITTEN: Final = re.compile(
    rf"(?<![\w/.-]){PROGRAM}(?P<words> (?:resume|status)| answers check {FILE}|(?: (?:check|plan|doctor|reset|uninstall|rotate))? --answers {FILE})"
    r"(?P<more>(?: --only [a-z-]+| --fix| --mend| --force-finalizers)*)(?! --state-dir)(?![\w-])"
)
"""A command as scripts and tables write it, which know nothing of this call."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How this process was called, as far as it matters for what its user types next."""

    program: str = PROGRAM
    """What the shell finds it by, quoted: its bare name, or a path."""
    command: str = ""
    """install, resume, check, plan, doctor, reset, uninstall, rotate, bundle, demo, wizard, status; empty where nothing is known."""
    words: tuple[str, ...] = ()
    """The command line as typed, without the program; empty where a screen asked for it."""
    answers: str = ""
    """The answers file as it was named."""
    state_dir: str = ""
    """The state directory as it was named; empty for the usual one."""
    demo: bool = False
    """It works on simulated servers, which have no answers file."""
    dry_run: bool = False


_CURRENT: ContextVar[Invocation] = ContextVar("invocation")


def current() -> Invocation:
    """The invocation of this context; one of which nothing is known where nobody said how it was called."""
    return _CURRENT.get(Invocation())


@contextmanager
def using(invocation: Invocation) -> Iterator[None]:
    """Let texts speak to whoever called like this."""
    token = _CURRENT.set(invocation)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def learn(**more: Any) -> None:
    """Know more of how this was called, till the context that was entered by `using` ends."""
    _CURRENT.set(replace(current(), **more))


def program(argument: str = "", platform: str = sys.platform) -> str:
    """How a shell finds the running program again: its bare name where that leads to it, else the path that it was called by.

    `argument` is the process's own name, sys.argv[0].
    """
    called = Path(argument or sys.argv[0])
    found = shutil.which(PROGRAM)
    if called.name == "__main__.py":
        beside = found is not None and Path(found).absolute().parent == Path(sys.executable).absolute().parent
        return PROGRAM if beside else shlex.join([sys.executable, "-m", PROGRAM])
    if platform == "win32" or called.stem != PROGRAM or os.sep not in str(called):
        return PROGRAM
    same = found is not None and Path(found).absolute() == called.absolute()
    return PROGRAM if same else shlex.quote(str(called))


def command(name: str, *words: str, answers: str = "") -> str:
    """A command line of kfinstall that does `name`; `words` are its further arguments, unquoted.

    It is about what this call was about, unless `answers` names another answers file. `install` becomes `resume` where the call
    was one: there the answers are those of the run.
    """
    now = current()
    if now.demo and not answers:
        name, words = _rehearsed(name, words)
    if name == "install" and now.command == "resume" and not answers:
        name = "resume"
    parts = [now.program, *([] if name == "install" else name.split())]
    if name in ANSWERED:
        parts += ["--answers", shlex.quote(path(answers or now.answers or FILE))]
    parts += [shlex.quote(word) for word in words]
    if now.state_dir:
        parts += ["--state-dir", shlex.quote(path(now.state_dir))]
    return " ".join(parts)


def path(text: str) -> str:
    """A path as a word of a command line, where none is taken for an option."""
    return f"./{text}" if text.startswith("-") else text


def _rehearsed(name: str, words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What does the same on simulated servers, which nothing but `demo` and `resume` reach."""
    if name in _TAKING:
        return "demo", (f"--{name}", *(word for word in words if word in _REHEARSED))
    if name == "check":
        return ("demo", ("--check", *words)) if current().command == "check" else ("resume", ("--only", "preflight"))
    if name == "install" and current().command in _TAKING:
        return "demo", ()
    if name == "install":
        return "resume", tuple(words or ("--from", "connect"))
    if name in ("plan", "doctor"):
        return "resume", tuple(words)
    return name, tuple(words)


def only(phase: str) -> str:
    """The command that runs one phase."""
    return command("install", "--only", phase)


def cluster() -> str:
    """The command that makes the cluster: the phase, or an installation where what was called knows no phases of one."""
    return command("install") if current().command in _TAKING else only("cluster")


def bundle(path: str = FILE) -> str:
    """The command that makes a bundle, of what a cluster with these answers has rendered."""
    return command("bundle", "--out", path, "--answers", current().answers or FILE)


def elsewhere(name: str) -> str:
    """A command that keeps its state in another directory, which is yet to be named."""
    with using(replace(current(), state_dir="DIR")):
        return command(name)


def again() -> str:
    """The command that goes on with what was called, once that can go on: `resume`, or the same call where it changes nothing."""
    now = current()
    if now.command not in _LOOKING and not now.dry_run:
        return command("resume")
    return f"{now.program} {shlex.join(now.words)}" if now.words else command(now.command)


def same(*words: str) -> str:
    """The command that was called, with more words; where a screen asked for it, the one that does the same."""
    now = current()
    if now.words:
        return f"{now.program} {shlex.join([*now.words, *words])}"
    return command("check" if now.command == "check" else "install", *words)


def reinstall() -> str:
    """The command that makes everything as the answers want it: it goes on with an installation, or begins one."""
    return again() if current().command in ("", "install", "resume", "demo", "wizard") else command("install")


def spoken(text: str) -> str:
    """A text of a script or a table with its commands put as this call's user can run them.

    They are written there in full: `kfinstall resume`, `kfinstall --answers FILE --only storage`, `kfinstall check --answers FILE`.
    """
    return _WRITTEN.sub(_put, text)


def _put(found: re.Match[str]) -> str:
    name = found["words"].replace(f" --answers {FILE}", "").strip() or "install"
    if name == f"answers check {FILE}":
        return command("answers check", path(current().answers or FILE))
    more = found["more"].split()
    if not more and name in ("resume", "install"):
        return again() if name == "resume" else reinstall()
    return command(name, *more)
