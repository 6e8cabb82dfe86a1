"""prepare.kubernetes-packages: kubelet, kubeadm and kubectl of exactly one version, held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.fragment import accepted
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight.verdict import newer
from kfinstall.parts.prepare import files, limits


class PrepareKubernetesPackages(Step):
    """Installs the version of the answers and holds it, so that an unattended upgrade can't change a running cluster."""

    id: ClassVar[str] = "prepare.kubernetes-packages"
    title: ClassVar[str] = "Install kubelet, kubeadm and kubectl"
    script: ClassVar[str] = "prepare-kubernetes-packages"
    timeout_seconds: ClassVar[float] = limits.PREPARE_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    @override
    def watch(self, view: View) -> NodeQuery:
        """The packages and the kubelet's unit."""
        return NodeQuery(packages=frozenset(files.KUBERNETES_PACKAGES), units=frozenset({"kubelet.service"}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The version."""
        return {"VERSION": view.patch, "PACKAGES": " ".join(files.KUBERNETES_PACKAGES)}

    def check(self, view: View) -> Check:
        """All three in that version, held, and the kubelet on at boot."""
        facts, changes = view.facts, []
        for name in files.KUBERNETES_PACKAGES:
            present = facts.packages[name].version.partition("-")[0] if facts.installed(name) else ""
            if present and present != view.patch:
                keep = accepted(view.answers, [{"cluster.kubernetesVersion": present}])
                keep = f"write {keep} into the answers; or, " if keep else ""
                if facts.runtime.kubeadm_files:
                    return Conflict(
                        f"{name} {present} serves a cluster here, and the answers ask for {view.patch}",
                        f"{keep.removesuffix('or, ')}upgrading a running cluster is not part of an installation",
                    )
                if newer(present, view.patch):
                    return Conflict(
                        f"{name} {present} is installed, newer than {view.patch}: kfinstall does not downgrade it",
                        f"{keep}if nothing needs it there: "
                        f"sudo apt-get purge --allow-change-held-packages {' '.join(files.KUBERNETES_PACKAGES)}",
                    )
                changes.append(f"replace {name} {present} by {view.patch}")
            elif not present:
                changes.append(f"apt-get install {name} {view.patch}")
        loose = [name for name in files.KUBERNETES_PACKAGES if not ((fact := facts.packages.get(name)) and fact.held)]
        if loose:
            changes.append(f"apt-mark hold {' '.join(loose)}")
        unit = facts.units.get("kubelet.service")
        if not changes and (unit is None or unit.enabled != "enabled"):
            changes.append("systemctl enable kubelet")
        return Needed(tuple(changes)) if changes else Satisfied(f"kubelet, kubeadm and kubectl {view.patch}, held")
