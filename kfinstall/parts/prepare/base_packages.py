"""prepare.base-packages: what the other steps and Kubernetes itself call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, View
from kfinstall.engine.wanted import Wanted
from kfinstall.parts.prepare import files, limits


class PrepareBasePackages(NodeStep):
    """ca-certificates, curl, gnupg, and the network tools that kubeadm's preflight and kube-proxy look for."""

    id: ClassVar[str] = "prepare.base-packages"
    title: ClassVar[str] = "Install base packages"
    script: ClassVar[str] = "prepare-base-packages"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

    @override
    def wanted(self, view: View) -> Wanted:
        """The packages."""
        return Wanted(packages=files.BASE_PACKAGES)

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The packages' names, as journals know them."""
        return {"PACKAGES": " ".join(files.BASE_PACKAGES)}

    @override
    def check(self, view: View) -> Check:
        """All are installed."""
        return self.compare(view, evidence=f"{len(files.BASE_PACKAGES)} packages installed")
