"""The scripts of preflight's facts, run by bash on files of their own: over a layer on /etc that nobody else sees. Needs root on Linux."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kfinstall.answers.model import Answers
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.parts.preflight import disk_facts, facts

ANSWERS = Answers.model_validate(
    {
        "nodes": [{"name": "cp1", "address": "10.77.0.11"}, {"name": "worker1", "address": "10.77.0.12"}],
        "registry": {"mirrors": {"docker.io": "https://m.lan"}},
    }
)
LAYERS = """set -eu
mount -t tmpfs none "$BASE/layer"
mkdir "$BASE/layer/up" "$BASE/layer/work" "$BASE/layer/bin"
mount -t overlay -o "lowerdir=/etc,upperdir=$BASE/layer/up,workdir=$BASE/layer/work" none /etc
mount --bind "$BASE/layer/bin" /usr/local/sbin
# Nothing goes on unless what follows is written into the layer.
[ "$(stat -f -c %T /etc)" = overlayfs ]
fake() { printf '#!/bin/sh\\ncat <<"END"\\n%s\\nEND\\n' "$2" >"/usr/local/sbin/$1"; chmod +x "/usr/local/sbin/$1"; }
"""


def _can() -> bool:
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return tried.returncode == 0 and "overlay" in Path("/proc/filesystems").read_text(encoding="ascii")


pytestmark = pytest.mark.skipif(not _can(), reason="needs root, unshare and overlay")


@pytest.fixture
def look(tmp_path):
    def looked(setup, *kinds, node="worker1"):
        reads = queries(kinds, ANSWERS, node)
        program = facts_program(NodeQuery(), reads, "mark")
        given = {f"KF_{name}": value for name, value in program.parameters.items()}
        (tmp_path / "layer").mkdir(exist_ok=True)
        (tmp_path / "program.sh").write_text(program.text, encoding="utf-8")
        (tmp_path / "setup.sh").write_text(f"{LAYERS}{setup}\nexec bash {tmp_path}/program.sh\n", encoding="utf-8")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "bash", str(tmp_path / "setup.sh")],
            env={"PATH": os.environ["PATH"], "BASE": str(tmp_path), **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return parse_facts(node, "mark", done.stdout, 0.0, reads)

    return looked


def test_proxies_are_found_wherever_people_put_them_and_logins_stay_there(look):
    setup = """
mkdir -p /etc/profile.d /etc/apt/apt.conf.d /etc/systemd/system.conf.d /etc/systemd/system/docker.service.d
rm -f /etc/apt/apt.conf.d/* /etc/profile.d/*
printf '%s\\n' 'PATH="/usr/bin"' 'https_proxy="http://user:s3cret@proxy.corp:3128/"' 'NO_PROXY=localhost,10.0.0.0/8' >/etc/environment
echo 'export http_proxy=http://other.corp:8080; export x=1' >/etc/profile.d/corp.sh
echo 'Acquire::http::Proxy "http://cache:3142";' >/etc/apt/apt.conf.d/01proxy
echo 'Acquire::https::Proxy "DIRECT";' >>/etc/apt/apt.conf.d/01proxy
printf '[Manager]\\nDefaultEnvironment="HTTPS_PROXY=http://sys:1" "X=2"\\n' >/etc/systemd/system.conf.d/p.conf
printf '[Service]\\nEnvironment=HTTP_PROXY=http://d:2\\n' >/etc/systemd/system/docker.service.d/http.conf
printf '# https_proxy=http://old:1\\n' >/etc/profile.d/old.sh
"""
    found = look(setup, facts.Proxies).section(facts.Proxies)
    assert {(each.name, each.value, each.file) for each in found.named} == {
        ("https_proxy", "http://proxy.corp:3128/", "/etc/environment"),
        ("no_proxy", "localhost,10.0.0.0/8", "/etc/environment"),
        ("http_proxy", "http://other.corp:8080", "/etc/profile.d/corp.sh"),
        ("apt_http", "http://cache:3142", "/etc/apt/apt.conf.d/01proxy"),
        ("https_proxy", "http://sys:1", "/etc/systemd/system.conf.d/p.conf"),
        ("http_proxy", "http://d:2", "/etc/systemd/system/docker.service.d/http.conf"),
    }
    assert found.logins == {"/etc/environment"}
    assert "s3cret" not in repr(found)


def test_settings_at_boot_in_the_order_in_which_they_are_read(look):
    setup = """
mkdir -p /etc/sysctl.d /etc/ufw
rm -f /etc/sysctl.d/* /etc/sysctl.conf
echo 'net.ipv4.ip_forward = 0' >/etc/sysctl.d/99-cis.conf
echo '-net/ipv4/conf/all/forwarding=1 ' >/etc/sysctl.d/05-router.conf
echo '#net.ipv4.ip_forward=0' >/etc/sysctl.d/98-off.conf
echo 'net.ipv4.ip_forward=0' >/etc/sysctl.conf
echo 'net/ipv4/ip_forward=0' >/etc/ufw/sysctl.conf
echo 'ENABLED=yes' >/etc/ufw/ufw.conf
"""
    found = look(setup, facts.Boot).section(facts.Boot)
    ours = [(each.name, each.value, each.path, each.order) for each in found.settings if each.path.startswith("/etc/")]
    assert ours == [
        ("net.ipv4.conf.all.forwarding", 1, "/etc/sysctl.d/05-router.conf", "05-router.conf"),
        ("net.ipv4.ip_forward", 0, "/etc/sysctl.d/99-cis.conf", "99-cis.conf"),
        ("net.ipv4.ip_forward", 0, "/etc/sysctl.conf", "~sysctl.conf"),
        ("net.ipv4.ip_forward", 0, "/etc/ufw/sysctl.conf", "~ufw"),
    ]
    assert "net.ipv4.conf.all.rp_filter" in found.now


def test_a_file_of_one_name_in_etc_takes_the_place_of_the_one_below(look):
    setup = """
mkdir -p /etc/sysctl.d
rm -f /etc/sysctl.d/*
mount -t tmpfs none /usr/lib/sysctl.d
echo 'net.ipv4.ip_forward=0' >/usr/lib/sysctl.d/99-x.conf
ln -s /dev/null /etc/sysctl.d/99-x.conf
"""
    found = look(setup, facts.Boot).section(facts.Boot)
    assert [each for each in found.settings if each.order == "99-x.conf"] == []


@pytest.mark.parametrize(
    ("lines", "memory", "huge"),
    [
        ("HugePages_Total:   28672\nHugePages_Free: 28672\nHugepagesize:       2048 kB", 65843200 - 28672 * 2048, 28672 * 2048),
        ("HugePages_Total:       0\nHugepagesize:       2048 kB\nHugetlb:        33554432 kB", 65843200 - 33554432, 33554432),
        ("HugePages_Total:       0\nHugepagesize:       2048 kB\nHugetlb:               0 kB", 65843200, 0),
    ],
)
def test_memory_is_told_without_huge_pages_of_every_size(look, tmp_path, lines, memory, huge):
    text = f"MemTotal:       65843200 kB\nMemFree: 100 kB\nMemAvailable:    5243904 kB\n{lines}\n"
    (tmp_path / "meminfo").write_text(text, encoding="ascii")
    hardware = look(f"mount --bind {tmp_path}/meminfo /proc/meminfo").hardware
    assert (hardware.memory_bytes, hardware.huge_bytes) == (memory * 1024, huge * 1024)


def test_the_packet_filter_without_what_kubernetes_and_docker_make(look):
    setup = """
fake iptables-save '# Generated
*filter
:INPUT ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
-A INPUT -j cali-INPUT
-A KUBE-FORWARD -j ACCEPT
-A cali-INPUT -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
COMMIT'
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf /x /etc/systemd/system/multi-user.target.wants/netfilter-persistent.service
mkdir -p /etc/iptables
printf '*filter\n:INPUT DROP [0:0]\nCOMMIT\n' >/etc/iptables/rules.v4
"""
    found = look(setup, facts.Filter).section(facts.Filter)
    assert found.looked
    assert found.at_boot == ("netfilter-persistent",)
    assert found.rules["/etc/iptables/rules.v4"] == ("*filter", ":INPUT DROP [0:0]", "COMMIT")
    assert found.rules["iptables-save"] == (
        "*filter",
        ":INPUT ACCEPT [0:0]",
        "-A INPUT -j cali-INPUT",
        "-A INPUT -j REJECT --reject-with icmp-host-prohibited",
        "COMMIT",
    )


def test_the_administrators_own_rules_are_seen_beside_dockers_and_in_every_table_that_stops(look):
    setup = """
fake iptables-save '*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 10250 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -j KUBE-SERVICES
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
[3:180] -A DOCKER -d 172.17.0.2/32 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
[3:180] -A DOCKER-USER ! -s 192.168.0.0/16 -j DROP
COMMIT'
"""
    assert look(setup, facts.Filter).section(facts.Filter).rules["iptables-save"] == (
        "*raw",
        ":PREROUTING ACCEPT [0:0]",
        "-A PREROUTING -p tcp -m tcp --dport 10250 -j DROP",
        "COMMIT",
        "*filter",
        ":FORWARD ACCEPT [0:0]",
        ":DOCKER-USER - [0:0]",
        "-A FORWARD -j DOCKER-USER",
        "[3:180] -A DOCKER-USER ! -s 192.168.0.0/16 -j DROP",
        "COMMIT",
    )


def test_a_filter_with_thousands_of_rules_is_bounded_and_told_as_not_looked_at(look):
    rules = "\n".join(f"-A INPUT -s 203.0.{number // 256}.{number % 256} -j DROP" for number in range(20000))
    setup = f"printf '#!/bin/sh\\ncat {'$0'}.txt\\n' >/usr/local/sbin/iptables-save\nchmod +x /usr/local/sbin/iptables-save\n"
    setup += f"cat >/usr/local/sbin/iptables-save.txt <<'RULES'\n*filter\n:INPUT ACCEPT [0:0]\n{rules}\nRULES\n"
    found = look(setup, facts.Filter).section(facts.Filter)
    assert len(found.rules["iptables-save"]) == 1500
    assert "more rules" in found.unchecked


def test_services_that_make_swap_again(look):
    setup = """
wants=/etc/systemd/system/multi-user.target.wants
mkdir -p "$wants" /etc/default
for unit in dphys-swapfile swapspace armbian-zram-config walinuxagent; do ln -sf /x "$wants/$unit.service"; done
printf 'Provisioning.Agent=auto\nResourceDisk.EnableSwap=y\n' >/etc/waagent.conf
"""
    swap = look(setup).swap
    assert {"dphys-swapfile.service", "swapspace.service"} <= set(swap.units)
    assert swap.again == (
        "armbian-zram-config.service",
        "walinuxagent.service (ResourceDisk.EnableSwap=y in /etc/waagent.conf)",
    )


def test_services_that_were_told_to_make_none_make_none(look):
    setup = """
wants=/etc/systemd/system/multi-user.target.wants
mkdir -p "$wants" /etc/default
for unit in dphys-swapfile armbian-zram-config walinuxagent; do ln -sf /x "$wants/$unit.service"; done
ln -sf /dev/null /etc/systemd/system/dphys-swapfile.service
printf '# ENABLED=true\nSWAP=false\n' >/etc/default/armbian-zram-config
printf 'ResourceDisk.EnableSwap=n\n' >/etc/waagent.conf
"""
    swap = look(setup).swap
    assert "dphys-swapfile.service" not in swap.units
    assert swap.again == ()


def test_a_tool_that_fails_is_told(look):
    setup = "printf '#!/bin/sh\\nexit 4\\n' >/usr/local/sbin/iptables-save\nchmod +x /usr/local/sbin/iptables-save"
    assert look(setup, facts.Filter).section(facts.Filter).unchecked == "iptables-save ended with an error"


def test_host_keys_zone_and_resolver(look):
    setup = """
mkdir -p /etc/ssh
rm -f /etc/ssh/ssh_host_* /etc/localtime /etc/resolv.conf
echo 'ssh-ed25519 AAAAC3key root@image' >/etc/ssh/ssh_host_ed25519_key.pub
echo Europe/Berlin >/etc/timezone
printf 'search corp.example lab.example\\nnameserver 10.0.0.1\\nnameserver 10.0.0.2\\n' >/etc/resolv.conf
"""
    found = look(setup, facts.Host).section(facts.Host)
    assert found.looked
    assert found.host_keys == ("ssh-ed25519 AAAAC3key",)
    assert found.zone == "Europe/Berlin"
    assert found.nameservers == ("10.0.0.1", "10.0.0.2")
    assert found.search == ("corp.example", "lab.example")


def test_a_disk_is_measured_on_control_planes_alone_and_nothing_is_left(look):
    before = sorted(os.listdir("/var/lib"))
    found = look("", disk_facts.Latency, node="cp1").section(disk_facts.Latency)
    assert (found.writes > 0 and found.median_microseconds <= found.p99_microseconds) or found.unchecked
    assert sorted(os.listdir("/var/lib")) == before
    assert look("", disk_facts.Latency).section(disk_facts.Latency) == disk_facts.Latency()


def test_names_wildcards_and_ports(look):
    setup = """
rm -f /etc/resolv.conf
printf '127.0.0.1 localhost\\n10.77.0.99 worker1\\n' >/etc/hosts
echo 'hosts: files' >/etc/nsswitch.conf
echo 'search corp.example' >/etc/resolv.conf
"""
    found = look(setup, facts.Ways).section(facts.Ways)
    assert found.looked
    assert found.names["worker1"] == ("10.77.0.99",)
    assert found.names["cp1"] == ()
    assert found.wildcards == {}
    assert found.hub is None


def test_a_read_only_memory_file_system_and_the_one_beside_it(look):
    found = look("mount -t tmpfs -o ro none /var/lib/dpkg", disk_facts.Mounts).section(disk_facts.Mounts)
    assert found.looked
    assert found.under["/var/lib/kubelet"].kind
    assert found.under["/var/lib/kubelet"].point != "/var/lib/dpkg"


def test_lvm_is_asked_for_the_room_of_its_group(look):
    # Which devices there are, only a real machine knows: what lvs prints is what the parser is given.
    line = "lvm\t/dev/mapper/ubuntu--vg-ubuntu--lv\tubuntu--vg-ubuntu--lv\t  ubuntu-vg|ubuntu-lv|-wi-ao----|418759311360"
    volume = disk_facts.Mounts.parse([line]).volumes["/dev/mapper/ubuntu--vg-ubuntu--lv"]
    assert (volume.group, volume.volume, volume.thin, volume.free_bytes) == ("ubuntu-vg", "ubuntu-lv", False, 418759311360)
    assert disk_facts.Mounts.parse(["lvm\t/dev/mapper/x\tx\t"]).volumes["/dev/mapper/x"].group == ""
