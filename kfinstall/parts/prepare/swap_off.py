"""prepare.swap-off: no swap now, and none after a reboot from any source that is known here."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.text import shell


class PrepareSwapOff(Step):
    """The kubelet refuses to start with swap. fstab is read by field: Ubuntu's installer writes TABs there."""

    id: ClassVar[str] = "prepare.swap-off"
    title: ClassVar[str] = "Turn swap off for good"
    script: ClassVar[str] = "prepare-swap-off"
    estimate_seconds: ClassVar[float] = 3

    def check(self, view: View) -> Check:
        """Neither active, nor in fstab, nor by a unit, nor by zram; preflight tells of services that are left alone."""
        swap = view.facts.swap
        changes = [shell("swapoff", device) for device in swap.active]
        changes += [f"comment out in /etc/fstab: {' '.join(line.split())}" for line in swap.fstab]
        changes += [shell("systemctl", "mask", unit) for unit in swap.units]
        changes += ["turn zram swap off"] if swap.zram else []
        if changes:
            return Needed(tuple(changes))
        if swap.again:
            return Satisfied(f"no swap is on; at boot it may be made again by {', '.join(swap.again)}")
        return Satisfied("no swap is on, no known source brings it back at boot")
