"""Whoever reads a section of the facts owns it, and says so: scripts/facts, the sections' classes and the steps' `reads` agree."""

import dataclasses
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfinstall import releases, resources
from kfinstall.answers.load import load
from kfinstall.answers.model import Answers, Proxy, Registry, Storage
from kfinstall.engine import plan
from kfinstall.engine.phase import Phase
from kfinstall.engine.step import Satisfied, Step, View
from kfinstall.facts.lines import SectionError
from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.facts.parse import SECTIONS
from kfinstall.facts.request import FIRST, LAST, facts_program
from kfinstall.facts.section import MOST_CHARACTERS, MOST_LINES, FactSection, parsed, queries
from kfinstall.parts.storage.facts import NfsExport
from kfinstall.workflows import EVERY_PHASE, installation, reset, rotate, uninstall

STEPS = [kind for phase in EVERY_PHASE for kind in phase.steps]
OWNED = sorted({kind for step in STEPS for kind in step.reads}, key=lambda kind: kind.section)
each_owned = pytest.mark.parametrize("kind", OWNED, ids=[kind.section for kind in OWNED])
NAMED = Answers.model_validate(
    {
        "nodes": [{"name": "cp1", "address": "10.77.0.11"}, {"name": "worker1", "address": "10.77.0.12"}],
        "storage": {"nfs": {"server": "nas.lan"}},
        "kubeflow": {"notebookImages": ["elyra"]},
        "registry": {"mirrors": {"quay.io": "https://mirror.example"}},
    }
)
"""What no example has: a server by name, images that are built, and mirrors."""
_PRINTED = re.compile(r"^.*?(?:\bkf_section |printf '@%s )([a-z-]+)", re.MULTILINE)


def printed(script):
    return _PRINTED.findall(resources.script(script))


def test_what_every_node_is_asked_is_parsed_here():
    assert [name for script in (*FIRST, *LAST) for name in printed(script)] == list(SECTIONS)


def test_every_other_section_has_one_owner_that_a_step_reads():
    folder = resources.root() / "scripts"
    names = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.sh")}
    scripts = {name for name in names if name.startswith("facts/") or "/facts" in name} - {*FIRST, *LAST, "engine/facts-lib"}
    assert sorted((script, name) for script in scripts for name in printed(script)) == sorted(
        (kind.script, kind.section) for kind in OWNED
    )
    assert not {kind.section for kind in OWNED} & set(SECTIONS)
    ours = {(kind.__module__, kind.__name__) for kind in FactSection.__subclasses__() if kind.__module__.startswith("kfinstall.")}
    assert ours == {(kind.__module__, kind.__name__) for kind in OWNED}


def clashes(kinds):
    """Names of sections that two have, or that the program has for every node: a node's answer has each only once."""
    names = Counter([*SECTIONS, *(kind.section for kind in kinds)])
    return sorted(name for name, count in names.items() if count > 1)


def test_no_two_sections_have_one_name():
    assert clashes(OWNED) == []
    program = facts_program(NodeQuery(), {kind: {} for kind in OWNED}, "m").text
    assert [name for name, count in Counter(_PRINTED.findall(program)).items() if count > 1] == []


@pytest.mark.parametrize("name", ["nfs", "packages", "end"])
def test_two_sections_of_one_name_are_seen(name):
    toy = type("Toy", (FactSection,), {"section": name, "script": "toy/facts", "order": 1})
    assert clashes([*OWNED, toy]) == [name]


@each_owned
def test_a_sections_fields_are_told_and_frozen(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert kind.__doc__
    assert kind() == kind.parse([])


# The engine hands every step a view that knows it; what a step looks at is what it names, no more and no less.
@pytest.mark.parametrize("kind", STEPS, ids=[kind.id for kind in STEPS])
def test_a_step_reads_what_it_names(kind, monkeypatch):
    looked = set()
    real = View.fact_of

    def noted(self, node, section):
        looked.add(section)
        return real(self, node, section)

    monkeypatch.setattr(View, "fact_of", noted)
    step = kind()
    for answers in (*map(load, sorted((resources.root() / "examples").glob("*.yaml"))), NAMED):
        release = releases.load(answers.cluster.release)
        fleet = {node.name: Facts(node=node.name) for node in answers.nodes}
        situation = plan.Situation(answers, release, fleet)
        if step.applies(answers):
            for target in step.targets(answers):
                view = situation.view(target, step)
                step.check(view)
                step.fingerprint(view)
                step.watch(view)
                step.wants(view)
                step.documents(view)
    assert looked == set(step.reads)


class Undeclared(Step):
    id = "storage.undeclared"
    title = "Look at what was never read"

    def check(self, view):
        return Satisfied(f"{len(view.fact(NfsExport).clients)} clients")


class Declared(Undeclared):
    reads = (NfsExport,)


def test_a_step_that_does_not_name_what_it_reads_is_a_mistake_that_is_told_at_once():
    answers = load(resources.root() / "examples" / "three-nodes.yaml")
    first = answers.first_control_plane.name
    facts = Facts(first, sections={NfsExport: NfsExport(clients=frozenset({"a", "b"}))})
    situation = plan.Situation(answers, releases.load(answers.cluster.release), {first: facts})
    with pytest.raises(TypeError, match=r"storage\.undeclared looks at NfsExport and does not name it in `reads`"):
        plan.build(situation, [Phase("storage", "Storage", (Undeclared,))])
    built = plan.build(situation, [Phase("storage", "Storage", (Declared,))])
    assert [item.check.evidence for item in built.steps] == ["2 clients", *["0 clients"] * (len(answers.nodes) - 1)]
    assert plan.reads_for(situation, [Phase("storage", "Storage", (Declared, Undeclared))]) == (NfsExport,)


@each_owned
@given(
    st.lists(
        st.text(alphabet='ab01=/.:-\t \u00b2\u0661\x00\ufffd"(', min_size=1, max_size=40)
        | st.sampled_from(
            ["status=" + "9" * 5000, "expires_at=" + "9" * 400, "status=\u00b2", "units\t ", "sysctl\ta\tb\tc", "clients=", "="]
        ),
        max_size=5,
    )
)
def test_hostile_lines_raise_nothing_but_the_sections_own_error(kind, lines):
    try:
        found = kind.parse(lines)
    except SectionError as error:
        assert error.section == kind.section
    else:
        assert isinstance(found, kind)
        hash(found)


@each_owned
def test_a_section_is_bounded(kind):
    with pytest.raises(SectionError, match=kind.section):
        parsed((kind,), {kind.section: ["gone\tx=y"] * (MOST_LINES + 1)})
    with pytest.raises(SectionError, match=kind.section):
        parsed((kind,), {kind.section: ["gone\t=" + "x" * MOST_CHARACTERS]})


PREFLIGHT = {"apt-files", "apt-tried", "boot", "filter", "guests", "host", "latency", "mounts", "proxies", "runtime-files", "ways"}


def query(answers, known):
    reads = queries(plan.reads_for(plan.Situation(answers, releases.load(answers.cluster.release)), known), answers)
    program = facts_program(NodeQuery(), reads, "m", answers.proxy)
    given = {name: value for name, value in program.parameters.items() if name.startswith(("NFS_", "REGISTRY_", "HTTP"))}
    return given, {kind.section for kind in OWNED if resources.script(kind.script) in program.text}


def test_a_node_is_asked_only_what_a_step_of_the_run_reads():
    answers = load(resources.root() / "examples" / "three-nodes.yaml")
    path, registry = answers.storage.nfs.path, {"REGISTRY_HOST": answers.registry_host}
    registry["REGISTRY_DIRECTORY"] = answers.registry.directory
    nfs = {"NFS_PATH": path, "NFS_EXPORT": path, "NFS_ADDRESS": answers.first_control_plane.address}
    assert query(answers, installation.PHASES) == (
        nfs | registry | {"REGISTRY_HOSTS": answers.registry_host},
        {"nfs", "nfs-server", "registry", "cluster", "prepare", *PREFLIGHT},
    )
    assert query(answers, (reset.PHASE,)) == ({}, {"undo"})
    assert query(answers, (uninstall.PHASE, rotate.PHASE)) == ({}, set())
    # The server is no node of ours: none of them exports anything.
    assert query(NAMED, installation.PHASES)[0].keys() - registry == {"NFS_ADDRESS", "REGISTRY_HOSTS"}
    local = answers.model_copy(update={"storage": Storage(type="local-path"), "registry": Registry(enabled=False)})
    assert query(local, installation.PHASES) == ({}, {"cluster", "prepare", *PREFLIGHT})
    proxied = local.model_copy(update={"proxy": Proxy(https="http://proxy:3128")})
    assert query(proxied, installation.PHASES)[0] == {"HTTPS_PROXY": "http://proxy:3128"}
