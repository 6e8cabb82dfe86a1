"""Record a real API server's answers anew: python -m tests.differential.record [SCENARIO...] (needs KUBEBUILDER_ASSETS and root)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import tests.differential.scenarios  # noqa: F401 (registers them)
from tests.differential.ask import SCENARIOS
from tests.differential.servers import real, transcript, write
from tests.fakes.apiserver import missing


async def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with real(Path(folder)) as server:
            for name in names or SCENARIOS:
                write(name, await transcript(server, name))
                print(name)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"can't record: {reason}")
    asyncio.run(main(sys.argv[1:]))
