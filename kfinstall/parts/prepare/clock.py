"""prepare.clock: the clock is kept right; certificates and tokens depend on it."""

from __future__ import annotations

from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery

_SERVICES: Final = (
    "systemd-timesyncd.service",
    "chrony.service",
    "chronyd.service",
    "ntpsec.service",
    "ntp.service",
    "openntpd.service",
)
_CONTAINERS: Final = frozenset({"lxc", "lxc-libvirt", "systemd-nspawn", "docker", "podman", "openvz", "proot", "pouch"})
"""systemd-detect-virt's names of containers: they can't set a clock."""


class PrepareClock(Step):
    """Any of the usual services is good; where none runs, systemd-timesyncd is turned on."""

    id: ClassVar[str] = "prepare.clock"
    title: ClassVar[str] = "Keep the clock right"
    script: ClassVar[str] = "prepare-clock"
    estimate_seconds: ClassVar[float] = 5

    @override
    def watch(self, view: View) -> NodeQuery:
        """The services that could do it."""
        return NodeQuery(units=frozenset(_SERVICES))

    def check(self, view: View) -> Check:
        """One of them is active, or the clock is kept from outside."""
        for name in _SERVICES:
            if view.facts.runs(name):
                state = "synchronised" if view.facts.clock.synchronized else "not synchronised yet"
                return Satisfied(f"{name} is active, {state}")
        if view.facts.clock.synchronized:
            return Satisfied("the clock is synchronised")
        if view.facts.os.virtualization in _CONTAINERS:
            return Satisfied(f"the clock is the host's ({view.facts.os.virtualization} container)")
        return Needed(("turn systemd-timesyncd on",))
