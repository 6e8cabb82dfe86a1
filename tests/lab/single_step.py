"""One step on a node by itself: what it said it would do beside what it did, and the simulator's node beside the real one."""

from __future__ import annotations

from kfinstall.engine.step import Needed, Satisfied, Step
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.registry import files as registry_files
from tests.lab import look
from tests.lab.fleet import Fleet
from tests.lab.look import Look
from tests.lab.twin import Twin, differences

UNLIKE = frozenset(
    {
        "/etc/apt/keyrings/kubernetes-apt-keyring.gpg",
        "/usr/local/bin/kustomize",
        "/usr/local/bin/cri-dockerd",
        f"{prepare_files.PROOFS}/prepare-tools.json",
        f"{prepare_files.PROOFS}/registry.push.json",
        f"{prepare_files.PROOFS}/registry.pull-proof.json",
        registry_files.HTPASSWD,
    }
)
"""Keys, downloads, what holds their digests, and salted passwords: never the same on a simulated node."""
_SYSCTLS = (*prepare_files.FIXED_SYSCTLS, *prepare_files.LOWEST_SYSCTLS, "vm.swappiness", "vm.overcommit_memory", "kernel.panic")


async def looked(nodes: Fleet, name: str) -> Look:
    """The node as it is now."""
    return Look.of(await nodes.shell(name, look.SCRIPT.replace("@SYSCTLS@", " ".join(_SYSCTLS))))


async def done(nodes: Fleet, step: Step, twin: Twin, before: Look) -> tuple[list[str], Look]:
    """Do a step, and do it again; what is not as it should be, and the node after it."""
    name, wrong = twin.node.name, []
    view = await nodes.view(step, name)
    plan = step.check(view)
    assert isinstance(plan, Needed), (step.id, plan)
    twin.take(view.facts)
    simulated = twin.view(step, view)
    if not isinstance(step.check(simulated), Needed):
        wrong.append(f"simulated before: {step.check(simulated)}")
    await nodes.apply(step, name)
    now, after = await nodes.view(step, name), await looked(nodes, name)
    if not isinstance(step.check(now), Satisfied):
        wrong.append(f"after: {step.check(now)}")
    wrong += [f"not in its plan: {kind} {subject}" for kind, subject in look.unannounced(plan, before, after)]
    wrong += [f"in its plan only: {change}" for change in look.unkept(plan, before, after)]
    await nodes.apply(step, name)
    last = await looked(nodes, name)
    wrong += [f"changed by a second run: {kind} {subject}" for kind, subject in look.changed(after, last)]
    twin.apply(step, nodes.ran, now)
    nodes.ran.clear()
    again = twin.view(step, now)
    unlike = UNLIKE | {f"{registry_files.certs_folder(now)}/ca.crt"}
    wrong += differences(now, again, step.watch(now), step.check, unlike)
    return [f"{step.id}: {line}" for line in wrong], last
