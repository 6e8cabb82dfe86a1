"""Every step keeps the contract of kfinstall.engine.step, for every example answers file."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from kfinstall import releases, resources
from kfinstall.answers.load import load
from kfinstall.engine import plan
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.programs import step_program
from kfinstall.engine.step import CLUSTER_TARGET, Conflict, Needed, Satisfied, Scope, Step
from kfinstall.engine.wanted import rows
from kfinstall.facts.model import Facts
from kfinstall.kube.base import ClusterFacts
from kfinstall.simulator.fleet import load_effects
from kfinstall.simulator.nodes.model import EFFECTS
from kfinstall.transport.wire import _OWN, unit_start
from kfinstall.workflows import EVERY_PHASE, installation, reset, uninstall

EXAMPLES = sorted((resources.root() / "examples").glob("*.yaml"))
STEPS = [(phase, kind) for phase in EVERY_PHASE for kind in phase.steps]
each_step = pytest.mark.parametrize(("phase", "kind"), STEPS, ids=[kind.id for _phase, kind in STEPS])


def situations():
    for path in EXAMPLES:
        answers = load(path)
        release = releases.load(answers.cluster.release)
        fleet = {node.name: Facts(node=node.name) for node in answers.nodes}
        yield plan.Situation(answers, release, {}, None)
        yield plan.Situation(answers, release, fleet, None)
        yield plan.Situation(answers, release, fleet, ClusterFacts("v1.34.0", {}))


def test_ids_are_unique():
    ids = [kind.id for _phase, kind in STEPS]
    assert len(ids) == len(set(ids))


# Known to journals on users' disks: a renamed step would look undone and unexplained there.
def test_ids_are_those_that_journals_know():
    path = resources.root() / "tests" / "contract" / "step-ids.txt"
    assert [kind.id for _phase, kind in STEPS] == path.read_text().split()


@each_step
def test_names_and_titles(phase, kind):
    assert re.fullmatch(rf"{phase.id}\.[a-z0-9-]+", kind.id)
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")
    assert kind.__doc__
    assert isinstance(kind.scope, Scope)
    assert kind.timeout_seconds > 0
    assert kind.estimate_seconds >= 0


@each_step
def test_a_step_has_a_script_or_an_apply_of_its_own_unless_it_only_reads(phase, kind):
    if phase.read_only:
        assert kind.apply is Step.apply
        assert not kind.script
        return
    if kind.script:
        assert kind.script.startswith(phase.id + "-")
        assert resources.script(resources.step_script(kind.script))
    else:
        assert kind.apply is not Step.apply


@each_step
def test_checks_are_pure_and_total(phase, kind):
    for situation in situations():
        step = kind()
        if not step.applies(situation.answers):
            continue
        for target in step.targets(situation.answers):
            view = situation.view(target)
            first, second = step.check(view), step.check(view)
            assert first == second
            assert isinstance(first, (Satisfied, Needed, Conflict))
            if isinstance(first, Satisfied):
                assert first.evidence
            elif isinstance(first, Needed):
                assert first.changes
                assert all(change.strip() for change in first.changes)
            else:
                assert first.reason
                assert first.hint
            assert target == CLUSTER_TARGET or target in {node.name for node in situation.answers.nodes}
            parameters = step.parameters(view)
            assert all(isinstance(key, str) and isinstance(value, str) for key, value in parameters.items())
            assert step.fingerprint(view) == step.fingerprint(view)
            assert all(path.startswith("/") for path in step.watch(view).files)


@each_step
def test_a_docstring_says_more_than_the_title(phase, kind):
    def words(text):
        return set(re.findall(r"[a-z]+", text.lower()))

    assert words(kind.__doc__) - words(kind.title) - {"a", "the", "that", "and", "differ", "clock"}, "docs/steps.md shows both"


def test_every_script_belongs_to_a_step_and_has_an_effect_in_the_simulator():
    load_effects()
    ask_names = {name.removeprefix("ask/") for name in EFFECTS if name.startswith("ask/")}
    scripts = [resources.step_script(name) for name in EFFECTS if name not in {f"ask/{one}" for one in ask_names}]
    scripts += [resources.ask_script(name) for name in ask_names]
    wanting = {resources.step_script(kind.script) for _phase, kind in STEPS if issubclass(kind, NodeStep)}
    assert all("kf_wanted" in resources.script(name) for name in wanting)
    assert len(scripts) == len(set(scripts))
    assert set(scripts) <= there()
    assert there() - set(scripts) <= wanting, "what is wanted is done without an effect"


# A name that nothing has ends a script on the node, and the simulator does not read it.
def test_what_a_script_wants_a_part_of_is_there():
    known = {name: {"package", "directory", "module", "sysctl", "file", "unit"} for name in there()}
    for situation in situations():
        for _phase, kind in STEPS:
            step = kind()
            if isinstance(step, NodeStep) and step.applies(situation.answers):
                for target in step.targets(situation.answers):
                    given = rows(step.parameters(situation.view(target)))
                    known[resources.step_script(kind.script)] |= {row[4] for row in given if row[0] == "file"}
    for name, names in known.items():
        for words in re.findall(r"(?<![#\w].)\bkf_wanted((?: +[\w-]+)*)", resources.script(name)):
            assert set(words.split()) <= names, name


def there():
    """Every script but the engine's own and those that only read."""
    folder = resources.root() / "scripts"
    names = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.sh")}
    return {name for name in names if not name.startswith(("engine/", "facts/")) and "/facts" not in name}


@each_step
def test_a_step_and_its_script_have_the_same_name_side_by_side(phase, kind):
    shared = Counter(step.script for _phase, step in STEPS)
    if kind.script and shared[kind.script] == 1 and kind.script != "kubeflow-proof":  # which every proof runs that signs in
        room, name = kind.__module__.removeprefix("kfinstall.parts.").replace("_", "-").rsplit(".", 1)
        assert f"{room.partition('.')[0]}/{name}" == resources.step_script(kind.script)


def test_a_phase_needs_only_earlier_ones_and_is_proven_by_its_own_steps():
    seen = []
    for phase in installation.PHASES:
        assert set(phase.needs) <= set(seen)
        assert set(phase.proven_by) <= {kind.id for kind in phase.steps}
        seen.append(phase.id)


def test_the_point_of_no_return_is_marked():
    marked = [
        kind.id for phase, kind in STEPS if phase not in (reset.PHASE, uninstall.PHASE) and kind.danger == "point of no return"
    ]
    assert marked == ["cluster.init"]


def test_a_node_that_is_set_aside_leaves_no_trace_in_targets():
    answers = load(resources.root() / "examples" / "three-nodes.yaml")
    left = answers.model_copy(update={"nodes": answers.nodes[:-1]})
    gone = answers.nodes[-1].name
    situation = plan.Situation(left, releases.load(left.cluster.release))
    for item in plan.build(situation, installation.PHASES).steps:
        assert item.target != gone
    assert replace(situation, fleet={}) == situation


@each_step
def test_no_parameter_has_a_name_of_the_transports_and_all_can_be_sent(phase, kind):
    for situation in situations():
        step = kind()
        if step.applies(situation.answers):
            for target in step.targets(situation.answers):
                parameters = step.parameters(situation.view(target))
                assert not _OWN & parameters.keys()
                if step.script:
                    assert unit_start(step_program(step.script, parameters), run="r", mark="m", seconds=1, attach=False).render()
