"""Every effect of phase prepare satisfies its own step's check, also after a reboot; what a check says does not change between two reads."""

import pytest

from kfinstall import prepare_site, releases
from kfinstall.answers.model import Answers
from kfinstall.facts.model import Watch
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.simulator.effects import prepare as _registered  # noqa: F401
from kfinstall.simulator.machine import boot, fresh_node
from kfinstall.simulator.model import EFFECTS, SimUnit, World
from kfinstall.simulator.sections import facts_output
from kfinstall.step import Needed, Satisfied, View
from kfinstall.steps.prepare_apt import PrepareApt
from kfinstall.steps.prepare_base_packages import PrepareBasePackages
from kfinstall.steps.prepare_clock import PrepareClock
from kfinstall.steps.prepare_containerd import PrepareContainerd
from kfinstall.steps.prepare_docker import PrepareDocker
from kfinstall.steps.prepare_kubernetes_packages import PrepareKubernetesPackages
from kfinstall.steps.prepare_kubernetes_repository import PrepareKubernetesRepository
from kfinstall.steps.prepare_modules import PrepareModules
from kfinstall.steps.prepare_proxy import PrepareProxy
from kfinstall.steps.prepare_swap_off import PrepareSwapOff
from kfinstall.steps.prepare_sysctl import PrepareSysctl
from kfinstall.steps.prepare_tools import PrepareTools

STEPS = (
    PrepareProxy,
    PrepareApt,
    PrepareBasePackages,
    PrepareSwapOff,
    PrepareModules,
    PrepareSysctl,
    PrepareClock,
    PrepareContainerd,
    PrepareDocker,
    PrepareKubernetesRepository,
    PrepareKubernetesPackages,
    PrepareTools,
)


def answers(runtime="containerd"):
    nodes = [{"name": "cp1", "address": "10.77.0.11"}]
    return Answers.model_validate({"nodes": nodes, "cluster": {"runtime": runtime}, "proxy": {"https": "http://proxy:3128"}})


def seen(given, node):
    view = View(given, releases.load("26.03"), node.name)
    watch = Watch()
    for step in STEPS:
        watch |= step().watch(view)
    program = facts_program(watch, {}, "0123abcd")
    facts = parse_facts(node.name, "0123abcd", facts_output(node, program.parameters, 1000.0), 1000.0)
    return View(given, view.release, node.name, {node.name: facts})


def prepared(given, node):
    """Run every step's effect where its check asks for it, and give the steps that ran."""
    world, ran = World({node.name: node}), []
    for step in (step() for step in STEPS if step().applies(given)):
        view = seen(given, node)
        if isinstance(step.check(view), Needed):
            list(EFFECTS[step.script](node, step.parameters(view), "", world))
            ran.append(step.id)
            after = step.check(seen(given, node))
            assert isinstance(after, Satisfied), (step.id, after)
    return ran


@pytest.mark.parametrize("runtime", ["containerd", "docker"])
def test_every_effect_satisfies_its_check_and_a_second_run_has_nothing_to_do(runtime):
    given, node = answers(runtime), fresh_node("cp1", 0)
    node.units["systemd-timesyncd.service"] = SimUnit(active=False, enabled=False)
    ran = prepared(given, node)
    assert ran == [step.id for step in STEPS if step().applies(given)]
    assert prepared(given, node) == []


# What only holds until the next boot is the oldest trap: swap, modules, settings.
def test_nothing_comes_back_at_boot():
    given, node = answers(), fresh_node("cp1", 0)
    assert node.swap_active
    prepared(given, node)
    boot(node)
    assert prepared(given, node) == []
    assert "/swap.img" in node.files
    assert node.sysctls["net.bridge.bridge-nf-call-iptables"] == "1"


def test_scripts_of_all_steps_exist():
    assert all(step().script in EFFECTS for step in STEPS)
    assert prepare_site.PROXY_ENV.startswith("/var/lib/kfinstall/")
