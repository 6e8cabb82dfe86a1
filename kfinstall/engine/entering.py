"""Servers that can't be entered: each as a finding, and all of them as the error that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.engine.step import Severity
from kfinstall.errors import ExitCode, KfError
from kfinstall.events import Finding
from kfinstall.transport import unknown_keys
from kfinstall.transport.unknown_keys import UnknownHostKeyError

LOGIN: Final = "connect.login"
"""The check that a server is entered by, and what its finding is called."""


def finding(node: str, error: KfError) -> Finding:
    """A server that can't be entered. It can't be ignored: nothing is known of it, and nothing can be done on it."""
    return Finding(
        node=node,
        check=LOGIN,
        level="error",
        message=error.message,
        cause=error.why,
        fix=error.hint,
        called=LOGIN,
        severity=Severity.BLOCKING,
    )


def together(errors: Mapping[str, KfError]) -> KfError:
    """The error for all of them, by node, the one that matters most first: its own exit code where all have the same one, else that of SSH."""
    name, error = next(iter(errors.items()))
    unknown = [each for each in errors.values() if isinstance(each, UnknownHostKeyError)]
    if len(unknown) == len(errors):
        return unknown_keys.together(unknown)
    error.node = error.node or name
    others = [(other, each) for other, each in errors.items() if other != name]
    if not others:
        return error
    error.why = "\n".join([*([error.why] if error.why else []), *(f"also {other}: {each.message}" for other, each in others)])
    lines = [f"{other}: {line}" for other, each in others for line in each.hint.splitlines()]
    error.hint = "\n".join([*([error.hint] if error.hint else []), *lines])
    if len({each.exit_code for each in errors.values()}) > 1:
        error.exit_code = ExitCode.SSH
    return error
