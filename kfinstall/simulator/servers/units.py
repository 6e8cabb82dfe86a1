"""Detached steps of one simulated node: they run as tasks that no connection owns, with their output spooled."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kfinstall.simulator.faults import HOSTILE
from kfinstall.simulator.nodes.model import ScriptError, SimNode, World
from kfinstall.simulator.nodes.play import installs, play
from kfinstall.simulator.nodes.undo import remember

_APT_SCRIPT: Final = re.compile(r"prepare-(apt|clock|containerd|docker|kubernetes)|reset-packages")
"""Those that change packages by themselves, not by what is wanted."""
_KUBEADM_SCRIPT: Final = re.compile(r"cluster-(init|join)")
_APT_LOCK_LINES: Final = 10
_KUBELET_LINES: Final = (
    "[kubelet-check] Waiting for a healthy kubelet at http://127.0.0.1:10248/healthz. This can take up to 4m0s",
    "[kubelet-check] The kubelet is not healthy after 4m0.000834s",
    "kf-error: the kubelet does not become healthy on this node",
    "kf-hint: look at: journalctl -xeu kubelet",
)


@dataclass(slots=True)
class Unit:
    """One start of a step: its spooled output and how it ended."""

    name: str
    run: str
    out: bytearray = field(default_factory=bytearray)
    status: int | None = None
    reason: str = ""
    """Why there is no status: signal, gone, timeout."""
    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ended(self) -> bool:
        """Whether it does not run any more."""
        return self.status is not None or bool(self.reason)

    def tell(self) -> None:
        """Wake everyone who follows."""
        self.changed.set()
        self.changed = asyncio.Event()

    def say(self, line: str) -> None:
        """Spool one line."""
        self.out += line.encode("utf-8", "surrogateescape") + b"\n"
        self.tell()

    async def follow(self, offset: int) -> AsyncIterator[bytes]:
        """The output from an offset on, as it comes, to the end of the unit."""
        while True:
            event = self.changed
            if offset < len(self.out):
                chunk = bytes(self.out[offset:])
                offset += len(chunk)
                yield chunk
            elif self.ended:
                return
            else:
                await event.wait()


def _apt_lock(node: SimNode, world: World) -> Iterator[str]:
    if world.fault("apt-lock", node.name):
        for _line in range(_APT_LOCK_LINES):
            yield "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)"
        node.extra.pop("apt", None)
        world.faults.discard(("apt-lock", node.name))


def _faults(node: SimNode, script: str, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Faults that need no help from an effect."""
    if installs(parameters) or _APT_SCRIPT.match(script):
        yield from _apt_lock(node, world)
    if world.fault("hostile-output", node.name):
        yield HOSTILE
    if world.fault("disk-full", node.name):
        raise ScriptError(
            1, "write error: No space left on device", "kf-error: the disk of this node is full", "kf-hint: look at: df -h"
        )
    if world.fault("kubelet-fails", node.name) and _KUBEADM_SCRIPT.match(script):
        raise ScriptError(1, *_KUBELET_LINES)


def script_lines(node: SimNode, script: str, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """The lines of a script on a node; what it changes, it changes between them.

    Raises:
        ScriptError: it ends with another status than 0.
    """
    if not script.startswith("ask/"):
        yield from _faults(node, script, parameters, world)
        remember(node)
    yield from play(node, script, parameters, stdin, world)


class Units:
    """The detached steps of one node."""

    def __init__(
        self,
        node: SimNode,
        world: World,
        struck: Callable[[str, str], None],
        dirty: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        """`struck(node, script)` is called after the first line of a step: a fault may happen there."""
        self._node = node
        self._world = world
        self._struck = struck
        self._dirty = dirty
        self._settled = settled
        self._units: dict[str, Unit] = {}

    def get(self, name: str) -> Unit | None:
        """The last start of a unit."""
        return self._units.get(name)

    def start(self, name: str, script: str, parameters: Mapping[str, str], stdin: str, *, run: str = "") -> Unit:
        """Start a unit anew, or give the one that runs; a start that is sent twice (same `run`) happens once."""
        last = self._units.get(name)
        if last is not None and (not last.ended or last.run == run):
            return last
        unit = Unit(name, run or secrets.token_hex(8))
        self._units[name] = unit
        self._node.kf_units[name] = None
        unit.task = asyncio.get_running_loop().create_task(
            self._run(unit, script, parameters, stdin), name=f"{self._node.name}/{name}"
        )
        return unit

    async def _run(self, unit: Unit, script: str, parameters: Mapping[str, str], stdin: str) -> None:
        status = 0
        struck = False
        try:
            for line in script_lines(self._node, script, parameters, stdin, self._world):
                unit.say(line)
                self._dirty()
                await asyncio.sleep(self._world.pace)
                if not struck:
                    struck = True
                    self._struck(self._node.name, script)
                    # The fault may end this very task; it does so at the next suspension.
                    await asyncio.sleep(0)
        except ScriptError as error:
            for line in error.lines:
                unit.say(line)
            status = error.status
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
            unit.say(f"kf-error: the simulator's effect of {script} is wrong: {type(error).__name__}: {error}")
            status = 70
        self._node.kf_units[unit.name] = unit.status = status
        # Before anybody hears of the end: what a step did must be on the disk of a machine that loses power then.
        self._settled()
        unit.tell()

    def stop(self, name: str, reason: str) -> None:
        """End a unit without a status."""
        unit = self._units.get(name)
        if unit is None or unit.ended:
            return
        unit.reason = reason
        self._node.kf_units.pop(name, None)
        if unit.task is not None:
            unit.task.cancel()
        unit.tell()
        self._dirty()

    def kill_all(self, reason: str) -> None:
        """End everything: the node restarts."""
        for name in list(self._units):
            self.stop(name, reason)

    async def close(self) -> None:
        """End everything, and wait for it."""
        tasks = [unit.task for unit in self._units.values() if unit.task is not None]
        self.kill_all("gone")
        await asyncio.gather(*tasks, return_exceptions=True)

    def to_json(self) -> list[dict[str, Any]]:
        """The units as plain JSON data; what still runs has no status."""
        return [
            {"name": unit.name, "run": unit.run, "out": unit.out.decode("utf-8", "surrogateescape"), "status": unit.status}
            for unit in self._units.values()
        ]

    def load(self, data: list[dict[str, Any]]) -> None:
        """Take over what `to_json` wrote; what ran then is gone."""
        for item in data:
            unit = Unit(str(item["name"]), str(item["run"]), bytearray(str(item["out"]).encode("utf-8", "surrogateescape")))
            unit.status = item["status"]
            unit.reason = "" if unit.status is not None else "gone"
            self._units[unit.name] = unit
