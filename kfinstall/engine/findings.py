"""Findings as they are told: from a step's check to events, one by one; and many of them together, each once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kfinstall import invocation
from kfinstall.engine import step
from kfinstall.engine.step import Check, Conflict, Satisfied, Severity, Step
from kfinstall.errors import PreflightError
from kfinstall.events import Finding, FindingLevel
from kfinstall.text import counted, names_in_words

_LEVELS: Final[dict[Severity, FindingLevel]] = {
    Severity.BLOCKING: "error",
    Severity.FAILING: "error",
    Severity.UNCHECKED: "warning",
    Severity.WARNING: "warning",
    Severity.INFO: "info",
}
_RANK: Final = ("error", "warning", "info", "ok")
"""Levels, the heaviest first."""


def events_of(of: Step, target: str, check: Check, ignored: Collection[str] = ()) -> tuple[Finding, ...]:
    """What a check found on a target, as events; one of level ok where nothing is wrong.

    `ignored`: names of findings and ids of steps whose failing findings do not stop a run.
    """
    if isinstance(check, Satisfied):
        head = Finding(node=target, check=of.id, level="ok", message=check.evidence)
        return _numbered([head, *(_event(of, target, each, ignored) for each in check.findings)])
    if isinstance(check, Conflict):
        alone = step.Finding(check.reason, check.hint, check.warning, check.fixes[0] if check.fixes else None)
        return _numbered([_event(of, target, each, ignored) for each in check.findings or (alone,)])
    changes = "; ".join(check.changes)
    return (Finding(node=target, check=of.id, level="error", message=changes, called=of.id, severity=Severity.BLOCKING),)


def waived(of: str, check: Check, ignored: Collection[str]) -> bool:
    """Whether all that a check of that id found, and that would stop a run, is ignored."""
    stopping = [each for each in check.findings if each.weight.stops] if isinstance(check, Conflict) else []
    return bool(stopping) and all(_ignored(of, each, ignored) for each in stopping)


def _ignored(of: str, found: step.Finding, ignored: Collection[str]) -> bool:
    return found.weight is not Severity.BLOCKING and bool({found.name or of, of} & set(ignored))


def _event(of: Step, target: str, found: step.Finding, ignored: Collection[str]) -> Finding:
    weight = found.weight
    let = _ignored(of.id, found, ignored)
    return Finding(
        node=target,
        check=of.id,
        level="info" if let else _LEVELS[weight],
        message=found.reason,
        fix=found.hint,
        mend=found.fix.title if found.fix else "",
        called=found.name or of.id,
        severity=weight,
        ignored=let,
    )


def _numbered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(replace(each, number=number, of=len(found)) for number, each in enumerate(found, 1))


def merged(found: Sequence[Finding]) -> Finding:
    """All that one check found on one node as one finding, of the heaviest one's level."""
    worst = min(found, key=lambda each: _RANK.index(each.level))
    well = worst.level in ("ok", "info")
    shown = [each for each in found if well or each.level in ("error", "warning")]

    def together(texts: Iterable[str], between: str) -> str:
        return between.join(dict.fromkeys(text for text in texts if text))

    return Finding(
        at=found[-1].at,
        node=worst.node,
        check=worst.check,
        level=worst.level,
        message=together((each.message for each in shown), "; "),
        cause=together((each.cause for each in shown), "\n"),
        fix=together((each.fix for each in shown), "\n"),
        mend=together((each.mend for each in shown), "; "),
        called=worst.called,
        severity=worst.severity,
        ignored=all(each.ignored for each in shown),
    )


@dataclass(slots=True)
class Group:
    """One finding on however many nodes."""

    check: str
    called: str
    level: FindingLevel
    severity: str
    ignored: bool
    messages: dict[str, list[str]] = field(default_factory=dict)
    """What is said, to the nodes that it is said of."""
    fixes: dict[str, list[str]] = field(default_factory=dict)
    """What to do, to the nodes that it is to be done on."""

    @property
    def nodes(self) -> list[str]:
        """Where it was found."""
        return list(dict.fromkeys(node for nodes in self.messages.values() for node in nodes))

    def add(self, finding: Finding) -> None:
        """Take one in; a check that was made again tells the same again."""
        for told, text in ((self.messages, finding.message), (self.fixes, finding.fix)):
            if text and finding.node not in told.setdefault(text, []):
                told[text].append(finding.node)

    def take(self, other: Group) -> None:
        """Take all of another one in."""
        for mine, theirs in ((self.messages, other.messages), (self.fixes, other.fixes)):
            for text, nodes in theirs.items():
                mine[text] = list(dict.fromkeys([*mine.get(text, ()), *nodes]))

    def lines(self) -> list[str]:
        """`nodes: what`, one line for each text."""
        return [f"{names_in_words(nodes)}: {text}" for text, nodes in self.messages.items()]

    def advice(self) -> list[str]:
        """`nodes: what to do`, one line for each command."""
        return [f"{names_in_words(nodes)}: {line}" for text, nodes in self.fixes.items() for line in text.splitlines()]


@dataclass(frozen=True, slots=True)
class Tally:
    """What findings come to: how many there are, each counted once over all nodes, as everybody tells it."""

    errors: int
    warnings: int
    nodes: int
    """That have an error."""

    @property
    def to_mend(self) -> str:
        """3 findings on 2 nodes."""
        return f"{counted(self.errors, 'finding')} on {counted(self.nodes, 'node')}"


def tally(found: Iterable[Finding]) -> Tally:
    """Count findings: one that is on many nodes is one."""
    found = list(found)
    errors = [each for each in found if each.level == "error"]
    warnings = [each for each in found if each.level == "warning"]
    return Tally(len(grouped(errors)), len(grouped(warnings)), len({each.node for each in errors}))


_FIGURE: Final = re.compile(r"\b\d+(?:\.\d+)? ms\b")


def _once(found: Iterable[Finding]) -> list[Finding]:
    """Without what the other server tells too: of two that say the same of each other, the one that is said of more servers."""
    found = list(found)
    nodes = sorted({each.node for each in found}, key=len, reverse=True)
    names = re.compile("|".join(rf"(?<![\w.-]){re.escape(node)}(?![\w-])" for node in nodes)) if nodes else None

    def named(each: Finding) -> list[str]:
        return list(dict.fromkeys(names.findall(each.message))) if names is not None and each.called != each.check else []

    def shape(each: Finding, other: str) -> tuple[object, ...]:
        text = re.sub(rf"(?<![\w.-]){re.escape(other)}(?![\w-])", "\0", each.message)
        return (each.check, each.called, each.level, each.ignored, _FIGURE.sub("\1", text))

    told = Counter((each.check, each.called, each.message) for each in found)
    pairs: dict[tuple[object, ...], int] = {}
    dropped: set[int] = set()
    for at, each in enumerate(found):
        others = named(each)
        if len(others) != 1 or others[0] == each.node:
            continue
        pairs[(each.node, others[0], *shape(each, others[0]))] = at
        mirror = pairs.get((others[0], each.node, *shape(each, others[0])))
        if mirror is not None:
            first, second = (told[one.check, one.called, one.message] for one in (found[mirror], each))
            dropped.add(mirror if second > first else at)
    return [each for at, each in enumerate(found) if at not in dropped]


def grouped(found: Iterable[Finding]) -> list[Group]:
    """Each finding once, in the order in which it was first met, the heaviest level first; what is well is left out.

    Findings of one name are one where they say the same, or are fixed by the same; other words with another fix have another cause.
    """
    groups: list[Group] = []
    known: dict[tuple[object, ...], Group] = {}
    for each in _once(found):
        if each.level == "ok":
            continue
        kind = (each.check, each.called, each.level, each.severity, each.ignored)
        named = each.called not in ("", each.check)
        keys: list[tuple[object, ...]] = [(*kind, "says", each.message, "" if named else each.fix)]
        if named and each.fix:
            keys.append((*kind, "fix", each.fix))
        same = list({id(known[key]): known[key] for key in keys if key in known}.values())
        group = same[0] if same else Group(*kind)
        if not same:
            groups.append(group)
        for other in same[1:]:
            group.take(other)
            groups.remove(other)
            known.update((key, group) for key, held in list(known.items()) if held is other)
        known.update(dict.fromkeys(keys, group))
        group.add(each)
    return sorted(groups, key=lambda group: _RANK.index(group.level))


def all_the_same(groups: Sequence[Group]) -> list[str]:
    """How to go on with what can be ignored; nothing where something can't be."""
    if any(group.severity == Severity.BLOCKING for group in groups):
        return []
    words = [word for name in dict.fromkeys(group.called for group in groups) for word in ("--ignore", name)]
    return [f"or, if that is known to be well: {invocation.same(*words)}"]


def brief(groups: Sequence[Group], why: Sequence[str], hint: Sequence[str]) -> tuple[str, str]:
    """(why, hint) where each finding has been told with its fix: which there are, and where."""
    where: dict[str, list[str]] = {}
    for group in groups:
        where.setdefault(group.called or group.check, []).extend(group.nodes)
    lines = [f"{name} on {names_in_words(nodes)}" for name, nodes in where.items()]
    return "\n".join([*lines, *why]), "\n".join([*hint, *all_the_same(groups)])


def not_ignored(groups: Sequence[Group], ignored: Collection[str]) -> list[str]:
    """What was to be ignored and can't be, with the reason."""
    asked = [group for group in groups if group.severity == Severity.BLOCKING and {group.called, group.check} & set(ignored)]
    return [
        f"{group.called} on {names_in_words(group.nodes)} is blocking and can't be ignored: it can't work so, or would do harm"
        for group in asked
    ]


def to_mend(errors: Sequence[Finding], ignored: Collection[str]) -> PreflightError:
    """What a run ends with that can't go on for these findings; `ignored`: what was to be ignored."""
    groups = grouped(errors)
    kept = not_ignored(groups, ignored)
    error = PreflightError(
        f"{tally(errors).to_mend} must be mended first",
        why="\n".join([*(line for group in groups for line in group.lines()), *kept]),
        hint="\n".join([*(line for group in groups for line in group.advice()), *all_the_same(groups)]),
    )
    error.brief = brief(groups, kept, ["mend what is told above, then run it again"])
    return error
