"""The ways between real nodes, over real SSH and sudo: all open on stock Debian, the side that drops is named, and nothing is left of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kfinstall.facts.model import Facts, NetworkFacts
from kfinstall.parts.preflight.measure import measure
from kfinstall.parts.preflight.reach import Fault, Reach
from tests.lab.fleet import Fleet, fleet
from tests.lab.nodes import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
TRACES = "find /etc /var/lib /run /tmp /root /home -xdev -newer /run/kf-reach-mark -type f 2>/dev/null | grep -vE '/run/(systemd|log|udev|user|sudo)|/var/lib/(systemd|sudo)' | sort"


@dataclass
class Context:
    nodes: Fleet
    again: bool = False
    before: dict[type, object] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)

    @property
    def answers(self):
        return self.nodes.answers

    @property
    def fleet(self):
        return {
            node.name: Facts(node=node.name, network=NetworkFacts(addresses=(f"{node.address}/24",))) for node in self.answers.nodes
        }

    def host(self, name):
        return self.nodes.hosts[name]

    def tell(self, event):
        self.events.append(event)


def ends(reach: Reach) -> dict[tuple[str, str, int], Fault]:
    return {
        (item.way.source, item.way.target, item.way.port.number): item.fault
        for path in reach.paths.values()
        for item in path.blocked
    }


async def test_the_ways_between_stock_nodes(lab: Lab, tmp_path: Path) -> None:
    async with fleet(lab, tmp_path, numbers=(1, 2)) as nodes:
        for name in nodes.hosts:
            await nodes.shell(name, "touch /run/kf-reach-mark")
        begin = time.monotonic()
        reach = await measure(Context(nodes))
        print(f"two nodes: {time.monotonic() - begin:.1f} s, {reach.paths}")
        assert not reach.untried
        assert not ends(reach)
        path = reach.paths["node1", "node2"]
        assert path.mtu_bytes == path.local_mtu_bytes
        assert path.round_trip_microseconds
        assert path.bits_per_second
        for name in nodes.hosts:
            assert "kf-reach" not in await nodes.shell(name, "ss -Htulnp; ps -e -o comm=")
            assert not (await nodes.shell(name, f"{TRACES}; rm -f /run/kf-reach-mark")).strip()


async def test_a_node_that_drops_is_named(lab: Lab, tmp_path: Path) -> None:
    async with fleet(lab, tmp_path, numbers=(1, 2)) as nodes:
        rule = "iptables -I INPUT -p tcp --dport 10250 -j DROP"
        if await nodes.shell("node2", f"{rule} 2>/dev/null && echo made; true") != "made":
            pytest.skip("the nodes have no iptables")
        try:
            reach = await measure(Context(nodes))
        finally:
            await nodes.shell("node2", rule.replace("-I", "-D"))
        assert ends(reach) == {("node1", "node2", 10250): Fault.RECEIVER}
        assert reach.firewalls["node2"].iptables
