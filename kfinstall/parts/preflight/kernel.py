"""Kernel and control groups; swap is only told here, a later step turns it off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Step, View
from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.verdict import minor_tuple

_CGROUP_V2: Final = "cgroup2fs"
_BOOT_V2: Final = (
    "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' /etc/default/grub "
    "&& sudo update-grub && sudo reboot"
)


def _findings(view: View) -> Iterator[Finding]:
    os = view.facts.os
    match = re.match(r"(\d+)\.(\d+)", os.kernel)
    if match and (int(match[1]), int(match[2])) < limits.PREFLIGHT_KERNEL:
        wanted = ".".join(map(str, limits.PREFLIGHT_KERNEL))
        yield Finding(
            f"kernel {os.kernel} is older than {wanted}, which Calico asks for", "sudo apt-get dist-upgrade && sudo reboot"
        )
    if os.cgroup and os.cgroup != _CGROUP_V2:
        refused = minor_tuple(view.minor) >= limits.PREFLIGHT_CGROUP_V2_MINOR
        what = f"the kubelet of Kubernetes {view.minor} refuses it" if refused else "Kubernetes 1.35 and later refuse it"
        yield Finding(f"the server runs with cgroup version 1: {what}", _BOOT_V2, warning=not refused)


class PreflightKernel(Step):
    """New enough for Calico, and cgroup version 2, without which the kubelet of Kubernetes 1.35 and later does not start. Swap is only told: a later step turns it off."""

    id: ClassVar[str] = "preflight.kernel"
    title: ClassVar[str] = "Check the kernel"
    danger: ClassVar[Danger] = Danger.NONE

    def check(self, view: View) -> Check:
        """Satisfied where the kernel is new enough and cgroup version 2 is mounted."""
        missing = not_read(view)
        if missing is not None:
            return missing
        swap = view.facts.swap
        sources = [
            *swap.active,
            *(line.split()[0] for line in swap.fstab if line.split()),
            *swap.units,
            *(["zram"] if swap.zram else []),
        ]
        told = f"; swap ({', '.join(dict.fromkeys(sources))}) will be turned off" if sources else "; no swap"
        version = "2" if view.facts.os.cgroup == _CGROUP_V2 else "?"
        return verdict(_findings(view), f"kernel {view.facts.os.kernel}, cgroup version {version}{told}")
