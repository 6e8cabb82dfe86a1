"""The script that builds notebook images, run for real: buildah and the distribution's registry with TLS and a login, on this machine.

The base image is a busybox whose python3 and jupyter write down how they were called: what pip fetches is not the script's business.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import bcrypt
import pytest
import yaml

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.parts.kubeflow import notebook_build
from kfinstall.parts.kubeflow.notebook_images import KubeflowNotebookImages
from kfinstall.releases import load

BUSYBOX = "/bin/busybox"
MISSING = [name for name in ("buildah", "docker-registry", "curl", "openssl", "bash") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="builds images: needs Linux and root"),
    pytest.mark.skipif(bool(MISSING), reason=f"builds images: {', '.join(MISSING)} is not on this machine"),
]
PASSWORD = 'pass "word\\ with $everything'
RELEASE = load("26.03")
STUB = """#!/bin/busybox sh
echo "$0 $*" >>/usr/local/share/kfinstall/calls
case "$*" in *"-m venv"*) /bin/busybox mkdir -p "$3/bin" && /bin/busybox cp "$0" "$3/bin/python" ;; esac
case "$*" in *FAIL*) echo "ERROR: Could not find a version that satisfies the requirement FAIL"; exit 1 ;; esac
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def registry(folder, port, **http):
    """Debian's registry on a port of this machine."""
    folder.mkdir()
    auth = http.pop("auth", None)
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", **http},
    }
    if auth:
        config["auth"] = auth
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with (folder / "log").open("w") as log:
        served = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log, env=environment)
    try:
        for _try in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        served.terminate()
        served.wait(10)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(folder, port of the cluster's registry, port of the publisher's): both serve, the publisher's has the base image."""
    folder = tmp_path_factory.mktemp("notebooks")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", folder / "server.key", "-out", folder / "ca.crt"], check=True, capture_output=True)
    (folder / "htpasswd").write_text(f"kfinstall:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    own, publisher = free_port(), free_port()
    tls = {"certificate": str(folder / "ca.crt"), "key": str(folder / "server.key")}
    login = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    with registry(folder / "own", own, tls=tls, auth=login), registry(folder / "publisher", publisher):
        base(folder, f"127.0.0.1:{publisher}/kubeflow/kubeflow/notebook-servers/jupyter-scipy:v1.10.0")
        yield folder, own, publisher


def base(folder, target):
    """Build the stand-in for the release's JupyterLab image, and publish it."""
    context = folder / "base"
    context.mkdir()
    shutil.copy(BUSYBOX, context / "busybox")
    (context / "stub").write_text(STUB)
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nCOPY --chmod=755 stub /usr/bin/python3\n"
        "COPY --chmod=755 stub /opt/conda/bin/jupyter\nENV PATH=/usr/bin:/bin\n"
    )
    storage = ["--root", str(folder / "base-storage"), "--runroot", str(folder / "base-run"), "--storage-driver", "vfs"]
    subprocess.run(
        ["buildah", *storage, "bud", "--isolation", "chroot", "--tag", target, str(context)], check=True, capture_output=True
    )
    subprocess.run(["buildah", *storage, "push", "--tls-verify=false", target], check=True, capture_output=True)


@pytest.fixture(scope="module")
def docker():
    """A Docker daemon of its own, without networks: builds use the machine's."""
    if shutil.which("dockerd") is None:
        pytest.skip("builds with Docker: dockerd is not on this machine")
    with tempfile.TemporaryDirectory(
        prefix="kfdocker", ignore_cleanup_errors=True
    ) as folder:  # a socket's path has at most 107 characters
        options = [
            "--data-root",
            f"{folder}/data",
            "--exec-root",
            f"{folder}/exec",
            "--pidfile",
            f"{folder}/pid",
            "-H",
            f"unix://{folder}/s",
        ]
        alone = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false", "--storage-driver=vfs"]
        with open(f"{folder}/log", "w") as log:
            served = subprocess.Popen(["dockerd", *options, *alone], stdout=log, stderr=log)
        address = {"DOCKER_HOST": f"unix://{folder}/s", "HOME": folder}
        try:
            for _try in range(300):
                completed = subprocess.run(["docker", "version"], env={**os.environ, **address}, capture_output=True, check=False)
                if completed.returncode == 0 or served.poll() is not None:
                    break
                time.sleep(0.1)
            if completed.returncode != 0:
                with open(f"{folder}/log") as log:
                    pytest.skip(f"builds with Docker: dockerd does not run here: {log.read()[-200:]}")
            yield address
        finally:
            served.terminate()
            served.wait(30)
            subprocess.run(["umount", f"{folder}/exec/netns/default"], capture_output=True, check=False)


def run(place, names, password=PASSWORD, environment=None, **changed):
    """The script with the step's own parameters; its lines."""
    folder, own, publisher = place
    nodes = [{"name": "cp", "address": "127.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]
    sections = {
        "nodes": nodes,
        "registry": {"port": own, "mirrors": {"ghcr.io": f"http://127.0.0.1:{publisher}"}},
        "kubeflow": {"notebookImages": names},
    }
    view = View(Answers.model_validate(sections), RELEASE, "cp")
    parameters = {
        **KubeflowNotebookImages().parameters(view),
        "FREE_GIBIBYTES": "0",
        "BUILD": str(folder / "build"),
        "RECORD_PATH": str(folder / "record.json"),
        **changed,
    }
    text = f"{resources.script('engine/lib')}\n{resources.script('kubeflow/notebook-images')}"
    text = text.replace("/var/lib/kfinstall", f"{folder}/state").replace("/etc/kfinstall/registry/ca.crt", f"{folder}/ca.crt")
    done = subprocess.run(
        ["bash", "-c", text],
        input=password,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**(environment or {}), **{f"KF_{name}": value for name, value in parameters.items()}},
    )
    return done.returncode, done.stdout.splitlines(), parameters


def test_images_are_built_pushed_and_recorded_and_the_second_run_changes_nothing(place):
    folder, own, _publisher = place
    status, lines, parameters = run(place, ["kale", "fairing"])
    assert status == 0, lines
    kale = parameters["IMAGE_KALE"]
    assert f"built and pushed {kale}" in lines
    assert (folder / "record.json").read_text() == parameters["RECORD"]
    assert not (folder / "build").exists()
    files = unpacked(folder, own, kale)
    assert files["usr/local/share/kfinstall/requirements.txt"] == notebook_build.requirements(RELEASE, "kale")
    calls = files["usr/local/share/kfinstall/calls"].splitlines()
    assert calls[0].endswith("--no-deps --requirement /usr/local/share/kfinstall/requirements.txt")
    assert calls[1:] == ["/usr/bin/python3 -c import kale", "/opt/conda/bin/jupyter lab --version"]
    fairing = unpacked(folder, own, parameters["IMAGE_FAIRING"])["usr/local/share/kfinstall/calls"]
    assert "/opt/conda/kernels/fairing/bin/python -W ignore -c import kubeflow.fairing" in fairing
    assert "-m ipykernel install --prefix /opt/conda --name fairing" in fairing
    again, lines, _parameters = run(place, ["kale", "fairing"])
    assert again == 0
    assert lines == [f"{parameters[f'IMAGE_{name}']} is in the registry already" for name in ("KALE", "FAIRING")]


def test_docker_builds_and_pushes_too_and_leaves_no_image_behind(place, docker):
    folder, own, publisher = place
    base_image = f"127.0.0.1:{publisher}/kubeflow/kubeflow/notebook-servers/jupyter-scipy:v1.10.0"
    image = f"127.0.0.1:{own}/{notebook_build.REPOSITORY}-fairing:by-docker"
    wanted = {"RUNTIME": "docker", "BASE": base_image, "IMAGE_FAIRING": image}
    status, lines, _parameters = run(place, ["fairing"], environment=docker, **wanted)
    assert status == 0, lines
    assert f"built and pushed {image}" in lines
    assert (
        "-m ipykernel install --prefix /opt/conda --name fairing" in unpacked(folder, own, image)["usr/local/share/kfinstall/calls"]
    )
    left = subprocess.run(["docker", "images", "-q"], env={**os.environ, **docker}, capture_output=True, text=True, check=True)
    assert left.stdout.strip() == ""
    again, lines, _parameters = run(place, ["fairing"], environment=docker, **wanted)
    assert (again, lines) == (0, [f"{image} is in the registry already"])
    (folder / "record.json").unlink()
    status, lines, _parameters = run(place, ["fairing"], "wrong", docker, **wanted | {"IMAGE_FAIRING": f"{image}-2"})
    assert status == 65, lines
    assert not (folder / "record.json").exists()


def test_a_run_that_was_killed_in_the_middle_goes_on_and_leaves_nothing(place):
    folder, _own, _publisher = place
    (folder / "build" / "storage").mkdir(parents=True)
    (folder / "build" / "storage" / "half").write_text("of a killed run")
    status, lines, parameters = run(place, ["kale", "elyra"])
    assert status == 0, lines
    assert (
        f"{parameters['IMAGE_KALE']} is in the registry already" in lines or f"built and pushed {parameters['IMAGE_KALE']}" in lines
    )
    assert f"built and pushed {parameters['IMAGE_ELYRA']}" in lines
    assert not (folder / "build").exists()


@pytest.mark.parametrize(
    ("password", "changed", "message"),
    [
        ("wrong", {}, "refuses the login of kfinstall"),
        (PASSWORD, {"PACKAGES_KALE": "FAIL\n", "MODULE_KALE": "FAIL"}, "pip can't fetch the packages of"),
        (PASSWORD, {"BASE": "nowhere.invalid/jupyter:1"}, "this node can't reach what"),
        (PASSWORD, {"FREE_GIBIBYTES": "99999999"}, "GiB are free in"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_is_recorded(place, password, changed, message):
    folder, _own, _publisher = place
    (folder / "record.json").unlink(missing_ok=True)
    image = f"{notebook_build.REPOSITORY}-kale:broken-{len(message)}"
    status, lines, _parameters = run(place, ["kale"], password, IMAGE_KALE=f"127.0.0.1:{place[1]}/{image}", **changed)
    assert status != 0
    assert any(line.startswith("kf-error:") and message in line for line in lines), lines
    assert lines[-1].startswith("kf-hint:")
    assert not (folder / "record.json").exists()
    assert not (folder / "build").exists()
    assert PASSWORD not in "\n".join(lines)


def unpacked(folder, own, image):
    """The text files of an image in the registry that its own layers brought, by path."""
    target = folder / "look"
    shutil.rmtree(target, ignore_errors=True)
    login = json.dumps({"auths": {f"127.0.0.1:{own}": {"auth": encoded()}}})
    (folder / "auth.json").write_text(login)
    (folder / "certs").mkdir(exist_ok=True)
    shutil.copy(folder / "ca.crt", folder / "certs" / "ca.crt")
    storage = ["--root", str(folder / "look-storage"), "--runroot", str(folder / "look-run"), "--storage-driver", "vfs"]
    options = ["--cert-dir", str(folder / "certs"), "--authfile", str(folder / "auth.json")]
    made = subprocess.run(["buildah", *storage, "from", *options, image], check=True, capture_output=True, text=True).stdout.strip()
    root = subprocess.run(["buildah", *storage, "mount", made], check=True, capture_output=True, text=True).stdout.strip()
    found = {}
    for path in ("usr/local/share/kfinstall/requirements.txt", "usr/local/share/kfinstall/calls"):
        with open(f"{root}/{path}") as file:
            found[path] = file.read()
    subprocess.run(["buildah", *storage, "rm", made], check=True, capture_output=True)
    return found


def encoded() -> str:
    return base64.b64encode(f"kfinstall:{PASSWORD}".encode()).decode()
