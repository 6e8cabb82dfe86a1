"""uninstall.objects: workloads, Services, configuration, roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kfinstall.engine.step import View
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.base import Removal


class UninstallObjects(Removal):
    """Once no custom resource needs a controller any more."""

    id: ClassVar[str] = "uninstall.objects"
    title: ClassVar[str] = "Delete Kubeflow's workloads and settings"
    estimate_seconds: ClassVar[float] = 30
    nothing: ClassVar[str] = "no workload, Service or setting of Kubeflow is left"

    def refs(self, view: View) -> Sequence[Ref]:
        """What is built in, as it was applied."""
        return removal.objects(view)
