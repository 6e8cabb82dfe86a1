"""What every workflow would do for every example: step ids, fingerprints, unit names, scripts with parameters, `plan --json`.

python -m tests.contract.golden write     writes what is expected anew; the difference belongs into the commit's message
python -m tests.contract.golden record    installs clusters on the simulator and keeps what their nodes and API servers told
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfinstall import resources
from kfinstall.answers.load import load
from kfinstall.answers.model import Answers
from kfinstall.engine import fleet as engine_fleet
from kfinstall.engine import plan, runbook
from kfinstall.engine.options import Options
from kfinstall.engine.phase import Phase
from kfinstall.engine.programs import step_program
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import Reads
from kfinstall.kube.base import ClusterFacts, Ref
from kfinstall.releases import load as load_release
from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.nodes.model import SimNode, SimPackage, SimUnit
from kfinstall.text import cleaned
from kfinstall.workflows import WORKFLOWS

FOLDER = Path(__file__).with_name("data") / "golden"
RECORDED = FOLDER / "recorded.json.gz"
NOW = 1_764_500_000.0
"""The installer's clock when the nodes are read, epoch seconds."""
LONGEST = 200
"""Longer texts are kept as their SHA-256, characters."""
RUNS: dict[str, dict[str, Any]] = {
    "install": {"kind": "install"},
    "reset": {"kind": "reset"},
    "reset-data": {"kind": "reset", "delete_data": True},
    "uninstall": {"kind": "uninstall"},
    "uninstall-data-forced": {"kind": "uninstall", "delete_data": True, "force_finalizers": True},
    "rotate": {"kind": "rotate"},
    "rotate-cookie": {"kind": "rotate", "rotate": ("cookie",)},
}
BARE = {"kubeflow": {"enabled": False}, "spark": {"enabled": False}}
INSTALLED: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "demo": ({}, {"nodes": 3}),
    "several-control-planes": (BARE, {"nodes": 4, "control_planes": 3}),
    "docker-local-path": (
        BARE
        | {"storage": {"type": "local-path"}}
        | {"cluster": {"name": "demo", "runtime": "docker"}, "registry": {"insecure": True}},
        {"nodes": 2},
    ),
    "one-node-mini": ({"kubeflow": {"components": "mini"}, "spark": {"operator": False}}, {"nodes": 1}),
}
"""Clusters that `record` installs: what differs from the demo's answers, and the machines."""


def examples() -> dict[str, Answers]:
    """Every file of examples/ by its name."""
    return {path.stem: load(path) for path in sorted((resources.root() / "examples").glob("*.yaml"))}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _bare(answers: Answers, number: int, name: str) -> SimNode:
    mac, unit = f"52:54:00:77:00:{number:02x}", SimUnit(active=True, enabled=True)
    node = SimNode(
        name, answers.node(name).address, 22, machine_id=f"{number:032x}", product_uuid=f"U-{number}", mac=mac, boot_id=f"b{number}"
    )
    node.write("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n/swap.img none swap sw 0 0\n")
    node.swap_active.append("/swap.img")
    node.units["ssh.service"] = unit
    node.packages["curl"] = SimPackage("8.5.0-2ubuntu10")
    return node


def bare(answers: Answers, chosen: tuple[Phase, ...]) -> plan.Situation:
    """Servers that nothing was done to."""
    situation = plan.Situation(answers, load_release(answers.cluster.release))
    reads: Reads = {kind: {} for kind in plan.reads_for(situation, chosen)}
    fleet = {}
    for number, node in enumerate(answers.nodes):
        program = facts_program(plan.watch_for(situation, chosen, node.name), reads, "mark")
        fleet[node.name] = parse_facts(
            node.name, "mark", facts_output(_bare(answers, number, node.name), program.parameters, NOW), NOW, reads
        )
    return plan.Situation(answers, situation.release, fleet)


@functools.cache
def _kept() -> dict[str, Any]:
    return dict(json.loads(gzip.decompress(RECORDED.read_bytes())))


def installed(name: str, workflow: str, chosen: tuple[Phase, ...]) -> plan.Situation:
    """A cluster as `record` found it."""
    kept = _kept()[name]
    answers = Answers.model_validate(kept["answers"])
    saved = kept["workflows"][workflow.partition("-")[0]]
    situation = plan.Situation(answers, load_release(answers.cluster.release))
    reads = plan.reads_for(situation, chosen)
    fleet = {node: parse_facts(node, mark, text, at, reads) for node, (mark, text, at) in saved["facts"].items()}
    cluster = ClusterFacts(saved["version"], {Ref.of(item): item for item in saved["objects"]}) if saved["version"] else None
    return plan.Situation(answers, situation.release, fleet, cluster)


def described(situation: plan.Situation, chosen: tuple[Phase, ...]) -> Iterator[dict[str, Any]]:
    """One object a step and target: what `plan --json` says, and what would be run."""
    found = plan.build(situation, chosen)
    for item, data in zip(found.steps, runbook.data(found), strict=True):
        view, step = situation.view(item.target, item.step), item.step
        parameters = step.parameters(view)
        watch = step.watch(view)
        program = step_program(step.script, parameters) if step.script else None
        yield {
            "plan": {key: _shortened(value) for key, value in cleaned(data).items()},
            "fingerprint": step.fingerprint(view),
            "unit": f"kf-{program.name}" if program else "",
            "script": hashlib.sha256(program.text.encode()).hexdigest() if program else "",
            "parameters": {key: _short(value) for key, value in sorted(parameters.items())},
            "documents": _short(json.dumps(list(step.documents(view)), sort_keys=True)),
            "watch": {key: sorted(map(str, getattr(watch, key))) for key in watch.__slots__ if getattr(watch, key)},
            "wants": sorted(f"Want{str(query).removeprefix(type(query).__name__)}" for query in step.wants(view)),
        }


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return _short(value) if isinstance(value, str) else value


def phases_of(options: Mapping[str, Any]) -> tuple[Phase, ...]:
    """The phases of a run with these options."""
    workflow = WORKFLOWS[options["kind"]]
    return workflow.phases(Options(workflow, **{key: value for key, value in options.items() if key != "kind"}))


def cases() -> dict[str, Any]:
    """Name of a case to what gives its situation and phases."""
    made: dict[str, Any] = {}
    for workflow, options in RUNS.items():
        for name, answers in examples().items():
            made[f"{name}.{workflow}"] = lambda answers=answers, options=options: (
                bare(answers, phases_of(options)),
                phases_of(options),
            )
        for name in INSTALLED:
            made[f"installed-{name}.{workflow}"] = lambda name=name, workflow=workflow, options=options: (
                installed(name, workflow, phases_of(options)),
                phases_of(options),
            )
    return made


def text_of(case: str) -> str:
    """What is expected of a case, as JSON lines."""
    situation, chosen = cases()[case]()
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in described(situation, chosen))


def path_of(case: str) -> Path:
    """Where it is kept."""
    return FOLDER / f"{case}.jsonl"


async def _recorded(sections: Mapping[str, Any], machines: Mapping[str, int]) -> dict[str, Any]:
    from kfinstall.simulator.fleet import Fleet
    from tests.simulated.engine import in_session, place, run
    from tests.simulated.test_variants import variant

    facts: dict[str, tuple[str, str, float]] = {}
    parse = engine_fleet.parse_facts

    def keep(node: str, mark: str, text: str, read_at: float, reads: Reads) -> Any:
        facts[node] = (mark, text, read_at)
        return parse(node, mark, text, read_at, reads)

    async def look(session: Any) -> None:
        situation = session.situation
        seen[session.options.workflow.id] = {
            "facts": dict(facts),
            "version": situation.cluster.version if situation.cluster else "",
            "objects": list(situation.cluster.objects.values()) if situation.cluster else [],
        }

    seen: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with Fleet(state_dir=place(Path(folder)), pace=0.0002, **machines) as fleet:
            answers = variant(fleet, **sections)
            await run(fleet, answers, Path(folder))
            engine_fleet.parse_facts = keep
            try:
                for kind in dict.fromkeys(str(options["kind"]) for options in RUNS.values()):
                    await in_session(fleet, answers, Path(folder), look, kind=kind, dry_run=True, delete_data=kind == "uninstall")
            finally:
                engine_fleet.parse_facts = parse
    return {"answers": answers.model_dump(mode="json", by_alias=True), "workflows": seen}


def main(what: str) -> None:
    """Write or record."""
    if what == "record":
        kept = {name: asyncio.run(_recorded(*given)) for name, given in INSTALLED.items()}
        RECORDED.write_bytes(gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0))
    for path in FOLDER.glob("*.jsonl"):
        path.unlink()
    for case in cases():
        path_of(case).write_text(text_of(case), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] not in (["write"], ["record"]):
        sys.exit("usage: python -m tests.contract.golden write|record")
    main(sys.argv[1])
