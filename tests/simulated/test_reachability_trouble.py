"""The ways between servers whose listeners are slow, killed or blind, and on networks that are not plain: no wrong cause comes of it."""

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Satisfied
from kfinstall.parts.preflight.measure import measure
from kfinstall.parts.preflight.reach import Fault
from tests.fakes.namespaces import Lan, needs_namespaces, needs_nft
from tests.simulated.test_reachability_namespaces import Context, check, found

pytestmark = needs_namespaces
LANGUAGES = ["perl", "python"]


@pytest.fixture
def lan():
    made = Lan()
    yield made
    made.close()


@pytest.fixture(params=LANGUAGES)
def pair(lan, request):
    """cp1 and w1 in one network."""
    servers = {name: lan.server(name) for name in ("cp1", "w1")}
    lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
    for server in servers.values():
        server.without_perl = request.param == "python"
    return servers


def context(servers, **named):
    """Answers with the servers' first addresses; `named`: those that have a name in their place."""
    nodes = [{"name": name, "address": named.get(name, one.addresses[0].partition("/")[0])} for name, one in servers.items()]
    return Context(Answers.model_validate({"nodes": nodes}), servers)


def listener(server) -> int:
    """The process that listens there."""
    pids = subprocess.run(["ip", "netns", "pids", server.namespace], capture_output=True, text=True, check=True).stdout.split()
    return next(int(pid) for pid in pids if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "kf-reach")


def around(server, mode, before):
    """Let something happen right before a server is asked for `mode` for the first time."""
    ask, done = server.ask, []

    async def asked(program, *, timeout_seconds):
        if program.parameters["MODE"] == mode and not done:
            done.append(before())
        return await ask(program, timeout_seconds=timeout_seconds)

    server.ask = asked


def stop(server):
    os.kill(listener(server), signal.SIGSTOP)


def go_on(server):
    os.kill(listener(server), signal.SIGCONT)


def kill(server):
    os.kill(listener(server), signal.SIGKILL)


async def test_listeners_too_slow_to_answer_are_no_blocked_port(pair):
    """Everything of theirs stands still until they are asked what they saw: the kernel kept what came."""
    for server in pair.values():
        around(server, "probe", partial(stop, server))
        around(server, "collect", partial(go_on, server))
    reach = await measure(context(pair))
    assert not found(reach)
    assert {path.mtu_bytes for (a, b), path in reach.paths.items() if a != b} == {None}, "not measured, and said so"
    assert not [path for path in reach.paths.values() if path.unsure]


async def test_a_listener_that_was_killed_is_no_packet_filter(pair):
    around(pair["cp1"], "probe", partial(kill, pair["w1"]))
    reach = await measure(context(pair))
    assert set(found(reach).values()) == {Fault.UNKNOWN}
    details = {item.detail for path in reach.paths.values() for item in path.blocked}
    assert "the listener on w1 did not tell what it saw" in details


FLOOD = """import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _time in range(60000):
    one.sendto(b"KFr1 flood", ("10.9.0.2", 4789))
"""


@needs_nft
async def test_a_capture_that_lost_packets_blames_nobody(pair):
    pair["w1"].filter("table inet f { chain i { type filter hook input priority 0; tcp dport 10250 reject with tcp reset; } }")

    def flooded():
        stop(pair["w1"])
        pair["cp1"].run(sys.executable, "-c", FLOOD)
        go_on(pair["w1"])

    around(pair["w1"], "probe", flooded)
    reach = await measure(context(pair))
    assert ("cp1", "w1", 10250) in found(reach)
    assert set(found(reach).values()) <= {Fault.UNKNOWN}


@needs_nft
async def test_a_packet_that_was_lost_once_is_sent_again(pair):
    """The first six SYNs of a port vanish: on a bad line, or a busy one."""
    pair["w1"].filter(
        "table inet f { chain i { type filter hook input priority 0; tcp dport 10250 limit rate over 1/hour burst 5 packets accept; tcp dport 10250 drop; } }"
    )
    given = context(pair)
    assert not found(await measure(given))


async def test_a_kernel_without_packet_sockets_blames_nobody(lan):
    servers = {name: lan.server(name) for name in ("cp1", "w1")}
    lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
    servers["w1"].run("ip", "route", "add", "blackhole", "10.9.0.1/32")
    for server in servers.values():
        server.without_capture = True
    reach = await measure(context(servers))
    assert set(found(reach).values()) <= {Fault.UNKNOWN, Fault.NO_ROUTE}
    assert any("no packets could be captured" in item.detail for path in reach.paths.values() for item in path.blocked)


async def test_servers_with_two_networks_and_a_way_back_by_the_other_one(lan):
    """cp1's packets come in on one interface of w1; w1 would answer by the other: its kernel drops them, and no packet filter does."""
    servers, gateway = {name: lan.server(name) for name in ("cp1", "w1")}, lan.server("gw")
    lan.bridge("near", (servers["cp1"], "10.7.0.1/24"), (gateway, "10.7.0.254/24"))
    lan.bridge("public", (gateway, "10.9.0.254/24"), (servers["w1"], "10.9.0.2/24"))
    lan.bridge("private", (gateway, "10.8.0.254/24"), (servers["w1"], "10.8.0.2/24"))
    gateway.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    servers["cp1"].run("ip", "route", "add", "default", "via", "10.7.0.254")
    servers["w1"].run("sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done")
    servers["w1"].run("ip", "route", "add", "default", "via", "10.8.0.254")
    given = context(servers)
    reach = await measure(given)
    assert {fault for (a, _b, _port), fault in found(reach).items() if a == "cp1"} == {Fault.REVERSE_PATH}
    outcome = check(given, reach, "w1")
    assert "rp_filter" in outcome.reason
    assert "packet filter" not in outcome.reason
    assert "ip route get 10.7.0.1" in outcome.hint


async def test_a_name_that_stands_for_the_asking_server_itself(pair):
    """Clones of one image: each has 127.0.1.1 for the name of the other."""
    hosts = "127.0.0.1 localhost\n127.0.1.1 w1.lan w1\n10.9.0.1 cp1.lan cp1\n"
    given = context(pair, w1="w1.lan")
    pair["cp1"].hosts = hosts
    reach = await measure(given)
    assert {fault for (a, _b, _port), fault in found(reach).items() if a == "cp1"} == {Fault.LOOPBACK}
    outcome = check(given, reach, "cp1")
    assert "the name of w1 stands for this server itself here (127.0.1.1)" in outcome.reason
    assert "getent hosts w1.lan" in outcome.hint


async def test_an_address_that_another_server_has(lan):
    servers = {name: lan.server(name) for name in ("cp1", "w1", "w2")}
    lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
    given = context(servers, w1="w1.lan")
    for server in servers.values():
        server.hosts = "127.0.0.1 localhost\n10.9.0.3 w1.lan\n"
    reach = await measure(given)
    assert found(reach)["cp1", "w1", 10250] is Fault.FOREIGN
    assert "something else (w2) answers cp1" in check(given, reach, "w1").reason


async def test_a_server_with_large_frames_among_others(lan):
    servers = {name: lan.server(name) for name in ("cp1", "w1")}
    lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
    device = servers["cp1"].run("ip", "-o", "route", "get", "10.9.0.2").split("dev ")[1].split()[0]
    servers["cp1"].run("ip", "link", "set", device, "mtu", "9000")
    given = context(servers)
    reach = await measure(given)
    assert (reach.paths["cp1", "w1"].mtu_bytes, reach.paths["cp1", "w1"].local_mtu_bytes) == (1500, 9000)
    assert "packets of more than 1500 bytes do not reach w1" in check(given, reach, "cp1").reason
    assert isinstance(check(given, reach, "w1"), Satisfied)


async def six(lan, *, one_network=True):
    servers = {name: lan.server(name) for name in ("cp1", "w1")}
    members = [(server, f"fd00:9::{at}/64") for at, server in enumerate(servers.values(), 1)]
    for at, group in enumerate([members] if one_network else [[member] for member in members]):
        lan.bridge(f"sw{at}", *group)
    for server in servers.values():
        for _try in range(50):
            if "tentative" not in server.run("ip", "-6", "addr"):
                break
            await asyncio.sleep(0.1)
    return servers


async def test_ipv6_servers_that_are_no_neighbours_are_not_the_senders_filter(lan):
    servers = await six(lan, one_network=False)
    reach = await measure(context(servers))
    assert set(found(reach).values()) == {Fault.NO_NEIGHBOUR}


@needs_nft
@pytest.mark.parametrize(
    "how", ["reject with icmpv6 type admin-prohibited", "reject with icmpv6 type no-route", "reject with tcp reset"]
)
async def test_an_ipv6_server_that_refuses_is_the_one_that_refuses(lan, how):
    servers = await six(lan)
    servers["cp1"].filter(f"table inet f {{ chain i {{ type filter hook input priority 0; tcp dport 6443 {how}; }} }}")
    reach = await measure(context(servers))
    assert found(reach) == {("w1", "cp1", 6443): Fault.REJECTED}


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
async def test_a_route_that_leads_nowhere_is_a_route(lan, kind):
    servers = {name: lan.server(name) for name in ("cp1", "w1")}
    lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
    servers["w1"].run("ip", "route", "add", kind, "10.9.0.1/32")
    reach = await measure(context(servers))
    assert {fault for (a, _b, _port), fault in found(reach).items() if a == "w1"} == {Fault.NO_ROUTE}
