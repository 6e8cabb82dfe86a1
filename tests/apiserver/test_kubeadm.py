"""What the real kubeadm makes of our configuration, without doing it: `kubeadm init --dry-run`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfinstall import releases, resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.parts.cluster import kubeadm as cluster_kubeadm
from tests.fakes import kubeadm, netns
from tests.fakes.apiserver import program
from tests.unit.parts.cluster.test_cluster_steps import make

KUBEADM = program("kubeadm") or kubeadm.lab_program()
pytestmark = pytest.mark.skipif(
    KUBEADM is None or bool(netns.missing()), reason=netns.missing() or "no kubeadm in KUBEBUILDER_ASSETS or KFINSTALL_KUBE_BIN"
)
EXAMPLES = sorted((resources.root() / "examples").glob("*.yaml"))


def dry_run(folder: Path, **settings: Any) -> tuple[str, Path]:
    """What kubeadm says, and the folder with what it would write."""
    config, made = folder / "kubeadm.yaml", folder / "made"
    made.mkdir()
    own = kubeadm.settings(kubeadm.version(str(KUBEADM)))
    config.write_text(cluster_kubeadm.init_config(make("cp1", **own, **settings)), encoding="utf-8")
    done = subprocess.run(
        # In a namespace without network it looks nothing up; its checks are of this machine, which is no node.
        ["unshare", "--net", str(KUBEADM), "init", "--dry-run", "--skip-phases=preflight", f"--config={config}"],
        env={**os.environ, "KUBEADM_INIT_DRYRUN_DIR": str(made)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr, made


def command(made: Path, name: str) -> dict[str, str]:
    """The flags of a static pod."""
    (manifest,) = made.rglob(f"{name}.yaml")
    words = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["containers"][0]["command"][1:]
    return dict(word.removeprefix("--").split("=", 1) for word in words)


def test_it_would_make_the_cluster_that_was_asked_for(tmp_path: Path) -> None:
    there = Path("/etc/kubernetes").exists()
    output, made = dry_run(tmp_path, pod_cidr="10.200.0.0/16", service_cidr="10.201.0.0/16")
    server = command(made, "kube-apiserver")
    assert (server["advertise-address"], server["service-cluster-ip-range"]) == ("10.0.0.1", "10.201.0.0/16")
    assert command(made, "kube-controller-manager")["cluster-cidr"] == "10.200.0.0/16"
    (kubelet,) = made.rglob("config.yaml")
    settings = yaml.safe_load(kubelet.read_text(encoding="utf-8"))
    assert (settings["cgroupDriver"], settings["clusterDNS"]) == ("systemd", ["10.201.0.10"])
    assert "initialized successfully" in output
    # Nothing is old-fashioned or not known.
    assert [line for line in output.splitlines() if "deprecated" in line.lower() or "unknown field" in line.lower()] == []
    assert Path("/etc/kubernetes").exists() is there


def test_names_that_it_is_reached_by_are_in_its_certificate(tmp_path: Path) -> None:
    from cryptography import x509

    _output, made = dry_run(tmp_path)
    (path,) = made.rglob("apiserver.crt")
    names = x509.load_pem_x509_certificate(path.read_bytes()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"kubernetes", "localhost", "cp1", "cp2"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "10.0.0.1", "10.0.0.2"} <= {str(address) for address in names.get_values_for_type(x509.IPAddress)}


IPV6: dict[str, Any] = {
    "nodes": [
        {"name": "cp1", "address": "fd00::11", "roles": ["control-plane"]},
        {"name": "cp2", "address": "fd00::12", "roles": ["control-plane"]},
        {"name": "cp3", "address": "fd00::13", "roles": ["control-plane"]},
        {"name": "w1", "address": "fd00::14", "roles": ["worker"]},
    ],
    "podCIDR": "fd10::/56",
    "serviceCIDR": "fd11::/112",
}
ENDPOINTS = [
    pytest.param({"apiEndpoint": "lb.example.org.:8443"}, "lb.example.org:8443", id="name"),
    pytest.param({**IPV6, "apiEndpoint": "[fd00::1]:6443"}, "[fd00::1]:6443", id="ipv6"),
    pytest.param({**IPV6, "apiEndpoint": "[fd00::1]"}, "[fd00::1]:6443", id="ipv6-port"),
    pytest.param({**IPV6, "nodes": IPV6["nodes"][::3]}, "[fd00::11]:6443", id="ipv6-node"),
]


@pytest.mark.parametrize(("settings", "server"), ENDPOINTS)
def test_init_and_joins_agree_on_the_endpoint(tmp_path: Path, settings: dict[str, Any], server: str) -> None:
    _output, made = dry_run(tmp_path, **settings)
    (admin,) = made.rglob("admin.conf")
    assert yaml.safe_load(admin.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"] == f"https://{server}"
    own = kubeadm.settings(kubeadm.version(str(KUBEADM)))
    config = tmp_path / "join.yaml"
    for name, key in (("w1", ""), ("cp2", "0" * 64)):
        view = make(name, **own, **settings)
        if name in {node.name for node in view.answers.nodes}:
            config.write_text(
                cluster_kubeadm.join_config(view, "abcdef.0123456789abcdef", "sha256:" + "0" * 64, key), encoding="utf-8"
            )
            done = run("config", "validate", "--config", str(config))
            assert done.returncode == 0, (name, done.stderr)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """kubeadm in a namespace without network."""
    return subprocess.run(["unshare", "--net", str(KUBEADM), *words], capture_output=True, text=True, check=False, timeout=100)


def test_the_images_in_the_list_for_mirrors_are_its_own() -> None:
    version = kubeadm.version(str(KUBEADM))
    done = run("config", "images", "list", f"--kubernetes-version=v{version}")
    assert done.returncode == 0, done.stderr
    assert tuple(done.stdout.split()) == releases.shared("kubernetes").control_plane_images(version)


def example(path: Path) -> Answers:
    """An example, for a cluster that this kubeadm makes."""
    own = kubeadm.settings(kubeadm.version(str(KUBEADM)))
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data["cluster"] = {**(data.get("cluster") or {}), **own}
    (data.get("kubeflow") or {}).pop("release", None)
    return Answers.model_validate(data)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_accepts_the_configurations_of_every_example(tmp_path: Path, path: Path) -> None:
    answers = example(path)
    release, first = releases.load(answers.cluster.release), answers.first_control_plane.name
    key, token, pin = "0" * 64, "abcdef.0123456789abcdef", "sha256:" + "0" * 64
    view = View(answers, release, first)
    texts = {"init": cluster_kubeadm.init_config(view), "certificates": cluster_kubeadm.certificate_config(view, key)}
    for node in answers.nodes:
        if node.name != first:
            member = View(answers, release, node.name)
            texts[node.name] = cluster_kubeadm.join_config(member, token, pin, key if "control-plane" in node.roles else "")
    for name, text in texts.items():
        config = tmp_path / f"{name}.yaml"
        config.write_text(text, encoding="utf-8")
        done = run("config", "validate", "--config", str(config))
        assert done.returncode == 0, (name, done.stderr)
        assert "W" not in {line[:1] for line in done.stderr.splitlines()}, (name, done.stderr)
