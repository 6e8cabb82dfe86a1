"""Root causes: why objects are not ready, each cause once, with all that it holds up directly and behind others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kfinstall.diagnose import walk_certificates, walk_nodes, walk_pods, walk_storage, walk_webhooks, walk_workloads
from kfinstall.diagnose.capacity import size
from kfinstall.diagnose.known import Known
from kfinstall.diagnose.walk import Cause, Rule, Walk
from kfinstall.kube.base import NotReady, Ref

_SHOWN_NAMES: Final = 3
RULES: Final[Mapping[str, Rule]] = {
    "": walk_workloads.custom,
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"), walk_workloads.workload),
    "Pod": walk_pods.pod,
    "Node": walk_nodes.node,
    "Namespace": walk_nodes.namespace,
    "PersistentVolumeClaim": walk_storage.claim,
    **dict.fromkeys(("Secret", "ConfigMap"), walk_certificates.part),
    "Certificate": walk_certificates.certificate,
    **dict.fromkeys(("Issuer", "ClusterIssuer"), walk_certificates.issuer),
    "CertificateSigningRequest": walk_certificates.signing_request,
    "Service": walk_webhooks.service,
    **dict.fromkeys(walk_webhooks.HOOKS, walk_webhooks.configuration),
}


@dataclass(frozen=True, slots=True)
class Root:
    """One root cause, and what waits for it."""

    waiting: NotReady
    direct: tuple[Ref, ...]
    """What lacks something itself."""
    behind: tuple[Ref, ...] = ()
    """What waits for one of those: consequences, which are no causes of their own."""
    vague: bool = False
    """A state that passes, or of which nothing more is known."""
    key: tuple[str, ...] = ()
    """What it is the same cause by, though its words change: how much is asked for, how many wait."""

    @property
    def held_up(self) -> int:
        """How many objects wait for it."""
        return len(self.direct) + len(self.behind)

    def line(self, since: str = "") -> str:
        """'kubeflow/mysql since 30 s: why; what to do; 12 wait behind it: kubeflow/a, ...'."""
        hint = f"; {self.waiting.hint}" if self.waiting.hint else ""
        rest = f"; {len(self.behind)} wait behind it: {names(self.behind)}" if self.behind else ""
        return f"{names(self.direct)}{since}: {self.waiting.reason}{hint}{rest}"

    def brief(self) -> str:
        """'kubeflow/mysql: why (12 wait behind it)', where there is little room."""
        rest = f" ({len(self.behind)} wait behind it)" if self.behind else ""
        return f"{names(self.direct)}: {self.waiting.reason}{rest}"


def names(refs: Sequence[Ref]) -> str:
    """The first few by name, the rest by number."""
    shown = ", ".join(f"{ref.namespace}/{ref.name}".lstrip("/") for ref in refs[:_SHOWN_NAMES])
    more = len(refs) - _SHOWN_NAMES
    return shown + (f" and {more} more" if more > 0 else "")


def cause(known: Known, ref: Ref) -> Cause | None:
    """Why one object is not ready, with the chain to the root; None where nothing is wrong with it."""
    return Walk(known, RULES).follow(ref)


def find(known: Known, refs: Iterable[Ref], *, whole: bool = False) -> list[Root]:
    """The root causes of all that is not ready, what holds up most first, passing states last.

    `whole`: each is told with the chain that leads from the first that was asked about to it.
    """
    causes: dict[Ref, Cause] = {ref: found for ref in sorted(set(refs)) if (found := cause(known, ref))}
    groups: dict[tuple[str, ...], list[Ref]] = {}
    for ref, found in causes.items():
        groups.setdefault(found.symptom.key, []).append(ref)
    made = _whole if whole else _root
    roots = [made([(ref, causes[ref]) for ref in members]) for members in groups.values()]
    return sorted(roots, key=lambda root: (root.vague, -root.held_up, root.direct))


def _whole(members: Sequence[tuple[Ref, Cause]]) -> Root:
    first = members[0][1]
    return Root(first.waiting, tuple(ref for ref, _found in members), vague=first.symptom.vague, key=first.symptom.key)


def _root(members: Sequence[tuple[Ref, Cause]]) -> Root:
    direct = tuple(sorted({found.subject for _ref, found in members}))
    behind = tuple(ref for ref, found in members if ref not in direct)
    first = next((found for ref, found in members if found.subject == ref), members[0][1])
    waiting = Cause(first.symptom, first.path[first.path.index(first.subject) :]).waiting
    amounts = {found.subject: found.symptom.requested for _ref, found in members if found.symptom.requested}
    return Root(_with_amounts(waiting, list(amounts.values())), direct, behind, first.symptom.vague, first.symptom.key)


def _with_amounts(waiting: NotReady, requested: Sequence[Mapping[str, float] | None]) -> NotReady:
    """With what its pods ask for together: so much more is needed."""
    sums = {name: sum((each or {}).get(name, 0.0) for each in requested) for name in (requested[0] if requested else None) or {}}
    parts = [size(name, amount) for name, amount in sums.items() if amount and name != "pods"]
    if not parts:
        return waiting
    who = "it asks for" if len(requested) == 1 else f"{len(requested)} pods ask for"
    return replace(waiting, reason=f"{waiting.reason} ({who} {' and '.join(parts)})")
