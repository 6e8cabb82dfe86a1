"""YAML without its traps: no aliases, no tags, one document, limited depth; and no error that repeats what stands in the file."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

LARGEST_BYTES: Final = 1 << 20
_DEEPEST_LEVELS: Final = 24


class NotYamlError(Exception):
    """The text can't be read. Line and column count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        """`line` and `column`: where reading stopped, counted from 1."""
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message


class _Loader(yaml.SafeLoader):
    """Refuses while composing, so that nothing is expanded that could not be shown in one look."""

    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, after a look at how it begins.

        Raises:
            NotYamlError: an anchor, an alias or a tag, or it is nested too deep.
        """
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it open
        place = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            raise NotYamlError(*place, "aliases ('*name') are not used here; write the value out, or put text with a '*' in quotes")
        if event.anchor is not None:
            raise NotYamlError(*place, "anchors ('&name') are not used here; put text with a '&' in quotes")
        if event.tag is not None:
            raise NotYamlError(*place, "tags ('!name') are not used here; put text with a '!' in quotes")
        if self.levels >= _DEEPEST_LEVELS:
            raise NotYamlError(*place, f"nested deeper than {_DEEPEST_LEVELS} levels")
        self.levels += 1
        try:
            node: yaml.Node | None = super().compose_node(parent, index)
        finally:
            self.levels -= 1
        return node


def decode(content: bytes) -> str:
    """The text of a file.

    Raises:
        NotYamlError: too large, or not UTF-8.
    """
    if len(content) > LARGEST_BYTES:
        raise NotYamlError(1, 1, f"larger than {LARGEST_BYTES // 1024} KiB; this is no answers file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8"), error.start)
        raise NotYamlError(line, column, "not text in UTF-8") from None


def compose(text: str) -> yaml.Node | None:
    """The node tree of a text; None for an empty one.

    Raises:
        NotYamlError: with the place of the first thing that can't be read.
    """
    if len(text) > LARGEST_BYTES:
        raise NotYamlError(1, 1, f"larger than {LARGEST_BYTES // 1024} KiB; this is no answers file")
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise as_problem(error, text, loader.get_mark() if loader is not None else None) from None
    return node


def as_problem(error: Exception, text: str, mark: Any = None) -> NotYamlError:
    """What PyYAML raised about a text, as a problem with its place and without what stands there; `mark` is where it was, if it does not say."""
    if isinstance(error, yaml.MarkedYAMLError):
        found = error.problem_mark or error.context_mark
        line, column = (found.line + 1, found.column + 1) if found else (1, 1)
        return NotYamlError(line, column, _explain(error, text))
    if isinstance(error, yaml.reader.ReaderError):
        return NotYamlError(*_line_and_column(text, int(error.position)), "not YAML: a control character; is it a text file?")
    # PyYAML hands escapes such as \UFFFFFFFF to chr() unchecked.
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return NotYamlError(line, column, "not YAML: an escape or a number without a meaning")


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    """The parser's words without anything longer than a character that stands in the file: it could be a secret."""
    words = re.sub(r"'[^']{2,}'|\"[^\"]{2,}\"", "…", error.problem or "it can't be read")
    mark = error.problem_mark
    rows = text.splitlines()
    if "'\\t'" in words or (mark is not None and mark.line < len(rows) and "\t" in rows[mark.line][: mark.column + 1]):
        return "not YAML: a tab; indent with spaces"
    if "mapping values are not allowed" in words:
        words = "a ':' where none may be; indent keys like their neighbours, and put text with ': ' in quotes"
    elif "but found another document" in words:
        words = "a second document begins here ('---'); one file holds the answers for one cluster"
    elif mark is not None and mark.index >= len(text.rstrip()):
        words += "; the file ends in the middle: is it whole?"
    return f"not YAML: {words}"
