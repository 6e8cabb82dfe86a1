"""Replacing generated secrets: what can be, what is told beforehand, and the scripts that change running servers."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys

import pytest

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.engine.options import Options
from kfinstall.engine.secret_store import GENERATED, SecretStore
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.errors import UsageError
from kfinstall.kube.base import ClusterFacts, Ref
from kfinstall.parts.kubeflow import own
from kfinstall.parts.kubeflow.rotate import secrets as rotate_secrets
from kfinstall.parts.kubeflow.rotate.cookie import RotateCookie
from kfinstall.parts.kubeflow.rotate.pipelines_database import RotatePipelinesDatabase
from kfinstall.parts.kubeflow.secrets import KubeflowSecrets
from kfinstall.releases import load
from kfinstall.secrets import Redactor
from kfinstall.workflows import rotate
from tests.unit.apply.test_waves import real

BASH = shutil.which("bash") or ""
needs_bash = pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="runs the nodes' scripts: needs Linux and bash")


def answers(**kubeflow) -> Answers:
    return Answers.model_validate({"nodes": [{"name": "cp", "address": "10.0.0.1"}], "kubeflow": kubeflow})


def view(cluster=None, **kubeflow) -> View:
    return View(answers(**kubeflow), load("26.03"), "cluster", {}, cluster)


def facts(**data) -> ClusterFacts:
    given = {name.replace("__", ".").replace("_", "-"): value for name, value in data.items()}
    return ClusterFacts("v1.34.0", {rotate_secrets.RECORD: {"metadata": {"name": rotate_secrets.RECORD.name}, "data": given}})


@pytest.mark.parametrize(
    ("kubeflow", "expected"),
    [
        ({}, tuple(name for name in rotate.SECRETS if name != "catalog-database")),
        ({"components": "mini"}, ("oidc-client", "cookie", "user-password")),
        ({"components": "mini", "user": {"password": {"env": "X"}}}, ("oidc-client", "cookie")),
        ({"enabled": False}, ()),
    ],
)
def test_what_can_be_replaced_follows_the_answers(kubeflow, expected):
    assert rotate_secrets.possible(answers(**kubeflow)) == expected


@pytest.mark.parametrize(
    ("only", "kubeflow", "expected"),
    [
        (["katib-database"], {"components": "mini"}, "oidc-client"),
        (["user-password"], {"user": {"password": {"env": "X"}}}, "change it there"),
        ([], {"enabled": False}, "not enabled"),
    ],
)
def test_what_can_not_be_replaced_is_refused_with_what_can(only, kubeflow, expected):
    with pytest.raises(UsageError) as caught:
        rotate_secrets.chosen(answers(**kubeflow), only)
    assert expected in f"{caught.value.why} {caught.value.hint}"


def test_names_steps_and_command_line_agree():
    assert tuple(rotate_secrets.ROTATIONS) == rotate.SECRETS
    assert tuple(step.id.partition(".")[2] for step in rotate.PHASE.steps) == rotate.SECRETS
    (_connect, chosen) = rotate.phases(Options(rotate.ROTATE, rotate=("cookie", "object-store")))
    assert [step.id for step in chosen.steps] == ["rotate.object-store", "rotate.cookie"]


def test_everything_that_reads_a_secret_starts_anew():
    workloads = [item for item in real() if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet")]
    for item in rotate_secrets.ROTATIONS.values():
        for ref in item.written:
            names = {ref.name, "oauth2-proxy-h675gf55ht" if ref == own.OAUTH2_PROXY else ref.name}
            reading = {
                Ref.of(workload)
                for workload in workloads
                if workload["metadata"].get("namespace") == ref.namespace and names & set(_secrets_of(workload))
            }
            # A database reads its password only when it is made, unless a probe of it uses it.
            passive = {Ref("apps/v1", "Deployment", "mysql", "kubeflow")}
            assert reading - set(item.readers) - passive == set(), (item.name, ref)


def _secrets_of(workload):
    for container in workload["spec"]["template"]["spec"]["containers"]:
        for entry in container.get("env") or []:
            yield ((entry.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
        for entry in container.get("envFrom") or []:
            yield (entry.get("secretRef") or {}).get("name")


def test_a_plan_says_what_changes_and_what_starts_anew():
    found = RotatePipelinesDatabase().check(view(ClusterFacts("v1.34.0", {})))
    assert isinstance(found, Needed)
    text = "\n".join(found.changes)
    assert "beside the old one" in text
    assert "let the server in kubeflow/mysql take it" in text
    assert "start kubeflow/metadata-grpc-deployment, then kubeflow/cache-server, then kubeflow/ml-pipeline anew" in text
    assert "everybody signs in again" in "\n".join(RotateCookie().check(view(ClusterFacts("v1.34.0", {}))).changes)


def test_a_rotation_is_done_when_the_run_that_asked_for_it_last_is():
    step = RotateCookie()
    assert isinstance(step.check(view()), Conflict)
    requested = facts(requested__cookie="run-2", done__cookie="run-1", at__cookie="yesterday")
    assert isinstance(step.check(view(requested)), Needed)
    done = rotate_secrets.finished(requested.objects[rotate_secrets.RECORD], "cookie")
    assert isinstance(step.check(view(ClusterFacts("v1.34.0", {rotate_secrets.RECORD: done}))), Satisfied)
    again = rotate_secrets.requested(done, ["cookie"], "run-2")
    assert rotate_secrets.unfinished(ClusterFacts("v1.34.0", {rotate_secrets.RECORD: again})) == (), (
        "the same run asks again after a kill"
    )
    other = rotate_secrets.requested(done, ["cookie", "oidc-client"], "run-3")
    assert rotate_secrets.unfinished(ClusterFacts("v1.34.0", {rotate_secrets.RECORD: other})) == ("oidc-client", "cookie")


def test_an_installation_does_not_write_over_a_rotation_in_its_middle():
    found = KubeflowSecrets().check(view(facts(requested__object_store="run-1")))
    assert isinstance(found, Conflict)
    assert "kfinstall rotate --answers FILE --only object-store" in found.hint


class Kept:
    """A cluster that keeps one Secret, and every state that it was in."""

    def __init__(self):
        self.states = [{}]

    async def get(self, ref):
        return {"data": dict(self.states[-1])} if ref == GENERATED else None

    async def apply(self, document):
        if document["kind"] == "Secret":
            self.states.append(dict(document["data"]))


async def test_a_successor_is_made_once_and_takes_its_place_in_one_write():
    kept = Kept()

    async def cluster():
        return kept

    def store():
        return SecretStore(answers(), lambda *_: None, Redactor(), cluster)

    first = store()
    old = await first.secret("kubeflow.oidc.client-secret")
    new = await first.next_value("kubeflow.oidc.client-secret")
    # Another process, after a kill: the same successor, and the old value until it is settled.
    second = store()
    assert await second.next_value("kubeflow.oidc.client-secret") == new
    assert await second.secret("kubeflow.oidc.client-secret") == old
    await second.commit("kubeflow.oidc.client-secret")
    assert await second.secret("kubeflow.oidc.client-secret") == new
    await store().commit("kubeflow.oidc.client-secret")
    assert kept.states[-1] == {"kubeflow.oidc.client-secret": base64.b64encode(new.reveal().encode()).decode()}
    assert all("kubeflow.oidc.client-secret" in state for state in kept.states[1:]), "never a moment without a value"


# The scripts, with a kubectl that runs the program here, a mysql that knows one password, and a weed that keeps what it is told.

_MYSQL = r"""#!/usr/bin/env python3
import json, os, re, sys
folder = os.environ["FOLDER"]
with open(f"{folder}/seen", "a") as seen:
    seen.write(json.dumps([sys.argv, dict(os.environ)]) + "\n")
given = re.search(r'password="(.*)"', open(sys.argv[1].partition("=")[2]).read())[1]
known = open(f"{folder}/password").read()
if given != known:
    print("ERROR 1045 (28000): Access denied for user 'root'", file=sys.stderr)
    sys.exit(1)
for host, new in re.findall(r"ALTER USER IF EXISTS 'root'@'([^']+)' IDENTIFIED BY '([^']+)';", sys.stdin.read()):
    open(f"{folder}/password", "w").write(new)
    open(f"{folder}/hosts", "a").write(host + "\n")
"""
_WEED = r"""#!/usr/bin/env python3
import json, os, sys
with open(os.environ["FOLDER"] + "/seen", "a") as seen:
    seen.write(json.dumps([sys.argv, dict(os.environ)]) + "\n")
said = sys.stdin.read()
open(os.environ["FOLDER"] + "/configured", "w").write(said)
print("secrets of everybody", said if not os.path.exists(os.environ["FOLDER"] + "/broken") else "panic")
"""
_KUBECTL = """
kubectl() {
  printf '%s\\n' "$*" >>"$FOLDER/kubectl"
  while [[ $1 != -- ]]; do shift; done
  shift
  PATH=$FOLDER:$PATH "$@"
}
"""


class Server:
    """Runs a script of rotate against stand-ins in a folder."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in (("mysql", _MYSQL), ("weed", _WEED)):
            path = folder / name
            path.write_text(text.replace("/usr/bin/env python3", sys.executable))
            path.chmod(0o755)

    def __call__(self, name, stdin, **parameters):
        step = resources.script(resources.step_script(name)).replace("/usr/bin/weed", f"{self.folder}/weed")
        text = "\n".join((resources.script("engine/lib"), _KUBECTL, step))
        environ = {f"KF_{key}": value for key, value in parameters.items()} | {
            "FOLDER": str(self.folder),
            "PATH": os.environ["PATH"],
            "KF_STATE_DIRECTORY": f"{self.folder}/state",
        }
        return subprocess.run([BASH, "-c", text], input=stdin, env=environ, capture_output=True, text=True, timeout=30, check=False)

    @property
    def seen(self):
        """Every argument and environment that something was started with."""
        parts = [self.folder / name for name in ("seen", "kubectl")]
        return "".join(path.read_text() for path in parts if path.exists())


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


MYSQL = {"NAMESPACE": "kubeflow", "WORKLOAD": "deployment/mysql", "CONTAINER": "mysql"}


@needs_bash
def test_a_database_takes_the_new_password_once_and_nobody_sees_it(server):
    (server.folder / "password").write_text("old-Password_1")
    done = server("rotate-database", "old-Password_1\nnew-Password_2\n", **MYSQL)
    assert (done.returncode, done.stdout) == (0, "the server in kubeflow/deployment/mysql took the new password\n"), done.stderr
    assert (server.folder / "password").read_text() == "new-Password_2"
    assert (server.folder / "hosts").read_text().split() == ["%", "localhost"]
    again = server("rotate-database", "old-Password_1\nnew-Password_2\n", **MYSQL)
    assert (again.returncode, "already" in again.stdout) == (0, True)
    for secret in ("old-Password_1", "new-Password_2"):
        assert secret not in server.seen
        assert secret not in done.stdout + done.stderr + again.stdout + again.stderr
    assert "exec --stdin deployment/mysql --container mysql -- bash -c" in server.seen


@needs_bash
def test_a_database_that_knows_neither_password_is_told_with_what_to_do(server):
    (server.folder / "password").write_text("somebody-elses")
    done = server("rotate-database", "old-Password_1\nnew-Password_2\n", **MYSQL)
    assert done.returncode == 71
    assert "takes neither the old nor the new password: ERROR 1045 (28000): Access denied" in done.stdout
    assert (server.folder / "password").read_text() == "somebody-elses"
    done = server("rotate-database", "old'; DROP\nnew-Password_2\n", **MYSQL)
    assert done.returncode == 70


@needs_bash
def test_an_object_store_takes_the_new_key_and_its_answer_goes_nowhere(server):
    given = {"NAMESPACE": "kubeflow", "WORKLOAD": "deployment/seaweedfs", "CONTAINER": "seaweedfs", "ACCESS_KEY": "minio"}
    done = server("rotate-object-store", "new-Key_3", **given)
    assert (done.returncode, done.stdout) == (0, "the object store in kubeflow/deployment/seaweedfs took the new key\n"), (
        done.stderr
    )
    wanted = "s3.configure -user kubeflow-admin -access_key minio -secret_key new-Key_3 -actions Admin -apply\n"
    assert (server.folder / "configured").read_text() == wanted
    assert "new-Key_3" not in server.seen + done.stdout + done.stderr
    (server.folder / "broken").touch()
    done = server("rotate-object-store", "new-Key_3", **given)
    assert done.returncode == 74
    assert "secrets of everybody" not in done.stdout + done.stderr


@needs_bash
def test_a_postgres_server_takes_the_new_password_by_a_statement(server):
    path = server.folder / "psql"
    path.write_text(_WEED.replace("/usr/bin/env python3", sys.executable).replace("panic", ""))
    path.chmod(0o755)
    given = {
        "NAMESPACE": "kubeflow",
        "WORKLOAD": "statefulset/model-catalog-postgres",
        "CONTAINER": "postgres",
        "LOGIN": "postgres",
    }
    done = server("rotate-postgres", "new-Password_4", **given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (server.folder / "configured").read_text() == "ALTER USER postgres PASSWORD 'new-Password_4';\n"
    assert "new-Password_4" not in server.seen + done.stdout + done.stderr
    path.write_text("#!/bin/sh\necho 'psql: error: no' >&2\nexit 1\n")
    done = server("rotate-postgres", "new-Password_4", **given)
    assert (done.returncode, "psql: error: no" in done.stdout) == (72, True)


def test_no_parameter_of_a_rotation_is_a_value():
    for kind in rotate.PHASE.steps:
        given = json.dumps(kind().inputs(view()))
        assert "next" not in given
