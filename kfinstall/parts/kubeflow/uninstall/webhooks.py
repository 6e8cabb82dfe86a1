"""uninstall.webhooks: what would refuse requests once its pods are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kfinstall.engine.step import View
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.base import Removal


class UninstallWebhooks(Removal):
    """First of all, or nothing behind them could be deleted any more."""

    id: ClassVar[str] = "uninstall.webhooks"
    title: ClassVar[str] = "Delete Kubeflow's webhooks"
    estimate_seconds: ClassVar[float] = 3
    nothing: ClassVar[str] = "no webhook of Kubeflow is left"

    def refs(self, view: View) -> Sequence[Ref]:
        """The webhook configurations that are there."""
        return removal.hooks(view)
