"""Whether apt can be used: locks, broken packages, first-boot work, and what its sources, keys and pins of others stand in the way of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final
from urllib.parse import urlsplit

from typing_extensions import override

from kfinstall.answers.fragment import accepted
from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Step, View, phase_began
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import apt_pins, apt_sources, membership
from kfinstall.parts.preflight.apt_facts import AptFiles, AptTried
from kfinstall.parts.preflight.apt_keys import flaw
from kfinstall.parts.preflight.apt_sources import Judged, Source
from kfinstall.parts.preflight.verdict import newer
from kfinstall.text import shell

_SHOWN_PACKAGES: Final = 5
_UPGRADES: Final = "unattended-upgrades.service apt-daily.service apt-daily-upgrade.service"
_KUBERNETES: Final = ("kubelet", "kubeadm", "kubectl")
_BESIDE: Final = ("kubernetes-cni", "cri-tools")
"""What Kubernetes' packages bring along, in whichever version apt chooses."""
_RUNTIME: Final = {"containerd": "containerd", "docker": "docker.io"}
_NOT_THERE: Final = frozenset({404, 410})
_REFUSED: Final = 403
"""What some give for what is not there, and others to whom they don't like."""
_EXPLAINED: Final = ("Conflicting values set for option Signed-By", "The list of sources could not be read")
"""apt's words for what is found in the files themselves, with the files' names; the second stands behind every other."""
_CACHE_PORT: Final = 3142
"""apt-cacher-ng's: a cache of packages, no way out for anything else."""


def _state(view: View) -> Iterator[Finding]:
    apt, detached = view.facts.apt, view.facts.kf_units
    running = sorted(name for name, unit in detached.items() if unit.running)
    if apt.lock_holder:
        pid, _, program = apt.lock_holder.partition(" ")
        whose = f" (a step of kfinstall runs: {', '.join(running)})" if running else ""
        fix = f"wait until it is done: {shell('sudo', 'tail', f'--pid={pid}', '-f', '/dev/null')}"
        if program.startswith(("unattended-upgr", "apt.systemd.dai")):
            fix += f"\nor: sudo systemctl stop {_UPGRADES}"
        upgrades = program.startswith(("unattended-upgr", "apt.systemd.dai"))
        offer = Fix("stop automatic upgrades until the next boot", "mend-updates", (("UNITS", _UPGRADES),)) if upgrades else None
        text = f"apt's lock is held by {program or 'a program'}, process {pid}{whose}; steps wait for it"
        yield Finding(text, fix, warning=True, fix=offer, name="apt-lock")
    interrupted = view.fact(AptFiles).interrupted
    if (apt.broken or interrupted) and not running:
        names = ", ".join(apt.broken[:_SHOWN_PACKAGES]) + (" ..." if len(apt.broken) > _SHOWN_PACKAGES else "")
        ours = phase_began(view.facts, "prepare")
        busy = bool(apt.lock_holder)
        yield Finding(
            f"packages are half installed: {names}"
            if names
            else "dpkg was interrupted: apt refuses to work until it is made to go on",
            "sudo dpkg --configure -a && sudo apt-get install --fix-broken",
            warning=ours or busy,
            fix=None if busy else Fix("finish half-installed packages, removing none", "mend-packages"),
            name="half-installed",
        )
    if apt.cloud_init_running:
        yield Finding("cloud-init still works on the first boot", "cloud-init status --wait", warning=True, name="first-boot")


def _by_hand(source: Source) -> str:
    how = "add the line 'Enabled: no' to the stanza" if source.path.endswith(".sources") else "put a # before the line"
    return f"{shell('sudoedit', source.path)}  # {how} of {source}"


def _off(view: View, source: Source) -> Fix:
    listed = apt_sources.listed(view.fact(AptFiles).sources, [source])
    return Fix(f"turn off {source.uris[0]} in {source.path}, and keep the file", "mend-source", (("OFF", listed),))


def _forms(view: View, judged: Judged) -> Iterator[Finding]:
    for file in view.fact(AptFiles).sources:
        if not file.whole:
            text = f"{file.path} is too long to be read: whether it names a source of Kubernetes is not known"
            yield Finding(text, shell("grep", "-nE", "apt.kubernetes.io|pkgs.k8s.io", file.path), warning=True, name="apt-source")
    for source in judged.mixed:
        text = f"{source.path} names a repository of Kubernetes that has to go, and others, in one stanza: {source}"
        yield Finding(
            text, f"{shell('sudoedit', source.path)}  # take Kubernetes' out, or give it a stanza of its own", name="apt-source"
        )
    for source in judged.guests:
        text = f"{source.path} is the file of Kubernetes' repository, and names another source too: {source}"
        yield Finding(
            text,
            f"{shell('sudoedit', source.path)}  # move that line into a file of its own in /etc/apt/sources.list.d",
            name="apt-source",
        )
    for one, other in apt_sources.conflicts(judged.stay):
        keys = " and ".join(", ".join(source.signed_by) or "the keys of all sources" for source in (one, other))
        where = one.path if one.path == other.path else f"{one.path} and {other.path}"
        text = f"the same repository stands twice in {where}, with other keys ({keys}): apt reads no source at all. It is {other}"
        yield Finding(text, _by_hand(other), fix=_off(view, other), name="apt-source")


def _tries(view: View, judged: Judged) -> Iterator[Finding]:
    found, ready = view.fact(AptTried), membership.member(view)
    for words in found.messages:
        if not words.startswith(_EXPLAINED):
            yield Finding(f"apt can't read its sources: {words}", "sudo apt-get check", name="apt-source")
    status: dict[tuple[str, str, str], list[int]] = {}
    for tried in found.tried:
        status.setdefault((tried.path, tried.release, tried.uri), []).append(tried.status)
    for (path, release, uri), codes in status.items():
        bare = uri.split("dists/", 1)[0].rstrip("/")
        source = next((each for each in judged.stay if each.path == path and _names(each, uri, bare)), None)
        if source is None:
            continue
        if uri.startswith("cdrom:"):
            text = f"{path} names a disc as a source of packages: apt fails where it is not in the drive"
            yield Finding(text, _by_hand(source), warning=ready, fix=_off(view, source), name="apt-source")
        elif all(code == _REFUSED for code in codes):
            text = f"{uri} of {path} is refused to this server (HTTP {_REFUSED}): apt-get update may fail"
            yield Finding(text, _by_hand(source), warning=True, fix=_off(view, source), name="apt-source")
        elif all(code in _NOT_THERE for code in codes):
            text = (
                f"{uri} of {path} has no Release file{f' for {release}' if release else ''} (HTTP {codes[0]}): "
                "this repository is gone, or has nothing for this release of the system, and each apt-get update fails"
            )
            yield Finding(text, _by_hand(source), warning=ready, fix=_off(view, source), name="apt-source")


def _names(source: Source, uri: str, bare: str) -> bool:
    return any(each.rstrip("/") in (bare, uri.rstrip("/")) or uri.startswith(f"{each.rstrip('/')}/") for each in source.uris)


def _keys(view: View, judged: Judged) -> Iterator[Finding]:
    known, ready, now = view.fact(AptFiles), membership.member(view), view.facts.clock.epoch_seconds
    for source in judged.stay:
        for path in source.signed_by:
            key = known.key(path)
            what, command = flaw(key, now) if key else ("", "")
            if key and what:
                offer = _off(view, source)
                if not key.readable:
                    offer = Fix(f"let apt read {path}", "mend-apt-key", (("FILE", path),))
                text = f"the key {path} {what}: apt does not accept {source} of {source.path}"
                # Newer versions of apt take both forms.
                yield Finding(text, command, warning=ready or what.startswith("is text"), fix=offer, name="apt-key")
    for key in known.keys:
        if key.path.startswith("/etc/apt/trusted.gpg") and key.form != "missing" and not key.readable:
            text = f"the key {key.path} can't be read by apt's own user _apt: apt passes it over"
            offer = Fix(f"let apt read {key.path}", "mend-apt-key", (("FILE", key.path),))
            yield Finding(text, shell("sudo", "chmod", "a+r", key.path), warning=True, fix=offer, name="apt-key")


def _pins(view: View) -> Iterator[Finding]:
    facts = view.facts
    repository = view.release.artifacts.get("kubernetes-repository")
    host = (urlsplit(repository.url).hostname or "") if repository else ""
    runtime = _RUNTIME[view.answers.cluster.runtime]
    there = facts.runtime.containerd_version if runtime == "containerd" else facts.runtime.docker_version
    needed = [name for name in _BESIDE if not facts.installed(name)] + ([] if there else [runtime])
    for pin, package in apt_pins.in_the_way(apt_pins.pins(view.fact(AptFiles).pins), needed, host):
        text = f"{pin.path} keeps apt from {package} as it is needed: {pin}"
        yield Finding(
            text,
            f"{shell('sudoedit', pin.path)}  # take that stanza out; then: {shell('apt-cache', 'policy', package)}",
            name="apt-pin",
        )


def _proxies(view: View) -> Iterator[Finding]:
    proxy = view.answers.proxy
    effective = {each.scheme: each for each in view.fact(AptFiles).proxies}
    for scheme, ours in (("https", proxy.https), ("http", proxy.http)):
        found = effective.get(scheme)
        if found is None or found.path.endswith("/95kfinstall-proxy") or found.url.upper() in ("", "DIRECT", "FALSE"):
            continue
        if not proxy.http and not proxy.https:
            if not found.url.rstrip("/").endswith(f":{_CACHE_PORT}"):
                text = f"apt goes through the proxy {found.url} ({found.path}), and the answers name none: images and downloads would go direct"
                own = accepted(view.answers, [{f"proxy.{scheme}": found.url}])
                yield Finding(text, own or f"write that proxy into the answers (proxy.{scheme})", warning=True, name="apt-proxy")
        elif (
            ours
            and "***@" not in found.url
            and found.url.rstrip("/") != ours.rstrip("/")
            and found.path > "/etc/apt/apt.conf.d/95kfinstall-proxy"
        ):
            text = f"{found.path} gives apt another proxy ({found.url}) than the answers, and apt reads it after theirs"
            yield Finding(text, shell("sudoedit", found.path), warning=True, name="apt-proxy")


def _newer(view: View) -> Iterator[Finding]:
    if membership.kubeadm_was_here(view.facts):
        return  # another finding's, or this cluster's
    for name in _KUBERNETES:
        present = view.facts.packages[name].version.partition("-")[0] if view.facts.installed(name) else ""
        if newer(present, view.patch):
            text = f"{name} {present} is installed, newer than {view.patch}: kfinstall does not downgrade it"
            purge = shell("sudo", "apt-get", "purge", "--allow-change-held-packages", *_KUBERNETES)
            keep = accepted(view.answers, [{"cluster.kubernetesVersion": present}])
            yield Finding(
                text, f"{keep}\n{purge}  # instead, if nothing needs it there" if keep else purge, name="newer-kubernetes"
            )
            return


def _findings(view: View, judged: Judged) -> Iterable[Finding]:
    yield from _state(view)
    yield from _forms(view, judged)
    yield from _tries(view, judged)
    yield from _keys(view, judged)
    yield from _pins(view)
    yield from _proxies(view)
    yield from _newer(view)


class PreflightApt(Step):
    """Who holds apt's lock, packages that are half installed, cloud-init that still works on the first boot; sources that are gone or stand twice, keys that apt can't use, pins and proxies of others, and a newer Kubernetes."""

    id: ClassVar[str] = "preflight.apt"
    title: ClassVar[str] = "Check the package manager"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (AptFiles, AptTried)
    names = ("apt-lock", "half-installed", "first-boot", "apt-source", "apt-key", "apt-pin", "apt-proxy", "newer-kubernetes")

    @override
    def watch(self, view: View) -> NodeQuery:
        """Kubernetes' packages, and who made the node a member."""
        return NodeQuery(packages=frozenset((*_KUBERNETES, *_BESIDE))) | membership.WATCH

    def check(self, view: View) -> Check:
        """Satisfied where nothing holds apt's lock, no package is half installed, and every source can be used."""
        missing = not_read(view)
        if missing is not None:
            return missing
        judged = apt_sources.judge(apt_sources.sources(view.fact(AptFiles).sources))
        automatic = "; unattended-upgrades is on, Kubernetes' packages will be held" if view.facts.apt.unattended_upgrades else ""
        off = f"; {len(judged.off)} sources of Kubernetes' packages will be turned off" if judged.off else ""
        tried = view.fact(AptTried).tried
        blind = "; whether its sources answer could not be tried" if tried and not any(each.status for each in tried) else ""
        return verdict(_findings(view, judged), f"apt is free, no package is broken{automatic}{off}{blind}")
