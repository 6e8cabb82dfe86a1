"""What the first use of a cluster costs the installer, and a request: processor seconds and memory, best of several processes.

Run: python -m tests.bench.bench_first_use [--rounds 5] [--requests 1000]. The API server is a stand-in in a process of its own, so
that only the client is measured; the figures in docs/adr/0031-kubernetes-client.md come from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Any

_OBJECT_BYTES = 4000
_AT_ONCE = 16
_NAMES = ("first-use-ms", "first-use-mib", "get-us", "apply-us", "at-most-mib")


def cpu_seconds() -> float:
    """Of this process, in and for it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_mib() -> float:
    """What this process has in memory now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


async def serve() -> None:
    """The stand-in: its port and its kubeconfig as a line of JSON, then it serves until standard input ends."""
    from tests.fakes.api import FakeApi, make_certificates
    from tests.fakes.api import serve as serving

    certificates = make_certificates()
    async with serving(FakeApi(), certificates) as port:
        print(json.dumps([port, certificates.kubeconfig()]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def document(number: int) -> dict[str, Any]:
    """An object of the size that Kubeflow's have."""
    metadata = {"name": f"c{number}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "x" * _OBJECT_BYTES}}


async def use(port: int, kubeconfig: str, requests: int) -> list[float]:
    """The figures of this process, in the order of _NAMES."""
    import kfinstall.cli.runs  # noqa: F401 (what an installation has imported before it first speaks to a cluster)
    from kfinstall.kube.api import open_cluster
    from kfinstall.kube.base import Ref

    begin, memory = cpu_seconds(), resident_mib()
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(open_cluster(kubeconfig, port))
        opened = cpu_seconds() - begin
        figures = [1e3 * opened, resident_mib() - memory]
        await cluster.apply(document(0))
        for ask in (lambda n: cluster.get(Ref.of(document(n))), lambda n: cluster.apply(document(n))):
            begin = cpu_seconds()
            for number in range(0, requests, _AT_ONCE):
                await asyncio.gather(*(ask(number + more) for more in range(_AT_ONCE)))
            figures.append(1e6 * (cpu_seconds() - begin) / requests)
        return [*figures, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_first_use", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--use", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    if options.use:
        print(*asyncio.run(use(options.use, sys.stdin.read(), options.requests)))
        return
    program = [sys.executable, "-m", "tests.bench.bench_first_use", "--requests", str(options.requests)]
    with subprocess.Popen([*program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port, kubeconfig = json.loads(server.stdout.readline())
        rounds = [
            subprocess.run(
                [*program, "--use", str(port)], input=kubeconfig, capture_output=True, text=True, check=True
            ).stdout.split()
            for _round in range(options.rounds)
        ]
        server.stdin.close()
    for name, *found in zip(_NAMES, *rounds, strict=True):
        print(f"{name:<14} {min(map(float, found)):8.1f}")


if __name__ == "__main__":
    main()
