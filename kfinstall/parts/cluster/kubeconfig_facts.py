"""What cluster.kubeconfig reads of a control plane beyond what every node is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from kfinstall.facts.section import FactSection, assignments


@dataclass(frozen=True, slots=True)
class LoginKubeconfig(FactSection):
    """The login user of a control plane, and the kubeconfig that it has."""

    section: ClassVar[str] = "cluster"
    script: ClassVar[str] = "cluster/facts"
    order: ClassVar[int] = 62

    login: str = ""
    """Name of the user that logs in; empty where there is no cluster yet."""
    path: str = ""
    """Its kubeconfig with the administrator's present certificate; empty where none has it."""

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `login=name` and `kubeconfig=path`."""
        values = assignments(cls.section, lines)
        return cls(values.get("login", ""), values.get("kubeconfig", ""))
