"""YAML and JSON as plain data that knows its lines. Aliases and merge keys are followed, as other tools' files have them, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from kfinstall.answers.inventory.limits import DEEPEST_LEVELS, MOST_YAML_VALUES
from kfinstall.answers.source import NotYamlError, as_problem

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Text(str):
    """A scalar as it is written, never taken for a number or a date."""

    line: int = 0
    tag: str = ""
    """Such as !vault; empty where it has none."""


class Map(dict[str, Any]):
    """A mapping, and the line of each of its keys."""

    def __init__(self, line: int = 0) -> None:
        """`line`: where it begins, counted from 1; 0 where that is not known."""
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.twice: dict[str, int] = {}
        """Keys that stand there again, with the line of the last."""
        self.tag = ""


class Seq(list[Any]):
    """A list, and the line of each item."""

    def __init__(self, line: int = 0) -> None:
        """`line`: where it begins."""
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def documents(text: str) -> list[Any]:
    """Each document of a text: Map, Seq, Text or None.

    Raises:
        NotYamlError: it can't be read, is nested too deeply, or means more than anybody writes.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [_of_json(json.loads(text), 0)]
        except (ValueError, RecursionError):
            pass
    parser: Any = None
    builder = _Builder()
    try:
        parser = _LOADER(text)
        while parser.check_event():
            builder.take(parser.get_event())
    except NotYamlError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise as_problem(error, text) from None
    return builder.documents


def _of_json(value: Any, level: int) -> Any:
    if level > DEEPEST_LEVELS:
        raise NotYamlError(1, 1, f"nested deeper than {DEEPEST_LEVELS} levels")
    if isinstance(value, dict):
        result = Map()
        for key, inner in value.items():
            result[key] = _of_json(inner, level + 1)
        return result
    if isinstance(value, list):
        items = Seq()
        items.extend(_of_json(inner, level + 1) for inner in value)
        return items
    if value is None:
        return None
    return Text(str(value).lower() if isinstance(value, bool) else str(value))


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    value: Any
    anchor: str | None
    key: Text | None = None
    size: int = 1
    merges: list[Any] = field(default_factory=list)


class _Builder:
    """Builds from events without recursion, and counts what aliases stand for, so that a few lines can't mean billions."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self._open: list[_Frame] = []
        self._known: dict[str, tuple[Any, int]] = {}

    def take(self, event: Any) -> None:
        """The next event."""
        mark: Any = event.start_mark
        line = mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._known = {}
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._known:
                raise NotYamlError(line, mark.column + 1, "an alias ('*name') of something that does not stand before it")
            self._done(*self._known[event.anchor], line)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if len(self._open) >= DEEPEST_LEVELS:
                raise NotYamlError(line, mark.column + 1, f"nested deeper than {DEEPEST_LEVELS} levels")
            value = Map(line) if isinstance(event, yaml.MappingStartEvent) else Seq(line)
            if isinstance(value, Map):
                value.tag = event.tag or ""
            self._open.append(_Frame(value, event.anchor))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()

    def _scalar(self, event: Any, line: int) -> None:
        value: Text | None = Text(event.value)
        if not event.style and not event.tag and event.value in _NULLS:
            value = None
        if value is not None:
            value.line, value.tag = line, event.tag or ""
        frame = self._open[-1] if self._open else None
        if value is None and frame is not None and isinstance(frame.value, Map) and frame.key is None:
            value = Text(event.value)  # a key called null
            value.line = line
        if event.anchor is not None:
            self._known[event.anchor] = (value, 1)
        self._done(value, 1, line)

    def _close(self) -> None:
        frame = self._open.pop()
        for other in frame.merges:
            for key, value in other.items():
                if key not in frame.value:
                    frame.value[key] = value
                    frame.value.lines[key] = other.lines.get(key, 0)
        if frame.anchor is not None:
            self._known[frame.anchor] = (frame.value, frame.size)
        self._done(frame.value, frame.size, frame.value.line)

    def _done(self, value: Any, size: int, line: int) -> None:
        """A value is whole: it belongs to what is open, or is a document."""
        if size > MOST_YAML_VALUES:
            raise NotYamlError(line, 1, f"means more than {MOST_YAML_VALUES} values; is it made of aliases of aliases?")
        if not self._open:
            self.documents.append(value)
            return
        frame = self._open[-1]
        frame.size += size
        if isinstance(frame.value, Seq):
            frame.value.append(value)
            frame.value.lines.append(line)
        elif frame.key is None:
            if not isinstance(value, Text):
                raise NotYamlError(line, 1, "a key that is no plain text")
            frame.key = value
        else:
            _put(frame, frame.key, value)
            frame.key = None


def _put(frame: _Frame, key: Text, value: Any) -> None:
    if key == "<<":
        frame.merges += [one for one in (value if isinstance(value, Seq) else [value]) if isinstance(one, Map)]
        return
    if key in frame.value:
        frame.value.twice[str(key)] = key.line
    frame.value[str(key)] = value
    frame.value.lines[str(key)] = key.line


def mapping(value: Any) -> Map:
    """The mapping that a value is; an empty one where it is none."""
    return value if isinstance(value, Map) else Map()


def items(value: Any) -> Iterator[tuple[Any, int]]:
    """The items of a list with their lines; none where it is no list."""
    if isinstance(value, Seq):
        for number, item in enumerate(value):
            yield item, value.lines[number] if number < len(value.lines) else 0


def text(value: Any) -> str:
    """The text that a value is; empty where it is none."""
    return str(value).strip() if isinstance(value, Text) and not value.tag.startswith("!vault") else ""


def words(value: Any) -> list[str]:
    """A list of texts, or one text, as a list."""
    if isinstance(value, Seq):
        return [text(item) for item in value if text(item)]
    return [text(value)] if text(value) else []
