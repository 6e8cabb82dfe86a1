"""Clocks: certificates, tokens and etcd want them to agree."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import ClassVar, Final

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Severity, Step, View
from kfinstall.facts.model import Facts
from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.facts import Host

_SET_CLOCK: Final = Fix("set the clock by a time server now", "mend-clock", (("PATIENCE_SECONDS", str(limits.FIX_CLOCK_SECONDS)),))
_FIX: Final = "sudo timedatectl set-ntp true && timedatectl timesync-status  # or: sudo chronyc makestep"


def _offset(facts: Facts) -> float:
    """How far a node's clock is before the installer's, in seconds."""
    return facts.clock.epoch_seconds - facts.read_at


def _zone(view: View) -> Iterator[Finding]:
    """Told once, on the first control plane: logs of several zones are hard to read together, and nothing else is wrong."""
    zones = {name: view.fact_of(name, Host).zone for name in view.fleet}
    different = sorted({zone for zone in zones.values() if zone})
    if len(different) > 1 and view.target == view.answers.first_control_plane.name:
        text = f"the servers are set to different time zones: {', '.join(f'{name} {zone}' for name, zone in zones.items() if zone)}"
        yield Finding(text, "sudo timedatectl set-timezone UTC", name="time-zone", severity=Severity.INFO)


class PreflightClock(Step):
    """Each server against the middle of all, a lone one against this computer: certificates, tokens and etcd want clocks that agree."""

    id: ClassVar[str] = "preflight.clock"
    title: ClassVar[str] = "Check the clocks"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Host,)
    names = ("clock-skew", "own-clock", "time-zone")

    def check(self, view: View) -> Check:
        """Satisfied where the clock agrees with the median of all servers; a lone server is held against the installer's."""
        missing = not_read(view)
        if missing is not None:
            return missing
        zone = list(_zone(view))
        offsets = {name: _offset(facts) for name, facts in view.fleet.items() if facts.clock.epoch_seconds and facts.read_at}
        if view.target not in offsets:
            return verdict(
                [
                    Finding(
                        "the clock could not be checked: it can't be read", "date", name="clock-skew", severity=Severity.UNCHECKED
                    )
                ],
                "",
            )
        middle = statistics.median(offsets.values()) if len(offsets) > 1 else 0.0
        whom = "the middle of all servers" if len(offsets) > 1 else "this computer"
        skew = offsets[view.target] - middle
        direction = "ahead of" if skew > 0 else "behind"
        found = []
        if abs(skew) >= limits.PREFLIGHT_SKEW_WARNING_SECONDS:
            far = abs(skew) >= limits.PREFLIGHT_SKEW_ERROR_SECONDS and len(offsets) > 1
            found.append(
                Finding(
                    f"the clock is {abs(skew):.1f} s {direction} {whom}", _FIX, warning=not far, fix=_SET_CLOCK, name="clock-skew"
                )
            )
        if (
            len(offsets) > 1
            and abs(middle) >= limits.PREFLIGHT_SKEW_ERROR_SECONDS
            and view.target == view.answers.first_control_plane.name
        ):
            text = f"all servers differ from this computer by {abs(middle):.0f} s: one of both clocks is wrong"
            found.append(Finding(text, "date  # here and on a server", warning=True, name="own-clock"))
        found += zone
        state = {True: "synchronized", False: "not synchronized yet, the preparation sets that up", None: "state of NTP unknown"}
        # Not the measured value: it differs each time, and a plan should say the same while nothing changes.
        within = f"within {limits.PREFLIGHT_SKEW_WARNING_SECONDS:.0f} s of {whom}"
        return verdict(found, f"{within}; {state[view.facts.clock.synchronized]}")
