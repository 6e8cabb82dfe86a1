"""What is told on the way into a server: host key, which key was offered and refused, the same for each jump host. Over OpenSSH."""

import asyncio

import pytest

from kfinstall.errors import HostKeyError, LoginError
from kfinstall.transport.base import LoginNote
from kfinstall.transport.keyring import KeyRing
from tests.fakes.sshd import Client, make_key, needs_sshd, sshd

pytestmark = needs_sshd


async def test_each_stage_is_told_for_the_jump_host_and_the_node(tmp_path):
    async with sshd(tmp_path / "a") as bastion, sshd(tmp_path / "b") as node:
        make_key(tmp_path / "wrong")
        client = Client(tmp_path / "b")
        way = ({"address": "127.0.0.1", "port": bastion.port, "keys": (str(tmp_path / "wrong"), str(bastion.key))},)
        notes: list[LoginNote] = []
        host = await client.connect(node.port, ssh={"jump_hosts": way}, tell=notes.append)
        await host.close()
        # The first look at an unknown server learns its key and nothing more.
        assert [note.stage for note in notes if note.where != "the node"] == [
            "reached", "reached", "host-key", "offered", "refused", "offered", "accepted",
        ]  # fmt: skip
        stages = [(note.stage, note.detail) for note in notes if note.where == "jump host 127.0.0.1"]
        assert stages[2][1].startswith("ssh-ed25519 SHA256:")
        assert stages[4] == ("refused", f"key {tmp_path}/wrong")
        assert stages[6] == ("accepted", f"key {bastion.key}")
        assert [note.stage for note in notes if note.where == "the node"][-1] == "accepted"


async def test_a_refused_login_tells_each_key(tmp_path):
    async with sshd(tmp_path) as node:
        make_key(tmp_path / "one")
        make_key(tmp_path / "two")
        notes: list[LoginNote] = []
        keys = (str(tmp_path / "one"), str(tmp_path / "two"))
        with pytest.raises(LoginError):
            await Client(tmp_path).connect(node.port, ssh={"keys": keys}, tell=notes.append)
        assert [note.detail for note in notes if note.stage == "refused"] == [f"key {key}" for key in keys]
        assert not any(note.stage == "accepted" for note in notes)


async def test_a_jump_host_that_all_nodes_share_is_asked_about_once_and_by_its_name(tmp_path):
    names: list[str] = []

    async def question(keys) -> bool:
        names.append(", ".join(key.server for key in keys))
        await asyncio.sleep(0)
        return True

    async with sshd(tmp_path / "a") as bastion, sshd(tmp_path / "b") as node:
        client, ring = Client(tmp_path / "b"), KeyRing()
        way = ({"address": "127.0.0.1", "port": bastion.port, "keys": (str(bastion.key),)},)
        more = {"ssh": {"jump_hosts": way}, "accept_new": False, "on_unknown_key": question, "keys": ring}
        hosts = await asyncio.gather(*(client.connect(node.port, name=name, **more) for name in ("node1", "node2", "node3")))
        for host in hosts:
            await host.close()
    assert names == ["jump host 127.0.0.1", "node1, node2, node3"], "the jump host, and then what stands behind it"


async def test_a_no_is_no_and_another_server_is_asked_about(tmp_path):
    names: list[str] = []

    async def question(keys) -> bool:
        names.extend(key.server for key in keys)
        return False

    async with sshd(tmp_path) as node:
        client, ring = Client(tmp_path), KeyRing()
        more = {"accept_new": False, "on_unknown_key": question, "keys": ring}
        results = await asyncio.gather(
            *(client.connect(node.port, name=name, **more) for name in ("node1", "node2")), return_exceptions=True
        )
    assert all(isinstance(result, HostKeyError) for result in results)
    assert not client.pins.exists()
    # At the same time, so in no order.
    assert sorted(names) == ["node1", "node2"], "another server may be meant: each is asked about"
