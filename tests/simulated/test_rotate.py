"""`kfinstall rotate` on the simulator: new values everywhere, also when it is killed in the middle, and seen by nobody."""

import asyncio
import base64
import contextlib
import json
import signal

import pytest

from kfinstall.answers.model import Answers
from kfinstall.engine.secret_store import GENERATED
from kfinstall.errors import InterruptedRunError, KfError
from kfinstall.parts.kubeflow.rotate import secrets as rotate_secrets
from kfinstall.simulator.fleet import Fleet
from kfinstall.simulator.parts.rotate import SERVERS, digest
from tests.simulated.engine import changed, in_session, place, run
from tests.simulated.test_secrets import left_behind, spellings, watched

KEYS = {
    "katib-database": "MYSQL_ROOT_PASSWORD",
    "pipelines-database": "password",
    "catalog-database": "POSTGRES_PASSWORD",
    "object-store": "secretkey",
    "oidc-client": "client-secret",
    "cookie": "cookie-secret",
}


def generated(fleet):
    data = fleet.cluster.get("v1", "Secret", GENERATED.name, GENERATED.namespace)["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def pods(fleet):
    """uid of every pod, by the start of its name."""
    found = {}
    for pod in fleet.cluster.objects("v1", "Pod"):
        found.setdefault(pod["metadata"]["name"].rsplit("-", 2)[0], set()).add(pod["metadata"]["uid"])
    return found


def assert_consistent(fleet):
    """One value each: among the generated ones, in the Secrets, in the servers; and nothing is open."""
    values = generated(fleet)
    assert not [name for name in values if name.endswith(".next")]
    servers = (fleet.cluster.get(*SERVERS) or {}).get("data") or {}
    for name, key in KEYS.items():
        item = rotate_secrets.ROTATIONS[name]
        value = values[item.secret][:24] if name == "cookie" else values[item.secret]
        ref = item.written[-1]
        assert fleet.cluster.secret(ref.namespace, ref.name, key) == value, name
        if item.server is not None and item.server.name in servers:
            assert servers[item.server.name] == digest(value), name
    assert fleet.cluster.secret("auth", "dex-oidc-client", "OIDC_CLIENT_SECRET") == values["kubeflow.oidc.client-secret"]
    record = fleet.cluster.get("v1", "ConfigMap", "rotation", "kfinstall")["data"]
    for name in rotate_secrets.ROTATIONS:
        assert record.get(f"requested.{name}") == record.get(f"done.{name}"), name


async def killed(fleet, answers, folder, text, *, reporters=(), **options):
    """A rotation that is stopped at once when some line is said; its run's id."""
    found = {}
    struck = asyncio.Event()

    def watch(event):
        if event.name == "runStarted":
            found["run"] = event.run
        if event.name == "outputLine" and text in event.text:
            struck.set()

    task = asyncio.create_task(run(fleet, answers, folder, reporters=(watch, *reporters), kind="rotate", **options))
    waiting = asyncio.create_task(struck.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert struck.is_set(), f"nobody said {text!r}"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, InterruptedRunError, KfError):
        await task
    return found["run"]


MOMENTS = (
    (("katib-database",), "the server in kubeflow/deployment/katib-mysql took the new password"),
    (("pipelines-database",), "Secret kubeflow/mysql-secret holds the new value"),
    (("catalog-database",), "the server in kubeflow/statefulset/model-catalog-postgres took the new password"),
    (("object-store",), "Deployment kubeflow/seaweedfs runs with the new value"),
    (("oidc-client", "cookie"), "Secret auth/dex-oidc-client holds the new value"),
    (("cookie",), "the dashboard knows"),
)


def small(fleet, components):
    """Answers without what no rotation is about."""
    data = fleet.answers().model_dump(by_alias=True)
    data["cluster"] |= {"release": "26.03.1"}
    data["kubeflow"] |= {"components": components, "proofs": []}
    data["spark"] |= {"enabled": False}
    data["registry"] |= {"enabled": False}
    return Answers.model_validate(data)


async def test_new_values_everywhere_one_of_each_after_every_kill_and_seen_by_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("kfinstall.parts.kubeflow.limits.KUBEFLOW_BCRYPT_ROUNDS", 4)  # logins are many here
    streams, reporters = watched()
    async with Fleet(state_dir=place(tmp_path), pace=0.0002) as fleet:
        answers = small(fleet, "full")
        await run(fleet, answers, tmp_path, reporters=reporters)
        first, running = generated(fleet), pods(fleet)
        values = set(first.values())

        # What it would do is told, and nothing of it is done.
        plans = []

        async def plan(session):
            plans.append(session.plan())

        await in_session(fleet, answers, tmp_path, plan, kind="rotate", dry_run=True, rotate=("cookie",))
        assert [item.step.id for item in plans[0].pending] == ["rotate.cookie"]
        assert generated(fleet) == first

        session, events = await run(fleet, answers, tmp_path, reporters=reporters, kind="rotate")
        assert [step for step, _target in changed(events)] == [f"rotate.{name}" for name in rotate_secrets.ROTATIONS]
        assert_consistent(fleet)
        second = generated(fleet)
        values |= set(second.values())
        assert {name for name in first if first[name] != second[name]} == {
            rotate_secrets.ROTATIONS[name].secret for name in rotate_secrets.ROTATIONS
        }
        for item in (rotate_secrets.ROTATIONS[name] for name in rotate_secrets.ROTATIONS):
            for ref in item.readers:
                assert not running[ref.name] & pods(fleet)[ref.name], f"{ref} runs as before"
        assert running["mysql"] == pods(fleet)["mysql"], "a database that does not read it goes on"

        # Going on with one that is done does nothing.
        _session, events = await run(fleet, answers, tmp_path, kind="rotate", rotation=session.record.id)
        assert changed(events) == []
        assert generated(fleet) == second

        # Killed at any moment, and gone on with: the value that was written ahead, and one of each.
        for names, text in MOMENTS:
            before = generated(fleet)
            begun = await killed(fleet, answers, tmp_path, text, reporters=reporters, rotate=names)
            middle = generated(fleet)
            await run(fleet, answers, tmp_path, reporters=reporters, kind="rotate", rotate=names, rotation=begun)
            assert_consistent(fleet)
            after = generated(fleet)
            ahead = {name.removesuffix(".next"): value for name, value in middle.items() if name.endswith(".next")}
            assert ahead.items() <= after.items()
            assert {name for name in before if before[name] != after[name]} == {
                rotate_secrets.ROTATIONS[name].secret for name in names
            }
            values |= {*middle.values(), *after.values()}

        # One that is not finished holds up an installation, which names it.
        fleet.cluster.put(
            rotate_secrets.requested(fleet.cluster.get("v1", "ConfigMap", "rotation", "kfinstall"), ["cookie"], "somebody")
        )
        with pytest.raises(KfError) as caught:
            await run(fleet, answers, tmp_path, kind="resume")
        assert "the rotation of cookie was begun" in caught.value.message
        assert "kfinstall rotate --answers FILE --only cookie" in caught.value.hint
        with pytest.raises(KfError) as caught:
            await run(fleet, answers, tmp_path, kind="uninstall")
        assert "finish it: kfinstall rotate" in caught.value.hint
        await run(fleet, answers, tmp_path, reporters=reporters, kind="rotate", rotate=("cookie",))
        values |= set(generated(fleet).values())

        # An installation finds nothing to do, and its login proof still holds.
        _session, events = await run(fleet, answers, tmp_path, kind="resume")
        assert changed(events) == []
        machines = {name: json.dumps(server.units.to_json()) for name, server in fleet.servers.items()}
    texts = left_behind(tmp_path, {name: stream.getvalue() for name, stream in streams.items()} | machines)
    leaks = [where for where, text in texts.items() if any(form in text for value in values for form in spellings(value))]
    assert leaks == []


def test_a_killed_rotation_is_gone_on_with_from_the_command_line(kfinstall):
    done = kfinstall("demo", "--rotate", "--headless")
    assert (done.returncode, "there is no rehearsal to rotate" in done.stderr) == (2, True)
    done = kfinstall("rotate", "--answers", "nothing.yaml", "--only", "kabit")
    assert (done.returncode, "oidc-client" in done.stderr) == (2, True)
    assert kfinstall("demo", "--headless", "--pace", "0").returncode == 0

    def strikes(event):
        return event["event"] == "outputLine" and "Secret kubeflow/mysql-secret holds the new value" in event["text"]

    code, seen = kfinstall.kill_when(strikes, "demo", "--rotate", "--headless")
    assert code == -signal.SIGKILL
    assert any(strikes(event) for event in seen)
    code, events, stderr = kfinstall.events("resume")
    assert code == 0, stderr[-2000:]
    done = [event["step"] for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"]
    assert done == [f"rotate.{name}" for name in rotate_secrets.ROTATIONS if name not in ("katib-database", "catalog-database")], (
        "what was done before is not done again"
    )
    code, events, _stderr = kfinstall.events("resume")
    assert (code, [event for event in events if event["event"] == "stepStarted"]) == (0, [])
