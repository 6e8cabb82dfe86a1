"""An installation with Spark's volume over the images' working directory: what a plan says, what a run moves, what is found after it."""

import pytest
from aiohttp import ClientSession, TCPConnector, web
from yarl import URL

from kfinstall.engine import runbook
from kfinstall.parts.spark import objects as spark_objects
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark import submit as spark_submit
from kfinstall.simulator.fleet import Fleet
from kfinstall.simulator.parts import spark
from kfinstall.simulator.servers.gateway import Gateway
from kfinstall.workflows import doctor
from tests.simulated.engine import changed, in_session, place, run
from tests.simulated.test_variants import PACE, variant

NAMESPACE = "kubeflow-user-example-com"
OPERATOR = "sparkoperator.k8s.io/v1beta2"
MOVES = "Spark's volume moves from /opt/spark/work-dir to /opt/spark/volume"
STEPS = ["spark.volume", "spark.history-server", "spark.submit-script", "spark.proof", "handoff.card"]


@pytest.fixture
def former(monkeypatch):
    """Documents as an earlier release wrote them; gives what brings today's back."""
    history = spark_objects._history_options

    def options(place):
        return f"{history(place)} -Dspark.ui.proxyRedirectUri=/"

    monkeypatch.setattr(spark_place, "MOUNT", "/opt/spark/work-dir")
    monkeypatch.setattr(spark_place, "LOGS", "/opt/spark/work-dir/logs")
    monkeypatch.setattr(spark_objects, "_history_options", options)
    monkeypatch.setattr(spark_objects, "history_redirects", lambda place: [])
    return monkeypatch.undo


def application(kind="SparkApplication", name="theirs", mount="/opt/spark/work-dir", claim="spark-volume"):
    spec = {
        "mainApplicationFile": f"local://{mount}/app.py",
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        "driver": {"volumeMounts": [{"name": "v", "mountPath": mount}]},
    }
    if kind == "ScheduledSparkApplication":
        spec = {"schedule": "@daily", "template": spec}
    status = {"applicationState": {"state": "COMPLETED"}} if kind == "SparkApplication" else {}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": OPERATOR, "kind": kind, "metadata": metadata, "spec": spec, "status": status}


async def lines(fleet, answers, folder, *, kind="install"):
    """What `plan` (or `doctor`) prints of phase spark."""
    texts = []

    async def work(session):
        plan = await doctor.look(session) if kind == "doctor" else session.plan()
        texts.extend(line for line in runbook.text(plan) if line.strip())

    await in_session(fleet, answers, folder, work, kind=kind, only=("spark",), dry_run=kind != "doctor")
    return texts


def server(cluster):
    (container,) = cluster.get("apps/v1", "Deployment", spark_place.HISTORY, NAMESPACE)["spec"]["template"]["spec"]["containers"]
    return container["volumeMounts"][0]["mountPath"], container["env"][0]["value"]


@pytest.mark.parametrize("operator", [True, False])
async def test_an_existing_installation_is_migrated_with_a_line_in_the_plan(tmp_path, former, operator):
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        components = ["notebooks", "spark-operator"] if operator else "mini"
        answers = variant(fleet, kubeflow={"components": components, "proofs": []}, spark={"operator": operator})
        await run(fleet, answers, tmp_path)
        assert server(fleet.cluster)[0] == "/opt/spark/work-dir"
        proof = [path for path in spark.files(fleet.cluster, NAMESPACE, "spark-volume") if path.startswith("logs/spark-")]
        assert len(proof) == 1
        claim = fleet.cluster.get("v1", "PersistentVolumeClaim", "spark-volume", NAMESPACE)["metadata"]["uid"]
        former()

        if operator:
            for item in (
                application(),
                application("ScheduledSparkApplication", "nightly"),
                application(name="moved", mount="/opt/spark/volume"),
                application(name="own-claim", claim="theirs"),
            ):
                fleet.cluster.put(item)
        text = "\n".join(await lines(fleet, answers, tmp_path))
        assert text.count(MOVES) == 1, text
        assert "write /usr/local/bin/kf-spark-submit" in text
        theirs = "ScheduledSparkApplication nightly, SparkApplication theirs"
        assert (theirs in text) == operator
        assert not any(name in text for name in ("SparkApplication moved", "own-claim", "SparkApplication kfinstall"))

        _session, events = await run(fleet, answers, tmp_path)
        assert sorted({step for step, _target in changed(events)}) == sorted(STEPS)
        mount, options = server(fleet.cluster)
        assert mount == "/opt/spark/volume"
        assert "logDirectory=file:/opt/spark/volume/logs" in options
        assert "proxyRedirectUri" not in options
        assert fleet.cluster.get("v1", "PersistentVolumeClaim", "spark-volume", NAMESPACE)["metadata"]["uid"] == claim
        assert set(proof) <= set(spark.files(fleet.cluster, NAMESPACE, "spark-volume")), "old event logs stay"
        script = next(iter(fleet.world.nodes.values())).files[spark_place.SUBMIT_PATH]
        assert script.content == spark_submit.render(spark_place.place_of(answers, _session.situation.release))

        _session, events = await run(fleet, answers, tmp_path, kind="resume")
        assert changed(events) == []
        found = [event.text for event in events if event.name == "notice" and "/opt/spark/work-dir" in event.text]
        assert len(found) == (1 if operator else 0)
        text = "\n".join(await lines(fleet, answers, tmp_path, kind="doctor"))
        assert MOVES not in text
        assert (f"{theirs} name /opt/spark/work-dir for spark-volume" in text) == operator, text


@pytest.fixture
async def browser(tmp_path):
    """A signed-in browser before the simulated gateway of a cluster with Spark."""
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        answers = variant(fleet, kubeflow={"components": "mini", "proofs": []}, spark={"operator": False})
        await run(fleet, answers, tmp_path)
        app = web.Application()
        gateway = Gateway(fleet.cluster)
        gateway._sessions["signed-in"] = answers.kubeflow.user.email
        gateway._sessions["another"] = "another@example.com"
        app.router.add_route("*", "/{path:.*}", gateway.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession(connector=TCPConnector()) as session:

            async def get(path, user="signed-in", method="GET"):
                url = URL(f"http://127.0.0.1:{runner.addresses[0][1]}{path}")
                headers = {"Host": "kubeflow.example:30443", "Cookie": f"oauth2_proxy_kubeflow={user}"}
                async with session.request(method, url, headers=headers, allow_redirects=False) as answer:
                    return answer.status, answer.headers.get("Location"), await answer.text()

            yield fleet, get
        await runner.cleanup()


async def test_the_simulated_history_server_answers_as_the_real_one_does(browser):
    fleet, get = browser
    base = f"/spark-history/{NAMESPACE}"
    assert (await get(base))[:2] == (301, f"http://kubeflow.example:30443{base}/")
    status, _where, page = await get(f"{base}/")
    assert (status, f"{base}/history/spark-kfinstall-spark-pi/jobs/" in page) == (200, True)
    jobs = f"{base}/history/spark-kfinstall-spark-pi/jobs/"
    assert (await get(f"{base}/history/spark-kfinstall-spark-pi"))[:2] == (302, jobs)
    assert (await get(jobs))[0] == 200
    assert (await get(f"{base}/history/unknown"))[0] == 404
    assert (await get(f"{base}/", user="another"))[0] == 403
    assert (await get(f"{base}/", method="POST"))[0] == 403
    # Without the sidecar's filter: what the server itself says, which knows neither scheme nor prefix.
    (found,) = fleet.cluster.objects("networking.istio.io/v1alpha3", "EnvoyFilter", NAMESPACE)
    fleet.cluster.delete("networking.istio.io/v1alpha3", "EnvoyFilter", found["metadata"]["name"], NAMESPACE)
    shown = "http://kubeflow.example:30443/history/spark-kfinstall-spark-pi/jobs/"
    assert (await get(f"{base}/history/spark-kfinstall-spark-pi"))[:2] == (302, shown)
