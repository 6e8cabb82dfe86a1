"""The real kubeadm, where there is one: its version, and answers for a cluster that it makes."""

from __future__ import annotations

import os
import shutil
import subprocess

from kfinstall import releases
from kfinstall.releases import Release


def lab_program() -> str | None:
    """The kubeadm that the lab is given, where it is given one."""
    return shutil.which("kubeadm", path=os.environ.get("KFINSTALL_KUBE_BIN") or "/nowhere")


def version(program: str) -> str:
    """Of a kubeadm: 1.34.2."""
    done = subprocess.run([program, "version", "-o", "short"], check=True, capture_output=True, text=True)
    return done.stdout.strip().removeprefix("v")


def minor(text: str) -> tuple[int, ...]:
    """(1, 34) of 1.34.2."""
    return tuple(int(part) for part in text.split(".")[:2])


def settings(wanted: str) -> dict[str, str]:
    """cluster.release and cluster.kubernetesVersion for a version: a kubeadm makes clusters of its own minor and the one before."""

    def holds(release: Release) -> bool:
        window = release.kubernetes
        return not release.refused and window is not None and minor(window.minimum) <= minor(wanted) <= minor(window.maximum)

    found = [name for name in releases.names() if holds(releases.load(name))]
    assert found, f"no release of ours runs on Kubernetes {wanted}"
    return {"release": found[-1], "kubernetesVersion": wanted}
