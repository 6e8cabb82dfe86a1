"""What the engine asks, as windows: host keys, secrets, and whether to mend what it can."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from textual.app import App
from textual.message import Message

from kfinstall.secrets import Secret
from screens.modals import Confirm, HostKeys, Password

if TYPE_CHECKING:
    from kfinstall.frontend.questions import FixAsked, HostKeysAsked, Question

Given = TypeVar("Given")


class EngineAsks(Message):
    """The engine asks something; posted from its thread."""

    def __init__(self, question: Question) -> None:
        """`question`: holds the future that its answer goes to."""
        super().__init__()
        self.question = question


def put(app: App[Any], question: Question) -> None:
    """Open the window of a question; its answer goes back to the engine."""
    # With the engine, which asks: the first screen is there before it.
    from kfinstall.frontend.questions import FixAsked, HostKeysAsked

    if isinstance(question, HostKeysAsked):
        _yes_or_no(app, HostKeys(question), question)
    elif isinstance(question, FixAsked):
        _yes_or_no(app, _fix_window(question), question)
    else:
        wanted = question

        def typed(secret: Secret | None) -> None:
            _tell(wanted.answer, secret)

        app.push_screen(Password(wanted), typed)


def _tell(answer: Future[Given], given: Given) -> None:
    # Who asked may have been stopped meanwhile.
    if not answer.done():
        answer.set_result(given)


def _yes_or_no(app: App[Any], window: Confirm, question: HostKeysAsked | FixAsked) -> None:
    def decided(yes: bool | None) -> None:
        _tell(question.answer, bool(yes))

    app.push_screen(window, decided)


def _fix_window(question: FixAsked) -> Confirm:
    what = "\n".join(f"{node}: {done} ({check})" for node, check, done in question.offers)
    text = (
        f"kfinstall can:\n\n{what}\n\nWhat it changes is recorded on the server, and taken back by a reset. Then the run goes on."
    )
    return Confirm("Mend this, and retry?", text, yes="Mend and retry")
