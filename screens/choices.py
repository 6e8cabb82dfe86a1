"""A row whose choices are known only while the program runs: releases, versions, nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textual.widget import Widget
from textual.widgets import Select
from typing_extensions import override

from kfinstall.frontend.draft import Draft, Key
from screens.form import Row


class ChoiceRow(Row):
    """A row with a list of (shown, value)."""

    def __init__(self, draft: Draft, key: Key, label: str, choices: Sequence[tuple[str, str]], *, more_help: str = "") -> None:
        """`key`: where in the draft; `more_help`: after the key's own description."""
        super().__init__(draft, key, label)
        self._more_help = more_help
        self.choices = list(choices)

    @override
    def editors(self) -> Iterable[Widget]:
        value = self.current()
        known = {choice for _shown, choice in self.choices}
        blank = value not in known
        yield Select(
            self.choices,
            value=Select.NULL if blank else value,
            allow_blank=self.spec.optional and self.spec.default is None,
            prompt=str(value) if value else "the default",
        )

    def current(self) -> Any:
        """The choice that stands in the draft."""
        return self.draft.get(self.key)

    @property
    @override
    def help(self) -> str:
        return f"{super().help}\n{self._more_help}" if self._more_help else super().help

    def show_choice(self, choice: str) -> None:
        """Show one of the choices, without taking it anew."""
        select = self.query_one(Select)
        if select.value != choice:
            with self.prevent(Select.Changed):
                select.value = choice

    def offer(self, choices: Sequence[tuple[str, str]]) -> None:
        """Offer other choices."""
        if list(choices) == self.choices:
            return
        self.choices = list(choices)
        select = self.query_one(Select)
        value = self.current()
        with self.prevent(Select.Changed):
            select.set_options(self.choices)
            if value in {choice for _shown, choice in self.choices}:
                select.value = value
