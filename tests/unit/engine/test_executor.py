"""The executor: write-ahead, verify by the same check, workers set aside, retries by class, stops."""

import asyncio
import json
from dataclasses import replace

import pytest

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine import limits, plan
from kfinstall.engine.executor import Executor, Stop
from kfinstall.engine.fleet import Fleet
from kfinstall.engine.journal import Entry, Journal
from kfinstall.engine.phase import Phase
from kfinstall.engine.step import Conflict, Needed, Satisfied, Scope, Step
from kfinstall.errors import (
    ChangedHostKeyError,
    CommandError,
    ConflictError,
    InterruptedRunError,
    LoginError,
    PreflightError,
    ProofError,
    StateError,
    TransportError,
)
from kfinstall.events import EventBus
from kfinstall.facts.model import Facts, KfUnit, RuntimeFacts
from kfinstall.kube.base import ClusterFacts, ListQuery, Ref
from kfinstall.secrets import Redactor


class FakeFleet(Fleet):
    """A fleet whose facts are a dict of what was done; no connections."""

    def __init__(self, nodes=3):
        names = ["cp1", *(f"w{number}" for number in range(1, nodes))]
        answers = Answers.model_validate(
            {"nodes": [{"name": name, "address": f"10.0.0.{index + 1}"} for index, name in enumerate(names)]}
        )
        super().__init__(answers, releases.Release(name="test"), (), None)
        self.done = {name: set() for name in names}
        self.reads = 0
        self.facts = {name: Facts(node=name) for name in names}

    async def read_node(self, name):
        self.reads += 1
        self.facts[name] = replace(self.facts[name], modules=frozenset(self.done[name]))
        return self.facts[name]

    async def read_cluster(self, wants=None):
        return None


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "VERIFY_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(limits, "VERIFY_INTERVAL_SECONDS", 0.0)

    class World:
        fleet = FakeFleet()
        stop = Stop()
        redact = Redactor()
        bus = EventBus(redact)
        journal = Journal(tmp_path / "j")

        def __init__(self):
            self.events = []
            self.applied = []

        def executor(self):
            return Executor(self.fleet, self.bus, self.journal, None, self.redact, run="r1", stop=self.stop)

        async def run(self, *steps, read_only=False):
            await self.executor().run([Phase("prepare", "Prepare", steps, read_only=read_only)])

        def outcomes(self):
            return [(e.step, e.target, e.outcome) for e in self.events if e.name == "stepFinished"]

    world = World()
    world.bus.subscribe(world.events.append)
    yield world
    world.journal.close()


def step(world, name="prepare.thing", *, act=None, scope=Scope.EVERY_NODE, check=None, **more):
    async def apply(self, context):
        target = context.view.target
        world.applied.append((name, target))
        if act is not None:
            await act(target)
        world.fleet.done.setdefault(target, set()).add(name)

    def default_check(self, view):
        return Satisfied("there") if name in view.facts.modules else Needed((f"make {name}",))

    members = {
        "id": name,
        "title": f"Do {name}",
        "scope": scope,
        "apply": apply,
        "check": check or default_check,
        "script": "prepare-thing",
    }
    return type("Made", (Step,), members | more)


async def test_what_is_needed_is_done_and_a_second_run_changes_nothing(world):
    made = step(world)
    await world.run(made)
    assert sorted(target for _name, target in world.applied) == ["cp1", "w1", "w2"]
    assert {outcome for _step, _target, outcome in world.outcomes()} == {"changed"}
    world.applied.clear(), world.events.clear()
    before = world.fleet.reads
    await world.run(made)
    assert world.applied == []
    assert world.fleet.reads == before
    assert {outcome for _step, _target, outcome in world.outcomes()} == {"unchanged"}


async def test_started_is_on_the_disk_before_anything_changes(world, tmp_path):
    seen = []

    async def act(target):
        lines = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
        seen.append(any(line["event"] == "started" and line["target"] == target for line in lines))

    await world.run(step(world, act=act))
    assert seen == [True, True, True]
    assert world.journal.in_doubt() == []


# A killed run leaves 'started' behind; where its step had ended well on the node, the next run must settle that once and for all.
async def test_a_step_in_doubt_that_is_found_done_is_settled(world):
    made = step(world)
    for name in world.fleet.done:
        world.journal.record(Entry("started", "r0", made.id, name, "fingerprint"))
        world.fleet.done[name].add(made.id)
        await world.fleet.read_node(name)
    await world.run(made)
    assert world.applied == []
    assert world.journal.in_doubt() == []
    assert {entry.outcome for entry in world.journal.entries("r1")} == {"unchanged"}
    count = len(world.journal.entries())
    await world.run(made)
    assert len(world.journal.entries()) == count


async def test_nothing_is_applied_when_the_journal_can_t_be_written(world, monkeypatch):
    def full(entry):
        raise StateError("disk full")

    monkeypatch.setattr(world.journal, "record", full)
    with pytest.raises(StateError):
        await world.run(step(world))
    assert world.applied == []


async def test_a_step_is_done_only_when_its_check_says_so(world):
    def never(self, view):
        return Needed(("still open",))

    with pytest.raises(CommandError, match="check afterwards does not hold") as raised:
        await world.run(step(world, check=never))
    assert "still open" in raised.value.why
    with pytest.raises(ProofError):
        await world.run(step(world, "prepare.proof", check=never, proof=True))


async def test_a_failing_worker_is_set_aside_and_the_rest_goes_on(world):
    async def act(target):
        if target == "w1":
            raise CommandError("broken", node=target)

    second = step(world, "prepare.second")
    await world.run(step(world, act=act), second)
    assert world.fleet.set_aside == {"w1": "broken"}
    assert sorted(target for name, target in world.applied if name == "prepare.second") == ["cp1", "w2"]
    assert [event.node for event in world.events if event.name == "nodeSetAside"] == ["w1"]


async def test_a_failing_first_control_plane_stops_the_run(world):
    async def act(target):
        if target == "cp1":
            raise CommandError("broken", node=target)

    with pytest.raises(CommandError, match="broken"):
        await world.run(step(world, act=act), step(world, "prepare.second"))
    assert "prepare.second" not in {name for name, _target in world.applied}


async def test_a_failing_cluster_step_stops_the_run(world):
    async def act(target):
        raise CommandError("no")

    with pytest.raises(CommandError):
        await world.run(step(world, act=act, scope=Scope.CLUSTER))


async def test_siblings_of_a_failure_finish_what_they_do(world):
    finished = []
    failed = asyncio.Event()

    async def act(target):
        if target == "cp1":
            failed.set()
            raise CommandError("broken")
        await failed.wait()
        await asyncio.sleep(0)
        finished.append(target)

    with pytest.raises(CommandError):
        await world.run(step(world, act=act))
    assert sorted(finished) == ["w1", "w2"]


@pytest.mark.parametrize("changed", [("w1",), ("cp1",), ("w1", "w2")])
async def test_a_changed_host_key_sets_nobody_aside_and_stops_everything_at_once(world, tmp_path, changed):
    """Reported: a worker's was set aside and the rest went on."""
    others, endless = asyncio.Event(), asyncio.Event()
    waiting = 3 - len(changed)
    begun, later = [], []

    async def act(target):
        begun.append(target)
        if len(begun) == 3:
            others.set()
        await others.wait()
        if target in changed:
            raise ChangedHostKeyError(f"the key of {target} has CHANGED", why=f"{target} shows x", node=target)
        await endless.wait()

    async def next_one(target):
        later.append(target)

    with pytest.raises(ChangedHostKeyError) as caught:
        await world.run(step(world, act=act), step(world, "prepare.other", act=next_one))
    assert int(caught.value.exit_code) == 13
    assert all(name in "\n".join(caught.value.lines()) for name in changed), "all of them at once"
    assert later == []
    assert world.fleet.set_aside == {}
    assert "nodeSetAside" not in {event.name for event in world.events}
    outcomes = {target: outcome for _step, target, outcome in world.outcomes()}
    assert {name: outcome for name, outcome in outcomes.items() if name in changed} == dict.fromkeys(changed, "failed")
    assert list(outcomes.values()).count("interrupted") == waiting
    assert [event.outcome for event in world.events if event.name == "phaseFinished"] == ["failed"]
    assert any(event.level == "error" and "CHANGED" in event.text for event in world.events if event.name == "notice")
    assert all(entry.event == "finished" for entry in world.journal.newest())


async def test_what_waits_for_its_turn_does_not_begin_after_a_changed_host_key(world):
    begun = []

    async def act(target):
        begun.append(target)
        raise ChangedHostKeyError("CHANGED", node=target)

    with pytest.raises(ChangedHostKeyError):
        await world.run(step(world, act=act, at_once=1))
    assert len(begun) == 1, "and nothing is tried again"


async def test_a_changed_host_key_that_somebody_passed_over_stops_the_run_before_the_next_step(world):
    async def act(target):
        world.fleet.changed_keys.meet(ChangedHostKeyError("CHANGED", node="cp1"))
        raise CommandError("the cluster does not answer")

    with pytest.raises(ChangedHostKeyError):
        await world.run(step(world, act=act, scope=Scope.CLUSTER))


async def test_lost_connections_are_tried_again_and_logins_never(world):
    tries = []

    async def flaky(target):
        tries.append(target)
        if tries.count(target) == 1:
            raise TransportError("gone")

    await world.run(step(world, act=flaky))
    assert len(tries) == 6
    tries.clear()

    async def refused(target):
        tries.append(target)
        raise LoginError("no")

    with pytest.raises(LoginError):
        await world.run(step(world, "prepare.other", act=refused))
    assert len(tries) == 3


async def test_a_conflict_stops_and_a_warning_does_not(world):
    def warn(self, view):
        return Conflict("odd", "look", warning=True)

    def conflict(self, view):
        return Conflict("foreign file", "move it away")

    await world.run(step(world, check=warn))
    with pytest.raises(ConflictError, match="foreign file") as raised:
        await world.run(step(world, check=conflict))
    assert raised.value.hint == "move it away"
    assert world.applied == []


async def test_preflight_tells_every_finding_before_it_fails(world):
    def check(self, view):
        return Conflict(f"bad {view.target}", f"fix {view.target}") if view.target != "w2" else Satisfied("good")

    with pytest.raises(PreflightError) as raised:
        await world.run(step(world, check=check), step(world, "prepare.b", check=check), read_only=True)
    findings = [event for event in world.events if event.name == "finding"]
    assert len(findings) == 6
    assert raised.value.exit_code == 3
    assert "fix w1" in raised.value.hint
    assert world.applied == []


async def test_a_stop_request_ends_between_steps_and_finishes_what_runs(world):
    async def act(target):
        world.stop.requested = True

    with pytest.raises(InterruptedRunError):
        await world.run(step(world, act=act), step(world, "prepare.second"))
    assert sorted(target for _name, target in world.applied) == ["cp1", "w1", "w2"]
    assert {entry.outcome for entry in world.journal.entries() if entry.event == "finished"} == {"changed"}


async def test_a_cancelled_step_is_journalled_as_interrupted(world):
    entered = asyncio.Event()

    async def act(target):
        entered.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(world.run(step(world, act=act)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.journal.last("prepare.thing", "cp1").outcome == "interrupted"


async def test_a_step_that_runs_too_long_is_a_timeout(world):
    async def act(target):
        await asyncio.Event().wait()

    with pytest.raises(Exception, match="not done within") as raised:
        await world.run(step(world, act=act, timeout_seconds=0.01))
    assert raised.value.exit_code == 16


async def test_a_unit_that_still_runs_is_said_to_be_followed(world):
    unit = KfUnit("kf-prepare-thing", running=True, status=None)
    world.fleet.facts["w1"] = replace(world.fleet.facts["w1"], kf_units={unit.name: unit})
    await world.run(step(world))
    started = {event.target: event.attached for event in world.events if event.name == "stepStarted"}
    assert started == {"cp1": False, "w1": True, "w2": False}


async def test_a_unit_of_the_cluster_still_runs_on_the_first_control_plane(world):
    unit = KfUnit("kf-prepare-thing", running=True, status=None)
    world.fleet.facts["cp1"] = replace(world.fleet.facts["cp1"], kf_units={unit.name: unit})
    made = step(
        world, scope=Scope.CLUSTER, check=lambda _self, _view: Satisfied("there") if world.applied else Needed(("make it",))
    )
    await world.run(made)
    assert [event.attached for event in world.events if event.name == "stepStarted"] == [True]


async def test_the_journal_names_the_unit_of_what_was_begun(world):
    await world.run(step(world))
    units = {(entry.event, entry.target): entry.unit for entry in world.journal.entries()}
    assert {unit for (event, _target), unit in units.items() if event == "started"} == {"kf-prepare-thing"}


async def test_at_once_limits_how_many_run_together(world):
    running, most = 0, 0

    async def act(target):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await world.run(step(world, act=act, at_once=1))
    assert most == 1


async def test_a_secret_in_an_error_is_masked_in_events_and_journal(world, tmp_path):
    from kfinstall.secrets import Secret

    world.redact.register(Secret("planted-secret"))

    async def act(target):
        raise CommandError("said planted-secret")

    with pytest.raises(CommandError):
        await world.run(step(world, act=act))
    assert "planted-secret" not in (tmp_path / "j").read_text()
    assert not [event for event in world.events if "planted-secret" in str(event)]


async def test_reading_some_lists_anew_leaves_what_other_checks_need_of_an_object(monkeypatch):
    """kubeflow.apply reads the metadata of all claims; spark.volume needs the class and the size of its own."""
    fleet = Fleet(FakeFleet().all_answers, releases.Release(name="test"), (), None)
    fleet.facts = {"cp1": Facts("cp1", runtime=RuntimeFacts(kubeadm_files=("/etc/kubernetes/admin.conf",)))}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a", "namespace": "spark"}}
    whole, bare = ListQuery("v1", "PersistentVolumeClaim", "spark"), ListQuery("v1", "PersistentVolumeClaim", metadata_only=True)

    class Lists:
        async def snapshot(self, wants):
            return ClusterFacts("v1.34.0", {Ref.of(claim): {**claim, "spec": {}} if whole in wants else claim} if wants else {})

    async def cluster():
        return Lists()

    monkeypatch.setattr(fleet, "cluster", cluster)
    monkeypatch.setattr(plan, "wants_for", lambda _situation, _phases: (whole, bare))
    await fleet.read_cluster()
    await fleet.read_cluster((bare,))
    assert "spec" in fleet.cluster_facts.objects[Ref.of(claim)]
