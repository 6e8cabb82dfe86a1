"""Kernel, its modules and settings, control groups; swap is only told here, a later step turns it off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.engine.checks import Finding, not_read, unchecked, verdict
from kfinstall.engine.step import Check, Danger, Fix, Severity, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import boot_settings, limits
from kfinstall.parts.preflight.facts import ISTIO_MODULES, NAT_TABLES, REQUIRED_MODULES, Boot, Host
from kfinstall.parts.preflight.verdict import minor_tuple
from kfinstall.text import shell

_CGROUP_V2: Final = "cgroup2fs"
_BOOT_V2: Final = (
    "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' /etc/default/grub "
    "&& sudo update-grub && sudo reboot"
)
_CONTROLLERS: Final = ("cpu", "cpuset", "memory", "pids")
"""What the kubelet needs of either version."""
_PI: Final = re.compile(r"raspi|rpi|bcm2", re.IGNORECASE)
_PI_FILE: Final = "/boot/firmware/cmdline.txt"


def _version(view: View) -> Iterator[Finding]:
    os = view.facts.os
    match = re.match(r"(\d+)\.(\d+)", os.kernel)
    if match and (int(match[1]), int(match[2])) < limits.PREFLIGHT_KERNEL:
        wanted = ".".join(map(str, limits.PREFLIGHT_KERNEL))
        yield Finding(
            f"kernel {os.kernel} is older than {wanted}, which Calico asks for",
            "sudo apt-get dist-upgrade && sudo reboot",
            name="kernel-version",
        )
    if os.cgroup and os.cgroup != _CGROUP_V2:
        refused = minor_tuple(view.minor) >= limits.PREFLIGHT_CGROUP_V2_MINOR
        what = f"the kubelet of Kubernetes {view.minor} refuses it" if refused else "Kubernetes 1.35 and later refuse it"
        weight = Severity.BLOCKING if refused else Severity.WARNING
        text = f"the server runs with cgroup version 1: {what}"
        yield Finding(text, _BOOT_V2, warning=not refused, name="cgroup-version", severity=weight)


def _boot_words(view: View, words: str, off: list[str]) -> str:
    """How the kernel is given words at boot, by what starts it."""
    host = view.fact(Host)
    if host.cmdline_file or _PI.search(view.facts.os.kernel):
        file = host.cmdline_file or _PI_FILE
        return f"sudo sed -i '1s/$/ {words}/' {file} && sudo reboot"
    taken = "".join(f"s/ *cgroup_disable={name}//;" for name in off)
    edit = f'{taken}s/^GRUB_CMDLINE_LINUX="/&{words} /'
    grub = f"sudo sed -i '{edit}' /etc/default/grub && sudo update-grub && sudo reboot"
    return f"{grub}\n# on a Raspberry Pi: sudo sed -i '1s/$/ {words}/' {_PI_FILE} && sudo reboot"


def _controllers(view: View) -> Iterator[Finding]:
    host = view.fact(Host)
    if not host.cgroup:
        return
    missing = [name for name in _CONTROLLERS if name not in host.controllers]
    if not missing:
        return
    off = [name for name in missing if f"cgroup_disable={name}" in host.cmdline]
    # What can be switched on at boot; what the kernel was built without can't.
    words = " ".join(f"cgroup_enable={name}" for name in missing if name == "memory" or name in off)
    words += " cgroup_memory=1" if "memory" in missing else ""
    another = f"sudo apt-get install linux-image-{view.facts.os.architecture or 'amd64'} && sudo reboot"
    why = f": the kernel was started with cgroup_disable={','.join(off)}" if off else ""
    yield Finding(
        f"the kernel has no control group for {' and '.join(missing)}, without which the kubelet does not start{why}",
        _boot_words(view, words, off) if words else another,
        name="cgroup-controllers",
        severity=Severity.BLOCKING,
    )


def _modules(view: View) -> Iterator[Finding]:
    host = view.fact(Host)
    if not host.looked:
        yield unchecked("kernel-modules", "what the kernel can load", "the node did not tell", shell("ls", "/lib/modules"))
        return
    there = host.available | view.facts.modules
    missing = [name for name in REQUIRED_MODULES if name not in there]
    if missing and host.no_modules:
        text = f"the modules of the running kernel {host.no_modules} are not on the disk any more: it was upgraded since it started"
        yield Finding(text, "sudo reboot", name="kernel-modules")
        return
    if missing and host.unknown_modules:
        why = f"there is no /lib/modules/{host.unknown_modules}, and no configuration of it"
        yield unchecked(
            "kernel-modules", f"whether the kernel has {' and '.join(missing)}", why, shell("sudo", "modprobe", missing[0])
        )
        return
    ubuntu = view.facts.os.id == "ubuntu"
    package = "linux-modules-extra-$(uname -r)" if ubuntu else f"linux-image-{view.facts.os.architecture or 'amd64'}"
    get = f"sudo apt-get install {package}" + ("" if ubuntu else " && sudo reboot")
    if missing:
        yield Finding(f"this kernel has no module {' and none '.join(missing)}", get, name="kernel-modules")
    istio = [name for name in ISTIO_MODULES if name not in there]
    if not any(name in there for name in NAT_TABLES):
        istio.append(" or ".join(NAT_TABLES))
    if istio and view.answers.kubeflow.enabled and not host.unknown_modules:
        text = f"this kernel has no {', '.join(istio)}: Istio's sidecars may not be able to take over a pod's connections"
        yield Finding(text, get, warning=True, name="istio-modules")


def _apparmor(view: View) -> Iterator[Finding]:
    host = view.fact(Host)
    if host.apparmor == "Y" and not host.apparmor_parser:
        docker = view.answers.cluster.runtime == "docker"
        what = "Docker starts no container then" if docker else "containers run without their profile"
        text = f"AppArmor is on in the kernel, and its parser is missing: {what}"
        offer = Fix("install AppArmor's parser and load its profiles", "mend-apparmor")
        yield Finding(text, "sudo apt-get install apparmor", warning=not docker, fix=offer, name="apparmor")
    elif host.apparmor in ("N", "none"):
        text = "AppArmor is off: containers run without its profiles"
        yield Finding(text, "cat /sys/module/apparmor/parameters/enabled /proc/cmdline", name="apparmor", severity=Severity.INFO)


def _swap(view: View) -> Iterator[Finding]:
    """What makes swap again and is not kfinstall's to turn off: it has other tasks too."""
    for service in view.facts.swap.again:
        if "waagent.conf" in service:
            fix = "sudo sed -i 's/^ *ResourceDisk.EnableSwap=.*/ResourceDisk.EnableSwap=n/' /etc/waagent.conf"
        else:
            fix = "echo SWAP=false | sudo tee -a /etc/default/armbian-zram-config"
        text = (
            f"{service} may make swap again at the next boot, with which the kubelet does not start; kfinstall leaves it as it is"
        )
        yield Finding(text, fix, warning=True, name="swap-at-boot")


class PreflightKernel(Step):
    """New enough for Calico, with the modules and control groups that Kubernetes needs, and no file that takes its settings back at the next boot. Swap is only told: a later step turns it off."""

    id: ClassVar[str] = "preflight.kernel"
    title: ClassVar[str] = "Check the kernel"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Host, Boot)
    names = (
        "swap-at-boot",
        "kernel-version",
        "cgroup-version",
        "cgroup-controllers",
        "kernel-modules",
        "istio-modules",
        "apparmor",
        *boot_settings.NAMES,
    )

    @override
    def watch(self, view: View) -> NodeQuery:
        """The modules that must be there, or be loadable."""
        return NodeQuery(modules=frozenset((*REQUIRED_MODULES, *ISTIO_MODULES, *NAT_TABLES)))

    def check(self, view: View) -> Check:
        """Satisfied where the kernel is new enough, has what is needed, and keeps it over the next boot."""
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
        swap_note = f"; swap ({', '.join(dict.fromkeys(sources))}) will be turned off" if sources else "; no swap"
        version = "2" if view.facts.os.cgroup == _CGROUP_V2 else "?"
        found = [
            *_version(view),
            *_controllers(view),
            *_modules(view),
            *_apparmor(view),
            *boot_settings.findings(view),
            *_swap(view),
        ]
        return verdict(found, f"kernel {view.facts.os.kernel}, cgroup version {version}{swap_note}")
