"""Whether apt can be used: locks, broken packages, first-boot work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Step, View, phase_began
from kfinstall.text import shell

_SHOWN_PACKAGES: Final = 5
_UPGRADES: Final = "unattended-upgrades.service apt-daily.service apt-daily-upgrade.service"


def _findings(view: View) -> Iterator[Finding]:
    apt, detached = view.facts.apt, view.facts.kf_units
    running = sorted(name for name, unit in detached.items() if unit.running)
    if apt.lock_holder:
        pid, _, program = apt.lock_holder.partition(" ")
        whose = f" (a step of kfinstall runs: {', '.join(running)})" if running else ""
        fix = f"wait until it is done: {shell('sudo', 'tail', f'--pid={pid}', '-f', '/dev/null')}"
        if program.startswith(("unattended-upgr", "apt.systemd.dai")):
            fix += f"\nor: sudo systemctl stop {_UPGRADES}"
        upgrades = program.startswith(("unattended-upgr", "apt.systemd.dai"))
        mend = Fix("stop automatic upgrades until the next boot", "mend-updates", (("UNITS", _UPGRADES),)) if upgrades else None
        text = f"apt's lock is held by {program or 'a program'}, process {pid}{whose}; steps wait for it"
        yield Finding(text, fix, warning=True, fix=mend)
    if apt.broken and not running:
        names = ", ".join(apt.broken[:_SHOWN_PACKAGES]) + (" ..." if len(apt.broken) > _SHOWN_PACKAGES else "")
        ours = phase_began(view.facts, "prepare")
        busy = bool(apt.lock_holder)
        yield Finding(
            f"packages are half installed: {names}",
            "sudo dpkg --configure -a && sudo apt-get install --fix-broken",
            warning=ours or busy,
            fix=None if busy else Fix("finish half-installed packages, removing none", "mend-packages"),
        )
    if apt.cloud_init_running:
        yield Finding("cloud-init still works on the first boot", "cloud-init status --wait", warning=True)


class PreflightApt(Step):
    """Who holds apt's lock, packages that are half installed, and cloud-init that still works on the first boot."""

    id: ClassVar[str] = "preflight.apt"
    title: ClassVar[str] = "Check the package manager"
    danger: ClassVar[Danger] = Danger.NONE

    def check(self, view: View) -> Check:
        """Satisfied where nothing holds apt's lock and no package is half installed."""
        missing = not_read(view)
        if missing is not None:
            return missing
        automatic = "; unattended-upgrades is on, Kubernetes' packages will be held" if view.facts.apt.unattended_upgrades else ""
        return verdict(_findings(view), f"apt is free, no package is broken{automatic}")
