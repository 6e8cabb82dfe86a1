"""What was applied, kept as ConfigMap kfinstall/kubeflow-inventory: with it a check finds what is missing or was changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kfinstall.apply.stamp import ANNOTATION, LABELS, PROOFS_NAMESPACE, RECORDS
from kfinstall.kube import raw
from kfinstall.kube.base import ClusterFacts, Document, ListQuery, Ref

CONFIG_MAP: Final = Ref("v1", "ConfigMap", "kubeflow-inventory", PROOFS_NAMESPACE)
PROFILE_CONFIG_MAP: Final = Ref("v1", "ConfigMap", "kubeflow-profile-inventory", PROOFS_NAMESPACE)
"""Of what goes into the user's profile, once that is made."""
WORKLOADS: Final = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"))
_KINDS: Final = """
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration ValidatingWebhookConfiguration
apiextensions.k8s.io/v1 CustomResourceDefinition
autoscaling/v2 HorizontalPodAutoscaler
caching.internal.knative.dev/v1alpha1 Image
cert-manager.io/v1 Certificate ClusterIssuer Issuer
metacontroller.k8s.io/v1alpha1 DecoratorController
networking.internal.knative.dev/v1alpha1 Certificate
networking.istio.io/v1 Sidecar
networking.istio.io/v1alpha3 DestinationRule Gateway VirtualService
networking.istio.io/v1beta1 Gateway VirtualService
networking.k8s.io/v1 NetworkPolicy
policy/v1 PodDisruptionBudget
rbac.authorization.k8s.io/v1 ClusterRole ClusterRoleBinding Role RoleBinding
scheduling.k8s.io/v1 PriorityClass
security.istio.io/v1 AuthorizationPolicy
security.istio.io/v1beta1 AuthorizationPolicy PeerAuthentication RequestAuthentication
serving.kserve.io/v1alpha1 ClusterServingRuntime ClusterStorageContainer
trainer.kubeflow.org/v1alpha1 ClusterTrainingRuntime
v1 ConfigMap Namespace PersistentVolumeClaim Secret Service ServiceAccount
"""


def wants() -> tuple[ListQuery, ...]:
    """The lists that the check reads: metadata only, but for the inventory itself and for workloads."""
    kinds = [(version, kind) for version, *names in (line.split() for line in _KINDS.split("\n") if line) for kind in names]
    metadata = tuple(ListQuery(version, kind, metadata_only=True) for version, kind in kinds)
    whole = tuple(ListQuery(version, kind) for version, kind in WORKLOADS)
    return (RECORDS, *whole, *metadata)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was applied, from what."""

    source: str = ""
    """Hash of what the rendering and the own settings were made from."""
    objects: Mapping[Ref, tuple[str, str]] = field(default_factory=dict)
    """Object to (hash of its document, hash of the fields that kfinstall owned right after)."""
    former: frozenset[Ref] = frozenset()
    """What an earlier choice of components, or an older release, applied and this one does not, as long as it is there."""
    served: frozenset[tuple[str, str]] = frozenset()
    """(apiVersion, kind) of the custom resources that the definitions among the objects bring."""
    folders: Mapping[Ref, str] = field(default_factory=dict)
    """Object to the kustomize folder that it was rendered from, as far as that was recorded."""

    def document(self, at: Ref = CONFIG_MAP) -> Document:
        """As the ConfigMap."""
        rows = [[*_row(ref), *self.objects[ref], *self._folder(ref)] for ref in sorted(self.objects)]
        data = {
            "source": self.source,
            "objects": "\n".join(json.dumps(entry) for entry in rows),
            "former": "\n".join(json.dumps([*_row(ref), *self._folder(ref)]) for ref in sorted(self.former)),
            "served": "\n".join(f"{version} {kind}" for version, kind in sorted(self.served)),
        }
        metadata = {"name": at.name, "namespace": at.namespace, "labels": dict(LABELS)}
        return {"apiVersion": at.api_version, "kind": at.kind, "metadata": metadata, "data": data}

    def followed_by(
        self,
        source: str,
        objects: Mapping[Ref, tuple[str, str]],
        served: Iterable[tuple[str, str]],
        folders: Mapping[Ref, str] | None = None,
    ) -> Inventory:
        """The inventory of what is applied next; what is not among it any more is kept as `former`."""
        former = (self.former | self.objects.keys()) - objects.keys()
        kept = {ref: folder for ref, folder in self.folders.items() if ref in former}
        new = {ref: folder for ref, folder in (folders or {}).items() if ref in objects}
        return Inventory(source, objects, frozenset(former), self.served | frozenset(served), {**kept, **new})

    def without(self, gone: frozenset[Ref], served: frozenset[tuple[str, str]]) -> Inventory:
        """The inventory once some of `former`, and the kinds in `served`, are not there any more."""
        folders = {ref: folder for ref, folder in self.folders.items() if ref in self.objects or ref not in gone}
        return replace(self, former=self.former - gone, served=self.served - served, folders=folders)

    def _folder(self, ref: Ref) -> list[str]:
        return [self.folders[ref]] if ref in self.folders else []

    def outstanding(self, cluster: ClusterFacts) -> list[str]:
        """One line for each object that is missing or was changed by somebody else."""
        found, gone = [], going(cluster)
        for ref, (content, fields) in sorted(self.objects.items()):
            live = live_hashes(cluster.objects.get(ref))
            if live is None:
                if ref.kind in _LISTED:
                    found.append(f"apply {ref}: it is missing")
            elif ref in gone:
                found.append(f"apply {ref}: it is being deleted")
            elif not _as_applied(ref, live, content, fields):
                found.append(f"apply {ref}: it was changed")
        return found

    def present(self, cluster: ClusterFacts, wanted: Mapping[Ref, str]) -> frozenset[Ref]:
        """Which of the wanted objects (with the hash of their documents) need not be sent again."""
        kept, gone = set(), going(cluster)
        for ref, content in wanted.items():
            live = live_hashes(cluster.objects.get(ref))
            fields = self.objects.get(ref, ("", ""))[1]
            if live is not None and ref not in gone and _as_applied(ref, live, content, fields):
                kept.add(ref)
        return frozenset(kept)


_LISTED: Final = frozenset(want.kind for want in wants())


_REWRITTEN: Final = frozenset({"MutatingWebhookConfiguration", "PersistentVolumeClaim", "ValidatingWebhookConfiguration"})
"""Kinds whose applied fields others rightly take over: istiod sets a failure policy, Knative the rules, a user a claim's size.
Only their stamp tells."""


def _as_applied(ref: Ref, live: tuple[str, str], content: str, fields: str) -> bool:
    """Whether the hashes of a live object are those that were recorded; a hash of fields that is not known tells nothing."""
    return live[0] == content and (ref.kind in _REWRITTEN or not fields or not live[1] or live[1] == fields)


def _row(ref: Ref) -> Sequence[str]:
    return (ref.api_version, ref.kind, ref.name, ref.namespace)


def leaving(cluster: ClusterFacts) -> frozenset[Ref]:
    """The objects that are deleted, and still there because something holds them."""
    marked = (ref for ref, document in cluster.objects.items() if (document.get("metadata") or {}).get("deletionTimestamp"))
    return frozenset(marked)


def going(cluster: ClusterFacts) -> frozenset[Ref]:
    """Those that are deleted, and what goes with them: all in a namespace, all custom resources of a definition's group."""
    marked = leaving(cluster)
    namespaces = {ref.name for ref in marked if ref.kind == "Namespace"}
    groups = {ref.name.partition(".")[2] for ref in marked if ref.kind == "CustomResourceDefinition"}
    if not namespaces and not groups:
        return marked
    with_them = {ref for ref in cluster.objects if ref.namespace in namespaces or ref.api_version.rpartition("/")[0] in groups}
    return marked | with_them


def live_hashes(document: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """(hash of the document as annotated, hash of the owned fields) of a live object; None where it is not there."""
    if document is None:
        return None
    metadata = document.get("metadata") or {}
    fields = next((str(entry.get("hash") or "") for entry in metadata.get("managedFields") or []), "")
    return str((metadata.get("annotations") or {}).get(ANNOTATION) or ""), fields


def read(cluster: ClusterFacts | None, at: Ref = CONFIG_MAP) -> Inventory:
    """The inventory in the cluster; an empty one where there is none, or none that can be read."""
    document = (cluster.objects.get(at) if cluster else None) or {}
    data = document.get("data") or {}
    try:
        rows = [json.loads(line) for line in _rows(data.get("objects"))]
        objects = {
            Ref(version, kind, name, namespace): (content, fields) for version, kind, name, namespace, content, fields, *_ in rows
        }
        old = [json.loads(line) for line in _rows(data.get("former"))]
        former = frozenset(Ref(*row[:4]) for row in old)
        folders = {Ref(*row[:4]): str(row[at]) for table, at in ((old, 4), (rows, 6)) for row in table if len(row) > at}
        served = frozenset((version, kind) for version, kind in map(str.split, _rows(data.get("served"))))
    except (ValueError, TypeError):
        return Inventory()
    return Inventory(str(data.get("source") or ""), objects, former, served, folders)


def _rows(text: object) -> list[str]:
    return [line for line in str(text or "").split("\n") if line]


def served_by(documents: Iterable[Document]) -> frozenset[tuple[str, str]]:
    """(apiVersion, kind) of what the definitions among the documents define, each in the first version that is served."""
    definitions = [document for document in documents if document.get("kind") == "CustomResourceDefinition"]
    return frozenset(
        (f"{spec['group']}/{versions[0]}", str(spec["names"]["kind"]))
        for definition in definitions
        if (versions := raw.served_versions(definition)) and (spec := definition["spec"])
    )
