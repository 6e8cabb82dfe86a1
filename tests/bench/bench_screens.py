"""The screens under load: log lines by the million, the first paint, and keys in the middle of an install on many servers.

Run: make bench-screens (BENCH=--quick). Everything is drawn as in a terminal of 120 by 40, by the real application on the real engine;
the simulated servers of the last part are a process of their own, since their work is none of the installer's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from textual import events

from kfinstall.answers.load import load
from kfinstall.answers.model import Answers
from kfinstall.answers.save import save
from kfinstall.engine.options import Options
from kfinstall.engine.reporters.jsonl import JsonLines
from kfinstall.engine.state import ClusterState
from kfinstall.events import EventBus, OutputLine, PhaseStarted, RunStarted, StepStarted
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import PATIENCE, Demo
from kfinstall.frontend.draft import Draft
from kfinstall.secrets import Redactor, generate
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import WORKFLOWS
from screens.app import InstallerApp
from screens.lines import LinesView
from screens.start import stay_quick

SIZE: Final = (120, 40)
NODES: Final = tuple(f"worker{number}" for number in range(1, 11))
LINES_PER_SECOND: Final = 20_000
BATCHES_PER_SECOND: Final = 100
PROBE_SECONDS: Final = 0.002
LAG_LIMIT_MS: Final = 20.0
CPU_LIMIT_CORES: Final = 0.5
PAINT_LIMIT: Final = 1.5
KEY_LIMIT_MS: Final = 50.0
TEXTS: Final = (
    "Get:12 http://archive.ubuntu.com/ubuntu noble-updates/main amd64 libc6 amd64 2.39-0ubuntu8.4 [3264 kB]",
    "Setting up containerd (1.7.28-0ubuntu1~24.04.1) ...",
    "customresourcedefinition.apiextensions.k8s.io/inferenceservices.serving.kserve.io serverside-applied",
    "[kubelet-check] The kubelet is healthy after 1.00172s",
)
EMPTY: Final = "from textual.app import App\nfrom textual.widgets import Static\nclass E(App):\n    def compose(self):\n        yield Static('painted')\nE().run()"


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    value: str
    limit: str
    good: bool


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident_mib() -> float:
    """This process's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Probe:
    """How late the event loop is: a sleeper that looks at the clock when it wakes.

    On a machine that others load, a part of that is their doing; what the loop's thread computed between two looks is its own.
    """

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.own_ms: list[float] = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, computed = loop.time() + PROBE_SECONDS, time.thread_time()
            await asyncio.sleep(PROBE_SECONDS)
            self.late_ms.append((loop.time() - due) * 1000)
            self.own_ms.append((time.thread_time() - computed) * 1000)

    def stop(self) -> None:
        """Sleep no more."""
        self._task.cancel()


def desk_in(folder: Path) -> Controller:
    """A desk with ten servers in its draft."""
    nodes = [{"name": name, "address": f"10.0.0.{place}"} for place, name in enumerate(NODES, 1)]
    return Controller(folder / "state", Draft(folder / "answers.yaml", {"version": 1, "nodes": nodes}), environ={})


class Flood:
    """Lines as an engine tells them: redacted, written to a file, given to the screens; in the engine's loop."""

    def __init__(self, controller: Controller, path: Path, lines: int) -> None:
        self.sent, self._lines = 0, lines
        redact = Redactor()
        for _secret in range(8):
            redact.register(generate())
        self._bus = EventBus(redact)
        self._bus.subscribe(controller._events.append)
        self._file = path.open("w", encoding="utf-8")
        self._bus.subscribe(JsonLines(self._file))
        self._bus.emit(RunStarted(run="bench", cluster="bench", kind="install", nodes=NODES))
        self._bus.emit(PhaseStarted(phase="prepare", title="Prepare the servers", steps=1))
        for name in NODES:
            self._bus.emit(
                StepStarted(step="prepare.apt", title="Update the package lists", target=name, changes=("apt-get update",))
            )

    async def run(self) -> None:
        """All lines, at their pace."""
        share = LINES_PER_SECOND // BATCHES_PER_SECOND
        begin = time.perf_counter()
        while self.sent < self._lines:
            for number in range(self.sent, self.sent + share):
                self._bus.emit(OutputLine(step="prepare.apt", target=NODES[number % 10], text=TEXTS[number % len(TEXTS)]))
            self.sent += share
            await asyncio.sleep(max(0.0, begin + self.sent / LINES_PER_SECOND - time.perf_counter()))
        self._file.close()


async def flood(lines: int) -> list[Figure]:
    """Log lines for the panes of the run screen."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        controller = desk_in(folder)
        app = InstallerApp(controller, controller.state_root, first="run")
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            source = Flood(controller, folder / "events.jsonl", lines)
            probe, early = Probe(), 0.0
            cpu, begin = time.process_time(), time.perf_counter()
            done = controller.engine.submit(source.run())
            while not done.done():
                await asyncio.sleep(0.1)
                if not early and source.sent >= min(100_000, lines // 2):
                    early = resident_mib()
            cores = (time.process_time() - cpu) / (time.perf_counter() - begin)
            rate = lines / (time.perf_counter() - begin)
            late, probe_late, own = resident_mib(), probe.late_ms, max(probe.own_ms)
            probe.stop()
        controller.close()
    return [
        Figure("log lines per second, ten servers", f"{rate:,.0f}", f"{LINES_PER_SECOND:,}", rate > 0.95 * LINES_PER_SECOND),
        Figure(
            "event loop late, p99",
            f"{percentile(probe_late, 0.99):.1f} ms",
            f"{LAG_LIMIT_MS:.0f} ms",
            percentile(probe_late, 0.99) < LAG_LIMIT_MS,
        ),
        Figure("event loop late, worst", f"{max(probe_late):.1f} ms", "100 ms", max(probe_late) < 100),
        Figure("computed at a stretch, worst", f"{own:.1f} ms", "100 ms", own < 100),
        Figure("processor, engine's side included", f"{cores:.2f} cores", f"{CPU_LIMIT_CORES} cores", cores < CPU_LIMIT_CORES),
        Figure(f"memory after {lines:,} lines", f"{late:.0f} MiB ({early:.0f} before)", "flat", late - early < 8),
    ]


def paint_seconds(command: Sequence[str], shown: bytes, folder: Path) -> float:
    """Seconds from the start of a program in a terminal until it shows something."""
    ours, theirs = pty.openpty()
    environ = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLUMNS": str(SIZE[0]),
        "LINES": str(SIZE[1]),
        "XDG_STATE_HOME": str(folder),
    }
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True)
    os.close(theirs)
    seen = b""
    try:
        while shown not in seen:
            ready, _, _ = select.select([ours], [], [], 20)
            if not ready:
                raise TimeoutError(f"{command[-1]} shows nothing")
            seen += os.read(ours, 65536)
        return time.perf_counter() - begin
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def first_paint(rounds: int) -> list[Figure]:
    """`kfinstall` against a Textual application with one word in it, in turns."""
    own: list[float] = []
    empty: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _turn in range(rounds + 1):
            empty.append(paint_seconds([sys.executable, "-c", EMPTY], b"painted", Path(folder)))
            own.append(paint_seconds([sys.executable, "-m", "kfinstall"], b"Rehearse", Path(folder)))
    ratio = statistics.median(own[1:]) / statistics.median(empty[1:])
    value = f"{ratio:.2f} ({statistics.median(own[1:]) * 1000:.0f} ms against {statistics.median(empty[1:]) * 1000:.0f} ms)"
    return [Figure("first paint against an empty Textual application", value, f"{PAINT_LIMIT}", ratio <= PAINT_LIMIT)]


@dataclass(frozen=True)
class Elsewhere:
    """Simulated servers in another process, as the desk wants its stage."""

    answers: Answers
    dial: Mapping[str, tuple[str, int]]
    demo: Demo

    def on(self, options: Options) -> Options:
        """The same options for a run on these machines."""
        return replace(options, dial=dict(self.dial), demo=self.demo.settings, limits=PATIENCE)


async def serve(nodes: int, state: Path) -> None:
    """The other process: servers until standard input ends."""
    async with Fleet(nodes=nodes, state_dir=ClusterState(state, "demo").path / "simulator", pace=0.01) as fleet:
        fleet.pin()
        save(fleet.answers(), state / "answers.yaml")
        print(json.dumps(fleet.dial), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def keys(nodes: int, presses: int) -> list[Figure]:
    """Keys in the middle of an install."""
    with tempfile.TemporaryDirectory() as text:
        state = Path(text) / "state"
        state.mkdir()
        command = [sys.executable, "-m", "tests.bench.bench_screens", "--serve", str(nodes), "--state", str(state)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdin is not None
        dial = {name: (host, port) for name, (host, port) in json.loads(await asyncio.to_thread(other.stdout.readline)).items()}
        answers = load(state / "answers.yaml")
        controller = Controller(state, Draft.of(Path(text) / "answers.yaml", answers), environ={})
        stage: Any = Elsewhere(answers, dial, Demo(nodes, (), 0.01))
        controller.stage = stage
        app = InstallerApp(controller, controller.state_root, first="run")
        took: list[float] = []
        computed: list[float] = []
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            controller.start(WORKFLOWS["install"])
            while controller.view.current_phase != "prepare":
                await asyncio.sleep(0.05)
                assert controller.running, controller.result
            probe = Probe()
            for turn in range(presses):
                begin = time.thread_time()
                took.append(await answered_ms(app, "down" if turn % 20 < 10 else "up"))
                computed.append((time.thread_time() - begin) * 1000)
                await asyncio.sleep(0.05)
            seen, late, own = controller.view.current_phase, probe.late_ms, max(probe.own_ms)
            probe.stop()
            controller.stop(now=True)
        with suppress(OSError):
            other.stdin.close()
        controller.stage = None
        controller.close()
        other.wait(30)
    title = f"key answered and drawn, p99 of {presses}, {nodes} servers (to phase {seen})"
    return [
        Figure(
            title,
            f"{percentile(took, 0.99):.1f} ms (median {statistics.median(took):.1f})",
            f"{KEY_LIMIT_MS:.0f} ms",
            percentile(took, 0.99) < KEY_LIMIT_MS,
        ),
        Figure(
            "the same, computing alone",
            f"{percentile(computed, 0.99):.1f} ms (median {statistics.median(computed):.1f})",
            f"{KEY_LIMIT_MS:.0f} ms",
            percentile(computed, 0.99) < KEY_LIMIT_MS,
        ),
        Figure("event loop late meanwhile, worst", f"{max(late):.1f} ms", "100 ms", max(late) < 100),
        Figure("computed at a stretch meanwhile, worst", f"{own:.1f} ms", "100 ms", own < 100),
    ]


async def answered_ms(app: InstallerApp, key: str) -> float:
    """Milliseconds from a key to the end of what it made to be drawn."""
    done = asyncio.Event()
    focused = app.screen.focused or app.screen.query(LinesView).first()
    begin = time.perf_counter()
    app.screen.post_message(events.Key(key, None)) if app.screen.focused is None else focused.post_message(events.Key(key, None))
    focused.call_later(app.call_after_refresh, done.set)
    await done.wait()
    return (time.perf_counter() - begin) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_screens", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines, fewer rounds")
    parser.add_argument("--only", choices=("flood", "paint", "keys"))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.state))
        return 0
    stay_quick()  # as the program does
    figures: list[Figure] = []
    if options.only in (None, "flood"):
        figures += asyncio.run(flood(100_000 if options.quick else 1_000_000))
    if options.only in (None, "paint"):
        figures += first_paint(4 if options.quick else 12)
    if options.only in (None, "keys"):
        figures += asyncio.run(keys(50, 100 if options.quick else 300))
    for figure in figures:
        print(f"{figure.what:<66} {figure.value:<38} limit {figure.limit:<10} {'good' if figure.good else 'MISSED'}")
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
