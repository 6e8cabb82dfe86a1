"""The stand-ins of kubeadm, kubelet and kubectl behave where it matters as the real ones: checks, refusals, state, exit statuses."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.fakes.package_site import PROGRAMS, write_program

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bash"), reason="runs the nodes' scripts: needs Linux and bash"
)
IGNORE = "--ignore-preflight-errors=all"


class Node:
    def __init__(self, folder, monkeypatch):
        monkeypatch.delenv("KFINSTALL_KUBE_BIN", raising=False)
        self.root, self.bin = folder / "root", folder / "bin"
        for made in (self.root / "var/lib", self.root / "etc", self.bin):
            made.mkdir(parents=True)
        for name in PROGRAMS:
            write_program(self.bin / name, name, "1.34.9-1.1")
        (self.bin / "systemctl").write_text(f'#!/bin/sh\necho systemctl "$@" >>{folder}/systemctl\n')
        (self.bin / "systemctl").chmod(0o755)
        self.swaps = folder / "swaps"
        self.swaps.write_text("Filename\n")
        self.environment = {"PATH": f"{self.bin}:{os.environ['PATH']}:/usr/sbin:/sbin"}
        self.environment |= {"KUBE_STAND_IN_ROOT": str(self.root), "KUBE_STAND_IN_SWAPS": str(self.swaps)}

    def run(self, *words, stdin=""):
        return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, env=self.environment, timeout=30)

    @property
    def calls(self):
        return (self.root / "var/lib/kube-stand-in/calls").read_text().splitlines()


@pytest.fixture
def node(tmp_path, monkeypatch):
    return Node(tmp_path, monkeypatch)


def test_versions(node):
    assert node.run("kubeadm", "version", "-o", "short").stdout == "v1.34.9\n"
    assert node.run("kubelet", "--version").stdout == "Kubernetes v1.34.9\n"
    assert node.run("kubectl", "version", "--client").stdout == "Client Version: v1.34.9\n"


def test_preflight_names_what_is_wrong_and_changes_nothing(node):
    done = node.run("kubeadm", "init", f"--cri-socket=unix://{node.root}/none.sock")
    assert done.returncode == 1
    assert f"[ERROR CRI]: could not connect to the container runtime: {node.root}/none.sock" in done.stderr
    assert "Some fatal errors occurred" in done.stderr
    assert not (node.root / "etc/kubernetes").exists()
    assert node.calls == [f"kubeadm init --cri-socket=unix://{node.root}/none.sock"]


def test_init_token_reset(node):
    assert node.run("kubeadm", "token", "create").returncode == 1
    done = node.run("kubeadm", "init", IGNORE, "--config", "/dev/stdin", "--skip-token-print", stdin="kind: ClusterConfiguration\n")
    assert done.returncode == 0, done.stderr
    assert "[WARNING CRI]" in done.stderr
    assert "initialized successfully" in done.stdout
    assert "--token" not in done.stdout
    assert node.run("kubectl", "get", "nodes", "-o", "name").stdout.startswith("node/")
    shown = node.run("kubeadm", "token", "create", "--print-join-command").stdout
    token = re.fullmatch(
        r"kubeadm join \S+:6443 --token ([a-z0-9]{6}\.[a-z0-9]{16}) --discovery-token-ca-cert-hash sha256:[0-9a-f]{64}\n", shown
    )
    assert token, shown
    assert token[1] in node.run("kubeadm", "token", "list").stdout.split()
    assert node.run("kubeadm", "token", "delete", token[1]).returncode == 0
    assert token[1] not in node.run("kubeadm", "token", "list").stdout.split()
    again = node.run("kubeadm", "init", "--config=/dev/stdin", stdin="kind: ClusterConfiguration\n")
    assert "[ERROR FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml]" in again.stderr
    assert node.run("kubeadm", "reset").returncode == 1
    assert node.run("kubeadm", "reset", "--force").returncode == 0
    assert not (node.root / "etc/kubernetes").exists()
    assert node.run("kubectl", "get", "nodes").returncode == 1


def test_join_wants_a_token_and_a_node_that_is_no_member(node):
    assert "no valid token" in node.run("kubeadm", "join", "10.0.0.1:6443", IGNORE).stderr
    config = "kind: JoinConfiguration\ndiscovery:\n  bootstrapToken: {token: abcdef.0123456789abcdef}\n"
    assert node.run("kubeadm", "join", IGNORE, "--config", "/dev/stdin", stdin=config).returncode == 0
    assert (
        "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]"
        in node.run("kubeadm", "join", "--config", "/dev/stdin", stdin=config).stderr
    )


def test_a_dry_run_writes_nothing(node):
    assert node.run("kubeadm", "init", IGNORE, "--dry-run").returncode == 0
    assert not (node.root / "etc/kubernetes").exists()


def test_the_kubelet_runs_only_where_a_kubelet_would(node):
    assert "failed to load kubelet config file" in node.run("kubelet").stderr
    folder = node.root / "var/lib/kubelet"
    folder.mkdir()
    (folder / "config.yaml").write_text("x")
    node.swaps.write_text("Filename\n/swap.img file 1 0 -2\n")
    assert "running with swap on is not supported" in node.run("kubelet").stderr


def test_an_unknown_command_is_refused(node):
    assert node.run("kubeadm", "frobnicate").returncode == 2


def test_it_waits_for_the_kubelet_and_ends_where_that_does_not_run(node):
    (node.bin / "systemctl").write_text('#!/bin/sh\n[ "$1" != is-active ]\n')
    node.environment["KUBE_STAND_IN_PATIENCE"] = "0"
    done = node.run("kubeadm", "init", IGNORE, "--config=/dev/stdin", stdin="kind: ClusterConfiguration\n")
    assert done.returncode == 1
    assert "the kubelet is not healthy" in done.stderr
    assert (node.root / "var/lib/kubelet/config.yaml").exists()
