"""uninstall.namespaces: the namespaces, and last of all the record of what was applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from kfinstall.apply import stamp
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, View
from kfinstall.kube.base import Cluster, Document, Ref
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.base import Removal

_POD_SECURITY: Final = "pod-security.kubernetes.io/"


class UninstallNamespaces(Removal):
    """The profiles' stay, and those with volume claims: a later installation finds its data there."""

    id: ClassVar[str] = "uninstall.namespaces"
    title: ClassVar[str] = "Delete Kubeflow's namespaces"
    estimate_seconds: ClassVar[float] = 30
    nothing: ClassVar[str] = "nothing of Kubeflow is left"

    def refs(self, view: View) -> Sequence[Ref]:
        """Those that were applied, without a claim in them."""
        return removal.empty_namespaces(view)

    def check(self, view: View) -> Check:
        """No namespace to delete, and no record."""
        found = super().check(view)
        if not isinstance(found, Satisfied):
            return found
        if removal.known(view).objects:
            return Needed(("forget what was applied",))
        kept = removal.kept_namespaces(view)
        stays = f"; {', '.join(kept)} stay for what users have in them" if kept else ""
        return Satisfied(f"{self.nothing}{stays}")

    async def after(self, context: ApplyContext, cluster: Cluster) -> None:
        """What stays is marked, and the records go: nothing of them is left to delete."""
        for name in removal.marked(context.view):
            await cluster.apply(_kept(name, context.view))
        for record in removal.RECORDS:
            await cluster.delete(record)


def _kept(name: str, view: View) -> Document:
    """What to apply to a namespace that stays. Server-side apply takes away what kfinstall had applied and leaves out.

    Stays: what pods may do there, and whose it is. Goes: what asks for parts of Kubeflow that are gone (a sidecar of Istio), and
    the stamp, by which a later installation would take it for complete.
    """
    found = (view.cluster.get("v1", "Namespace", name) if view.cluster else None) or {}
    labels = (found.get("metadata") or {}).get("labels") or {}
    stays = {key: value for key, value in labels.items() if key.startswith(_POD_SECURITY) or (key, value) in stamp.LABELS.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**stays, **dict([removal.KEPT])}}}
