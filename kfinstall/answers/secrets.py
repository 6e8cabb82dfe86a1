"""Resolves the references that stand for secrets in the answers. The value goes nowhere but into a `Secret`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kfinstall.answers.model import SecretRef
from kfinstall.errors import AnswersError
from kfinstall.secrets import Secret

Prompt = Callable[[str], str]
"""Asks at the terminal without echo; takes what is asked for."""


def resolve(ref: SecretRef, purpose: str, *, prompt: Prompt | None, environ: Mapping[str, str]) -> Secret:
    """The secret behind a reference; `purpose` names the key or the machine in messages.

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
        return _from_file(Path(ref.file).expanduser(), purpose)
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


def _from_file(path: Path, purpose: str) -> Secret:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise AnswersError(
            f"{purpose} comes from {path}, which can't be read", why=reason, hint="check the path and the file's mode"
        ) from error
    if not lines or not lines[0]:
        raise AnswersError(f"{purpose} comes from {path}, whose first line is empty", hint="write the secret into its first line")
    return Secret(lines[0])
