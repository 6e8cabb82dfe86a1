"""Facts of 20 nodes with 40 checks each: kfinstall against pyinfra and ansible-core; and memory and cost up to 100 nodes.

Needs root and OpenSSH's sshd. Run: python -m tests.bench.bench_transport [--pyinfra PROGRAM] [--ansible PROGRAM] [--nodes 20]
All servers are real sshd on loopback; everything is measured in one run, so the ratios do not depend on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from kfinstall.answers.model import Node, Ssh
from kfinstall.transport.base import Program
from kfinstall.transport.connect import connect_node
from kfinstall.transport.keyring import KeyRing

if TYPE_CHECKING:
    from kfinstall.answers.model import SecretRef
    from kfinstall.secrets import Secret
    from tests.fakes.sshd import Sshd

CHECKS = 40
TEXT = 'for i in $(seq 40); do echo "@mark $i"; test -e /etc/hostname && echo "yes $i"; done'


class NoSecrets:
    async def resolve(self, ref: SecretRef, purpose: str) -> Secret:
        raise NotImplementedError


async def ours(ports: list[int], folder: Path) -> None:
    """Connect to every node, ask 40 checks in one exec each, close."""
    keys = KeyRing()
    ssh = Ssh(user="root", agent=False, keys=(str(folder / "s0" / "id"),), use_ssh_config=False)

    async def one(number: int, port: int) -> None:
        node = Node(name=f"n{number}", address="127.0.0.1", ssh={"port": port})  # type: ignore[arg-type]
        host = await connect_node(
            node, ssh, NoSecrets(), pins=folder / "pins", user_known_hosts=folder / "none", accept_new=True, keys=keys
        )
        done = await host.ask(Program("facts", "node", TEXT), timeout_seconds=300)
        if len(done.lines) != 2 * CHECKS:
            sys.exit(f"n{number}: {done}")
        await host.close()

    await asyncio.gather(*(one(number, port) for number, port in enumerate(ports)))


def child(arguments: list[str]) -> None:
    """Run in a process of its own, so that import time and memory count."""
    import resource

    import kfinstall.transport.ssh  # noqa: F401 (connect_node would import it within what is measured)

    ports, folder = json.loads(arguments[0]), Path(arguments[1])
    begin, cpu = time.monotonic(), time.process_time()
    asyncio.run(ours(ports, folder))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"wall": time.monotonic() - begin, "cpu": time.process_time() - cpu, "mib": usage.ru_maxrss / 1024}))


def kfinstall(servers: list[Sshd], folder: Path) -> dict[str, float]:
    (folder / "pins").write_text("".join(server.pins_line for server in servers))
    ports = json.dumps([server.port for server in servers])
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, "--child", ports, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout) | {"whole": time.monotonic() - begin}


def pyinfra(program: str, servers: list[Sshd], folder: Path) -> float:
    hosts = [
        (f"n{number}", {"ssh_hostname": "127.0.0.1", "ssh_port": server.port, "ssh_user": "root", "ssh_key": str(server.key)})
        for number, server in enumerate(servers)
    ]
    for _name, data in hosts:
        data |= {
            "ssh_strict_host_key_checking": "no",
            "ssh_known_hosts_file": str(folder / "pyinfra_hosts"),
            "ssh_look_for_keys": False,
        }
    (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    (folder / "deploy.py").write_text(
        "from pyinfra import host\nfrom pyinfra.facts.server import Command\n"
        f"for i in range({CHECKS}):\n    host.get_fact(Command, f'test -e /etc/hostname && echo yes {{i}}')\n"
    )
    return timed([program, "-y", "inventory.py", "deploy.py"], folder)


def ansible(program: str, servers: list[Sshd], folder: Path) -> float:
    lines = [
        f"n{number} ansible_host=127.0.0.1 ansible_port={server.port} ansible_user=root ansible_ssh_private_key_file={server.key}"
        for number, server in enumerate(servers)
    ]
    (folder / "inventory.ini").write_text("[all]\n" + "\n".join(lines) + "\n")
    tasks = "".join(f"  - command: test -e /etc/hostname\n    changed_when: false\n    name: check {i}\n" for i in range(CHECKS))
    (folder / "play.yaml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
    return timed([program, "-i", "inventory.ini", "-f", "20", "play.yaml"], folder)


def timed(command: list[str], folder: Path) -> float:
    environ = os.environ | {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_PIPELINING": "True", "HOME": str(folder)}
    begin = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return time.monotonic() - begin


async def main(options: argparse.Namespace) -> None:
    from tests.fakes.sshd import sshd

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(sshd(folder / f"s{number}")) for number in range(options.nodes)]
            for server in servers[1:]:
                (server.folder / "authorized").write_text((folder / "s0" / "authorized").read_text())
                server.key = servers[0].key
            # Taken in turns, the best of each: what else the machine does hits all alike.
            tools = [
                (n, r, p) for n, r, p in (("pyinfra", pyinfra, options.pyinfra), ("ansible-core", ansible, options.ansible)) if p
            ]
            owns: list[dict[str, float]] = []
            others: dict[str, list[tuple[float, float]]] = {name: [] for name, _runner, _program in tools}
            for turn in range(options.rounds):
                owns.append(await asyncio.to_thread(kfinstall, servers, folder))
                for name, runner, program in tools:
                    if turn == 0 or name == "pyinfra":
                        start = await asyncio.to_thread(timed, [program, "--version"], folder)
                        others[name].append((await asyncio.to_thread(runner, program, servers, folder), start))
            whole, wall = min(own["whole"] for own in owns), min(own["wall"] for own in owns)
            print(f"kfinstall    {whole:7.2f} s, {wall:.2f} s without starting Python; {owns[0]['mib']:.0f} MiB", flush=True)
            for name, times in others.items():
                seconds, work = min(times)[0], min(taken - start for taken, start in times)
                print(
                    f"{name:12} {seconds:7.2f} s = {seconds / whole:.1f} times; without starting Python {work:.2f} s = {work / wall:.1f} times",
                    flush=True,
                )
            for count in (3, 10, 30, 100):
                many = (servers * (count // len(servers) + 1))[:count]
                got = await asyncio.to_thread(kfinstall, many, folder)
                print(
                    f"{count:4} nodes   {got['wall']:6.2f} s, installer {got['cpu'] / count * 1000:6.1f} ms CPU per node, {got['mib']:.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--pyinfra", default="")
        parser.add_argument("--ansible", default="")
        parser.add_argument("--nodes", type=int, default=20)
        parser.add_argument("--rounds", type=int, default=3)
        asyncio.run(main(parser.parse_args()))
