"""Steps know nothing of each other: each has a module of its own, by its own name, that no other step reaches."""

import sys

import grimp
import pytest

from kfinstall.engine.step import Step
from kfinstall.workflows import EVERY_PHASE

PHASES = EVERY_PHASE
STEPS = [kind for phase in PHASES for kind in phase.steps]
MODULES = {kind.__module__ for kind in STEPS}
each_step = pytest.mark.parametrize("kind", STEPS, ids=[kind.id for kind in STEPS])

# Ids never change, and these were there before Kubeflow's proofs had a folder of their own.
IN_PROOFS = "kfinstall.parts.kubeflow.proofs"


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("kfinstall", exclude_type_checking_imports=False, cache_dir=None)


# By a detour neither: what two steps share is a module of their part that is no step.
@each_step
def test_a_step_imports_no_other_step(kind, graph):
    reached = graph.find_upstream_modules(kind.__module__)
    assert not reached & (MODULES - {kind.__module__})


@each_step
def test_a_module_holds_one_step_and_has_its_name(kind):
    package, _dot, module = kind.__module__.rpartition(".")
    name = kind.id.partition(".")[2].replace("-", "_")
    if package == IN_PROOFS:
        name = name.removeprefix("proof").removeprefix("_") or "login"
    assert module == name
    own = [item for item in vars(sys.modules[kind.__module__]).values() if isinstance(item, type) and issubclass(item, Step)]
    assert [item for item in own if item.__module__ == kind.__module__ and "id" in vars(item)] == [kind]


def test_a_phase_takes_the_steps_of_one_room():
    for phase in PHASES:
        assert len({kind.__module__.split(".")[2] for kind in phase.steps}) == 1
