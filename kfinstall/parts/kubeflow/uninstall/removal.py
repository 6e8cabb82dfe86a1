"""What taking Kubeflow off a cluster has to delete, in which order: pure, from the inventory and what the cluster lists.

webhooks           first, or they refuse what follows once their pods are gone
custom resources   while the controllers that own their finalizers still run: the users' own, then profiles, then the rest
objects            workloads first
definitions        when nothing of theirs is left
namespaces         last; one with volume claims stays, unless data is to be deleted
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kfinstall import invocation
from kfinstall.apply import stamp
from kfinstall.apply.waves import WORKLOAD_KINDS
from kfinstall.engine import secret_store
from kfinstall.engine.step import Check, Conflict, View
from kfinstall.kube.base import ClusterFacts, ListQuery, Ref
from kfinstall.parts.kubeflow import inventory
from kfinstall.parts.kubeflow.inventory import Inventory
from kfinstall.parts.registry import pull_secret_objects

DEFINITION: Final = "CustomResourceDefinition"
PROFILE: Final = "Profile"
CLAIM: Final = "PersistentVolumeClaim"
_HOOK_SUFFIX: Final = "WebhookConfiguration"
KEPT: Final = ("kfinstall.io/kept", "kubeflow")
"""Label of a namespace of Kubeflow that stays for the volumes in it, by which a later uninstallation finds it."""
_PROFILE_LABEL: Final = ("app.kubernetes.io/part-of", "kubeflow-profile")
_PROOFS: Final = ("proof-kubeflow", "proof-spark", "rotation")


RECORDS: Final = (inventory.CONFIG_MAP, inventory.PROFILE_CONFIG_MAP)


def known(view: View) -> Inventory:
    """The inventories of what was applied, as one."""
    first, second = (inventory.read(view.cluster, at) for at in RECORDS)
    objects = {**first.objects, **second.objects}
    folders = {**first.folders, **second.folders}
    return Inventory(first.source, objects, first.former | second.former, first.served | second.served, folders)


def wants(view: View) -> tuple[ListQuery, ...]:
    """The lists of all kinds that Kubeflow has; of what its definitions define too, once the inventory was read."""
    served = (ListQuery(version, kind, metadata_only=True) for version, kind in sorted(known(view).served))
    return (*inventory.wants(), ListQuery("v1", CLAIM), *served)


def unreachable(view: View) -> Check | None:
    """A conflict where nothing can be told, as the cluster does not answer."""
    if view.cluster is not None:
        return None
    return Conflict("the cluster does not answer, so what is on it can't be told", f"see why: {invocation.command('doctor')}")


def _everything(found: Inventory) -> frozenset[Ref]:
    return frozenset(found.objects) | found.former


def hooks(view: View) -> list[Ref]:
    """The webhook configurations that are there."""
    return _present(view, (ref for ref in _everything(known(view)) if ref.kind.endswith(_HOOK_SUFFIX)))


def definitions(view: View) -> list[Ref]:
    """The definitions that are there."""
    return _present(view, (ref for ref in _everything(known(view)) if ref.kind == DEFINITION))


def customs(view: View) -> list[Ref]:
    """Every object of a kind that the definitions define, whoever made it."""
    served = known(view).served
    return sorted(ref for ref in _objects(view) if (ref.api_version, ref.kind) in served)


def objects(view: View) -> list[Ref]:
    """What is built in: as applied, and what kfinstall itself put beside it; workloads first. No claims, no namespaces."""
    found, served = known(view), known(view).served
    places = namespaces(view) | profiles(view) | {view.answers.spark_namespace}
    own = (
        ref
        for ref, document in _objects(view).items()
        if ref.namespace in places and stamp.ours(document) and ref.name != pull_secret_objects.NAME
    )
    chosen = {
        ref
        for ref in (*_everything(found), *own)
        if ref.kind not in (DEFINITION, CLAIM, "Namespace")
        and not ref.kind.endswith(_HOOK_SUFFIX)
        and (ref.api_version, ref.kind) not in served
    }
    proofs = (Ref("v1", "ConfigMap", name, secret_store.NAMESPACE) for name in _proof_names(view))
    return sorted(_present(view, {*chosen, *proofs}), key=lambda ref: (ref.kind not in WORKLOAD_KINDS, ref))


def _proof_names(view: View) -> list[str]:
    listed = (ref.name for ref in _objects(view) if ref.kind == "ConfigMap" and ref.namespace == secret_store.NAMESPACE)
    return [name for name in listed if name.startswith(_PROOFS)]


def namespaces(view: View) -> frozenset[str]:
    """The namespaces that were applied, and those that an earlier uninstallation kept for what is in them."""
    applied = {ref.name for ref in _everything(known(view)) if ref.kind == "Namespace"}
    return frozenset(applied | _labelled(view, KEPT))


def profiles(view: View) -> frozenset[str]:
    """The profiles' namespaces, which outlive them: the controller labels them, and writes down whose they are.

    One of that name which it did not make is somebody else's.
    """
    name, email = view.answers.profile_namespace, view.answers.kubeflow.user.email
    about = (_objects(view).get(Ref("v1", "Namespace", name)) or {}).get("metadata") or {}
    own = {name} if (about.get("annotations") or {}).get("owner") == email else set()
    return frozenset(_labelled(view, _PROFILE_LABEL) | own)


def _labelled(view: View, label: tuple[str, str]) -> set[str]:
    """The namespaces with a label."""
    there = ((ref.name, _labels(found)) for ref, found in _objects(view).items() if ref.kind == "Namespace")
    return {name for name, labels in there if labels.get(label[0]) == label[1]}


def kept(namespace: Mapping[str, Any]) -> bool:
    """Whether an earlier uninstallation left a namespace for what is in it."""
    return _labels(namespace).get(KEPT[0]) == KEPT[1]


def _whole(view: View) -> frozenset[str]:
    """The namespaces that go with all that is in them: those that were applied, and one that kfinstall made for Spark."""
    spark = Ref("v1", "Namespace", view.answers.spark_namespace)
    return namespaces(view) | ({spark.name} if stamp.ours(_objects(view).get(spark)) else set())


def claims(view: View) -> list[Ref]:
    """The volume claims in Kubeflow's namespaces, the profiles' and Spark's.

    Where Spark's namespace was there before it, others have claims in it: of those only the ones that kfinstall made.
    """
    places, spark = _whole(view) | profiles(view), view.answers.spark_namespace
    return sorted(
        ref
        for ref, document in _objects(view).items()
        if ref.kind == CLAIM and (ref.namespace in places or (ref.namespace == spark and stamp.ours(document)))
    )


def empty_namespaces(view: View) -> list[Ref]:
    """The namespaces to delete: those that were applied, and one that kfinstall made for Spark, unless a claim is in it."""
    full = {ref.namespace for ref in claims(view)}
    return _present(view, (Ref("v1", "Namespace", name) for name in _whole(view) - full))


def profile_namespaces(view: View) -> list[Ref]:
    """The profiles' namespaces that are there."""
    return _present(view, (Ref("v1", "Namespace", name) for name in profiles(view)))


def kept_namespaces(view: View) -> list[str]:
    """The namespaces that stay: the profiles', and those with claims in them."""
    places = {ref.namespace for ref in claims(view)} | profiles(view)
    return sorted(place for place in places if Ref("v1", "Namespace", place) in _objects(view))


def marked(view: View) -> list[str]:
    """Of those that stay, the ones that a later uninstallation may delete: not the profiles', nor any that was there before."""
    return [name for name in kept_namespaces(view) if name in _whole(view) - profiles(view)]


def owned(view: View, ref: Ref) -> bool:
    """Whether a custom resource belongs to another object, with which it goes."""
    return bool((_objects(view)[ref].get("metadata") or {}).get("ownerReferences"))


def tally(refs: Iterable[Ref]) -> str:
    """'3 Notebooks, 1 Profile': how many of each kind, the most frequent first."""
    counts: dict[str, int] = {}
    for ref in refs:
        counts[ref.kind] = counts.get(ref.kind, 0) + 1
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {_plural(kind) if count > 1 else kind}" for kind, count in order)


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith(("s", "ss")) else f"{kind}s"


def _objects(view: View) -> Mapping[Ref, Mapping[str, Any]]:
    facts = view.cluster or ClusterFacts()
    return facts.objects


def _present(view: View, refs: Iterable[Ref]) -> list[Ref]:
    return sorted(set(refs) & _objects(view).keys())


def _labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    return (document.get("metadata") or {}).get("labels") or {}
