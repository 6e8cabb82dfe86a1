"""Answers in the making: kept as the file's own plain data, examined by the file's own loader, saved as they grow."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from kfinstall.answers import fields
from kfinstall.answers.load import Problem, examine, loads
from kfinstall.answers.local_paths import anchored
from kfinstall.answers.model import Answers
from kfinstall.answers.save import HEAD
from kfinstall.answers.source import NotYamlError, compose, decode
from kfinstall.durable import write_atomically
from kfinstall.errors import AnswersError, StateError

Key = tuple[str | int, ...]
"""Where a value stands: ("nodes", 0, "address")."""

_SECTIONS: Final = ("version", "cluster", "ssh", "nodes", "storage", "registry", "kubeflow", "spark", "proxy")


def dotted(key: Key) -> str:
    """The path of a key without the numbers of list items: nodes.address."""
    return ".".join(part for part in key if isinstance(part, str))


class Draft:
    """What the wizard's screens fill. It is a file from the first key on, so that nothing is lost and headless runs the same."""

    def __init__(self, path: Path, data: Mapping[str, Any] | None = None) -> None:
        """`path`: the file that it is written to; `data`: plain data as YAML gives it, an empty draft where there is none."""
        self.path = path
        self._data: dict[str, Any] = copy.deepcopy(dict(data)) if data else {"version": 1}
        self.changed = False
        """Whether there is something that the file does not hold yet."""

    @classmethod
    def open(cls, path: Path) -> Draft:
        """The draft of a file, whatever is still missing or wrong in it.

        Raises:
            AnswersError: it can't be read, or is no YAML mapping.
        """
        try:
            text = decode(path.read_bytes())
            node = compose(text)
        except OSError as error:
            raise AnswersError(f"{path} can't be read", why=error.strerror or str(error)) from error
        except NotYamlError as error:
            raise AnswersError(f"{path} is no answers file", why=f"line {error.line}: {error.message}") from error
        if node is None:
            return cls(path)
        if not isinstance(node, yaml.MappingNode):
            raise AnswersError(f"{path} is no answers file", why="it must be a mapping that begins with a key such as nodes:")
        found = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (makes nothing but text, lists and mappings)
        answers, _problems = examine(text)
        return cls(path, _plain(answers) if answers is not None else _typed(found))

    @classmethod
    def of(cls, path: Path, answers: Answers) -> Draft:
        """The draft that says what some answers say."""
        return cls(path, _plain(answers))

    @property
    def data(self) -> dict[str, Any]:
        """A copy of everything as it stands."""
        return copy.deepcopy(self._data)

    def get(self, key: Key) -> Any:
        """The value at a key; its default where the file would not say it."""
        value = self.given(key)
        if value is None:
            try:
                return copy.deepcopy(fields.field(dotted(key)).default)
            except KeyError:
                return None
        return value

    def given(self, key: Key) -> Any:
        """The value that stands at a key, None where there is none."""
        value: Any = self._data
        for part in key:
            if isinstance(value, Mapping):
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def set(self, key: Key, value: Any) -> None:
        """Write a value; None, and what is the default anyway, takes the key out."""
        known = fields.field(dotted(key))
        if value == known.default and not known.required:
            value = None
        if value == self.given(key):
            return
        self._data = _with(self._data, key, value)
        self._data = {name: self._data[name] for name in _SECTIONS if name in self._data}
        self.changed = True

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """A copy of the nodes as they stand."""
        return copy.deepcopy(list(self._data.get("nodes") or []))

    def node_keys(self) -> tuple[str, ...]:
        """The key files that are written for single nodes, seen from the file's folder; of nodes that are not finished too."""
        own = [node["ssh"].get("keys") for node in self.nodes if isinstance(node.get("ssh"), Mapping)]
        folder = self.path.absolute().parent
        return tuple(
            key if key.startswith("~") else str(folder / key)
            for keys in own
            if isinstance(keys, list)
            for key in keys
            if isinstance(key, str)
        )

    def set_nodes(self, nodes: Iterable[Mapping[str, Any]]) -> None:
        """Replace all nodes; keys without a value are left out."""
        cleaned = [{key: value for key, value in node.items() if value not in (None, "", [], {})} for node in nodes]
        if cleaned != self._data.get("nodes", []):
            self._data = _with(self._data, ("nodes",), cleaned or None)
            self._data = {name: self._data[name] for name in _SECTIONS if name in self._data}
            self.changed = True

    def text(self) -> str:
        """The file."""
        return HEAD + yaml.safe_dump(self._data, sort_keys=False, allow_unicode=True, width=120)

    def problems(self) -> list[Problem]:
        """Everything that is missing or wrong, in the file's own words."""
        return self.problems_of(self.text())

    def problems_of(self, text: str) -> list[Problem]:
        """The same of a text that the draft had; may be called beside it."""
        return sorted(examine(text)[1])

    def answers(self) -> Answers:
        """The answers, seen from the file's folder.

        Raises:
            AnswersError: with all problems.
        """
        return anchored(loads(self.text(), str(self.path)), self.path.absolute().parent)

    def save(self) -> None:
        """Write the file so that a kill leaves the old one or the new one.

        Raises:
            StateError: it can't be written.
        """
        self.write(self.text())
        self.changed = False

    def write(self, text: str) -> None:
        """Write a text that the draft had; may be called beside it.

        Raises:
            StateError: it can't be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StateError(f"{self.path.parent} can't be made", why=error.strerror or str(error)) from error
        write_atomically(self.path, text)


def _with(data: Any, key: Key, value: Any) -> Any:
    """A copy of nested data with one value replaced; None takes it out, and sections that get empty with it."""
    if not key:
        return value
    head, rest = key[0], key[1:]
    if isinstance(head, int):
        items = list(data or [])
        items[head] = _with(items[head], rest, value)
        return items
    new = dict(data or {})
    inner = _with(new.get(head), rest, value)
    if inner is None or inner == {}:
        new.pop(head, None)
    else:
        new[head] = inner
    return new


def _plain(answers: Answers) -> dict[str, Any]:
    data: dict[str, Any] = answers.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"version": answers.version, **data}


def _typed(found: Any, path: str = "") -> Any:
    """Text of a faulty file as the data that its keys want, as far as they are known."""
    if isinstance(found, Mapping):
        return {str(key): _typed(value, f"{path}.{key}".lstrip(".")) for key, value in found.items()}
    if isinstance(found, list):
        return [_typed(item, path) for item in found]
    try:
        known = fields.field(path)
    except KeyError:
        return found
    return found if known.kind in ("list", "section", "secret") else fields.read(path, str(found))
