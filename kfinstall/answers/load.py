"""Reads an answers file strictly; every problem at once, each with file:line:column and, where it can, what was meant.

Only true and false are booleans (so a node may be called `no`), a field that wants text takes the scalar as it is
written (so 1.30 stays 1.30), duplicate keys and aliases are refused, and what stands where a secret belongs is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from kfinstall import invocation
from kfinstall.answers import rules, shape
from kfinstall.answers.local_paths import anchored
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.answers.source import LARGEST_BYTES, NotYamlError, compose, decode
from kfinstall.answers.suggest import meant, nearest
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
    """The answers of a file; relative paths in it are seen from the folder it is in.

    Raises:
        AnswersError: with all problems.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise AnswersError(
            f"{path} can't be read", why=why or str(error), hint=f"make one: {invocation.command('answers new', 'answers.yaml')}"
        ) from error
    try:
        text = decode(content)
    except NotYamlError as error:
        place = Problem(error.line, error.column, "", error.message).text(str(path))
        hint = f"see an example: {invocation.command('answers new')}"
        raise AnswersError(f"{path} is no answers file: {error.message}", problems=(place,), hint=hint) from error
    piped = path.is_relative_to("/dev") or not path.is_file()
    return anchored(loads(text, str(path)), Path.cwd() if piped else path.absolute().parent)


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
            hint=f"mend {'it' if len(found) == 1 else 'them'}, then: {invocation.command('answers check', invocation.path(name))}",
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
        return None, [
            Problem(1, 1, "", f"the file is empty; the key nodes is needed (for an example: {invocation.command('answers new')})")
        ]
    if not isinstance(node, yaml.MappingNode):
        return None, [_at(node, "", "the file must be a mapping that begins with a key such as nodes:")]
    reader = _Reader()
    data = reader.value(node, Answers, ())
    answers, found = _of_model(data, reader)
    if reader.found:
        # A value that could not be read would be told twice.
        reported = {problem.key for problem in reader.found}
        found = [*reader.found, *(other for other in found if not any(_related(other.key, key) for key in reported))]
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
            messages.setdefault(path, []).append(explain(item))
        if len(messages) > 1:  # a list of nothing but wrong items counts as empty
            messages = {path: words for path, words in messages.items() if words != [_EMPTY]}
        return None, [reader.place(path, " or ".join(words)) for path, words in messages.items()]


def explain(item: Mapping[str, Any]) -> str:
    """Our words for one of pydantic's errors."""
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
        models = list(shape.models(wanted))
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, models[0] if models else None, wanted, path))
        if isinstance(node, yaml.SequenceNode):
            item = shape.item_type(wanted)
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
                self._problem(key_node, here, f"unknown key {key!r}{_home_or_meant(key, list(fields))}")
            else:
                inner = fields[key].annotation if key in fields else shape.value_type(wanted)
                yield key, self.value(child, inner, here)
            seen.add(key)

    def _scalar(self, node: yaml.ScalarNode, wanted: Any, path: tuple[int | str, ...]) -> Any:
        text, quoted = node.value, node.style in ("'", '"', "|", ">")
        kinds = set(shape.leaves(wanted))
        if not quoted and text in _NULLS:
            return self._null(node, wanted, path)
        if bool in kinds and not quoted:
            if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
            word = _YES_NO.get(text.lower())
            self._problem(node, path, f"write {word} instead of {text}" if word else "must be true or false")
            return None
        if int in kinds and not quoted and _WHOLE_NUMBER.fullmatch(text):
            return int(text)
        if any(get_origin(part) is tuple for part in shape.branches(wanted)) and not shape.literals(wanted):
            self._problem(node, path, "must be a list, for example [a, b]")
            return None
        choices = shape.literals(wanted)
        if choices and text not in choices:
            self._problem(node, path, f"{text!r} is not one of {', '.join(choices)}{nearest(text, choices)}")
            return None
        return text

    def _null(self, node: yaml.ScalarNode, wanted: Any, path: tuple[int | str, ...]) -> Any:
        if type(None) in set(shape.leaves(wanted)):
            return None
        if any(shape.models(wanted)):
            return {}
        self._problem(node, path, "has no value; write one, or take the key out")
        return None


def _home_or_meant(key: str, known: list[str]) -> str:
    """Where an unknown key belongs, if another section knows it by exactly this name; else what was meant."""
    homes = shape.homes(key)
    return f"; it belongs under {' or '.join(homes)}" if homes else meant(key, known)
