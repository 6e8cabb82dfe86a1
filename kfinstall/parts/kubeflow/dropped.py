"""What an earlier choice of components, or an older release, left on the cluster: pure, from the inventories and what the cluster lists.

What a component consists of goes with it. What holds data of users goes only where that is asked for: objects of its kinds that
somebody made (then its controllers stay too, which alone can let them go), volume claims, and the Secrets that their data knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.apply.stamp import ANNOTATION, ours
from kfinstall.engine.step import View
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow import choice, inventory, secret_values
from kfinstall.parts.kubeflow.inventory import Inventory
from kfinstall.parts.kubeflow.uninstall import removal

_SHOWN: Final = 3
_MADE_BY_THE_CLUSTER: Final = frozenset(
    {("ConfigMap", "kube-root-ca.crt"), ("ConfigMap", "istio-ca-root-cert"), ("ServiceAccount", "default")}
)
"""(kind, name) of what controllers put into every namespace."""
_ISSUED: Final = "cert-manager.io/certificate-name"


@dataclass(frozen=True, slots=True)
class Group:
    """What one dropped component left."""

    title: str
    goes: tuple[Ref, ...]
    users: tuple[Ref, ...]
    """Objects of its kinds that kfinstall did not make; they go only with the data."""
    stays: tuple[str, ...]
    """What does not go, and why; one line each."""


def groups(view: View, *, data: bool, planned: bool = True) -> list[Group]:
    """What is left of each dropped component, in the order of their titles.

    `data`: volumes and users' objects go too. `planned`: also what will be left once the present choice is applied, as far as
    the record tells which component an object is of.
    """
    known = removal.known(view)
    found: dict[str, set[Ref]] = {}
    for ref in _left(view, known, planned=planned):
        found.setdefault(_title(view, known.folders.get(ref, "")), set()).add(ref)
    if known.objects and (planned or known.source):
        for ref, folder in secret_values.unwanted(view).items():
            if ours(_objects(view).get(ref)):
                found.setdefault(_title(view, folder), set()).add(ref)
    return [_group(view, known, title, refs, data=data) for title, refs in sorted(found.items())]


def _left(view: View, known: Inventory, *, planned: bool) -> Iterator[Ref]:
    """What was applied and is not wanted any more, and is there with the mark that it was applied with."""
    refs = set(known.former)
    row = view.release.kubeflow
    if planned and row is not None:
        chosen = {*choice.paths(view.answers, view.release)}
        dropped = {path for part in row.components.values() for path in (*part.paths, *part.profile_paths)} - chosen
        refs |= {ref for ref in known.objects if known.folders.get(ref) in dropped}
    listed = {(want.api_version, want.kind) for want in removal.wants(view)}
    for ref in refs:
        live = _objects(view).get(ref)
        if (ref.api_version, ref.kind) not in listed or (live is not None and _marked(live)):
            yield ref


def _title(view: View, folder: str) -> str:
    parts = view.release.kubeflow.components.values() if view.release.kubeflow else ()
    return next((part.title for part in parts if folder in (*part.paths, *part.profile_paths)), "an older release or choice")


def _group(view: View, known: Inventory, title: str, refs: set[Ref], *, data: bool) -> Group:
    issued = set(_issued(view, refs))
    refs = refs | issued
    kinds = {kind for ref in refs if ref.kind == removal.DEFINITION for kind in kinds_of(ref.name, known.served)}
    applied = known.objects.keys() | known.former
    users = sorted(ref for ref in _objects(view) if (ref.api_version, ref.kind) in kinds and ref not in applied)
    if users and not data:
        made = [ref for ref in users if not removal.owned(view, ref)] or users
        return Group(
            title,
            (),
            (),
            (f"users made {removal.tally(users)} of its kinds ({_some(made)}), and only its controllers can let them go",),
        )
    claims = sorted(ref for ref in refs if ref.kind == removal.CLAIM)
    stays: list[str] = []
    kept: set[Ref] = set()
    if claims and not data:
        places = {claim.namespace for claim in claims}
        secrets = {ref for ref in refs if ref.kind == "Secret" and ref.namespace in places} - issued
        kept |= {*claims, *secrets}
        stays.append(f"the data in {_some(claims)}" + (f", and {_some(sorted(secrets))} that it knows" if secrets else ""))
    for place in sorted(ref for ref in refs if ref.kind == "Namespace"):
        why = _holds(view, place.name, refs - kept, applied, data=data)
        if why:
            kept.add(place)
            stays.append(f"{place}: {why}")
    return Group(title, tuple(sorted(refs - kept)), tuple(users), tuple(stays))


def _issued(view: View, refs: Iterable[Ref]) -> Iterator[Ref]:
    """The Secrets that cert-manager keeps behind Certificates, for which nobody asks any more once these are gone."""
    certificates = {(ref.namespace, ref.name) for ref in refs if ref.kind == "Certificate"}
    for ref, live in _objects(view).items() if certificates else ():
        name = ((live.get("metadata") or {}).get("annotations") or {}).get(_ISSUED)
        if ref.kind == "Secret" and (ref.namespace, name) in certificates:
            yield ref


def _holds(view: View, place: str, goes: set[Ref], applied: Iterable[Ref], *, data: bool) -> str:
    """What in a namespace is not to go with it; empty where nothing is."""
    inside = {ref: live for ref, live in _objects(view).items() if ref.namespace == place}
    claims = [ref for ref in inside if ref.kind == removal.CLAIM and ref not in goes]
    if claims and not data:
        return f"{_some(sorted(claims))} is in it"
    wanted = [ref for ref in inside if ref in applied and ref not in goes and ref.kind != removal.CLAIM]
    others = [ref for ref, live in inside.items() if ref not in applied and ref.kind != removal.CLAIM and not _known(ref, live)]
    if wanted or others:
        return f"{_some(sorted(wanted or others))} is in it" + ("" if wanted else ", which kfinstall did not put there")
    return ""


def _known(ref: Ref, live: Mapping[str, Any]) -> bool:
    """Whether an object is a controller's or kfinstall's own, and so nobody's loss."""
    about = live.get("metadata") or {}
    return bool(
        (ref.kind, ref.name) in _MADE_BY_THE_CLUSTER
        or about.get("ownerReferences")
        or ours(live)
        or _marked(live)
        or _ISSUED in (about.get("annotations") or {})
    )


def kinds_of(definition: str, served: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The (apiVersion, kind) of what a definition (experiments.kubeflow.org) defines, by the plural that it is named by."""
    plural, _dot, group = definition.partition(".")
    return frozenset(
        (version, kind) for version, kind in served if version.rpartition("/")[0] == group and plural in _plurals(kind.lower())
    )


def _plurals(kind: str) -> tuple[str, ...]:
    return kind, f"{kind}s", f"{kind}es", f"{kind[:-1]}ies"


def gone(before: Inventory, live: Mapping[Ref, Any], deleted: Iterable[Ref]) -> Inventory:
    """The inventory without what is not there any more."""
    listed = {(want.api_version, want.kind) for want in inventory.wants()} | before.served
    done = frozenset(deleted)
    away = frozenset(ref for ref in before.former if ref not in live and (ref in done or (ref.api_version, ref.kind) in listed))
    kinds = [kind for ref in away if ref.kind == removal.DEFINITION for kind in kinds_of(ref.name, before.served)]
    return before.without(away, frozenset(kinds))


def _objects(view: View) -> Mapping[Ref, Mapping[str, Any]]:
    return view.cluster.objects if view.cluster else {}


def _marked(live: Mapping[str, Any]) -> bool:
    return bool(((live.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION))


def _some(refs: Iterable[Ref]) -> str:
    every = list(refs)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(str(ref) for ref in every[:_SHOWN]) + more
