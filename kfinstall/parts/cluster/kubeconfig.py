"""cluster.kubeconfig: kubectl works for the login user of the control planes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Scope, Step, View
from kfinstall.parts.cluster.kubeconfig_facts import LoginKubeconfig


class ClusterKubeconfig(Step):
    """Writes ~/.kube/config, or a file beside it where another cluster's is there already."""

    id: ClassVar[str] = "cluster.kubeconfig"
    title: ClassVar[str] = "Give the login user a kubeconfig"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
    script: ClassVar[str] = "cluster-kubeconfig"
    reads = (LoginKubeconfig,)
    timeout_seconds: ClassVar[float] = 60
    estimate_seconds: ClassVar[float] = 1

    def parameters(self, view: View) -> Mapping[str, str]:
        """Whose it is to be, and how the file beside a foreign one is called."""
        return {"LOGIN": view.fact(LoginKubeconfig).login, "NAME": view.answers.cluster.name}

    def check(self, view: View) -> Check:
        """A kubeconfig of the login user holds the administrator's present certificate."""
        found = view.fact(LoginKubeconfig)
        if found.path:
            return Satisfied(f"{found.path} of {found.login}")
        return Needed((f"write ~/.kube/config for {found.login or 'the login user'}",))
