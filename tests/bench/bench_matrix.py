"""A whole check, with the ways between the servers, on 3 to 100 simulated servers; and the ways alone between namespaces of this machine.

Run: python -m tests.bench.bench_matrix [--nodes 3 10 30 100] [--namespaces 3]. The simulated servers are real SSH servers in this very
process, so their work is in all figures; what counts is the cost a node. The namespaces run the nodes' real programs, without SSH (root, Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from kfinstall.answers.model import Answers
from kfinstall.errors import PreflightError
from kfinstall.parts.preflight import ways
from kfinstall.parts.preflight.measure import measure
from kfinstall.simulator.fleet import Fleet
from tests.fakes.namespaces import WHY_NOT, Lan
from tests.simulated.engine import place, run


async def simulated(count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        async with Fleet(nodes=count, state_dir=place(folder), pace=0) as fleet:
            answers = fleet.answers()
            begin, cpu = time.monotonic(), time.process_time()
            events: list[object] = []
            with suppress(PreflightError):
                await run(fleet, answers, folder, kind="check", reporters=(events.append,))
            wall, cpu = time.monotonic() - begin, time.process_time() - cpu
            tried = len({(way.source, way.target) for way in ways.ways(answers, list(fleet.world.nodes))})
            print(
                f"{count:4} simulated servers  {wall:6.2f} s; {cpu / count * 1000:5.0f} ms CPU a node, both sides; {tried} pairs tried",
                flush=True,
            )


async def real(count: int) -> None:
    from tests.simulated.test_reachability_namespaces import Context

    lan = Lan()
    try:
        servers = {f"n{at}": lan.server(f"n{at}") for at in range(count)}
        lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
        nodes = [{"name": name, "address": server.addresses[0].partition("/")[0]} for name, server in servers.items()]
        given = Context(Answers.model_validate({"nodes": nodes}), servers)
        for what, again in (("with streams", False), ("looked at again, without streams", True)):
            given.again = again
            begin = time.monotonic()
            reach = await measure(given)
            print(f"{count:4} namespaces, {what}: {time.monotonic() - begin:.2f} s, {len(reach.paths)} paths", flush=True)
            given.before = {type(reach): reach}
    finally:
        lan.close()


async def main(options: argparse.Namespace) -> None:
    print(f"load average at the beginning: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    if options.namespaces and not WHY_NOT:
        await real(options.namespaces)
    elif options.namespaces:
        print(f"no namespaces: {WHY_NOT}")
    await simulated(1)  # imports
    for count in options.nodes:
        await simulated(count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=[3, 10, 30, 100])
    parser.add_argument("--namespaces", type=int, default=3)
    asyncio.run(main(parser.parse_args()))
