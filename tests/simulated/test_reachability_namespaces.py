"""The ways between servers on real networks: namespaces, routes and nft's rules. Which side drops it is shown to be true here, not assumed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.step import Conflict, Satisfied, View
from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.measure import measure
from kfinstall.parts.preflight.reach import Fault, Reach
from kfinstall.parts.preflight.reachability import PreflightReachability
from tests.fakes.namespaces import NFT, Lan, Server, needs_namespaces, needs_nft

pytestmark = needs_namespaces


@dataclass
class Context:
    answers: Answers
    servers: dict[str, Server]
    firewall: str = ""
    again: bool = False
    before: dict = field(default_factory=dict)
    events: list = field(default_factory=list)

    @property
    def fleet(self):
        return {name: server.facts(self.firewall) for name, server in self.servers.items()}

    def host(self, name):
        return self.servers[name]

    def tell(self, event):
        self.events.append(event)


@pytest.fixture
def lan() -> Iterator[Lan]:
    made = Lan()
    yield made
    made.close()


@pytest.fixture(params=["perl", "python"])
def trio(lan, request):
    """cp1, w1, w2 in one network."""
    servers = {name: lan.server(name) for name in ("cp1", "w1", "w2")}
    lan.bridge("sw", *((server, f"10.9.0.{at}/24") for at, server in enumerate(servers.values(), 1)))
    for server in servers.values():
        server.without_perl = request.param == "python"
    return servers


def context(servers, **more):
    nodes = [{"name": name, "address": server.addresses[0].partition("/")[0]} for name, server in servers.items()]
    return Context(Answers.model_validate({"nodes": nodes, **more}), servers)


def found(reach: Reach) -> dict:
    """(source, target, port) to where it ends."""
    return {
        (item.way.source, item.way.target, item.way.port.number): item.fault
        for path in reach.paths.values()
        for item in path.blocked
    }


def check(given, reach, target):
    view = View(given.answers, releases.load("26.03"), target, given.fleet, surveys={Reach: reach})
    return PreflightReachability().check(view)


async def test_all_ways_of_a_plain_network_are_open_and_measured(trio):
    given = context(trio)
    reach = await measure(given)
    assert not found(reach)
    assert not reach.untried
    language = "python3" if trio["cp1"].without_perl else "perl"
    assert trio["cp1"].runs[-3:] == [f"{mode} {language}" for mode in ("probe", "stream", "collect")]
    assert set(reach.paths) >= {(a, b) for a in trio for b in trio if a != b}
    between = [path for (a, b), path in reach.paths.items() if a != b]
    assert {path.mtu_bytes for path in between} == {1500}
    assert all(0 < path.round_trip_microseconds < 500_000 for path in between)
    assert sum(path.bits_per_second is not None for path in between) == 3, "one stream a server"
    assert all(isinstance(check(given, reach, name), Satisfied) for name in trio)


async def test_nothing_is_left_of_it(trio):
    before = set(os.listdir("/tmp")) | set(os.listdir("/run"))
    await measure(context(trio))
    assert all([await gone(server) for server in trio.values()])
    left = (set(os.listdir("/tmp")) | set(os.listdir("/run"))) - before
    assert not [name for name in left if "kf" in name and "pytest" not in name]


async def gone(server, seconds=5.0):
    end = asyncio.get_running_loop().time() + seconds
    while server.listeners():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def test_the_listeners_end_by_themselves_when_the_installer_is_killed(trio, monkeypatch):
    monkeypatch.setattr(limits, "REACH_LISTEN_SECONDS", 2)
    server, kept = trio["cp1"], {}

    async def killed(program, *, timeout_seconds):
        kept["listeners"] = server.listeners()
        raise asyncio.CancelledError

    given = context({"cp1": server})
    listen = server.ask

    async def once(program, *, timeout_seconds):
        if program.parameters["MODE"] == "listen":
            return await listen(program, timeout_seconds=timeout_seconds)
        return await killed(program, timeout_seconds=timeout_seconds)

    server.ask = once
    with pytest.raises(asyncio.CancelledError):
        await measure(given)
    assert kept["listeners"] == ["kf-reach"]
    assert await gone(server, 6)


@needs_nft
async def test_a_receiver_that_drops_is_named_with_its_rule(trio):
    trio["w1"].filter(
        "table inet guard { chain incoming { type filter hook input priority 0; policy accept; "
        "ip saddr 10.9.0.1 tcp dport 10250 drop; udp dport 4789 drop; } }"
    )
    given = context(trio)
    reach = await measure(given)
    assert found(reach) == {
        ("cp1", "w1", 10250): Fault.RECEIVER,
        ("cp1", "w1", 4789): Fault.RECEIVER,
        ("w2", "w1", 4789): Fault.RECEIVER,
    }
    outcome = check(given, reach, "w1")
    assert isinstance(outcome, Conflict)
    assert not outcome.warning
    assert "its packet filter (nft) drops what arrives from cp1" in outcome.reason
    assert "sudo nft insert rule inet guard incoming ip saddr 10.9.0.1 tcp dport '{ 10250 }' accept" in outcome.hint
    assert isinstance(check(given, reach, "cp1"), Satisfied), "told once, where it is mended"


@needs_nft
async def test_the_rule_that_is_told_opens_the_way(trio):
    trio["w1"].filter("table inet f { chain i { type filter hook input priority 0; tcp dport 10250 drop; udp dport 4789 drop; } }")
    given = context(trio)
    hint = check(given, await measure(given), "w1").hint
    for line in hint.splitlines():
        if line.startswith("sudo nft insert"):
            tool = NFT or "nft"
            trio["w1"].run("sh", "-c", line.replace("sudo nft", tool, 1))
    assert not found(await measure(given))


@needs_nft
async def test_a_sender_that_drops_what_it_sends(trio):
    trio["w2"].filter("table inet f { chain o { type filter hook output priority 0; tcp dport 6443 drop; udp dport 4789 drop; } }")
    given = context(trio)
    reach = await measure(given)
    assert set(found(reach).values()) == {Fault.SENDER}
    assert {(a, b) for a, b, _port in found(reach)} == {("w2", "cp1"), ("w2", "w1")}
    outcome = check(given, reach, "w2")
    assert "its own packet filter (nft) drops what it sends to cp1" in outcome.reason
    assert "sudo nft insert rule inet f o ip daddr 10.9.0.1 tcp dport '{ 6443 }' accept" in outcome.hint


@needs_nft
@pytest.mark.parametrize("way", ["reject with tcp reset", "reject with icmp type admin-prohibited", "reject"])
async def test_a_receiver_that_refuses(trio, way):
    trio["cp1"].filter(f"table inet f {{ chain i {{ type filter hook input priority 0; tcp dport 6443 {way}; }} }}")
    reach = await measure(context(trio))
    assert found(reach) == {("w1", "cp1", 6443): Fault.REJECTED, ("w2", "cp1", 6443): Fault.REJECTED}


@needs_nft
async def test_answers_that_are_dropped_on_either_side(trio):
    trio["cp1"].filter("table inet f { chain o { type filter hook output priority 0; tcp sport 6443 drop; } }")
    trio["w1"].filter("table inet f { chain i { type filter hook input priority 0; tcp sport 10250 drop; } }")
    reach = await measure(context(trio))
    assert found(reach) == {
        ("w1", "cp1", 6443): Fault.ANSWER_RECEIVER,
        ("w2", "cp1", 6443): Fault.ANSWER_RECEIVER,
        ("w1", "cp1", 10250): Fault.ANSWER_SENDER,
        ("w1", "w2", 10250): Fault.ANSWER_SENDER,
    }


@needs_nft
async def test_vxlan_needs_no_answer(trio):
    """Its ports differ by direction: a stateless filter that lets only 4789 in lets VXLAN through."""
    trio["w1"].filter(
        "table inet f { chain i { type filter hook input priority 0; policy drop; iif lo accept; udp dport 4789 accept; "
        "meta l4proto tcp accept; icmp type echo-reply accept; } }"
    )
    assert not found(await measure(context(trio)))


async def test_a_port_that_a_service_has_is_tried_against_the_service(trio):
    server = trio["cp1"]
    with service(server, 6443):
        assert not found(await measure(context(trio)))


@contextmanager
def service(server, port):
    """Somebody else's program that listens."""
    code = (
        f"import socket,time; s=socket.socket(); s.bind(('0.0.0.0', {port})); s.listen(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([*server.within(), sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            yield
        finally:
            process.kill()


# The old guide's own servers: 192.168.0.111, 192.168.0.169 and 192.168.1.35.
GUIDE = {"master": "192.168.0.111/24", "worker1": "192.168.0.169/24", "worker2": "192.168.1.35/24"}


def guide(lan, *, router=True, prefix=24):
    servers = {name: lan.server(name) for name in GUIDE}
    where = {name: address.replace("/24", f"/{prefix}") for name, address in GUIDE.items()}
    near = [(servers[name], where[name]) for name in ("master", "worker1")]
    far = [(servers["worker2"], where["worker2"])]
    if not router:
        lan.bridge("a", *near)
        lan.bridge("b", *far)
        return servers, None
    gateway = lan.server("gw")
    lan.bridge("a", *near, (gateway, "192.168.0.1/24"))
    lan.bridge("b", *far, (gateway, "192.168.1.1/24"))
    gateway.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    for name, server in servers.items():
        ip_of = "192.168.1.1" if name == "worker2" else "192.168.0.1"
        server.run("ip", "route", "add", "default", "via", ip_of)
    return servers, gateway


async def test_the_guides_two_networks_with_a_router_are_one_cluster(lan):
    servers, _gateway = guide(lan)
    reach = await measure(context(servers))
    assert not found(reach)
    assert {path.mtu_bytes for (a, b), path in reach.paths.items() if a != b} == {1500}


async def test_the_guides_two_networks_without_a_way_between_them(lan):
    servers, _none = guide(lan, router=False)
    given = context(servers)
    reach = await measure(given)
    ends = found(reach)
    assert {(a, b) for a, b, _port in ends} == {
        ("master", "worker2"),
        ("worker1", "worker2"),
        ("worker2", "master"),
        ("worker2", "worker1"),
    }
    assert set(ends.values()) == {Fault.NO_ROUTE}
    outcome = check(given, reach, "worker2")
    assert "it has no route to master and worker1" in outcome.reason
    assert "ip route get 192.168.0.111" in outcome.hint


async def test_the_guides_two_networks_with_a_mask_that_makes_them_one(lan):
    """A /23 says that they are neighbours; on two switches nobody answers for the address."""
    servers, _none = guide(lan, router=False, prefix=23)
    reach = await measure(context(servers))
    assert set(found(reach).values()) == {Fault.NO_NEIGHBOUR}


@needs_nft
async def test_a_router_that_drops_is_neither_server(lan):
    servers, gateway = guide(lan)
    gateway.filter("table inet f { chain c { type filter hook forward priority 0; udp dport 4789 drop; tcp dport 10250 reject; } }")
    given = context(servers)
    reach = await measure(given)
    ends = found(reach)
    assert {fault for (_a, _b, port), fault in ends.items() if port == 4789} == {Fault.BETWEEN}
    assert {fault for (_a, _b, port), fault in ends.items() if port == 10250} == {Fault.ROUTER}
    assert {(a, b) for a, b, _port in ends} == {
        ("master", "worker2"),
        ("worker1", "worker2"),
        ("worker2", "master"),
        ("worker2", "worker1"),
    }
    outcome = check(given, reach, "worker2")
    assert "something in between (192.168.1.1) refuses" in outcome.reason or "(192.168.0.1)" in outcome.reason
    assert "what comes from master and worker1 does not arrive" in outcome.reason


@pytest.mark.parametrize("silent", [False, pytest.param(True, marks=needs_nft)])
async def test_a_smaller_packet_size_on_the_way_and_what_calico_must_have(lan, silent):
    servers, gateway = guide(lan)
    device = gateway.run("ip", "-o", "route", "get", "192.168.1.35").split("dev ")[1].split()[0]
    gateway.run("ip", "link", "set", device, "mtu", "1437")
    if silent:  # nobody tells: the black hole that Calico's own look at the interfaces falls into
        gateway.filter("table inet f { chain o { type filter hook output priority 0; icmp type destination-unreachable drop; } }")
    given = context(servers)
    reach = await measure(given)
    assert reach.paths["master", "worker2"].mtu_bytes == 1437
    assert reach.paths["master", "worker1"].mtu_bytes == 1500
    outcome = check(given, reach, "master")
    assert "packets of more than 1437 bytes do not reach worker2" in outcome.reason
    assert "must have 1387" in outcome.reason
    assert not outcome.warning
    again = await measure(given)
    assert again.paths["master", "worker2"].local_mtu_bytes == 1500, "what the kernel remembers of the way is no interface"


async def test_an_nfs_server_and_an_endpoint_that_are_no_nodes(trio):
    other = trio.pop("w2")
    storage = {"type": "nfs", "nfs": {"server": "10.9.0.3", "path": "/x"}}
    given = context(trio, storage=storage, cluster={"apiEndpoint": "10.9.0.3:6443"})
    with service(other, 2049):
        reach = await measure(given)
        assert [(item.way.port.purpose, item.fault) for item in reach.foreign] == [("API endpoint", Fault.NOBODY)] * 2
        assert isinstance(check(given, reach, "w1"), Satisfied), "a refusal is well before there is an API server"
    outcome = check(given, await measure(given), "w1")
    assert [finding.reason for finding in outcome.findings] == [
        "the NFS server 10.9.0.3 is not reached on TCP 2049 (NFS): nothing listens there"
    ]


async def test_a_name_that_does_not_resolve_is_told_so(trio):
    given = context(trio, storage={"type": "nfs", "nfs": {"server": "nfs.invalid", "path": "/x"}})
    reach = await measure(given)
    assert {item.fault for item in reach.foreign} == {Fault.NAME}


async def test_ipv6_servers(lan):
    servers = {name: lan.server(name) for name in ("cp1", "w1")}
    lan.bridge("sw", *((server, f"fd00:9::{at}/64") for at, server in enumerate(servers.values(), 1)))
    for server in servers.values():
        for _try in range(50):
            if "tentative" not in server.run("ip", "-6", "addr"):
                break
            await asyncio.sleep(0.1)
    reach = await measure(context(servers))
    assert not found(reach)
    assert reach.paths["cp1", "w1"].mtu_bytes == 1500
