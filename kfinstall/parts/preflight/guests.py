"""What others run on the server beside any package: containers with their ports, and packet filter rules of pod networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from kfinstall.facts.lines import SectionError, columns, number
from kfinstall.facts.section import FactSection


@dataclass(frozen=True, slots=True)
class Container:
    """A container that Docker runs."""

    name: str
    image: str
    ports: frozenset[int] = frozenset()
    """Of the server, published for it."""


@dataclass(frozen=True, slots=True)
class Guests(FactSection):
    """Containers and rules."""

    section: ClassVar[str] = "guests"
    script: ClassVar[str] = "preflight/facts-guests"
    order: ClassVar[int] = 20
    once: ClassVar[bool] = True

    containers: tuple[Container, ...] = ()
    rules: tuple[tuple[str, int], ...] = ()
    """(whose, how many) chains of iptables: KUBE, CILIUM, cali, FLANNEL, WEAVE, CNI, KUBE-ROUTER, ANTREA."""

    @override
    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `container name image ports` (numbers by blanks) and `rules whose count`."""
        containers: list[Container] = []
        rules: list[tuple[str, int]] = []
        for line in lines:
            kind, rest = columns(cls.section, line, 2)
            if kind == "container":
                name, image, ports = columns(cls.section, rest, 3)
                containers.append(Container(name, image, frozenset(number(cls.section, port, int) for port in ports.split())))
            elif kind == "rules":
                whose, count = columns(cls.section, rest, 2)
                rules.append((whose, number(cls.section, count, int)))
            else:
                raise SectionError(cls.section, line)
        return cls(tuple(containers), tuple(rules))
