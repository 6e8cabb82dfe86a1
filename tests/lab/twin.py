"""A simulated node beside a real one: the same step on both, and what the simulator says that the real one does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from kfinstall.engine.step import Check, Step, View
from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.registry import files as registry_files
from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.fleet import load_effects
from kfinstall.simulator.nodes.machine import fresh_node
from kfinstall.simulator.nodes.model import SimPackage, SimUnit, World
from kfinstall.simulator.nodes.play import play

_MARK = "0123456789abcdef"


class Twin:
    """The simulator's node with the past of a real one."""

    def __init__(self, name: str, address: str, files: Mapping[str, str], swaps: list[str], units: list[str]) -> None:
        load_effects()
        self.node = fresh_node(name, 0)
        self.node.os_id, self.node.version_id, self.node.codename, self.node.address = "debian", "12", "bookworm", address
        self.node.packages.clear()
        for path, content in files.items():
            self.node.write(path, content)
        self.node.swap_active = list(swaps)
        self.node.units = {"ssh.service": SimUnit(active=True, enabled=True)}
        self.node.units |= {unit: SimUnit(active=True, enabled=True) for unit in units}
        self.world = World({name: self.node})

    def take(self, real: Facts) -> None:
        """Have the packages that the real node has before a step; which ones Debian brings along is of no interest."""
        for name, fact in real.packages.items():
            if fact.status == "installed":
                self.node.packages.setdefault(name, SimPackage(fact.version, held=fact.held))

    def view(self, step: Step, like: View) -> View:
        """What the step sees of the simulated node."""
        reads = queries(step.reads, like.answers)
        program = facts_program(step.watch(like), reads, _MARK)
        now = time.time()
        facts = parse_facts(like.target, _MARK, facts_output(self.node, program.parameters, now), now, reads)
        return View(like.answers, like.release, like.target, {**like.fleet, like.target: facts})

    def apply(self, step: Step, ran: Sequence[tuple[str, Mapping[str, str], str]], like: View) -> None:
        """The effects of a step's scripts that ran on the real node; `like`: that one afterwards, its versions and kernel are taken over."""
        for script, parameters, stdin in ran:
            given, real = dict(parameters), like.facts
            if "OPTIONAL" in given:
                there = [name for name in given["OPTIONAL"].split() if name in real.modules]
                given["OPTIONAL"] = " ".join(there)
            if "CA" in given:
                given["CA"] = self.node.files[f"{registry_files.FOLDER}/ca.crt"].content or ""
            if "RECORD_PATH" in given:  # what is recorded tells this node's own CA
                given["RECORD"] = step.parameters(self.view(step, like))["RECORD"]
            if version := real.runtime.containerd_version:
                self.node.packages.setdefault("containerd", SimPackage(version))
            list(play(self.node, script, given, stdin, self.world))


def differences(real: View, twin: View, watch: NodeQuery, check: Callable[[View], Check], unlike: frozenset[str]) -> list[str]:
    """Where the facts that the step watches are not the same. `unlike`: files whose content is never the same twice."""
    left, right = real.facts, twin.facts
    found = []
    for path in sorted(watch.files):
        one, other = left.files.get(path), right.files.get(path)
        shown = [None if fact is None else (fact.kind, oct(fact.mode), fact.owner) for fact in (one, other)]
        if shown[0] != shown[1]:
            found.append(f"{path}: {shown[0]}, simulated {shown[1]}")
        elif one and other and path not in unlike and one.sha256 != other.sha256:
            found.append(f"{path}: another content")
    for unit in sorted(watch.units):
        known = [facts.units.get(unit) for facts in (left, right)]
        ones = [fact is not None and (fact.active == "active", fact.enabled == "enabled") for fact in known]
        if (ones[0] or (False, False)) != (ones[1] or (False, False)):
            found.append(f"{unit}: {known[0]}, simulated {known[1]}")
    for package in sorted(watch.packages):
        words = [(fact.status, fact.held) if (fact := facts.packages.get(package)) else None for facts in (left, right)]
        if words[0] != words[1]:
            found.append(f"package {package}: {words[0]}, simulated {words[1]}")
    for name in sorted(watch.sysctls):
        values = [facts.sysctls.get(name) for facts in (left, right)]
        if values[0] != values[1]:
            found.append(f"sysctl {name}: {values[0]}, simulated {values[1]}")
    modules = sorted(set(prepare_files.REQUIRED_MODULES) & watch.modules)
    found += [f"module {name}" for name in modules if (name in left.modules) != (name in right.modules)]
    swaps = [(sorted(facts.swap.active), facts.swap.fstab, facts.swap.units, facts.swap.zram) for facts in (left, right)]
    if swaps[0] != swaps[1]:
        found.append(f"swap: {swaps[0]}, simulated {swaps[1]}")
    if type(check(real)) is not type(check(twin)):
        found.append(f"check: {check(real)}, simulated {check(twin)}")
    return found
