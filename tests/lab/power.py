"""The power cord of nodes, pulled while a step of the installer runs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from tests.lab.installer import Installer


def cut_in_each(installer: Installer, words: Sequence[str], instants: Mapping[str, float]) -> tuple[list[str], set[str]]:
    """Run the command, and pull the cord so many seconds after each of these steps began.

    A run may go on by itself once the node is back, or end: then another goes on. Gives the steps that were struck, in order, and
    those of them that were over by then.
    """
    struck: dict[str, float] = {}
    over: set[str] = set()
    for _run in range(len(instants) + 1):
        with installer.start(*words) as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                step = event.get("step")
                if event["event"] == "stepStarted" and step in instants and step not in struck:
                    time.sleep(instants[step])
                    struck[step] = time.time()
                    installer.lab.cut(*installer.numbers)
                    installer.lab.start(*installer.numbers)
                elif event["event"] == "stepFinished" and event["at"] < struck.get(step, 0):
                    over.add(step)
        if process.returncode == 0:
            break
    return list(struck), over
