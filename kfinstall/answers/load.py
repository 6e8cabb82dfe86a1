"""Reads an answers file strictly; every problem at once, each with file:line:column and, where it can, what was meant.

Only true and false are booleans (so a node may be called `no`), a field that wants text takes the scalar as it is
written (so 1.30 stays 1.30), duplicate keys and aliases are refused, and what stands where a secret belongs is never repeated.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from kfinstall.answers import rules
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.answers.source import LARGEST_BYTES, NotYamlError, compose, decode
from kfinstall.errors import AnswersError
from kfinstall.text import clean

_DEEPEST: Final = 30
_BOOLEANS: Final = {"true": True, "false": False}
_YES_NO: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_NULLS: Final = ("", "~", "null")
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_EMPTY: Final = "needs at least one item"
_MESSAGES: Final = {
    "missing": "is missing",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list, for example [a, b]",
    "too_short": _EMPTY,
    "string_type": "must be text",
    "string_unicode": "must be text without broken characters",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
}
"""Our words for what pydantic finds."""
_REFERENCES: Final = "{env: NAME}, {file: path}, {prompt: true} or {generate: true}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem of a file. Lines and columns count from 1."""

    line: int
    column: int
    key: str
    """Dotted path of the key; empty for the file as a whole."""
    message: str

    def text(self, name: str) -> str:
        """file:line:column: key: message; safe to print, whatever the file's keys are made of."""
        line = f"{name}:{self.line}:{self.column}: {f'{self.key}: ' if self.key else ''}{self.message}"
        return clean(" ".join(line.splitlines())).encode("utf-8", "backslashreplace").decode()


def load(path: Path) -> Answers:
    """The answers of a file.

    Raises:
        AnswersError: with all problems.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise AnswersError(
            f"{path} can't be read", why=why or str(error), hint="make one with: kfinstall answers new answers.yaml"
        ) from error
    try:
        text = decode(content)
    except NotYamlError as error:
        place = Problem(error.line, error.column, "", error.message).text(str(path))
        hint = "kfinstall answers new prints an example"
        raise AnswersError(f"{path} is no answers file: {error.message}", problems=(place,), hint=hint) from error
    return loads(text, str(path))


def loads(text: str, name: str = "answers") -> Answers:
    """The answers of a text.

    Raises:
        AnswersError: with all problems.
    """
    answers, found = examine(text)
    if answers is None or found:
        count = f"{len(found)} problem{'s' if len(found) != 1 else ''}"
        raise AnswersError(
            f"{name}: {count}",
            problems=tuple(problem.text(name) for problem in sorted(found)),
            hint=f"mend {'it' if len(found) == 1 else 'them'}, then: kfinstall answers check {name}",
        )
    return answers


def problems(text: str) -> list[Problem]:
    """All problems of a text, in its order."""
    return sorted(examine(text)[1])


def examine(text: str) -> tuple[Answers | None, list[Problem]]:
    """The answers where they can be had, and all problems."""
    try:
        node = compose(text)
    except NotYamlError as error:
        return None, [Problem(error.line, error.column, "", error.message)]
    if node is None:
        return None, [Problem(1, 1, "", "the file is empty; the key nodes is needed (kfinstall answers new prints an example)")]
    if not isinstance(node, yaml.MappingNode):
        return None, [_at(node, "", "the file must be a mapping that begins with a key such as nodes:")]
    reader = _Reader()
    data = reader.value(node, Answers, ())
    answers, found = _of_model(data, reader)
    if reader.found:
        # A value that could not be read would be told twice.
        told = {problem.key for problem in reader.found}
        found = [*reader.found, *(other for other in found if not any(_related(other.key, key) for key in told))]
    if not found and answers is not None:
        return answers, [reader.place(rule.path, rule.message) for rule in rules.problems(answers)]
    return None, list(dict.fromkeys([*found, *_of_the_rest(data, found, reader)]))


def _of_the_rest(data: Any, found: list[Problem], reader: _Reader) -> list[Problem]:
    """What the rules say about the sections without problems: told now, not after the next try."""
    doubtful = frozenset(problem.key.partition(".")[0] for problem in found)
    if "" in doubtful or not isinstance(data, dict):
        return []
    rest = {key: value for key, value in data.items() if key not in doubtful}
    if "nodes" in doubtful:
        rest["nodes"] = [{"name": "unknown", "address": "unknown.invalid"}]
    try:
        answers = Answers.model_validate(rest)
    except ValidationError:
        return []
    return [reader.place(rule.path, rule.message) for rule in rules.problems(answers, without=doubtful)]


def _of_model(data: Any, reader: _Reader) -> tuple[Answers | None, list[Problem]]:
    try:
        return Answers.model_validate(data), []
    except ValidationError as error:
        messages: dict[tuple[int | str, ...], list[str]] = {}
        for item in error.errors(include_url=False, include_input=False):
            path = tuple(part for part in item["loc"] if not (isinstance(part, str) and _is_branch(part)))
            messages.setdefault(path, []).append(_message(item))
        if len(messages) > 1:  # a list of nothing but wrong items counts as empty
            messages = {path: words for path, words in messages.items() if words != [_EMPTY]}
        return None, [reader.place(path, " or ".join(words)) for path, words in messages.items()]


def _message(item: Mapping[str, Any]) -> str:
    context = item.get("ctx") or {}
    if item["type"] == "literal_error":
        return f"must be {context.get('expected', '')}"
    if item["type"] in ("greater_than_equal", "less_than_equal"):
        return f"must be at {'least' if 'ge' in context else 'most'} {context.get('ge', context.get('le'))}"
    return _MESSAGES.get(item["type"], str(item["msg"]).removeprefix("Value error, "))


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _is_branch(part: str) -> bool:
    """Whether a part of pydantic's location names a branch of a union, not a key."""
    return "[" in part or part in ("tuple", "literal", "str")


def _at(node: yaml.Node, key: str, message: str) -> Problem:
    return Problem(node.start_mark.line + 1, node.start_mark.column + 1, key, message)


def _dotted(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path)


class _Reader:
    """Turns YAML nodes into plain data along the models' types, and remembers where each key stands."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._places: dict[tuple[int | str, ...], yaml.Node] = {}

    def place(self, path: tuple[int | str, ...], message: str) -> Problem:
        """A problem at a path, or at its nearest parent that stands in the file."""
        known = path
        while known and known not in self._places:
            known = known[:-1]
        return _at(self._places[known], _dotted(path), message)

    def _problem(self, node: yaml.Node, path: tuple[int | str, ...], message: str) -> None:
        self.found.append(_at(node, _dotted(path), message))

    def value(self, node: yaml.Node, wanted: Any, path: tuple[int | str, ...]) -> Any:
        """Plain data for a node, as far as its wanted type is known."""
        if len(path) > _DEEPEST:
            self._problem(node, path[:3], "nested too deeply")
            return None
        if path in self._places and self._places[path] is not node:
            self._problem(node, path, "stands twice")
        self._places[path] = node
        models = list(_models(wanted))
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, models[0] if models else None, wanted, path))
        if isinstance(node, yaml.SequenceNode):
            item = _item_type(wanted)
            return [self.value(child, item, (*path, index)) for index, child in enumerate(node.value)]
        if SecretRef in models and node.value not in _NULLS:
            self._problem(node, path, f"a secret is never written here; write {_REFERENCES}")
            return None
        return self._scalar(node, wanted, path) if isinstance(node, yaml.ScalarNode) else None

    def _pairs(
        self, node: yaml.MappingNode, model: type[BaseModel] | None, wanted: Any, path: tuple[int | str, ...]
    ) -> Iterator[tuple[str, Any]]:
        fields = {field.alias or name: field for name, field in model.model_fields.items()} if model else {}
        seen: set[str] = set()
        for key_node, child in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            here = (*path, key)
            if not key:
                self._problem(key_node, path, "a key must be plain text")
            elif key in seen:
                self._problem(key_node, here, f"key {key!r} is written twice")
            elif key == "<<":
                self._problem(key_node, path, "merge keys are not used here; write the keys out")
            elif model is SecretRef and key not in fields:
                self._problem(key_node, path, f"no reference to a secret; write {_REFERENCES}")
            elif model is not None and key not in fields:
                self._problem(key_node, here, f"unknown key {key!r}{_meant(key, list(fields))}")
            else:
                inner = fields[key].annotation if key in fields else _value_type(wanted)
                yield key, self.value(child, inner, here)
            seen.add(key)

    def _scalar(self, node: yaml.ScalarNode, wanted: Any, path: tuple[int | str, ...]) -> Any:
        text, quoted = node.value, node.style in ("'", '"', "|", ">")
        kinds = set(_leaves(wanted))
        if not quoted and text in _NULLS:
            return self._null(node, wanted, path)
        if bool in kinds and not quoted:
            if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
            meant = _YES_NO.get(text.lower())
            self._problem(node, path, f"write {meant} instead of {text}" if meant else "must be true or false")
            return None
        if int in kinds and not quoted and _WHOLE_NUMBER.fullmatch(text):
            return int(text)
        if any(get_origin(part) is tuple for part in _branches(wanted)) and not _literals(wanted):
            self._problem(node, path, "must be a list, for example [a, b]")
            return None
        choices = _literals(wanted)
        if choices and text not in choices:
            self._problem(node, path, f"{text!r} is not one of {', '.join(choices)}{_meant(text, choices)}")
            return None
        return text

    def _null(self, node: yaml.ScalarNode, wanted: Any, path: tuple[int | str, ...]) -> Any:
        if type(None) in set(_leaves(wanted)):
            return None
        if any(_models(wanted)):
            return {}
        self._problem(node, path, "has no value; write one, or take the key out")
        return None


def _branches(wanted: Any) -> Iterator[Any]:
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        for part in get_args(wanted):
            yield from _branches(part)
    elif hasattr(wanted, "__metadata__"):
        yield from _branches(get_args(wanted)[0])
    else:
        yield wanted


def _leaves(wanted: Any) -> Iterator[Any]:
    for part in _branches(wanted):
        if str(get_origin(part)) == "typing.Literal":
            yield from (type(value) for value in get_args(part))
        else:
            yield part


def _models(wanted: Any) -> Iterator[type[BaseModel]]:
    for part in _branches(wanted):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part


def _literals(wanted: Any) -> list[str]:
    return [
        value
        for part in _branches(wanted)
        if str(get_origin(part)) == "typing.Literal"
        for value in get_args(part)
        if isinstance(value, str)
    ]


def _item_type(wanted: Any) -> Any:
    for part in _branches(wanted):
        if get_origin(part) is tuple:
            return get_args(part)[0]
    return Any


def _value_type(wanted: Any) -> Any:
    for part in _branches(wanted):
        if get_origin(part) is dict:
            return get_args(part)[1]
    return Any


def _meant(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in known], n=1, cutoff=0.6)
    by_lower = {name.lower(): name for name in known}
    return f"; did you mean {by_lower[close[0]]!r}?" if close else f"; known: {', '.join(known)}"
