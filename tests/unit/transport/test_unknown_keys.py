"""Who is asked about unknown host keys, when, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kfinstall.cli.host_keys import question as lines_of
from kfinstall.errors import LoginError
from kfinstall.transport.base import UnknownKey
from kfinstall.transport.unknown_keys import UnknownHostKeyError, UnknownKeys, together

JUMP = UnknownKey("jump host 10.0.0.9", "10.0.0.9", "ecdsa-sha2-nistp256", "SHA256:j")


def key(number: int) -> UnknownKey:
    return UnknownKey(f"node{number}", f"[10.0.0.{number}]:2222", "ssh-ed25519", f"SHA256:{number}")


class World:
    """Servers behind a jump host, and what is known of them."""

    def __init__(self) -> None:
        self.known: list[UnknownKey] = []
        self.questions: list[list[str]] = []
        self.keys = UnknownKeys()

    def error(self, shown: UnknownKey, node: str) -> UnknownHostKeyError:
        return UnknownHostKeyError("unknown", shown, lambda: self.known.append(shown), why="", hint="", node=node)

    async def question(self, keys: Sequence[UnknownKey]) -> bool:
        self.questions.append([one.server for one in keys])
        await asyncio.sleep(0)
        return True

    async def login(self, number: int, *, behind: bool = False, turns: int = 0) -> None:
        async def once() -> None:
            for _turn in range(turns):
                await asyncio.sleep(0)
            if behind and JUMP not in self.known:
                raise self.error(JUMP, f"node{number}")
            if key(number) not in self.known:
                raise self.error(key(number), f"node{number}")

        await self.keys.entered(once, self.question)


async def test_one_question_however_long_each_login_takes() -> None:
    world = World()
    await asyncio.gather(*(world.login(number, turns=number * 3) for number in range(20)))
    assert world.questions == [[f"node{number}" for number in range(20)]]
    assert len(world.known) == 20


async def test_a_jump_host_is_told_once_and_what_is_behind_it_is_the_next_question() -> None:
    world = World()
    await asyncio.gather(world.login(1, turns=2), world.login(2, behind=True), world.login(3, behind=True, turns=9))
    assert world.questions == [["jump host 10.0.0.9", "node1"], ["node2", "node3"]]


async def test_who_fails_or_is_stopped_keeps_nobody_waiting() -> None:
    world = World()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LoginError("no")

    async def hangs() -> None:
        await asyncio.get_running_loop().create_future()

    stopped = asyncio.create_task(world.keys.entered(hangs, world.question))
    waits = asyncio.create_task(world.login(1))
    with pytest.raises(LoginError):
        await world.keys.entered(fails, world.question)
    assert world.questions == []
    stopped.cancel()
    await waits
    assert world.questions == [["node1"]]


async def test_a_no_is_everybodys_no() -> None:
    world = World()

    async def no(_keys: Sequence[UnknownKey]) -> bool:
        return False

    async def unknown() -> None:
        raise world.error(key(1), "node1")

    results = await asyncio.gather(*(world.keys.entered(unknown, no) for _turn in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [UnknownHostKeyError] * 2
    assert world.known == []


def test_the_error_and_the_question_name_each_server_and_its_command() -> None:
    world = World()
    error = together([world.error(JUMP, "node2"), world.error(JUMP, "node3"), world.error(key(1), "node1")])
    assert "2 servers" in error.message
    assert "jump host 10.0.0.9 (10.0.0.9) shows ecdsa-sha2-nistp256 SHA256:j, on the way to node2, node3" in error.why
    assert "behind a jump host" in error.why
    for kind in ("ecdsa", "ed25519"):
        assert f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub" in error.hint
    text = lines_of([JUMP, key(1)])
    assert "node1               [10.0.0.1]:2222  ED25519  SHA256:1" in text
    assert text.endswith("are all 2 right? [y/N] ")


@pytest.mark.parametrize(
    ("kind", "file"),
    [("ssh-ed25519", "ed25519"), ("ecdsa-sha2-nistp384", "ecdsa"), ("ssh-rsa", "rsa"), ("rsa-sha2-512", "rsa"), ("ssh-dss", "dss")],
)
def test_the_command_is_that_of_the_type_that_was_shown(kind: str, file: str) -> None:
    assert UnknownKey("n", "n", kind, "").command == f"ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub"
