"""uninstall.definitions: the definitions of custom resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kfinstall.engine.step import View
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.base import Removal


class UninstallDefinitions(Removal):
    """Only when nothing of theirs is left: a definition takes all of its objects along."""

    id: ClassVar[str] = "uninstall.definitions"
    title: ClassVar[str] = "Delete the definitions of Kubeflow's custom resources"
    estimate_seconds: ClassVar[float] = 20
    nothing: ClassVar[str] = "no definition of Kubeflow is left"

    def refs(self, view: View) -> Sequence[Ref]:
        """The definitions that are there."""
        return removal.definitions(view)
