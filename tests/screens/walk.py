"""The walk through the wizard that a test types and that docs/tour.md shows: every part, plan, failure, closed terminal, resume, proof."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tests.screens.typed import Terminal

Picture = Callable[[str], None]
"""Takes what the terminal was seen to show last, under a name of the tour."""

FAULT: Final = "kubelet-fails:cp1"
PARTS: Final = ("Prerequisites", "Nodes", "Storage", "Registry", "Kubeflow", "Spark")
_LEARNT: Final = {
    "Prerequisites": "the terminal shows UTF-8",
    "Nodes": "150 GiB free",
    "Storage": "GiB free on /",
    "Registry": "room for about",
    "Kubeflow": "It fits",
    "Spark": "SparkPi",
}
"""What each part tells once it has looked around; on a small screen it may stand below the edge."""
_TOASTS: Final = ("starting the simulated servers", "everything that was asked for")
_SIZES: Final = ((40, 12), (120, 40))


def walk(terminal: Terminal, picture: Picture | None = None) -> None:
    """From nothing to the proof. What is only waited for to be drawn is left out where nothing is drawn."""
    _rehearse(terminal, picture)
    _fill_in(terminal, picture)
    _look(terminal, picture)
    _fail(terminal, picture)
    terminal.close()
    _resume(terminal, picture)
    _prove(terminal, picture)


def _still(terminal: Terminal, picture: Picture | None, name: str, *texts: str) -> None:
    """A picture of what stays."""
    if picture is not None:
        terminal.shows(*texts)
        terminal.settles()
        terminal.hides(*_TOASTS)
        terminal.settles()
        picture(name)


def _moment(terminal: Terminal, picture: Picture | None, name: str, condition: Callable[[str], object]) -> None:
    """A picture of what passes: the very capture that the condition was seen in."""
    if picture is not None:
        terminal.until(condition, name)
        picture(name)


def _rehearse(terminal: Terminal, picture: Picture | None) -> None:
    terminal.open()
    terminal.shows("Rehearse on simulated servers")
    _still(terminal, picture, "welcome", "kubeflow", "Six screens ask")
    terminal.type("End")
    terminal.shows("no machine is touched")
    terminal.type("Enter")
    terminal.shows("How many servers")
    terminal.tab("3 ", "no fault")
    terminal.type("-l", FAULT)
    terminal.shows(FAULT)
    terminal.type("Enter")
    terminal.shows("The answers are complete")


def _fill_in(terminal: Terminal, picture: Picture | None) -> None:
    for part in reversed(PARTS):
        terminal.type("F3")
        terminal.at(part)
    for part in PARTS:
        terminal.at(part)
        _still(terminal, picture, part.lower(), _LEARNT[part])
        terminal.type("F4")
    terminal.at("Review")


def _look(terminal: Terminal, picture: Picture | None) -> None:
    """The plan and the checks, which change nothing."""
    terminal.type("F6")
    terminal.shows("changes, about")
    _still(terminal, picture, "review")
    terminal.type("F4")
    terminal.at("Preflight")
    terminal.shows("F5 checks every server")
    terminal.type("F5")
    terminal.shows("0 to mend", "done in")
    _still(terminal, picture, "preflight")
    terminal.type("F3")
    terminal.at("Review")


def _fail(terminal: Terminal, picture: Picture | None) -> None:
    terminal.settles()
    terminal.type("F5")
    terminal.shows("Install everything now?", "Point of no return")
    terminal.settles()
    terminal.type("Tab")
    terminal.type("Enter")
    _moment(terminal, picture, "run", lambda seen: "running: Prepare" in seen and "Load kernel modules: begins" in seen)
    terminal.at("It stopped")
    terminal.shows("the kubelet does not become healthy")
    _still(terminal, picture, "failure")


def _resume(terminal: Terminal, picture: Picture | None) -> None:
    """Opened again, it knows what failed, and goes on from there."""
    terminal.open()
    terminal.shows("Rehearsal demo: failed; resume", "cluster.init on cp1")
    terminal.type("Enter")
    terminal.at("It stopped")
    terminal.shows("the kubelet does not become healthy", "Start the first control plane (cluster.init)")
    terminal.type("F5")
    terminal.at("Run")
    terminal.shows("worker2  cluster")
    for _tab in ("cp1", "worker1", "worker2", "cluster"):
        terminal.type("]")
    _moment(terminal, picture, "resumed", lambda seen: "running: Install Kubeflow" in seen and "workloads ready" in seen)


def _prove(terminal: Terminal, picture: Picture | None) -> None:
    for columns, rows in (*_SIZES, (terminal.columns, terminal.rows)):
        terminal.resize(columns, rows)
        # Drawn anew to its last line, whether the run still goes on or is through by now.
        terminal.until(partial(_drawn_to_the_end, rows), f"{columns}x{rows}")
    terminal.at("Done")
    terminal.shows("proven")
    _still(terminal, picture, "done")
    terminal.type("C-q")
    terminal.hides("proven")


def _drawn_to_the_end(rows: int, seen: str) -> bool:
    lines = seen.splitlines()
    return len(lines) == rows and "f1 Help" in lines[-1]
