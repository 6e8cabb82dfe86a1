"""Resolves the references that stand for secrets in the answers. The value goes nowhere but into a `Secret`."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from kfinstall.answers.model import SecretRef
from kfinstall.errors import AnswersError
from kfinstall.secrets import Secret

_LONGEST_LINE_BYTES: Final = 4096

Prompt = Callable[[str], str]
"""Asks at the terminal without echo; takes what is asked for."""


Warn = Callable[[str], None]
"""Takes a warning that does not stop anything."""


def _nowhere(_warning: str) -> None:
    """Drop a warning that nobody asked for."""


def resolve(ref: SecretRef, purpose: str, *, prompt: Prompt | None, environ: Mapping[str, str], warn: Warn = _nowhere) -> Secret:
    """The secret behind a reference; `purpose` names the key or the machine in messages.

    A file that other users can read is used, and told to `warn`.

    Raises:
        AnswersError: it can't be had; says which key, and what to set.
    """
    if ref.env is not None:
        value = environ.get(ref.env, "")
        if not value:
            raise AnswersError(
                f"{purpose} comes from the environment variable {ref.env}, which is {'empty' if ref.env in environ else 'not set'}",
                hint=f"set it for this command (read -rs {ref.env}; export {ref.env}), or write another reference for {purpose}",
            )
        return Secret(value)
    if ref.file is not None:
        return _from_file(ref.file, purpose, warn)
    if ref.prompt:
        if prompt is None:
            raise AnswersError(
                f"{purpose} is to be asked for, and there is no terminal",
                hint=f"write {{env: NAME}} or {{file: path}} for {purpose} instead of {{prompt: true}}",
            )
        value = prompt(purpose)
        if not value:
            raise AnswersError(f"nothing was typed for {purpose}", hint="run it again")
        return Secret(value)
    raise AnswersError(
        f"{purpose} can't be generated: the node knows it already, kfinstall does not",
        hint=f"write {{env: NAME}}, {{file: path}} or {{prompt: true}} for {purpose}",
    )


def _from_file(name: str, purpose: str, warn: Warn) -> Secret:
    try:
        path = Path(name).expanduser()
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            line = file.readline(_LONGEST_LINE_BYTES + 1).decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: ~user without a home
        reason = "not text in UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or str(error)
        raise AnswersError(
            f"{purpose} comes from {name}, which can't be read", why=reason, hint="check the path and the file's mode"
        ) from error
    if not line:
        raise AnswersError(f"{purpose} comes from {name}, whose first line is empty", hint="write the secret into its first line")
    if len(line.encode()) > _LONGEST_LINE_BYTES:
        raise AnswersError(f"{purpose} comes from {name}, whose first line is no secret: too long", hint="is it the right file?")
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        warn(f"{purpose}: other users can read {name}; chmod 600 {shlex.quote(str(path))}")
    return Secret(line)


def absent(answers: BaseModel, environ: Mapping[str, str], key: str = "") -> list[str]:
    """What the answers refer to and this computer does not have: a variable that is not set, a file that is not there.

    One line each; `kfinstall answers check` shows them as notes, since the run may start elsewhere.
    """
    found: list[str] = []
    for name, value in answers:
        alias = type(answers).model_fields[name].alias or name
        where = f"{key}.{alias}" if key else alias
        for number, item in enumerate(value if isinstance(value, tuple) else (value,)):
            place = f"{where}[{number}]" if isinstance(value, tuple) else where
            if isinstance(item, SecretRef):
                found += _absent_secret(item, place, environ)
            elif isinstance(item, BaseModel):
                found += absent(item, environ, place)
            elif (
                alias in ("keys", "certificate", "key", "bundle") and isinstance(item, str) and not Path(item).expanduser().exists()
            ):
                found.append(f"{place}: there is no file {item} here")
    return found


def _absent_secret(ref: SecretRef, place: str, environ: Mapping[str, str]) -> list[str]:
    if ref.env is not None and not environ.get(ref.env):
        return [f"{place}: the environment variable {ref.env} is not set here"]
    if ref.file is not None and not Path(ref.file).expanduser().exists():
        return [f"{place}: there is no file {ref.file} here"]
    return []
