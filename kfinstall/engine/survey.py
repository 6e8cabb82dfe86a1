"""What a step's survey gets to work with: several nodes at once, their facts, and a voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kfinstall.answers.model import Answers
from kfinstall.engine.fleet import Fleet
from kfinstall.events import Event, EventBus
from kfinstall.facts.model import Facts
from kfinstall.transport.base import Host


@dataclass(frozen=True, slots=True)
class Surveying:
    """The SurveyContext of one survey (see kfinstall.engine.step)."""

    _fleet: Fleet
    _bus: EventBus
    again: bool = False

    @property
    def answers(self) -> Answers:
        """The answers without the nodes that are set aside."""
        return self._fleet.answers

    @property
    def fleet(self) -> Mapping[str, Facts]:
        """Facts by node name."""
        return self._fleet.facts

    @property
    def before(self) -> Mapping[type, object]:
        """What surveys of this run found out before."""
        return self._fleet.surveys

    def host(self, name: str) -> Host:
        """The connection to a node."""
        return self._fleet.hosts[name]

    def tell(self, event: Event) -> None:
        """Let everybody know."""
        self._bus.emit(event)
