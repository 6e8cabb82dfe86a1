"""The proofs of Kubeflow's components on the simulator: what failed is kept, what worked is gone; and their script against a gateway."""

import asyncio
import base64
import json
import shutil
import subprocess
import sys

import bcrypt
import pytest
from aiohttp import web

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.errors import ProofError
from kfinstall.kubeflow import proofs
from kfinstall.releases import load
from kfinstall.simulator import kubeflow
from kfinstall.simulator.fleet import Fleet
from kfinstall.simulator.gateway import Gateway
from kfinstall.step import View
from tests.simulated.engine import changed, place, run
from tests.simulated.simulated_cluster import initialised, until, workload
from tests.unit.test_waves import FOLDERS

BASH = shutil.which("bash") or ""
NAMESPACE = "kubeflow-user-example-com"
KINDS = (
    ("kubeflow.org/v1", "Notebook"),
    ("argoproj.io/v1alpha1", "Workflow"),
    ("kubeflow.org/v1beta1", "Experiment"),
    ("kubeflow.org/v1beta1", "Trial"),
    ("serving.kserve.io/v1beta1", "InferenceService"),
)


def made(fleet):
    """What the proofs left, by kind."""
    found = {
        kind: [item["metadata"]["name"] for item in fleet.cluster.objects(version, kind, NAMESPACE)] for version, kind in KINDS
    }
    return {kind: names for kind, names in found.items() if names}


async def test_a_failed_proof_keeps_what_it_made_and_the_next_run_proves_it_and_cleans_up(tmp_path):
    async with Fleet(state_dir=place(tmp_path), pace=0.0002, faults=["trial-crash:worker1"]) as fleet:
        with pytest.raises(ProofError) as caught:
            await run(fleet, fleet.answers(), tmp_path)
        assert "can't open the data set" in caught.value.why
        assert f"it is kept: kubectl -n {NAMESPACE} describe experiment {proofs.EXPERIMENT}" in caught.value.hint
        assert "kfinstall resume" in caught.value.hint
        left = made(fleet)
        assert left["Experiment"] == [proofs.EXPERIMENT]
        assert left["Trial"]
        assert "Notebook" not in left, "what worked is deleted"
        await fleet.mend()
        session, events = await run(fleet, fleet.answers(), tmp_path, kind="resume")
        done = [step for step, _target in changed(events) if step.startswith("kubeflow.")]
        assert done == ["kubeflow.proof-katib", "kubeflow.proof-inference"]
        await until(lambda: not made(fleet))
        card = session.proof_card()
        titles = {line.what: line for line in card.proofs}
        for title in ("A notebook starts", "A pipeline runs", "An experiment of Katib", "An InferenceService answers"):
            (line,) = [line for what, line in titles.items() if what.startswith(title)]
            assert line.evidence
            assert line.when


# The script itself, run by bash and curl against the gateway that the simulator answers with.


def answers() -> Answers:
    return Answers.model_validate({"nodes": [{"name": "cp1", "address": "10.0.0.1"}]})


async def furnish(cluster):
    """What the gateway and the controllers behind it look at."""
    for document in kubeflow.documents(FOLDERS):
        if document["kind"] == "CustomResourceDefinition":
            cluster.put(document)
    for name in (NAMESPACE, "kubeflow", "auth", "knative-serving"):
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for name in ("notebook-controller-deployment", "workflow-controller", "kserve-controller-manager"):
        cluster.put(workload(name, namespace="kubeflow"))
    cluster.put(workload("controller", namespace="knative-serving"))
    owner = {"kind": "User", "name": "user@example.com"}
    profile = {"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": NAMESPACE}, "spec": {"owner": owner}}
    kinds = [
        *KINDS,
        ("kubeflow.org/v1", "Profile"),
        ("networking.istio.io/v1", "VirtualService"),
        ("serving.knative.dev/v1", "Service"),
    ]
    await until(lambda: all(cluster.kinds.by_kind(*kind) for kind in kinds))
    cluster.put(profile)
    config = {"staticPasswords": [{"email": "user@example.com", "hashFromEnv": "DEX_USER_PASSWORD"}]}
    place = {"name": "dex", "namespace": "auth"}
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": {"config.yaml": json.dumps(config)}})
    stored = base64.b64encode(bcrypt.hashpw(b'pass "word\\', bcrypt.gensalt(4))).decode()
    place = {"name": "dex-passwords", "namespace": "auth"}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": place, "data": {"DEX_USER_PASSWORD": stored}})


class Script:
    """Runs scripts/steps/kubeflow-proof.sh against a port of this machine."""

    def __init__(self, folder, port):
        lib = resources.script("lib")
        # The script asks for the gateway's own port; here it has another one.
        curl = f'curl() {{ command curl "${{@/#localhost:80:127.0.0.1:80/localhost:80:127.0.0.1:{port}}}"; }}'
        step = resources.script("steps/kubeflow-proof").replace("/run/kfinstall-proof", f"{folder}/kfinstall-proof")
        self.text = f"{lib}\n{curl}\n{step}"
        self.folder = folder

    async def __call__(self, action, password='pass "word\\', **more):
        given = {
            "ACTION": action,
            "ADDRESS": "127.0.0.1",
            "PORT": "80",
            "SCHEME": "http",
            "HOST": "localhost",
            "CA": "",
            "EMAIL": "user@example.com",
            "NAMESPACE": NAMESPACE,
            **more,
        }
        process = await asyncio.create_subprocess_exec(
            BASH,
            "-c",
            self.text,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={f"KF_{key}": value for key, value in given.items()} | {"HOME": str(self.folder)},
        )
        out, _err = await process.communicate(password.encode())
        assert not list(self.folder.glob("kfinstall-proof*")), "cookies stay nowhere"
        return process.returncode, out.decode()


@pytest.fixture
async def gateway(tmp_path):
    async with initialised(tmp_path, nodes=2) as (fleet, cluster):
        await furnish(cluster)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", Gateway(cluster).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield fleet, cluster, Script(tmp_path, runner.addresses[0][1])
        await runner.cleanup()


@pytest.mark.skipif(
    sys.platform != "linux" or not BASH or not shutil.which("curl"), reason="runs the nodes' script: needs bash and curl"
)
async def test_the_script_signs_in_and_does_what_a_user_would(gateway):
    _fleet, cluster, script = gateway
    seen = View(answers(), load("26.03"), "cluster")
    code, text = await script("login")
    assert code == 0, text
    code, text = await script("login", "another")
    assert (code, "dex refuses the password" in text) == (62, True)

    # A notebook that its controller has not started answers nothing; once it is ready, it does.
    cluster.put(proofs.notebook(seen))
    cluster.put(proofs.inference_service(seen))
    asked = {"URL_PATH": proofs.notebook_path(answers()), "VIRTUAL_HOST": "", "EXPECTED": "NOW:", "SECONDS": "30"}
    code, text = await script("open", **asked)
    assert code == 0, text
    code, text = await script("open", **asked | {"EXPECTED": "something else", "SECONDS": "0"})
    assert code == 66
    assert "kf-error: localhost/notebook/" in text
    host = f"{proofs.INFERENCE_SERVICE}-{NAMESPACE}.example.com"
    asked = {"URL_PATH": f"/echo?msg={proofs.WORD}", "VIRTUAL_HOST": host, "EXPECTED": proofs.WORD, "SECONDS": "30"}
    code, text = await script("open", **asked)
    assert code == 0, text

    # A run: started twice, the first one is swept away; its end is told, and it is deleted.
    begun = {"EXPERIMENT": proofs.PIPELINE, "REQUEST": proofs.run_request(seen)}
    code, text = await script("run-start", **begun)
    assert code == 0, text
    first = text.rpartition("kf-run ")[2].strip()
    code, text = await script("run-start", **begun)
    assert code == 0, text
    second = text.rpartition("kf-run ")[2].strip()
    assert f"run {first} of an earlier try is deleted" in text
    assert first != second
    code, text = await script("run-end", RUN=second, SECONDS="30")
    assert code == 0, text
    assert f"run {second}: SUCCEEDED" in text
    assert cluster.objects("argoproj.io/v1alpha1", "Workflow", NAMESPACE) == []
    code, text = await script("run-end", RUN=second, SECONDS="0")
    assert (code, "HTTP 404" in text) == (67, True)

    # What the API refuses is told in its own words.
    code, text = await script("run-start", **begun, NAMESPACE="kubeflow")
    assert code == 67
    assert "no rights in kubeflow" in text
