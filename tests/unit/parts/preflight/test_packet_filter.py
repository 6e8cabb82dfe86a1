"""Rules as people and clouds have them: which packets they stop, and by which rule."""

import pytest

from kfinstall.parts.preflight.packet_filter import Packet, judged

ORACLE = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [463:49013]
:InstanceServices - [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p udp -m udp --sport 123 -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
-A OUTPUT -d 169.254.0.0/16 -j InstanceServices
COMMIT"""
CIS = """table inet filter {
    set blocked {
        type ipv4_addr
        elements = { 203.0.113.7,
                 203.0.113.9 }
    }

    chain input {
        type filter hook input priority filter; policy drop;
        iif "lo" accept
        ip saddr 127.0.0.0/8 counter packets 0 bytes 0 drop
        ip6 saddr ::1 counter packets 0 bytes 0 drop
        ip protocol tcp ct state established accept
        ip protocol udp ct state established accept
        tcp dport 22 accept
        icmp type { echo-reply, destination-unreachable } accept
    }

    chain forward {
        type filter hook forward priority filter; policy drop;
    }

    chain output {
        type filter hook output priority filter; policy drop;
    }
}"""
JUMPS = """table inet firewall {
    chain inbound_ipv4 {
        icmp type echo-request limit rate 5/second accept
    }

    chain inbound {
        type filter hook input priority filter; policy drop;
        ct state vmap { invalid : drop, established : accept, related : accept }
        iifname "lo" accept
        meta protocol vmap { ip : jump inbound_ipv4, ip6 : jump inbound_ipv4 }
        tcp dport { 22, 80, 443 } accept
        ip saddr { 10.77.0.0/24, 10.244.0.0/16 } accept
    }

    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "cali*" accept
    }
}"""


def packet(hook="input", source="10.77.0.12", protocol="tcp", port=10250, interface="ens18"):
    return Packet(hook, source, protocol, port, interface, "10.77.0.11")


def stopped(tool, text, *packets):
    found = judged({tool: text.splitlines()}, packets or [packet()]).stopped
    return [(barrier.chain, barrier.rule) for barrier in found]


def undecided(tool, text, *packets):
    found = judged({tool: text.splitlines()}, packets or [packet()])
    assert not found.stopped
    return [barrier.rule for barrier in found.unknown]


def test_oracles_reject_at_the_end_of_input_and_forward():
    assert stopped("iptables-save", ORACLE, packet(), packet("forward", "10.244.0.10")) == [
        ("INPUT", "-A INPUT -j REJECT --reject-with icmp-host-prohibited"),
        ("FORWARD", "-A FORWARD -j REJECT --reject-with icmp-host-prohibited"),
    ]
    assert stopped("iptables-save", ORACLE, packet(port=22)) == []


@pytest.mark.parametrize(
    "rule",
    [
        "-s 10.77.0.0/24 -j ACCEPT",
        "-s 10.77.0.12/32 -p tcp -m multiport --dports 6443,10250:10260 -j ACCEPT",
        "-p tcp -m tcp --dport 10250 -m comment --comment 'the kubelet, by hand' -j ACCEPT",
        "-i ens+ -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
        "! -s 10.99.0.0/16 -p tcp -j ACCEPT",
        "-m addrtype --dst-type LOCAL -j ACCEPT",
        "-d 10.77.0.11/32 -p tcp -j ACCEPT",
        "-m iprange --src-range 10.77.0.1-10.77.0.50 -m iprange --dst-range 10.77.0.11-10.77.0.11 -j ACCEPT",
        "-s 10.77.0.0/24 -m pkttype --pkt-type unicast -j ACCEPT",
        "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
        "-p tcp -m tcp --syn -j ACCEPT",
        "-p tcp -m tcp --sport 1024:65535 -j ACCEPT",
        "-m conntrack ! --ctstate INVALID -j ACCEPT",
        "-s 10.77.0.0/24 -m comment --comment it's -j ACCEPT",
    ],
)
def test_a_rule_before_it_that_lets_them_through_counts(rule):
    text = ORACLE.replace("-A INPUT -j REJECT", f"-A INPUT {rule}\n-A INPUT -j REJECT")
    assert stopped("iptables-save", text) == []


@pytest.mark.parametrize(
    "rule",
    [
        "-s 10.88.0.0/24 -j ACCEPT",
        "-p udp -j ACCEPT",
        "-i lo -j ACCEPT",
        "! -s 10.77.0.0/16 -j ACCEPT",
        "-d 10.77.0.99/32 -j ACCEPT",
        "-m iprange --src-range 10.77.0.13-10.77.0.50 -j ACCEPT",
        "-m pkttype --pkt-type multicast -j ACCEPT",
        "-p icmp -m icmp --icmp-type 8 -m limit --limit 1/s -j ACCEPT",
        "-p tcp -m tcp ! --syn -j ACCEPT",
        "-p udp -m udp --sport 53 -j ACCEPT",
        "-p tcp -m tcp --dport 10250 -j LOG --log-prefix 'seen '",
    ],
)
def test_a_rule_that_does_not_let_them_through_does_not(rule):
    text = ORACLE.replace("-A INPUT -j REJECT", f"-A INPUT {rule}\n-A INPUT -j REJECT")
    assert stopped("iptables-save", text) != []


@pytest.mark.parametrize(
    "rule",
    [
        "-m set --match-set friends src -j ACCEPT",
        "-m mark --mark 0x1/0x1 -j ACCEPT",
        "-p tcp -m geoip --source-country DE -j ACCEPT",
        "-p tcp -m limit --limit 10/sec -j ACCEPT",
        "-m set --match-set friends src -j ours",
        "-j NFQUEUE --queue-num 0",
    ],
)
def test_a_rule_that_may_let_them_through_makes_it_not_known(rule):
    text = ORACLE.replace("-A INPUT -j REJECT", f"-A INPUT {rule}\n-A INPUT -j REJECT").replace(
        "COMMIT", "-A ours -j ACCEPT\nCOMMIT"
    )
    assert undecided("iptables-save", text) == [f"-A INPUT {rule}"]


@pytest.mark.parametrize("rule", ["-p tcp -m tcp ! --syn -j DROP", "-f -j DROP", "-m set --match-set foes src -j DROP"])
def test_a_rule_that_does_not_surely_stop_them_stops_nothing(rule):
    text = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {rule}\nCOMMIT"
    assert judged({"iptables-save": text.splitlines()}, [packet()]).stopped == {}
    assert undecided("iptables-save", text) == []


def test_a_way_out_of_a_chain_by_a_set_makes_its_end_not_known():
    """As people do in DOCKER-USER."""
    text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -m set --match-set ok src -j RETURN\n"
    assert undecided("iptables-save", f"{text}-A DOCKER-USER -j DROP\nCOMMIT", packet("forward")) != []
    sure = f"{text}-A DOCKER-USER -j DROP\nCOMMIT".replace("-m set --match-set ok src", "-s 10.88.0.0/16")
    assert stopped("iptables-save", sure, packet("forward")) == [("FORWARD", "-A DOCKER-USER -j DROP")]


def test_rules_that_were_saved_with_counters():
    text = "*filter\n:INPUT DROP [0:0]\n[12:800] -A INPUT -s 10.77.0.12/32 -j ACCEPT\n[0:0] -A INPUT -j REJECT\nCOMMIT"
    assert stopped("/etc/iptables/rules.v4", text) == []
    assert stopped("/etc/iptables/rules.v4", text, packet(source="10.77.0.13")) == [("INPUT", "-A INPUT -j REJECT")]


@pytest.mark.parametrize("table", ["raw", "mangle"])
def test_the_tables_before_filter_stop_as_well(table):
    text = f"*{table}\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 10250 -j DROP\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT"
    found = judged({"iptables-save": text.splitlines()}, [packet()]).stopped
    assert [(each.table, each.chain) for each in found] == [(table, "PREROUTING")]


def test_a_policy_of_drop_and_chains_that_are_jumped_to():
    text = "*filter\n:INPUT DROP [0:0]\n:ours - [0:0]\n-A INPUT -j ours\n-A ours -s 10.77.0.12 -j ACCEPT\n-A ours -j RETURN\nCOMMIT"
    assert stopped("iptables-legacy-save", text) == []
    assert stopped("iptables-legacy-save", text, packet(source="10.77.0.13")) == [("INPUT", "policy DROP")]


def test_the_nat_table_and_a_rule_with_an_open_quote_say_nothing():
    text = '*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment "open -j DROP\nCOMMIT'
    assert stopped("iptables-save", text) == []


def test_the_benchmarks_nftables_drop_by_policy_in_both_directions():
    assert stopped("nft inet filter", CIS, packet(), packet("forward", "10.244.0.10", interface="cali0")) == [
        ("input", "policy drop"),
        ("forward", "policy drop"),
    ]
    assert stopped("nft inet filter", CIS, packet(port=22)) == []


@pytest.mark.parametrize(
    "rule",
    [
        "ip saddr 10.77.0.0/24 accept",
        "ip saddr { 10.77.0.11, 10.77.0.12 } accept",
        "ip saddr 10.77.0.10-10.77.0.20 tcp dport 10000-11000 counter packets 3 bytes 180 accept",
        'tcp dport { 6443, 10250 } ct state { new, established } log prefix "kube: " accept comment "by hand"',
        'iifname != "eth9" meta l4proto tcp accept',
        "ct state vmap { new : accept, invalid : drop }",
        "fib daddr type local accept",
        "ip daddr 10.77.0.11 tcp dport 10250 accept",
        'ip saddr 10.77.0.0/24 log prefix "ok " flags all accept',
        'ip saddr 10.77.0.0/24 log prefix "ok " level warn flags tcp sequence,options accept',
        "ip saddr 10.77.0.0/24 meta mark set 0x00000001 accept",
        "ip saddr 10.77.0.0/24 ct mark set meta mark and 0xff accept",
        "ip saddr . tcp dport { 10.77.0.12 . 10250, 10.77.0.13 . 10250 } accept",
        "meta pkttype unicast ip saddr 10.77.0.0/24 accept",
        "meta protocol ip accept",
        "meta nfproto ipv4 accept",
    ],
)
def test_an_nft_rule_that_lets_them_through_counts(rule):
    assert stopped("nft inet filter", CIS.replace("tcp dport 22 accept", f"tcp dport 22 accept\n\t\t{rule}")) == []


@pytest.mark.parametrize(
    "rule",
    [
        "udp dport 10250 accept",
        "ip saddr != 10.77.0.0/16 accept",
        "ip daddr 224.0.0.251 accept",
        "ip6 saddr @friends accept",
        "icmp type echo-request limit rate 5/second accept",
        "icmp type != echo-request accept",
        "udp sport . ip saddr { 53 . 10.77.0.12 } accept",
        "ip saddr . tcp dport { 10.77.0.12 . 443, 10.77.0.99 . 10250 } accept",
        "ct state established limit rate 5/second accept",
    ],
)
def test_an_nft_rule_that_does_not_let_them_through_does_not(rule):
    assert stopped("nft inet filter", CIS.replace("tcp dport 22 accept", f"tcp dport 22 accept\n\t\t{rule}")) != []


@pytest.mark.parametrize(
    "rule",
    [
        "ip saddr @friends accept",
        "ip saddr . tcp dport @friends accept",
        "limit rate 5/second accept",
        "meta mark 0x00000001 accept",
        "ct mark & 0x000000ff == 0x00000001 accept",
        "ip saddr vmap @verdicts",
        "tcp dport >= 1024 accept",
        "fib saddr . iif oif exists accept",
        "meta l4proto tcp queue flags bypass to 0-3",
    ],
)
def test_an_nft_rule_that_may_let_them_through_makes_it_not_known(rule):
    assert undecided("nft inet filter", CIS.replace("tcp dport 22 accept", f"tcp dport 22 accept\n\t\t{rule}")) == [rule]


@pytest.mark.parametrize(
    "rule", ['log prefix "[#] drop: " drop', 'counter packets 1 bytes 60 drop comment "# nothing else"', "drop # handle 4"]
)
def test_a_hash_in_quotes_is_no_comment(rule):
    text = (
        f"table inet filter {{\n\tchain input {{\n\t\ttype filter hook input priority filter; policy accept;\n\t\t{rule}\n\t}}\n}}"
    )
    assert stopped("nft inet filter", text) == [("input", rule.split(" # ")[0])]


def test_an_nft_chain_before_routing_stops_as_well():
    text = "table ip raw {\n\tchain PREROUTING {\n\t\ttype filter hook prerouting priority raw; policy accept;\n\t\ttcp dport 10250 drop\n\t}\n}"
    assert stopped("nft ip raw", text) == [("PREROUTING", "tcp dport 10250 drop")]


def test_nft_maps_and_jumps():
    assert stopped("nft inet firewall", JUMPS, packet(), packet("forward", "10.244.0.10", interface="cali0")) == []
    assert stopped("nft inet firewall", JUMPS, packet(source="192.168.1.35")) == [("inbound", "policy drop")]


@pytest.mark.parametrize(
    "text", ["", "table inet filter {", "chain {", "-A", ":", "*filter\n:INPUT", "}\n}\n}", "-A INPUT -j", "ct", "\x00"]
)
def test_torn_text_stops_nothing(text):
    for tool in ("iptables-save", "nft inet filter"):
        assert stopped(tool, text) == []


def test_a_chain_that_jumps_to_itself_ends():
    text = "*filter\n:INPUT ACCEPT [0:0]\n:a - [0:0]\n-A INPUT -j a\n-A a -j a\nCOMMIT"
    assert stopped("iptables-save", text) == []
