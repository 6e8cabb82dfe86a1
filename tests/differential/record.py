"""Record a real API server's answers anew: python -m tests.differential.record [SCENARIO...] (needs KUBEBUILDER_ASSETS and root)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import tests.differential.scenarios  # noqa: F401 (registers them)
from tests.differential.ask import SCENARIOS
from tests.differential.servers import folder, real, transcript, write
from tests.fakes.apiserver import missing


async def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as work:
        async with real(Path(work)) as server:
            for name in names or SCENARIOS:
                write(name, await transcript(server, name), folder(server))
                print(name)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"can't record: {reason}")
    asyncio.run(main(sys.argv[1:]))
