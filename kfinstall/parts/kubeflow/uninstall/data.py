"""uninstall.data: volume claims and generated passwords go, because somebody asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kfinstall.engine import secret_store
from kfinstall.engine.step import ApplyContext, Danger, View
from kfinstall.kube.base import Cluster, Ref
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.base import Removal

_PREFIX = "kubeflow."


class UninstallData(Removal):
    """What becomes of the files behind a claim is the StorageClass's affair (reclaimPolicy)."""

    id: ClassVar[str] = "uninstall.data"
    title: ClassVar[str] = "Delete volumes, databases and notebooks' files"
    danger: ClassVar[Danger] = Danger.POINT_OF_NO_RETURN
    estimate_seconds: ClassVar[float] = 20
    nothing: ClassVar[str] = "no volume claim of Kubeflow and no profile's namespace is left"

    def refs(self, view: View) -> Sequence[Ref]:
        """The claims of Kubeflow's namespaces, the profiles' and Spark's; and the profiles' namespaces."""
        return [*removal.claims(view), *removal.profile_namespaces(view)]

    async def after(self, context: ApplyContext, cluster: Cluster) -> None:
        """Without the databases nobody needs their passwords."""
        await secret_store.forget(cluster, _PREFIX)
        context.say("generated passwords of Kubeflow are deleted")
