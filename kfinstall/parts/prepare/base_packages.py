"""prepare.base-packages: what the other steps and Kubernetes itself call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.prepare import files, limits


class PrepareBasePackages(Step):
    """ca-certificates, curl, gnupg, and the network tools that kubeadm's preflight and kube-proxy look for."""

    id: ClassVar[str] = "prepare.base-packages"
    title: ClassVar[str] = "Install base packages"
    script: ClassVar[str] = "prepare-base-packages"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The packages."""
        return Watch(packages=frozenset(files.BASE_PACKAGES))

    def parameters(self, view: View) -> Mapping[str, str]:  # noqa: ARG002
        """Their names."""
        return {"PACKAGES": " ".join(files.BASE_PACKAGES)}

    def check(self, view: View) -> Check:
        """All are installed."""
        missing = [name for name in files.BASE_PACKAGES if not view.facts.installed(name)]
        if missing:
            return Needed((f"apt-get install {' '.join(missing)}",))
        return Satisfied(f"{len(files.BASE_PACKAGES)} packages installed")
