"""Which side ends a way, and the rule to add: from lines as the programs on the nodes print them. On real networks: tests/simulated/test_reachability_namespaces.py."""

import shlex
import subprocess

import pytest

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Satisfied, View
from kfinstall.facts.model import Facts
from kfinstall.parts.preflight import rules, ways
from kfinstall.parts.preflight.blame import Side, judge
from kfinstall.parts.preflight.ports import _finding, _Port
from kfinstall.parts.preflight.programs import LANGUAGES, program
from kfinstall.parts.preflight.reach import Answer, Blocked, Fault, Firewall, Path, Reach, Report
from kfinstall.parts.preflight.reachability import PreflightReachability
from kfinstall.parts.preflight.ways import Port, Way
from kfinstall.releases import load
from tests.fixes import troubles

A, B = "10.0.0.1", "10.0.0.2"
KUBELET, VXLAN = Port("tcp", 10250, "kubelet"), Port("udp", 4789, "VXLAN")


def side(address, *lines, whole="0 0 300", name="b"):
    report = Report()
    for mode in ("listen", "probe", "collect"):
        report.take(["capture yes", *lines, *([f"whole {whole}"] if whole else [])], mode)
    return Side(report, frozenset({address}), name)


def tcp(*, sender=(), receiver=(), state="timeout", detail="hop-known", whole=("0 0 300", "0 0 300"), port="ours"):
    source = side(A, *(f"saw {line} 3" for line in sender), whole=whole[0], name="a")
    told = [line if line.startswith(("half", "counter", "got")) else f"saw {line} 3" for line in receiver]
    target = side(B, f"listen tcp 10250 {port}", *told, whole=whole[1])
    return judge(Way("a", "b", B, KUBELET), Answer(state, detail=detail), source, target, (A, B))[0]


SENT, CAME, RESET = f"out syn {A} {B} 10250", f"in syn {A} {B} 10250", f"out rst {B} {A} 10250"


@pytest.mark.parametrize(
    ("sender", "receiver", "state", "fault"),
    [
        ((), (), "timeout", Fault.SENDER),
        ((SENT,), (), "timeout", Fault.BETWEEN),
        ((SENT,), (CAME,), "timeout", Fault.RECEIVER),
        ((SENT,), (CAME, f"half {A} 10250"), "timeout", Fault.ANSWER_RECEIVER),
        ((SENT,), (CAME, f"out synack {B} {A} 10250"), "timeout", Fault.ANSWER_BETWEEN),
        ((SENT, f"in synack {B} {A} 10250"), (CAME, f"out synack {B} {A} 10250"), "timeout", Fault.ANSWER_SENDER),
        ((SENT, f"in unreachable {B} {A} {B} tcp 10250 13"), (CAME,), "unreachable", Fault.REJECTED),
        ((SENT, f"in unreachable 10.0.0.9 {A} {B} tcp 10250 3"), (), "refused", Fault.ROUTER),
        ((SENT,), (CAME, RESET), "refused", Fault.REJECTED),
        ((SENT,), (CAME,), "refused", Fault.UNKNOWN),
        ((SENT,), (), "refused", Fault.ROUTER),
        ((), (), "noroute", Fault.NO_ROUTE),
        ((), (), "neighbour", Fault.NO_NEIGHBOUR),
        ((), (), "denied", Fault.SENDER),
        # Somebody's address that is no node's: which packet was whose is not known.
        ((SENT,), ("in syn 203.0.113.7 10.0.0.2 10250",), "timeout", Fault.UNKNOWN),
    ],
)
def test_each_station_that_saw_it_clears_all_before_it(sender, receiver, state, fault):
    assert tcp(sender=sender, receiver=receiver, state=state) is fault


LOST, SLOW = "1 0 300", "0 0 2000"


@pytest.mark.parametrize(
    ("sender", "receiver", "given"),
    [
        # A listener that was killed, or could not be asked: what it would have told is not known.
        ((SENT,), (), {"whole": ("0 0 300", "")}),
        ((SENT,), (), {"whole": ("0 0 300", ""), "state": "refused"}),
        ((SENT,), (CAME,), {"whole": ("0 0 300", ""), "state": "refused"}),
        ((), (), {"whole": ("", "0 0 300")}),
        ((SENT,), (), {"whole": ("0 0 300", ""), "state": "silent"}),
        # A capture that lost packets.
        ((SENT,), (), {"whole": ("0 0 300", LOST)}),
        ((SENT,), (), {"whole": ("0 0 300", LOST), "state": "refused"}),
        ((SENT,), (CAME,), {"whole": ("0 0 300", LOST)}),
        ((), (), {"whole": (LOST, "0 0 300")}),
        ((SENT,), (CAME, f"out synack {B} {A} 10250"), {"whole": (LOST, "0 0 300")}),
        ((SENT, f"in unreachable {B} {A} {B} tcp 10250 13"), (), {"whole": ("0 0 300", LOST), "state": "unreachable"}),
        # A listener that looked too seldom for a connection that can't be answered.
        ((SENT,), (CAME,), {"whole": ("0 0 300", SLOW)}),
        # Nothing left, and whether the next hop is there is not known.
        ((), (), {"detail": ""}),
        # It connects, and its words are lost.
        ((SENT,), (CAME, f"out synack {B} {A} 10250"), {"state": "silent"}),
        # A service that has the port is full, or listens on another address.
        ((SENT,), (CAME, "counter ListenOverflows 4"), {"port": "held"}),
        ((SENT,), (CAME, RESET), {"port": "held", "state": "refused"}),
        # What the kernel said that is no answer of anybody.
        ((SENT,), (), {"state": "error", "detail": "Too many open files"}),
        # The address is somebody's who translates it.
        ((SENT,), ("in syn 203.0.113.7 10.0.0.2 10250",), {"state": "refused"}),
        ((SENT, f"in unreachable {B} {A} {B} tcp 10250 13"), ("in syn 203.0.113.7 10.0.0.2 10250",), {"state": "unreachable"}),
    ],
)
def test_what_was_not_seen_for_sure_blames_nobody(sender, receiver, given):
    assert tcp(sender=sender, receiver=receiver, **given) is Fault.UNKNOWN


@pytest.mark.parametrize(
    ("sender", "receiver", "state", "fault"),
    [
        # Seen is seen, whatever else was lost.
        ((SENT, f"in synack {B} {A} 10250"), (CAME, f"out synack {B} {A} 10250"), "timeout", Fault.ANSWER_SENDER),
        ((SENT, f"in unreachable {B} {A} {B} tcp 10250 13"), (CAME,), "unreachable", Fault.REJECTED),
        ((SENT, f"in unreachable 10.0.0.9 {A} {B} tcp 10250 3"), (), "unreachable", Fault.ROUTER),
    ],
)
def test_what_was_seen_counts_though_packets_were_lost(sender, receiver, state, fault):
    assert tcp(sender=sender, receiver=receiver, state=state, whole=(LOST, LOST)) is fault


def test_a_stream_that_comes_to_nothing_closes_no_port():
    report = Report()
    report.take(["result 1 ok 300 b"], "probe")
    report.take(["result 1 timeout 0 -"], "stream")
    assert report.answers[1].through


def test_an_address_that_is_a_routers_is_not_the_servers_filter():
    way = Way("a", "b", "203.0.113.1", KUBELET)
    source = side(A, f"saw out syn {A} 203.0.113.1 10250 1", f"saw in unreachable 203.0.113.1 {A} 203.0.113.1 tcp 10250 13 1")
    target = Side(side(B, "listen tcp 10250 ours").report, frozenset({B, "203.0.113.1"}), "b")
    assert judge(way, Answer("unreachable"), source, target, (A, B))[0] is Fault.ROUTER


def test_the_kernels_reverse_path_filter_is_no_packet_filter():
    counted = "counter IPReversePathFilter 3"
    assert tcp(sender=(SENT,), receiver=(CAME, counted)) is Fault.REVERSE_PATH
    assert tcp(sender=(SENT,), receiver=(CAME, counted, "got tcp 6443 a 1")) is Fault.RECEIVER, "other ports are let in"


def test_without_a_capture_nothing_is_blamed():
    way, blind = Way("a", "b", B, KUBELET), Side(Report(), frozenset({A}))
    assert judge(way, Answer("timeout"), blind, side(B))[0] is Fault.UNKNOWN
    seen = side(A, f"saw {SENT} 1")
    assert judge(way, Answer("timeout"), seen, Side(Report(), frozenset({B})))[0] is Fault.UNKNOWN


def test_a_datagram_that_arrives_is_dropped_there_or_is_a_services():
    way = Way("a", "b", B, VXLAN)
    source = side(A, f"saw out udp {A} {B} 4789 5")
    came = f"saw in udp {A} {B} 4789 5"
    assert judge(way, Answer("timeout"), source, side(B, "listen udp 4789 ours", came), (A, B))[0] is Fault.RECEIVER
    assert judge(way, Answer("timeout"), source, side(B, "listen udp 4789 held", came), (A, B))[0] is Fault.UNKNOWN


@pytest.mark.parametrize("mode", ["listen", "probe", "stream", "collect"])
def test_lines_that_no_program_of_ours_prints_change_nothing(mode):
    report = Report()
    report.take(
        [
            "saw",
            "got tcp x y 1",
            "listen tcp",
            "result a b",
            "mtu 1",
            "streamed 1 2 0",
            "half",
            "rules",
            "whole",
            "counter x",
            "\x1b]0;x",
            "\ufffd",
        ],
        mode,
    )
    assert (report.ours, report.got, report.answers, report.mtus, report.streams) == (set(), set(), {}, {}, {})


@pytest.mark.parametrize(
    ("name", "outgoing", "line"),
    [
        ("ufw", False, "sudo ufw allow proto tcp from 10.0.0.1 to any port 10250"),
        ("ufw", True, "sudo ufw allow out proto tcp to 10.0.0.1 port 10250"),
        ("iptables", False, "sudo iptables -I INPUT -s 10.0.0.1 -p tcp -m multiport --dports 10250 -j ACCEPT"),
        ("iptables", True, "sudo iptables -I OUTPUT -d 10.0.0.1 -p tcp -m multiport --dports 10250 -j ACCEPT"),
        ("nft", False, "sudo nft insert rule inet f in ip saddr 10.0.0.1 tcp dport '{ 10250 }' accept"),
        ("nft", True, "sudo nft insert rule inet f out ip daddr 10.0.0.1 tcp dport '{ 10250 }' accept"),
    ],
)
def test_the_rule_is_in_the_words_of_whose_filter_it_is(name, outgoing, line):
    firewall = Firewall((("inet", "f", "in"),), (("inet", "f", "out"),))
    assert rules.lines(name, firewall, [KUBELET], [A], outgoing=outgoing)[0] == line
    assert shlex.split(line)


def test_firewalld_and_ipv6():
    lines = rules.lines("firewalld", Firewall(), [KUBELET, VXLAN], ["fd00::1"], outgoing=False)
    assert shlex.split(lines[0])[-1] == (
        '--add-rich-rule=rule family="ipv6" source address="fd00::1" port port="10250" protocol="tcp" accept'
    )
    assert lines[-1] == "sudo firewall-cmd --reload"
    assert rules.lines("iptables", Firewall(), [KUBELET], ["fd00::1"], outgoing=False)[0].startswith("sudo ip6tables ")


@pytest.mark.parametrize("name", ["ufw", "firewalld", "iptables", "nft"])
@pytest.mark.parametrize("outgoing", [False, True])
def test_the_rules_for_many_are_complete_and_short(name, outgoing):
    """Reported: one a peer, and cut after eight with "and 28 more"."""
    firewall = Firewall((("inet", "f", "in"),), (("inet", "f", "out"),))
    peers = [f"10.0.0.{number}" for number in range(1, 20)]
    lines = rules.lines(name, firewall, [KUBELET, VXLAN], peers, outgoing=outgoing)
    assert len(lines) <= 3
    for line in lines[:2]:
        assert all(peer in line for peer in peers)
        assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0
    assert not any("more" in line for line in lines)


def test_whose_filter_it_is_or_not_known():
    nft = Firewall(nft_input=(("inet", "a", "in"),))
    assert rules.kind("ufw", nft, outgoing=False) == "ufw"
    assert rules.kind("", nft, outgoing=False) == "nft"
    assert rules.kind("", Firewall(nft_input=(("ip", "filter", "INPUT"),), iptables=True), outgoing=False) == "iptables"
    two = Firewall(nft_input=(("inet", "a", "in"), ("inet", "b", "in")))
    assert rules.kind("", two, outgoing=False) == "", "which of them drops it is not known"
    assert "not known yet" in rules.lines("", two, [KUBELET], [A], outgoing=False)[0]


@pytest.mark.parametrize(
    ("vendor", "expected"),
    [
        ("Amazon EC2", "security groups of the instances (EC2)"),
        ("Google", "VPC's firewall rules"),
        ("Microsoft Corporation 7783-7084-3265-9085-8269-3286-77", "network security groups (Azure)"),
        ("QEMU OracleCloud.com", "security lists"),
        ("Hetzner", "Hetzner"),
        ("QEMU", "what lies between the servers"),
    ],
)
def test_between_the_servers_the_cloud_is_named_where_the_machine_says_whose_it_is(vendor, expected):
    text = rules.between(vendor, [KUBELET, VXLAN], [A])
    assert expected in text
    assert "TCP 10250, UDP 4789 in from 10.0.0.1" in text


def test_what_nft_and_iptables_print_is_read():
    report = Report()
    report.take(
        [
            "rules nft table inet guard {",
            "rules nft \tchain incoming {",
            "rules nft \t\ttype filter hook input priority filter; policy drop;",
            "rules nft \tchain nat {",
            "rules nft \t\ttype nat hook output priority dstnat; policy accept;",
            "rules iptables -P INPUT ACCEPT",
            "vendor Amazon EC2",
        ],
        "collect",
    )
    assert report.firewall == Firewall((("inet", "guard", "incoming"),), (), False, "Amazon EC2")
    report.take(["rules iptables -A INPUT -j REJECT"], "collect")
    assert report.firewall.iptables


def view(target, reach=None):
    answers = Answers.model_validate({"nodes": [{"name": "cp1", "address": A}, {"name": "w1", "address": B}]})
    fleet = {node.name: Facts(node=node.name) for node in answers.nodes}
    return View(answers, load("26.03"), target, fleet, surveys={} if reach is None else {Reach: reach})


def test_a_plan_tries_nothing_and_says_so():
    found = PreflightReachability().check(view("cp1"))
    assert isinstance(found, Satisfied)
    assert "are tried by a check" in found.evidence


def test_a_node_that_could_not_be_asked_is_no_pass():
    found = PreflightReachability().check(view("w1", Reach(untried={"w1": "neither perl nor python3 works there"})))
    assert "could not be checked: neither perl nor python3" in found.reason
    assert found.warning


def test_jumbo_frames_on_one_side_only():
    paths = {
        ("cp1", "w1"): Path("cp1", "w1", 3, mtu_bytes=1500, local_mtu_bytes=9000),
        ("w1", "cp1"): Path("w1", "cp1", 3, mtu_bytes=1500, local_mtu_bytes=1500),
    }
    found = PreflightReachability().check(view("cp1", Reach(paths)))
    assert "must have 1450" in found.reason
    assert isinstance(PreflightReachability().check(view("w1", Reach(paths))), Satisfied)


def test_an_endpoint_that_is_silent_is_told_and_one_that_refuses_is_not():
    way = Way("w1", "", "10.0.0.9", Port("tcp", 6443, "API endpoint"))
    check = PreflightReachability().check
    assert isinstance(check(view("w1", Reach(foreign=(Blocked(way, Fault.NOBODY),)))), Satisfied)
    assert "10.0.0.9 (API endpoint) does not answer" in check(view("w1", Reach(foreign=(Blocked(way, Fault.UNKNOWN),)))).reason


def test_listeners_that_a_killed_installer_left_for_seconds_hold_no_port():
    assert _finding(6443, "kf-reach", _Port(frozenset({"kube-apiserver"}), ours=False), ()) is None
    assert _finding(6443, "nginx", _Port(frozenset({"kube-apiserver"}), ours=False), ()) is not None


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("listen", ("KFr1", "KFs1", "KF[rm]1", "unreachable", "synack", "kf-reach", "IPReversePathFilter", "whole %d %d %d")),
        ("probe", ("KFr1", "KFm1", "neighbour", "noroute", "hop-known", "silent", "other", "mtu %s %d %d")),
        ("stream", ("KFs1", "streamed ")),
        ("collect", ("gone",)),
    ],
)
def test_both_programs_know_the_same_words(mode, words):
    perl, python = (program(mode, ending) for _interpreter, ending in LANGUAGES)
    for word in words:
        assert word in python
        assert word in perl or word == "mtu %s %d %d"
    compile(python, mode, "exec")
    assert max(len(perl), len(python)) < 16_000, "it goes to every node"


def test_a_sample_holds_every_node_in_both_directions():
    nodes = [{"name": f"n{at}", "address": f"10.1.{at // 250}.{at % 250 + 1}"} for at in range(100)]
    answers = Answers.model_validate({"nodes": nodes})
    names = [node.name for node in answers.nodes]
    pairs = set(ways.pairs(answers, names))
    assert all((a, b) in pairs for b, a in pairs)
    assert all((name, "n0") in pairs for name in names[1:])
    assert len(pairs) < 100 * 11


@pytest.mark.parametrize(
    ("own", "theirs", "device", "first", "more"),
    [
        (
            "10.0.1.5/24",
            "10.0.2.7/24",
            "eth0",
            "sudo ip route add 10.0.2.0/24 via 10.0.1.1",
            "route 10.0.1.0/24 to 10.0.2.0/24 and back",
        ),
        ("10.0.1.5/25", "10.0.1.7/24", "eth0", "ip route get 10.0.1.7", "sudo ip route add 10.0.1.0/25 dev eth0 src 10.0.1.5"),
        ("10.0.1.5/24", "10.0.1.7/24", "", "ip route get 10.0.1.7", "ip -brief address"),
        ("fd00:1::5/64", "fd00:2::7/64", "eth0", "sudo ip route add fd00:2::/64 via fd00:1::1", "fd00:1::/64 to fd00:2::/64"),
        ("10.0.1.5/24", "fd00:2::7/64", "eth0", "ip route get fd00:2::7", "two families"),
    ],
)
def test_two_networks_are_told_which_route_they_lack(own, theirs, device, first, more):
    """Reported: the only advice was to look."""
    lines = rules.route(own, theirs, device)
    assert lines[0].startswith(first)
    assert more in lines[1]
    assert [why for line in lines for why in troubles(line)] == []
