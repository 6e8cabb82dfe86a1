"""What the scheduler says of a pod that no node takes, reason by reason. Pure.

'0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu. preemption: ...' Since 1.36 it does not say which taint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_AVAILABLE: Final = re.compile(r"\d+/\d+ nodes are available:\s*")
_REST: Final = re.compile(r"[.\s]*(?:no new claims to deallocate|still not schedulable|preemption:).*$", re.DOTALL)
_REASON: Final = re.compile(r"(\d+) (.+)", re.DOTALL)
_TAINT: Final = re.compile(r"taints? \{([^}:]+):? ?[^}]*\}")
_INSUFFICIENT: Final = re.compile(r"Insufficient ([a-z0-9][a-z0-9./-]*[a-z0-9])")
_KINDS: Final = (
    ("Insufficient ", "room"),
    ("Too many pods", "too many pods"),
    ("untolerated taint", "taint"),
    ("had taint", "taint"),
    ("were unschedulable", "cordoned"),
    ("PersistentVolume's node affinity", "volume node"),
    ("volume node affinity conflict", "volume node"),
    ("available persistent volumes to bind", "no volume"),
    ("did not have enough free storage", "no volume"),
    ("bound to non-existent pv", "volume gone"),
    ("already in-use by another pod", "volume in use"),
    ("no available disk", "volume in use"),
    ("exceed max volume count", "volume limit"),
    ("node affinity/selector", "selector"),
    ("node affinity", "selector"),
    ("node selector", "selector"),
    ("requested node name", "selector"),
    ("free ports", "ports"),
    ("anti-affinity", "anti-affinity"),
    ("pod affinity", "affinity"),
    ("topology spread", "spread"),
)


@dataclass(frozen=True, slots=True)
class Reasons:
    """A text of the scheduler, taken apart."""

    counts: dict[str, int]
    """Kind of reason (room, taint, cordoned, volume node, ...; 'other' for one that is not known) to the nodes that have it."""
    taints: tuple[str, ...]
    """Keys of taints, where it names them."""
    short: tuple[str, ...]
    """Resources of which no node has enough free."""
    other: tuple[str, ...]
    """Reasons that are not known."""
    before: str
    """What it says of the pod before it looks at any node: a claim that is not there."""

    def has(self, kind: str) -> bool:
        """Whether a node is ruled out for this."""
        return self.counts.get(kind, 0) > 0


def parse(message: str) -> Reasons:
    """Take a text of the scheduler apart; one of another form is all `before`."""
    head = _AVAILABLE.search(message)
    body = _REST.sub("", message[head.end() :] if head else message).strip().rstrip(".")
    counts: dict[str, int] = {}
    taints: list[str] = []
    other: list[str] = []
    before = ""
    for part in re.split(r", (?=\d+ )", body) if head else [body]:
        found = _REASON.fullmatch(part.strip())
        if found is None:
            before = part
            continue
        number, text = int(found[1]), found[2]
        kind = next((kind for words, kind in _KINDS if words in text), "other")
        counts[kind] = counts.get(kind, 0) + number
        taints += _TAINT.findall(text) if kind == "taint" else []
        other += [text] if kind == "other" else []
    short = tuple(dict.fromkeys(_INSUFFICIENT.findall(body)))
    return Reasons(counts, tuple(dict.fromkeys(map(str.strip, taints))), short, tuple(other), before)
