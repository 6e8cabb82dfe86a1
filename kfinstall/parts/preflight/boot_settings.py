"""Settings of the kernel that a file takes back at the next boot, or that keep pods from being reached. Pure functions of the facts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from kfinstall.engine.checks import Finding
from kfinstall.engine.step import Fix, View
from kfinstall.parts.preflight.facts import Boot, Set
from kfinstall.text import shell

NAMES: Final = ("settings-at-boot", "arp-settings", "reverse-path")
_OURS: Final = "90-kfinstall.conf"
"""What sorts after it is read later."""
_NEEDED: Final = {
    "net.ipv4.ip_forward": "pods reach nothing beyond their own server",
    "net.ipv4.conf.all.forwarding": "pods reach nothing beyond their own server",
    "net.bridge.bridge-nf-call-iptables": "Services of other pods on the same server are not reached",
}


def _off(each: Set) -> str:
    """The command that takes a line out of its file."""
    pattern = each.name.replace(".", "[./]")
    return shell("sudo", "sed", "-i", "-E", f"s|^[[:space:]]*-?{pattern}[[:space:]]*=|# &|", each.path)


def _offer(name: str, value: int, file: Set | None) -> Fix | None:
    """Offered where the file is one of /etc; what packages brought stays as it is."""
    if file is not None and not file.path.startswith("/etc/"):
        return None
    given = (("NAME", name), ("VALUE", str(value)), ("FILE", file.path if file is not None else ""))
    what = f"turn it off in {file.path}, and set {name} to {value}" if file is not None else f"set {name} to {value}"
    return Fix(what, "mend-sysctl", given)


def _taken_back(view: View) -> Iterator[Finding]:
    boot = view.fact(Boot)
    needed = dict(_NEEDED)
    if ":" in view.answers.cluster.pod_cidr:
        needed["net.ipv6.conf.all.forwarding"] = "pods reach nothing beyond their own server"
    for name, what in needed.items():
        later = [each for each in boot.settings if each.name == name and each.order > _OURS]
        # The two names are of one setting: whichever comes last counts, so each that is off is told.
        if later and later[-1].value < 1:
            each = later[-1]
            yield Finding(
                f"{each.path} sets {name} to {each.value} at the next boot, after everything else: {what}",
                f"{_off(each)} && sudo sysctl -w {name}=1",
                warning=True,
                fix=_offer(name, 1, each),
                name="settings-at-boot",
            )


def _networks(view: View) -> int:
    """How many networks the server is in."""
    networks = (ipaddress.ip_interface(address).network for address in view.facts.network.addresses)
    return len({network for network in networks if network.version == 4})


def _answers_for_pods(view: View) -> Iterator[Finding]:
    """Calico has pods ask for an address that no interface has, and the server answer: it must not be too strict about it."""
    boot = view.fact(Boot)
    for name, least in (
        ("net.ipv4.conf.all.arp_ignore", 1),
        ("net.ipv4.conf.default.arp_ignore", 1),
        ("net.ipv4.conf.all.arp_filter", 1),
    ):
        file, now = boot.at_boot(name), boot.now.get(name, 0)
        if now < least and (file is None or file.value < least):
            continue
        if "arp_filter" in name and _networks(view) < 2:
            continue
        where = f"{file.path} sets it" if file is not None and file.value >= least else "somebody set it"
        value = max(now, file.value if file is not None else 0)
        text = f"{name} is {value} ({where}): the server may not answer the pods' question for their gateway"
        setting = file if file is not None and file.value >= least else None
        off = f"{_off(setting)} && " if setting is not None else ""
        yield Finding(text, f"{off}sudo sysctl -w {name}=0", warning=True, fix=_offer(name, 0, setting), name="arp-settings")


def _strict(view: View) -> Iterator[Finding]:
    name = "net.ipv4.conf.all.rp_filter"
    boot = view.fact(Boot)
    file, now = boot.at_boot(name), boot.now.get(name, 0)
    if _networks(view) < 2 or (now != 1 and (file is None or file.value != 1)):
        return
    where = f" ({file.path})" if file is not None and file.value == 1 else ""
    text = f"{name} is 1{where} and the server is in several networks: answers that come back by another one are dropped"
    setting = file if file is not None and file.value == 1 else None
    off = f"{_off(setting)} && " if setting is not None else ""
    yield Finding(text, f"{off}sudo sysctl -w {name}=2", warning=True, fix=_offer(name, 2, setting), name="reverse-path")


def findings(view: View) -> Iterator[Finding]:
    """What stands in files or in the kernel, and would be in the way."""
    yield from _taken_back(view)
    yield from _answers_for_pods(view)
    yield from _strict(view)
