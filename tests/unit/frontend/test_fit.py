"""What is chosen against what the servers have."""

import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.step import Severity, View
from kfinstall.facts.model import Facts, SpaceFact
from kfinstall.frontend import proposals
from kfinstall.parts.preflight import fit
from kfinstall.parts.preflight import hardware as preflight_hardware
from screens.registry_part import space_forecast

ROW = releases.load("26.03").kubeflow
COMPONENTS = ROW.components


def server(name, cpus, gibibytes, addresses=()):
    facts = Facts(node=name)
    hardware = dataclasses.replace(facts.hardware, cpus=cpus, memory_bytes=gibibytes * 2**30)
    return dataclasses.replace(facts, hardware=hardware, network=dataclasses.replace(facts.network, addresses=addresses))


def judge(chosen, facts, workers=("a", "b"), spark=False, lone=None):
    return fit.fit(COMPONENTS, chosen, spark=spark, facts=facts, workers=workers, lone=lone)


def test_the_standard_preset_fits_two_real_servers_and_not_two_tiny_ones():
    standard = ROW.presets["standard"]
    assert judge(standard, {"a": server("a", 8, 16), "b": server("b", 8, 16)}).fits
    tiny = judge(standard, {"a": server("a", 2, 4), "b": server("b", 2, 4)})
    assert not tiny.fits
    assert tiny.leave_out
    left = [name for name in standard if name not in tiny.leave_out]
    assert judge(left, {"a": server("a", 2, 4), "b": server("b", 2, 4)}).fits


def test_servers_that_were_not_looked_at_are_named_and_not_counted():
    judged = judge(ROW.presets["mini"], {"a": server("a", 8, 16)})
    assert judged.unknown == ("b",)
    assert judged.available.pods == fit.PODS_PER_NODE - fit.SYSTEM_PODS_PER_NODE
    assert judge(ROW.presets["mini"], {}).available is None


def test_a_lone_server_carries_the_control_plane_too():
    facts = {"a": server("a", 4, 8)}
    assert judge((), facts, ("a",), lone="a").available.memory_mebibytes < judge((), facts, ("a",)).available.memory_mebibytes


def test_what_others_need_can_not_be_left_out_alone():
    chosen = ROW.presets["standard"]
    assert "dashboard" in fit.needed_by(COMPONENTS, "istio", chosen) or fit.needed_by(COMPONENTS, "istio", chosen)
    for name in chosen:
        assert set(fit.with_needs(COMPONENTS, name)) >= {name, *COMPONENTS[name].needs}
        for other in fit.needed_by(COMPONENTS, name, chosen):
            assert name in fit.with_needs(COMPONENTS, other)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(COMPONENTS))), st.integers(0, 64), st.integers(0, 128))
def test_a_suggestion_fits_and_leaves_nothing_that_others_need(names, cpus, gibibytes):
    chosen = fit.chosen_order(COMPONENTS, {need for name in names for need in fit.with_needs(COMPONENTS, name)})
    facts = {"a": server("a", cpus, gibibytes)}
    judged = judge(chosen, facts, ("a",))
    assert min(dataclasses.astuple(judged.needed)) >= 0
    assert min(dataclasses.astuple(judged.available)) >= 0
    left = [name for name in chosen if name not in judged.leave_out]
    if judged.leave_out:
        assert judge(left, facts, ("a",)).fits
    assert all(need in left for name in left for need in COMPONENTS[name].needs)


@pytest.mark.parametrize(
    ("pods", "services", "addresses", "expected"),
    [
        ("10.244.0.0/16", "10.96.0.0/16", ["192.168.0.1"], "✓"),
        ("192.168.0.0/16", "10.96.0.0/16", ["192.168.0.1"], "Free: 10.244.0.0/16"),
        ("10.96.0.0/12", "10.96.0.0/16", [], "overlaps the Service network"),
        ("10.244.0.0/16", "10.96.0.0/16", ["10.96.3.4"], "Free: 10.112.0.0/16"),
        ("10.244.0.0/16", "10.96.0.0/16", ["server.example.org"], ""),
        ("nonsense", "10.96.0.0/16", ["192.168.0.1"], ""),
        ("fd00:10:244::/56", "fd00:10:96::/112", ["fd00:1::1"], "✓"),
    ],
)
def test_networks_that_overlap_are_told_with_a_free_one(pods, services, addresses, expected):
    note = proposals.note(pods, services, addresses, [])
    assert expected in note
    assert bool(expected) == bool(note)


def test_known_addresses_count_more_than_guesses():
    facts = [server("a", 1, 1, ("10.0.0.5/8",))]
    assert "overlaps the servers' network 10.0.0.0/8" in proposals.note("10.244.0.0/16", "172.28.0.0/16", ["10.0.0.5"], facts)
    assert "Free: 172.20.0.0/16" in proposals.note("10.244.0.0/16", "172.28.0.0/16", ["10.0.0.5"], facts)


@pytest.mark.parametrize("name", [name for name in releases.names() if releases.load(name).kubeflow])
def test_what_has_pods_pulls_images(name):
    row = releases.load(name).kubeflow
    assert set(row.pulls) == {part for part, component in row.components.items() if component.pods}
    assert fit.fit(row.components, list(row.components), spark=False, facts={}, workers=(), pulls=row.pulls).needed.images == sum(
        row.pulls.values()
    )


@pytest.mark.parametrize(
    ("gibibytes", "expected"),
    [(30, "✗ cp1 has 30 GiB free there, less than the 50Gi wanted."), (300, "✓ cp1 has 300 GiB free there.")],
)
def test_room_for_images_is_held_against_what_is_wanted(gibibytes, expected):
    space = SpaceFact("/", 500 * 2**30, gibibytes * 2**30)
    facts = dataclasses.replace(server("cp1", 8, 16), space={"/srv": space})
    assert space_forecast(facts, "cp1", "/srv", "50Gi").startswith(expected)
    assert f"about {gibibytes / 6:.0f} of them" in space_forecast(facts, "cp1", "/srv", "50Gi")


NODES = [{"name": "cp1", "address": "10.0.0.1"}, {"name": "a", "address": "10.0.0.2"}, {"name": "b", "address": "10.0.0.3"}]
SIZES = st.sampled_from([0, 1023, 1024, 2048, 3072, 4096, 6000, 8192, 16384, 65536])


@settings(max_examples=120, deadline=None)
@given(
    st.one_of(st.sampled_from(sorted(ROW.presets)), st.lists(st.sampled_from(sorted(COMPONENTS)), min_size=1, unique=True)),
    st.lists(st.tuples(SIZES, st.integers(0, 32)), min_size=3, max_size=3),
    st.integers(1, 3),
    st.booleans(),
)
@example("full", [(4096, 8), (5300, 8), (5300, 8)], 3, False)
@example(["katib"], [(4096, 8), (1100, 8), (1100, 8)], 3, False)
def test_preflight_never_refuses_what_the_wizard_says_fits(components, sizes, count, spark):
    """The wizard as screens/kubeflow.py asks: from the draft, the preset's or the listed names as they stand there."""
    answers = Answers.model_validate({"nodes": NODES[:count], "kubeflow": {"components": components}, "spark": {"enabled": spark}})
    fleet = {}
    for node, (mebibytes, cpus) in zip(answers.nodes, sizes, strict=False):
        bare = server(node.name, cpus, 0)
        fleet[node.name] = dataclasses.replace(bare, hardware=dataclasses.replace(bare.hardware, memory_bytes=mebibytes * 2**20))
    names = ROW.presets[components] if isinstance(components, str) else components
    workers = [node.name for node in answers.nodes if "worker" in node.roles]
    lone = answers.nodes[0].name if count == 1 else None
    judged = fit.fit(COMPONENTS, names, spark=spark, facts=fleet, workers=workers, lone=lone)
    view = View(answers, releases.load("26.03"), "cp1", fleet)
    refused = [finding for finding in preflight_hardware.fit_findings(view) if judged.fits and finding.weight is not Severity.INFO]
    assert not refused, f"needed {judged.needed}, available {judged.available}"


def sized(**mebibytes):
    facts = {"a": dataclasses.replace(server("a", 32, 64), space={"/var/lib/containerd": SpaceFact("/", 10**12, 20 * 2**30)})}
    pulls = dict.fromkeys(COMPONENTS, 2)
    return fit.fit(COMPONENTS, ["katib"], spark=False, facts=facts, workers=("a",), pulls=pulls, pulls_mebibytes=mebibytes)


def test_images_that_nobody_measured_are_told_as_such_and_no_size_is_made_up():
    judged = sized()
    assert judged.needed.images_mebibytes == 0
    assert judged.needed.unsized_images == judged.needed.images > 0
    assert judged.minutes(1e9) is None
    assert judged.of_images(1e9).endswith("how large they are, and how long that takes, is not known")


def test_measured_images_take_room_and_minutes():
    judged = sized(katib=6000)
    assert judged.stored
    assert judged.minutes(100e6) == pytest.approx(6000 * 2**20 * 8 / 100e6 / 60)
    assert "5.9 GiB and" in judged.of_images(100e6)
    assert "at least 8 min at the 100 Mbit/s that were measured between the servers" in judged.of_images(100e6)
    full = sized(katib=40_000)
    assert not full.stored
    assert not full.fits
