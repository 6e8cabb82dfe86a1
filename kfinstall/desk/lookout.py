"""Looks at servers while their rows are filled in: each as soon as it is complete, again when it changes, few at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from kfinstall.answers.model import Answers
from kfinstall.errors import AnswersError, HostKeyError, KfError, LoginError, SudoError
from kfinstall.facts.model import Facts

if TYPE_CHECKING:
    from kfinstall.desk.draft import Draft

AT_ONCE: Final = 5
"""Servers that are looked at side by side."""

Stage = Literal["incomplete", "looking", "good", "failed"]


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one server."""

    stage: Stage
    text: str = ""
    """One line: what it is, or what stands in the way."""
    error: KfError | None = None
    facts: Facts | None = None


class Lookout:
    """Keeps a look for each node of a draft. Lives in the front end's loop; the looking itself is the engine's."""

    def __init__(self, draft: Draft, probe: Callable[[str, Answers], Awaitable[Facts]]) -> None:
        self._draft = draft
        self._probe = probe
        self._looks: dict[str, tuple[str, Look]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.revision = 0
        """Grows with every change."""

    def look(self, name: str) -> Look:
        """What is known of a node."""
        return self._looks.get(name, ("", Look("incomplete")))[1]

    def refresh(self, *, again: bool = False) -> None:
        """Look at every node that is complete and has changed (at all of them, if `again`)."""
        nodes = [node for node in self._draft.nodes if node.get("name")]
        names = {str(node["name"]) for node in nodes}
        for gone in set(self._looks) - names:
            self._forget(gone)
        ssh = self._draft.get(("ssh",))
        for node in nodes:
            name, sign = (
                str(node["name"]),
                json.dumps([node.get("address"), node.get("ssh"), node.get("local"), ssh], sort_keys=True),
            )
            if not again and self._looks.get(name, ("",))[0] == sign:
                continue
            self._forget(name)
            answers = self._answers_of(node)
            if isinstance(answers, str):
                self._set(name, sign, Look("incomplete", answers))
                continue
            self._set(name, sign, Look("looking", "connecting"))
            self._tasks[name] = asyncio.create_task(self._watch(name, sign, answers))

    def close(self) -> None:
        """Stop looking."""
        for task in self._tasks.values():
            task.cancel()

    def _answers_of(self, node: dict[str, Any]) -> Answers | str:
        """Answers with this node alone, so that nothing unfinished elsewhere stands in its way; or what is wrong with it."""
        from kfinstall.desk.draft import Draft

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
        async with self._slots:
            try:
                facts = await self._probe(name, answers)
            except KfError as error:
                self._set(name, sign, Look("failed", _why(error), error))
            else:
                self._set(name, sign, Look("good", describe(facts), facts=facts))

    def _set(self, name: str, sign: str, look: Look) -> None:
        self._looks[name] = (sign, look)
        self.revision += 1

    def _forget(self, name: str) -> None:
        self._looks.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        self.revision += 1


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
    kind = {HostKeyError: "host key", SudoError: "sudo", LoginError: "login"}.get(type(error), "")
    return f"{kind}: {error.message}" if kind else error.message
