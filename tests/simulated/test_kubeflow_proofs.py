"""The proofs of Kubeflow's components on the simulator: what failed is kept, what worked is gone; and their script against a gateway."""

import asyncio
import base64
import datetime as dt
import json
import shutil
import subprocess
import sys

import bcrypt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.errors import ProofError
from kfinstall.parts.kubeflow.proofs import proofs, signed_in
from kfinstall.releases import load
from kfinstall.simulator.apiserver.pki import server_context
from kfinstall.simulator.fleet import Fleet
from kfinstall.simulator.nodes import kubeflow
from kfinstall.simulator.servers.gateway import Gateway
from kfinstall.workflows import card
from tests.fakes.context import FakeContext
from tests.simulated.engine import changed, place, run
from tests.simulated.simulated_cluster import initialised, until, workload
from tests.unit.apply.test_waves import FOLDERS

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
        await fleet.fix()
        session, events = await run(fleet, fleet.answers(), tmp_path, kind="resume")
        done = [step for step, _target in changed(events) if step.startswith("kubeflow.")]
        assert done == ["kubeflow.proof-katib", "kubeflow.proof-inference"]
        await until(lambda: not made(fleet))
        proven = card.proof_card(session)
        titles = {line.what: line for line in proven.proofs}
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
    """Runs scripts/kubeflow/proof.sh against a port of this machine."""

    def __init__(self, folder, port):
        lib = resources.script("engine/lib")
        # The script asks for the gateway's own port; here it has another one.
        there = f"127.0.0.1:{port}"
        curl = "\n".join(f'set -- "${{@/%127.0.0.1:{usual}/{there}}}"' for usual in (80, 443))
        curl = f'curl() {{\n{curl}\ncommand curl "$@"\n}}'
        step = resources.script("kubeflow/proof").replace("/run/kfinstall-proof", f"{folder}/kfinstall-proof")
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
            env={f"KF_{key}": value for key, value in given.items()}
            | {"HOME": str(self.folder), "KF_STATE_DIRECTORY": f"{self.folder}/state"},
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
    parameters = {"URL_PATH": proofs.notebook_path(answers()), "VIRTUAL_HOST": "", "EXPECTED": "NOW:", "SECONDS": "30"}
    code, text = await script("open", **parameters)
    assert code == 0, text
    code, text = await script("open", **parameters | {"EXPECTED": "something else", "SECONDS": "0"})
    assert code == 66
    assert "kf-error: localhost/notebook/" in text
    host = f"{proofs.INFERENCE_SERVICE}-{NAMESPACE}.example.com"
    parameters = {"URL_PATH": f"/echo?msg={proofs.WORD}", "VIRTUAL_HOST": host, "EXPECTED": proofs.WORD, "SECONDS": "30"}
    code, text = await script("open", **parameters)
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


def signed_for(*names):
    """A certificate of its own for some names, and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "given")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
    builder = builder.not_valid_after(now + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    made = builder.sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    texts = (
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
    )
    return tuple(text.decode() for text in texts)


class Given:
    """A cluster with a gateway that shows a given certificate."""

    def __init__(self, chain):
        self.chain = chain

    async def get(self, ref):
        if ref.kind == "Service":
            return {"spec": {"clusterIP": "127.0.0.1"}}
        return {"data": {"tls.crt": base64.b64encode(self.chain.encode()).decode()}}


class Asking(FakeContext):
    async def run_script(self, name, parameters, **_more):
        self.parameters = parameters


@pytest.mark.skipif(
    sys.platform != "linux" or not BASH or not shutil.which("curl"), reason="runs the nodes' script: needs bash and curl"
)
@pytest.mark.parametrize(
    ("names", "host_name", "expected"),
    [
        (("kubeflow.example.com",), None, "kubeflow.example.com"),
        (("*.example.com", "example.org"), "ml.example.com", "ml.example.com"),
        (("*.example.com",), None, "kubeflow.example.com"),
    ],
)
async def test_a_given_certificate_is_asked_for_by_a_name_that_it_is_for(gateway, tmp_path, names, host_name, expected):
    _fleet, cluster, _script = gateway
    chain, key = signed_for(*names)
    given = {"tls": {"certificate": "c.pem", "key": "k.pem"}, "access": {"type": "nodePort", "hostName": host_name}}
    wanted = Answers.model_validate({"nodes": [{"name": "cp1", "address": "10.0.0.1"}], "kubeflow": given})
    context = Asking(View(wanted, load("26.03"), "cluster"), secrets={signed_in.PASSWORD: "x"}, cluster=Given(chain))
    await signed_in.request(context, "login", {}, timeout_seconds=1)
    assert context.parameters["HOST"] == expected

    # And the script trusts it by that name.
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Gateway(cluster).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(chain, key, tmp_path)).start()
    script = Script(tmp_path, runner.addresses[0][1])
    parameters = {name: context.parameters[name] for name in ("SCHEME", "PORT", "HOST", "CA")}
    code, text = await script("login", **parameters)
    assert code == 0, text
    code, text = await script("login", **parameters | {"HOST": "another.example.net"})
    assert code == 60
    await runner.cleanup()
