"""cluster.init: the first control plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import yaml

from kfinstall.answers import fragment
from kfinstall.engine.step import Check, Conflict, Danger, Needed, Satisfied, Scope, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.kube.base import ListQuery
from kfinstall.parts.cluster import kubeadm, limits
from kfinstall.parts.preflight import membership

_SYSTEM: Final = "kube-system"
_RESET: Final = "take other servers, or remove that cluster: sudo kubeadm reset --force && sudo rm -rf /etc/cni/net.d /etc/kfinstall/cluster.conf"


class ClusterInit(Step):
    """kubeadm init by a configuration file. A run that was killed in the middle is taken back and done again."""

    id: ClassVar[str] = "cluster.init"
    title: ClassVar[str] = "Start the first control plane"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    danger: ClassVar[Danger] = Danger.POINT_OF_NO_RETURN
    script: ClassVar[str] = "cluster-init"
    timeout_seconds: ClassVar[float] = limits.CLUSTER_INIT_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 120

    def watch(self, view: View) -> NodeQuery:  # noqa: ARG002
        """Who made the node a control plane."""
        return membership.WATCH

    def wants(self, view: View) -> tuple[ListQuery, ...]:  # noqa: ARG002
        """kubeadm's own record of the cluster's settings, and the nodes."""
        return (ListQuery("v1", "ConfigMap", _SYSTEM), ListQuery("v1", "Node"))

    def parameters(self, view: View) -> Mapping[str, str]:
        """kubeadm's configuration and the owner file."""
        return {
            "CONFIG_FILE": kubeadm.CONFIG_FILE,
            "CONFIG": kubeadm.init_config(view),
            "OWNER_FILE": membership.OWNER_FILE,
            "BEGUN": membership.owner_begun(view),
            "DONE": membership.owner_done(view),
            "SOCKET": kubeadm.socket(view.answers),
            "PATIENCE_SECONDS": str(limits.CLUSTER_API_PATIENCE_SECONDS),
        }

    def check(self, view: View) -> Check:
        """The API server answers, for the cluster that the answers describe."""
        if not membership.kubeadm_was_here(view.facts):
            return Needed((f"kubeadm init Kubernetes {view.patch} on {view.target}",))
        if membership.owned_by_another(view):
            return Conflict(
                f"{view.target} was made a control plane of another cluster, or under another name, by kfinstall", _RESET
            )
        if membership.begun(view):
            return Needed((f"kubeadm reset what a killed run left on {view.target}", f"kubeadm init Kubernetes {view.patch}"))
        if view.cluster is None:
            if membership.done(view):
                return Needed(("start the control plane again: its API server does not answer",))
            return Conflict(f"kubeadm was on {view.target} before kfinstall, and no API server answers there", _RESET)
        return self._compare(view)

    def _compare(self, view: View) -> Check:
        settings = _settings(view)
        networking: Mapping[str, Any] = settings.get("networking") or {}
        wanted = view.answers.cluster
        pairs = (
            ("kubernetesVersion", str(settings.get("kubernetesVersion", "")).removeprefix("v"), view.patch),
            ("podCIDR", str(networking.get("podSubnet", "")), str(wanted.pod_cidr)),
            ("serviceCIDR", str(networking.get("serviceSubnet", "")), str(wanted.service_cidr)),
        )
        others = [(key, found, expected) for key, found, expected in pairs if found and found != expected]
        if others:
            return Conflict(
                "; ".join(f"the cluster has {key} {found}, the answers say {expected}" for key, found, expected in others),
                fragment.settings({f"cluster.{key}": found for key, found, _expected in others}),
            )
        made = "by kfinstall" if membership.done(view) else "before kfinstall"
        return Satisfied(f"the API server answers as {view.cluster.version if view.cluster else ''}; made {made}")


def _settings(view: View) -> Mapping[str, Any]:
    found = view.cluster.get("v1", "ConfigMap", "kubeadm-config", _SYSTEM) if view.cluster else None
    text = str(((found or {}).get("data") or {}).get("ClusterConfiguration") or "")
    settings = yaml.safe_load(text) if text else {}
    return settings if isinstance(settings, Mapping) else {}
