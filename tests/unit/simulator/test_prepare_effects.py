"""Every effect of phase prepare satisfies its own step's check, also after a reboot; what a check says does not change between two reads."""

import json

import pytest

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Needed, Satisfied, View
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.prepare.apt import PrepareApt
from kfinstall.parts.prepare.base_packages import PrepareBasePackages
from kfinstall.parts.prepare.clock import PrepareClock
from kfinstall.parts.prepare.containerd import PrepareContainerd
from kfinstall.parts.prepare.docker import PrepareDocker
from kfinstall.parts.prepare.kubernetes_packages import PrepareKubernetesPackages
from kfinstall.parts.prepare.kubernetes_repository import PrepareKubernetesRepository
from kfinstall.parts.prepare.modules import PrepareModules
from kfinstall.parts.prepare.proxy import PrepareProxy
from kfinstall.parts.prepare.swap_off import PrepareSwapOff
from kfinstall.parts.prepare.sysctl import PrepareSysctl
from kfinstall.parts.prepare.tools import PrepareTools
from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.nodes import undo
from kfinstall.simulator.nodes.machine import boot, fresh_node
from kfinstall.simulator.nodes.model import EFFECTS, SimPackage, SimUnit, World
from kfinstall.simulator.nodes.play import play
from kfinstall.simulator.parts import prepare as _registered  # noqa: F401

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
    watch = NodeQuery()
    for step in STEPS:
        watch |= step().watch(view)
    reads = queries({kind for step in STEPS for kind in step.reads}, given)
    program = facts_program(watch, reads, "0123abcd")
    facts = parse_facts(node.name, "0123abcd", facts_output(node, program.parameters, 1000.0), 1000.0, reads)
    return View(given, view.release, node.name, {node.name: facts})


def prepared(given, node):
    """Run every step's effect where its check asks for it, and give the steps that ran."""
    world, ran = World({node.name: node}), []
    for step in (step() for step in STEPS if step().applies(given)):
        view = seen(given, node)
        if isinstance(step.check(view), Needed):
            list(play(node, step.script, step.parameters(view), "", world))
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


def ran(name, node, **parameters):
    return list(play(node, name, parameters, "", World({node.name: node})))


# The simulator's nodes must not be kinder than real ones: each source of swap that the facts show is the script's to turn off.
def test_swap_of_every_source():
    node = fresh_node("cp1", 0)
    node.units |= {name: SimUnit(active=True, enabled=True) for name in ("dev-vdb1.swap", "zramswap.service")}
    assert ran("prepare-swap-off", node) == ["/etc/fstab", "masked dev-vdb1.swap", "masked zramswap.service", "turned swap off"]
    assert ran("prepare-swap-off", node) == []
    assert isinstance(PrepareSwapOff().check(seen(answers(), node)), Satisfied)


def test_a_later_file_that_sets_less_is_turned_off():
    node = fresh_node("cp1", 0)
    node.write("/etc/sysctl.d/99-x.conf", "net/ipv4/ip_forward = 0\nvm.swappiness=1\n")
    node.write("/etc/sysctl.d/10-x.conf", "net.ipv4.ip_forward = 0\n")
    view = seen(answers(), node)
    assert (
        "turn off in /etc/sysctl.d/99-x.conf, which is read later: net.ipv4.ip_forward = 0" in PrepareSysctl().check(view).changes
    )
    assert "/etc/sysctl.d/99-x.conf" in ran("prepare-sysctl", node, **PrepareSysctl().parameters(view))
    assert node.files["/etc/sysctl.d/99-x.conf"].content == "# kfinstall turned it off: net/ipv4/ip_forward = 0\nvm.swappiness=1\n"
    assert isinstance(PrepareSysctl().check(seen(answers(), node)), Satisfied)
    boot(node)
    assert node.sysctls["net.ipv4.ip_forward"] == "1"


def test_the_source_that_is_gone_is_turned_off():
    node = fresh_node("cp1", 0)
    node.write("/etc/apt/sources.list.d/k.list", "deb http://apt.kubernetes.io/ kubernetes-xenial main\n")
    assert "gone" in PrepareApt().check(seen(answers(), node)).changes[0]
    assert ran("prepare-apt", node, MAX_AGE="60")[0] == "/etc/apt/sources.list.d/k.list"
    assert isinstance(PrepareApt().check(seen(answers(), node)), Satisfied)


def test_containerd_that_is_there_stays_and_gets_the_form_of_its_version():
    node = fresh_node("cp1", 0)
    node.packages["containerd"] = SimPackage("1.7.28-0ubuntu1")
    view = seen(answers(), node)
    ran("prepare-containerd", node, **PrepareContainerd().parameters(view))
    assert node.packages["containerd"].version.startswith("1.7")
    assert node.files[CONTAINERD_CONFIG].content == prepare_files.containerd_v2(view)
    assert isinstance(PrepareContainerd().check(seen(answers(), node)), Satisfied)


def test_daemon_json_keeps_what_others_wrote():
    node = fresh_node("cp1", 0)
    node.write("/etc/docker/daemon.json", '{"insecure-registries": ["r:5000"], "exec-opts": ["native.cgroupdriver=cgroupfs"]}')
    ran("prepare-docker", node, **PrepareDocker().parameters(seen(answers("docker"), node)))
    settings = json.loads(node.files["/etc/docker/daemon.json"].content)
    assert settings["insecure-registries"] == ["r:5000"]
    assert settings["exec-opts"] == ["native.cgroupdriver=systemd"]


def test_the_clock_service_that_is_there_is_preferred():
    node = fresh_node("cp1", 0)
    node.units["chrony.service"] = SimUnit()
    assert ran("prepare-clock", node) == ["enabled chrony.service", "started chrony.service"]


def test_scripts_of_all_steps_exist():
    assert all(step().script in EFFECTS or issubclass(step, NodeStep) for step in STEPS)
    assert prepare_files.PROXY_ENV.startswith("/var/lib/kfinstall/")


GUIDE = ("kubelet", "kubeadm", "kubectl", "kubernetes-cni", "cri-tools")
OLD = "# Modernized\nTypes: deb\nURIs: https://apt.kubernetes.io/\nSuites: kubernetes-xenial\n\nTypes: deb\nURIs: https://x.example/\nSuites: y\n"
MINOR = "deb [signed-by=/etc/apt/keyrings/other.gpg] https://pkgs.k8s.io/core:/stable:/v1.29/deb/ /\n"


# What older guides left: two sources of Kubernetes beside ours, and five packages on hold.
def test_what_older_guides_left_is_dealt_with_and_comes_back():
    given, node = answers(), fresh_node("cp1", 0)
    node.write("/etc/apt/sources.list.d/kubernetes.sources", OLD)
    node.write("/etc/apt/sources.list.d/k8s.list", MINOR)
    for name in GUIDE:
        node.packages[name] = SimPackage("1.22.4-00", held=True)
    undo.remember(node)
    prepared(given, node)
    sources = node.files["/etc/apt/sources.list.d/kubernetes.sources"].content
    assert sources == OLD.replace(
        "Types: deb\nURIs: https://apt",
        "# kfinstall turned it off, this repository is gone\nEnabled: no\nTypes: deb\nURIs: https://apt",
    )
    assert node.files["/etc/apt/sources.list.d/k8s.list"].content == f"# kfinstall turned it off: {MINOR}"
    assert all(node.packages[name].held for name in GUIDE)
    assert prepared(given, node) == []
    for _line in (*undo.remove_packages(node), *undo.restore_files(node)):
        pass
    assert node.files["/etc/apt/sources.list.d/kubernetes.sources"].content == OLD
    assert node.files["/etc/apt/sources.list.d/k8s.list"].content == MINOR
    assert all(node.packages[name].held for name in GUIDE)


def test_a_step_that_is_killed_leaves_holds_that_the_next_puts_back():
    given, node = answers(), fresh_node("cp1", 0)
    for name in GUIDE:
        node.packages[name] = SimPackage("1.22.4-00", held=True)
    world = World({"cp1": node})
    step = PrepareKubernetesPackages()
    for line in play(node, step.script, step.parameters(seen(given, node)), "", world):
        if line.startswith("not on hold"):
            break
    assert not any(node.packages[name].held for name in GUIDE)
    assert "apt-mark hold kubelet kubeadm kubectl kubernetes-cni cri-tools" in PrepareApt().check(seen(given, node)).changes
    prepared(given, node)
    assert all(node.packages[name].held for name in GUIDE)
    assert node.loose == []
