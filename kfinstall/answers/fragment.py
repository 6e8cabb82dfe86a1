"""Settings of the answers as texts propose them: each can be pasted at the top level of an answers file as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kfinstall.answers.model import Answers
from kfinstall.errors import AnswersError

_WIDEST: Final = 10_000
"""Columns: no proposal is broken into lines."""


def setting(key: str, value: object) -> str:
    """A key with its value as one line of YAML: for kubeflow.components and mini `kubeflow: {components: mini}`."""
    return settings({key: value})


def settings(values: Mapping[str, object]) -> str:
    """The same of several keys of one part; a value may be a mapping or a list."""
    import yaml

    lines = []
    for part, below in _with({}, values).items():
        text = yaml.safe_dump({part: below}, default_flow_style=True, width=_WIDEST, allow_unicode=True, sort_keys=False)
        lines.append(text.strip()[1:-1])
    return "\n".join(lines)


def accepted(answers: Answers, proposals: Iterable[Mapping[str, object]]) -> str:
    """The first proposal that these answers would take, as `settings` writes it; empty where they take none."""
    import yaml

    from kfinstall.answers.load import loads
    from kfinstall.answers.save import dump

    for proposal in proposals:
        try:
            loads(yaml.safe_dump(_with(yaml.safe_load(dump(answers)), proposal)))
        except AnswersError:
            continue
        return settings(proposal)
    return ""


def _with(tree: dict[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    for key, value in values.items():
        *above, last = key.split(".")
        here = tree
        for part in above:
            here = here.setdefault(part, {})
        here[last] = value
    return tree
