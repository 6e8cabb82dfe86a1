"""Events, as a run would tell them."""

from collections.abc import Iterable

from kfinstall.events import Event
from kfinstall.frontend.runview import RunView


def take_all(view: RunView, events: Iterable[Event]) -> None:
    """Let a view take several events."""
    for event in events:
        view.take(event)
