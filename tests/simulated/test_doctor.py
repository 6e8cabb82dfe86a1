"""`doctor` tells the root cause of what is not ready in the cluster."""

from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import doctor
from tests.simulated.engine import in_session, place, run


def greedy(name, memory):
    container = {"name": "main", "image": "registry.example/x:1", "resources": {"requests": {"memory": memory}}}
    labels = {"app": name}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def test_doctor_tells_root_causes(tmp_path):
    async with Fleet(state_dir=place(tmp_path), pace=0) as fleet:
        answers = fleet.answers()
        await run(fleet, answers, tmp_path, only=("connect", "preflight", "prepare", "cluster"))
        warnings = []

        async def work(session):
            await (await session.fleet.cluster()).apply(greedy("greedy", "4Ti"))
            await doctor.look(session)

        async def well(session):
            assert (await doctor.look(session)).steps

        _session, events = await in_session(fleet, answers, tmp_path, well, kind="doctor")
        assert [event.text for event in events if event.name == "notice" and event.level == "warning"] == []
        _session, events = await in_session(fleet, answers, tmp_path, work, kind="doctor")
        warnings = [event.text for event in events if event.name == "notice" and event.level == "warning"]
        assert len(warnings) == 1
        assert warnings[0].startswith("default/greedy: it asks for 4096.0 GiB of memory, and no node has more than ")
