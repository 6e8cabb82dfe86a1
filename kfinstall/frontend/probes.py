"""Looks at servers while their rows are filled in: each as soon as it is complete, again when it changes, few at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from kfinstall.answers.model import Answers
from kfinstall.errors import AnswersError, HostKeyError, KfError, LoginError, SudoError
from kfinstall.facts.model import Facts
from kfinstall.frontend import storage_trial
from kfinstall.transport.base import LoginListener, LoginNote

if TYPE_CHECKING:
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.draft import Draft

AT_ONCE: Final = 5
"""Servers that are looked at side by side."""

Stage = Literal["incomplete", "looking", "good", "failed"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known of one server."""

    stage: Stage
    text: str = ""
    """One line: what it is, or what stands in the way."""
    error: KfError | None = None
    facts: Facts | None = None
    way: tuple[LoginNote, ...] = ()
    """What was learnt on the way in, in order."""

    def story(self) -> list[str]:
        """All that is known, line by line: the way in with each jump host, then the server or what stands in the way."""
        lines = [f"{_where(note)}{in_words(note)}" for note in self.way]
        if self.error is not None:
            parts = ["", self.error.message, self.error.why, f"Next: {self.error.hint}" if self.error.hint else ""]
            return [*lines, *(part for part in parts if part or not lines)]
        if self.facts is not None:
            return [*lines, *details(self.facts)]
        return [*lines, self.text or self.stage]


class Looking(Protocol):
    """Looks at one server of the given answers; `tell` hears what is learnt on the way in.

    Raises:
        KfError: says what stands in the way.
    """

    async def __call__(self, name: str, answers: Answers, tell: LoginListener) -> Probe:
        """What is known in the end."""


class Probes:
    """Keeps a look for nodes of a draft. Lives in the front end's loop; the looking itself is the engine's."""

    def __init__(
        self,
        draft: Draft,
        looking: Looking,
        *,
        sign: Callable[[str], object] = lambda _name: "",
        after_seconds: float = 0.0,
    ) -> None:
        """`sign` gives, for a node's name, what else a look depends on; None where it is not to be looked at.

        `after_seconds` is how long nothing may have changed before it is.
        """
        self._draft = draft
        self._looking = looking
        self._sign = sign
        self._after_seconds = after_seconds
        self._looks: dict[str, tuple[str, Probe]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.revision = 0
        """Grows with every change."""

    def look(self, name: str) -> Probe:
        """What is known of a node."""
        return self._looks.get(name, ("", Probe("incomplete")))[1]

    def refresh(self, *, again: bool = False) -> None:
        """Look at every node that is complete and has changed (at all of them, if `again`)."""
        nodes = [node for node in self._draft.nodes if node.get("name") and self._sign(str(node["name"])) is not None]
        names = {str(node["name"]) for node in nodes}
        for gone in set(self._looks) - names:
            self._forget(gone)
        ssh = self._draft.get(("ssh",))
        for node in nodes:
            name = str(node["name"])
            depends = [node.get("address"), node.get("ssh"), node.get("local"), ssh, str(self._sign(name))]
            sign = json.dumps(depends, sort_keys=True)
            if not again and self._looks.get(name, ("",))[0] == sign:
                continue
            self._forget(name)
            answers = self._answers_of(node)
            if isinstance(answers, str):
                self._set(name, sign, Probe("incomplete", answers))
                continue
            self._set(name, sign, Probe("looking", "connecting"))
            self._tasks[name] = asyncio.create_task(self._watch(name, sign, answers))

    def close(self) -> None:
        """Stop looking."""
        for task in self._tasks.values():
            task.cancel()

    def _answers_of(self, node: dict[str, Any]) -> Answers | str:
        """Answers with this node alone, so that nothing unfinished elsewhere stands in its way; or what is wrong with it."""
        from kfinstall.frontend.draft import Draft

        alone = Draft(self._draft.path, {"version": 1, "nodes": [{key: value for key, value in node.items() if key != "roles"}]})
        for section in ("cluster", "ssh"):
            given = self._draft.given((section,))
            if given and (section == "ssh" or "release" in given):
                alone = Draft(
                    self._draft.path, {**alone.data, section: given if section == "ssh" else {"release": given["release"]}}
                )
        try:
            return alone.answers()
        except AnswersError as error:
            return str(error.problems[0]).partition(": ")[2] if error.problems else error.message

    async def _watch(self, name: str, sign: str, answers: Answers) -> None:
        way: list[LoginNote] = []

        def learnt(note: LoginNote) -> None:
            way.append(note)
            if self.look(name).stage == "looking" and self._looks[name][0] == sign:
                self._set(name, sign, Probe("looking", f"{_where(note)}{in_words(note)}", way=tuple(way)))

        await asyncio.sleep(self._after_seconds)
        async with self._slots:
            try:
                look = await self._looking(name, answers, learnt)
            except KfError as error:
                look = Probe("failed", _why(error), error)
            # The last notes travel through the loop as the result does.
            await asyncio.sleep(0)
            self._set(name, sign, replace(look, way=tuple(way)))

    def _set(self, name: str, sign: str, look: Probe) -> None:
        self._looks[name] = (sign, look)
        self.revision += 1

    def _forget(self, name: str) -> None:
        self._looks.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        self.revision += 1


def for_facts(controller: Controller) -> Looking:
    """Looks at what servers are."""

    async def looking(name: str, answers: Answers, tell: LoginListener) -> Probe:
        facts = await controller.probe(name, answers, tell)
        return Probe("good", describe(facts), facts=facts)

    return looking


def for_storage(controller: Controller) -> Looking:
    """Looks at what storage would find on them, for the draft of now."""

    async def looking(name: str, answers: Answers, tell: LoginListener) -> Probe:
        trial = storage_trial.wanted(controller.draft).get(name)
        if trial is None:
            return Probe("incomplete")
        tried = await controller.try_storage(name, answers, trial, tell)
        return Probe("good" if tried.good else "failed", tried.text)

    return looking


def in_words(note: LoginNote) -> str:
    """What was learnt, as a person says it."""
    texts = {
        "reached": "SSH answers",
        "host-key": f"host key {note.detail}, trusted",
        "offered": f"{note.detail} offered",
        "refused": f"{note.detail} refused",
        "accepted": f"logged in with {note.detail}",
        "root": "sudo makes root",
    }
    return texts[note.stage]


def _where(note: LoginNote) -> str:
    return "" if note.where == "the node" else f"{note.where}: "


def details(facts: Facts) -> Sequence[str]:
    """A server in full: system, hardware, the space of each directory that an installation fills, clock."""
    hardware = facts.hardware
    lines = [
        f"{facts.os.pretty}, kernel {facts.os.kernel}, {facts.os.architecture}",
        f"{hardware.cpus} CPU, {hardware.memory_bytes / 2**30:.1f} GiB memory",
    ]
    for path, space in sorted(facts.space.items()):
        lines.append(f"{path}: {space.free_bytes / 2**30:.0f} of {space.total_bytes / 2**30:.0f} GiB free")
    synchronized = facts.clock.synchronized
    clock = "not known to be synchronized" if synchronized is None else "synchronized" if synchronized else "NOT synchronized"
    return [*lines, f"clock {clock}"]


def describe(facts: Facts) -> str:
    """A server in one line."""
    memory = facts.hardware.memory_bytes / 2**30
    parts = [facts.os.pretty, f"{facts.hardware.cpus} CPU", f"{memory:.0f} GiB"]
    space = max((space.free_bytes for space in facts.space.values()), default=0)
    if space:
        parts.append(f"{space / 2**30:.0f} GiB free")
    if facts.clock.synchronized is False:
        parts.append("clock not synchronized")
    return ", ".join(parts)


def _why(error: KfError) -> str:
    kinds = ((HostKeyError, "host key"), (SudoError, "sudo"), (LoginError, "login"))
    kind = next((word for known, word in kinds if isinstance(error, known)), "")
    return f"{kind}: {error.message}" if kind else error.message
