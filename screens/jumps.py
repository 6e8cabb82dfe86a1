"""Jump hosts in a form: the way as ssh -J takes it, and below it what each host needs of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input
from typing_extensions import override

from kfinstall.answers import jumps
from kfinstall.frontend.draft import Draft, Key
from screens.form import Row, SecretRow


class JumpRow(Row):
    """The hosts to go through, in one line."""

    @property
    @override
    def help(self) -> str:
        return (
            f"{self.spec.help} As with ssh -J: user@host:port, several with commas between them. "
            f"Each is logged in to like a server: its host key is checked too. The servers' passwords are not sent to it, and keys of "
            f"a single server are not offered to it: below it has its own.\n"
            f"'{jumps.DIRECT}': straight to this server, whatever holds for the others.\nIn the file: {self.spec.path}"
        )

    @override
    def editors(self) -> Iterable[Widget]:
        given = self.draft.given(self.key)
        yield Input(jumps.write(given), placeholder=self._hint, select_on_focus=False)

    @override
    def typed(self, text: str) -> None:
        self.take(jumps.read(text, _hops(self.draft, self.key)))


class JumpHosts(Vertical):
    """The row of the way, and keys and password of each host on it."""

    DEFAULT_CSS = """
    JumpHosts { height: auto; }
    """

    def __init__(self, draft: Draft, key: Key, *, hint: str = "") -> None:
        """`key` is that of the list: ("ssh", "jumpHosts"), or a node's."""
        super().__init__()
        self._draft, self._key, self._hint = draft, key, hint

    def compose(self) -> ComposeResult:
        """The way, then the hosts."""
        yield JumpRow(self._draft, self._key, "Jump hosts", hint=self._hint)
        for number, address in enumerate(self._addresses()):
            yield from self._rows(number, address)

    def _addresses(self) -> list[str]:
        return [str(hop.get("address", "")) for hop in _hops(self._draft, self._key)]

    def _rows(self, number: int, address: str) -> Iterable[Row]:
        key = (*self._key, number)
        keys, password = _labels(address)
        yield Row(self._draft, (*key, "keys"), keys, hint="as for all servers")
        yield SecretRow(self._draft, (*key, "password"), password, may_generate=False)

    @on(Row.Changed)
    async def _changed(self, event: Row.Changed) -> None:
        if not isinstance(event.row, JumpRow):
            return
        addresses = self._addresses()
        rows = [row for row in self.query(Row) if not isinstance(row, JumpRow)]
        # Rows are hidden, never taken out: Textual can't take out what is still being made while somebody types.
        for at, row in enumerate(rows):
            row.display = at // 2 < len(addresses)
            if row.display:
                row.reload(_labels(addresses[at // 2])[at % 2])
        for number in range(len(rows) // 2, len(addresses)):
            await self.mount_all(self._rows(number, addresses[number]))


def _labels(address: str) -> tuple[str, str]:
    return f"  {address:.12}: keys", f"  {address:.9}: password"


def _hops(draft: Draft, key: Key) -> list[dict[str, Any]]:
    given = draft.given(key)
    return [hop for hop in given if isinstance(hop, dict)] if isinstance(given, list) else []
