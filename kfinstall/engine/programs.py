"""The programs of steps: what is sent to a node, and what is told of one that failed."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall import invocation, resources
from kfinstall.errors import CommandError
from kfinstall.secrets import Secret
from kfinstall.transport.base import Completed, Program


def step_program(name: str, parameters: Mapping[str, str], stdin: Secret | None = None) -> Program:
    """The program of a step's script with scripts/engine/lib.sh before it."""
    text = resources.script("engine/lib") + "\n" + resources.script(resources.step_script(name))
    return Program("step", name, text, parameters, stdin)


def failed(step: str, node: str, done: Completed) -> CommandError:
    """The error for a script that ended with another status than 0; `kf_fail` lines of lib.sh give message and hint."""
    message, hint = f"{step} failed with exit status {done.status}", ""
    for line in done.lines:
        if line.startswith("kf-error: "):
            message = line.removeprefix("kf-error: ")
        elif line.startswith("kf-hint: "):
            hint = invocation.spoken(line.removeprefix("kf-hint: "))
    tail = tuple(line for line in done.lines if not line.startswith(("kf-error: ", "kf-hint: ")))[-20:]
    return CommandError(message, node=node, why="\n".join(tail[-5:]), hint=hint, status=done.status, tail=tail)
