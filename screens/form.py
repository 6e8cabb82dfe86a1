"""Forms on the draft: a row for each key, checked while it is typed by the file's own validators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static, Switch
from typing_extensions import override

from kfinstall.answers import fields
from kfinstall.frontend.draft import Draft, Key, dotted
from screens.base import Explained

_SECRET_FORMS: Final = (
    ("made up, kept in the cluster", "generate"),
    ("asked for at the start", "prompt"),
    ("environment variable", "env"),
    ("file on this computer", "file"),
)


class Row(Explained, Vertical):
    """A label, the means to change a value, and below it what is wrong, if something is."""

    DEFAULT_CSS = """
    Row { height: auto; margin: 0 1 0 0; }
    Row Horizontal { height: 1; }
    Row .row--label { width: 22; color: $quiet; }
    Row:focus-within .row--label { color: $primary; text-style: bold; }
    Row Input { border: none; height: 1; padding: 0 1; background: $panel; width: 1fr; }
    Row Input:focus { border: none; background: $primary 25%; }
    Row Input.-invalid, Row Input.-invalid:focus { border: none; background: $error 20%; }
    Row Switch { border: none; height: 1; padding: 0; background: $panel; }
    Row Switch:focus { border: none; background: $primary 25%; }
    Row .row--word { width: auto; padding: 0 1; }
    Row Select { width: 1fr; height: 1; }
    Row SelectCurrent { border: none; height: 1; padding: 0 1; background: $panel; }
    Row Select:focus > SelectCurrent { background: $primary 25%; border: none; }
    Row .row--problem { color: $error; padding-left: 22; height: auto; display: none; }
    Row.-wrong .row--problem { display: block; }
    """

    class Changed(Message):
        """Another value stands in the draft."""

        def __init__(self, row: Row, key: Key) -> None:
            """`key`: where in the draft it stands."""
            super().__init__()
            self.row = row
            self.key = key

        @property
        def control(self) -> Row:
            """The row."""
            return self.row

    def __init__(self, draft: Draft, key: Key, label: str, *, hint: str = "") -> None:
        """`hint` stands in an empty input."""
        super().__init__(id="row-" + "-".join(str(part) for part in key))
        self.draft = draft
        self.key = key
        self.label = label
        self.spec = fields.field(dotted(key))
        self._hint = hint
        self.wrong = ""
        """What is wrong with the value; empty if nothing is."""

    @property
    def _has_three(self) -> bool:
        """Whether it is a flag that may be absent, which is neither yes nor no."""
        return self.spec.kind == "flag" and self.spec.default is None

    @property
    @override
    def help(self) -> str:
        """What F1 shows."""
        default = fields.write(self.spec.default)
        choices = f"\nOne of: {', '.join(self.spec.choices)}." if self.spec.choices else ""
        return f"{self.spec.help}{choices}\n" + (f"Default: {default}\n" if default else "") + f"In the file: {self.spec.path}"

    def compose(self) -> ComposeResult:
        """Label and editor in a line, the problem below."""
        with Horizontal():
            yield Static(Content(self.label), classes="row--label")
            yield from self.editors()
        yield Static("", classes="row--problem", markup=False)

    def editors(self) -> Iterable[Widget]:
        """The widgets that change the value."""
        value = self.draft.get(self.key)
        if self._has_three:
            yield Select([("yes", "true"), ("no", "false")], value=_word(value), allow_blank=True, prompt=self._hint)
        elif self.spec.kind == "flag":
            yield Switch(bool(value), animate=False)
            yield Static("yes" if value else "no", classes="row--word")
        elif self.spec.kind == "choice":
            options = [(choice, choice) for choice in self.spec.choices]
            yield Select(
                options,
                value=value if value in self.spec.choices else Select.NULL,
                allow_blank=self.spec.optional and value is None,
            )
        else:
            given = self.draft.given(self.key)
            yield Input(
                fields.write(given if given is not None else self.spec.default), placeholder=self._hint, select_on_focus=False
            )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.typed(event.value)

    @on(Switch.Changed)
    def _switched(self, event: Switch.Changed) -> None:
        event.stop()
        self.query_one(".row--word", Static).update("yes" if event.value else "no")
        self.take(event.value)

    @on(Select.Changed)
    def _selected(self, event: Select.Changed) -> None:
        event.stop()
        chosen = None if event.value is Select.NULL else str(event.value)
        if self._has_three:
            self.take(None if chosen is None else chosen == "true")
        else:
            self.selected(chosen)

    def typed(self, text: str) -> None:
        """An input has another text."""
        self.take(fields.read(self.spec.path, text))

    def selected(self, choice: str | None) -> None:
        """Something else is selected."""
        self.take(choice)

    def take(self, value: Any) -> None:
        """Put a value into the draft, wrong or not: what was typed is never lost."""
        before = self.draft.given(self.key)
        self.draft.set(self.key, value)
        self.show_problem(fields.problem(self.spec.path, value))
        if self.draft.given(self.key) != before:
            self.post_message(self.Changed(self, self.key))

    def reload(self, label: str) -> None:
        """Another value stands in the draft: show it, under its label."""
        self.label = label
        self.query_one(".row--label", Static).update(Content(label))
        with self.prevent(Input.Changed, Select.Changed):
            self.show_value()
        self.show_problem(fields.problem(self.spec.path, self.draft.given(self.key)))

    def show_value(self) -> None:
        """Fill the editors from the draft."""
        given = self.draft.given(self.key)
        for editor in self.query(Input):
            editor.value = fields.write(given if given is not None else self.spec.default)
        if self._has_three:
            self.query_one(Select).value = _word(given)

    def put(self, value: Any) -> None:
        """Take a value that something else than the editor chose, and show it there."""
        self.take(value)
        for editor in self.query(Input):
            with self.prevent(Input.Changed):
                editor.value = fields.write(self.draft.get(self.key))

    def show_problem(self, text: str) -> None:
        """Show what is wrong, or that nothing is."""
        self.wrong = text
        self.set_class(bool(text), "-wrong")
        for editor in self.query(Input):
            editor.set_class(bool(text), "-invalid")
        self.query_one(".row--problem", Static).update(Content(f"✗ {text}" if text else ""))

    def show_rule(self, text: str) -> None:
        """Show what the file's rules across keys say of it, unless it is wrong by itself."""
        own = fields.problem(self.spec.path, self.draft.given(self.key))
        self.show_problem(own or text)

    def on_mount(self) -> None:
        """What a file brought in may be wrong already."""
        given = self.draft.given(self.key)
        if given is not None:
            self.show_problem(fields.problem(self.spec.path, given))


def _word(value: object) -> Any:
    return fields.write(value) if isinstance(value, bool) else Select.NULL


class SecretRow(Row):
    """A secret: where it comes from, never what it is."""

    FORMS: ClassVar = _SECRET_FORMS

    def __init__(self, draft: Draft, key: Key, label: str, *, may_generate: bool = True) -> None:
        """`may_generate`: whether kfinstall can make the secret itself."""
        super().__init__(draft, key, label)
        self._forms = [form for form in _SECRET_FORMS if may_generate or form[1] != "generate"]
        self._optional = self.spec.default is None

    def editors(self) -> Iterable[Widget]:
        """The form, and beside it the name or path where the form has one."""
        value = self.draft.get(self.key) or {}
        form = next(iter(value), None) if isinstance(value, dict) else None
        known = {name for _label, name in self._forms}
        yield Select(
            self._forms,
            value=form if form in known else Select.NULL,
            allow_blank=self._optional or form not in known,
            prompt="none",
        )
        text = value.get(form, "") if form in ("env", "file") else ""
        name = Input(str(text), placeholder="name or path", select_on_focus=False)
        name.display = form in ("env", "file")
        yield name

    @override
    def show_value(self) -> None:
        value = self.draft.given(self.key)
        form = next(iter(value), None) if isinstance(value, dict) else None
        name = self.query_one(Input)
        name.value = str(value[form]) if isinstance(value, dict) and form in ("env", "file") else ""
        name.display = form in ("env", "file")
        self.query_one(Select).value = form if form in {known for _label, known in self._forms} else Select.NULL

    @override
    def typed(self, text: str) -> None:
        self._collect()

    @override
    def selected(self, choice: str | None) -> None:
        self.query_one(Input).display = choice in ("env", "file")
        self._collect()

    def _collect(self) -> None:
        form, text = self.query_one(Select).value, self.query_one(Input).value.strip()
        if form is Select.NULL:
            self.take(None)
        elif form in ("env", "file"):
            self.take({str(form): text})
            if not text:
                self.show_problem(f"write the {'name of the variable' if form == 'env' else 'path of the file'}")
        else:
            self.take({str(form): True})


def row(draft: Draft, path: str, label: str, **more: Any) -> Row:
    """The row for a key that is no item of a list; `path` is dotted, for example storage.nfs.path."""
    key: Key = tuple(path.split("."))
    kind = SecretRow if fields.field(path).kind == "secret" else Row
    return kind(draft, key, label, **more)
