"""Parsing what the facts program prints: real text of Debian 12, forms of Ubuntu, and hostile text."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfinstall.errors import CommandError, KfError
from kfinstall.facts import machine, network, runtime, upkeep, watched
from kfinstall.facts.model import KfUnit, PackageFact, SpaceFact, UnitFact
from kfinstall.facts.parse import SECTIONS, parse_facts
from kfinstall.parts.registry.facts import RegistryFacts
from kfinstall.parts.reset.facts import UndoRecord
from kfinstall.parts.storage.facts import NfsExport

DATA = Path(__file__).parent / "data" / "facts"
DEBIAN = (DATA / "debian-12.txt").read_text(encoding="utf-8")


def bare(**sections):
    """A text of all sections, empty but for the given ones ('-' as '_')."""
    given_text = {"end": "whole\tyes\n"} | {name.replace("_", "-"): text for name, text in sections.items()}
    names = [*SECTIONS, *(name for name in given_text if name not in SECTIONS)]
    return "".join(f"@M {name}\n{given_text.get(name, '')}" for name in names)


def test_a_real_debian_node():
    facts = parse_facts("node2", "MARK", DEBIAN, 5.0)
    assert (facts.os.id, facts.os.version_id, facts.os.codename) == ("debian", "12", "bookworm")
    assert facts.os.architecture == "amd64"
    assert facts.os.cgroup == "cgroup2fs"
    assert facts.identity.macs == ("52:54:00:77:00:0c",)
    assert facts.hardware.cpus == 1
    assert facts.hardware.cpu_level == 3
    assert facts.network.addresses == ("10.77.0.12/24",)
    assert facts.network.routes == ("10.77.0.0/24",)
    assert facts.network.default_route
    assert facts.network.listeners == {22: "sshd", 46713: "containerd"}
    assert facts.units["ssh.service"] == UnitFact("loaded", "active", "enabled")
    assert facts.units["sshd.service"] == facts.units["ssh.service"]
    assert facts.files["/etc/fstab"].mode == 0o644
    assert len(facts.files["/etc/fstab"].sha256) == 64
    assert facts.files["/etc"].kind == "directory"
    assert "/etc/nope" not in facts.files
    assert facts.packages["curl"].status == "installed"
    assert facts.clock.synchronized is False
    assert facts.read_at == 5.0
    assert 0 < (facts.apt.updated_age_seconds or 0) < 3600
    assert facts.runtime.containerd_version == "1.6.20"
    assert facts.runtime.cri_sockets == ("/run/containerd/containerd.sock",)
    assert facts.network.reachable["https://registry.k8s.io"].startswith("Could not resolve host")
    assert facts.space["/var/lib/kubelet"].mount == "/"
    assert 0 < facts.space["/var/lib/kubelet"].free_bytes < facts.space["/var/lib/kubelet"].total_bytes


# Captured on a Debian node that answers as Ubuntu, with a swap file of Ubuntu's installer and unattended-upgrades.
@pytest.mark.parametrize(("version", "codename"), [("22.04", "jammy"), ("24.04", "noble")])
def test_a_node_that_answers_as_ubuntu(version, codename):
    facts = parse_facts("n", "MARK", (DATA / f"ubuntu-{version}.txt").read_text(encoding="utf-8"), 1.0)
    assert (facts.os.id, facts.os.version_id, facts.os.codename) == ("ubuntu", version, codename)
    assert facts.swap.active == ("/swap.img",)
    assert facts.swap.fstab[0].split()[:3] == ["/swap.img", "none", "swap"]
    assert facts.apt.unattended_upgrades
    assert facts.network.resolvers[0] == "127.0.0.53"
    assert 0 < (facts.apt.updated_age_seconds or 0) < 3600


@pytest.mark.parametrize(("version", "codename"), [("22.04", "jammy"), ("24.04", "noble"), ("26.04", "resolute")])
def test_ubuntu(version, codename):
    os = machine.os_facts(
        [
            f"pretty\tUbuntu {version}.1 LTS",
            f"version_id\t{version}",
            f"codename\t{codename}",
            "id\tubuntu",
            "machine\taarch64",
            "virtualization\tnone",
        ]
    )
    assert (os.id, os.version_id, os.codename, os.architecture, os.virtualization) == ("ubuntu", version, codename, "arm64", "")


def test_cpu_levels():
    v1 = "lm sse2"
    v2 = v1 + " cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
    v3 = v2 + " abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"
    v4 = v3 + " avx512bw avx512cd avx512dq avx512f avx512vl"
    assert [machine.cpu_level(flags) for flags in ("", v1, v2, v3, v4)] == [0, 1, 2, 3, 4]
    assert machine.cpu_level(v3.replace("cx16", "")) == 1


# The program may take seconds: the node's clock in its middle is what belongs to the middle of the round trip.
def test_the_clock_is_that_of_the_middle():
    assert machine.clock_facts(["epoch\t100.0", "synchronized\tyes"], ["epoch\t106.0"]).epoch_seconds == 103.0


def test_the_clock_may_not_know_whether_it_is_synchronized():
    assert machine.clock_facts(["epoch\t100.0", "synchronized\t"], []).synchronized is None


def test_all_sources_of_swap():
    swap = upkeep.swap_facts(["active\t/swap.img", "fstab\t/swap.img none swap sw 0 0", "unit\tdev-sda2.swap", "zram\tyes"])
    assert swap.active == ("/swap.img",)
    assert swap.fstab == ("/swap.img none swap sw 0 0",)
    assert swap.units == ("dev-sda2.swap",)
    assert swap.zram


def test_packages_and_apt():
    dpkg = upkeep.packages(
        [
            "package\thold\tinstalled\t1.34.2-1.1\tkubelet",
            "package\tinstall\thalf-configured\t26.1\tdocker.io",
            "package\tdeinstall\tconfig-files\t1.0\tntp",
            "broken\tdocker.io",
            "known\t2.9\tunattended-upgrades",
        ]
    )
    assert dpkg.requested["kubelet"] == PackageFact("1.34.2-1.1", "installed", held=True)
    assert dpkg.requested["ntp"].status == "config-files"
    apt = upkeep.apt_facts(["lock\t812 unattended-upgr", "lists\tyes", "unattended\t1"], dpkg, {}, 30.0)
    assert apt.lock_holder == "812 unattended-upgr"
    assert apt.broken == ("docker.io",)
    assert apt.updated_age_seconds == 30.0
    assert apt.unattended_upgrades
    assert upkeep.apt_facts([], dpkg, {}, 30.0).updated_age_seconds is None


@pytest.mark.parametrize(
    ("lines", "timer"),
    [
        (["unattended\t0"], UnitFact("loaded", "active", "enabled")),
        (["unattended\t1", "unattended\t0"], UnitFact("loaded", "active", "enabled")),
        (["unattended\t1"], UnitFact("masked", "inactive", "masked")),
        (["unattended\t1"], UnitFact("loaded", "inactive", "disabled")),
        ([], UnitFact("loaded", "active", "enabled")),
    ],
)
def test_unattended_upgrades_are_off(lines, timer):
    dpkg = upkeep.Packages(known={"unattended-upgrades": "2.9"})
    assert not upkeep.apt_facts(lines, dpkg, {"apt-daily-upgrade.timer": timer}, None).unattended_upgrades


NETWORK = r"""resolver	127.0.0.53
resolver	192.168.0.1
firewall	ufw
= ip
2: ens18    inet 192.168.0.111/24 metric 100 brd 192.168.0.255 scope global dynamic ens18\       valid_lft 86000sec
2: ens18    inet6 fd00::111/64 scope global dynamic mngtmpaddr noprefixroute \       valid_lft forever preferred_lft forever
2: ens18    inet6 fd00::9c1e:77ff:fe00:1/64 scope global temporary dynamic \       valid_lft 86000sec preferred_lft 14000sec
5: vxlan.calico    inet 10.244.166.128/32 scope global vxlan.calico\       valid_lft forever preferred_lft forever
6: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\       valid_lft forever preferred_lft forever
default via 192.168.0.1 dev ens18 proto dhcp src 192.168.0.111 metric 100
10.10.0.0/16 via 192.168.0.2 dev ens18
10.244.104.0/26 via 192.168.0.112 dev ens18 proto 80 onlink
10.244.135.0/26 via 10.244.135.0 dev vxlan.calico onlink
blackhole 10.244.166.128/26 proto 80
10.244.166.129 dev cali0a1b2c3d4e5 scope link
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown
192.168.0.0/24 dev ens18 proto kernel scope link src 192.168.0.111 metric 100
192.168.0.1 dev ens18 proto dhcp scope link src 192.168.0.111 metric 100
fd00::/64 dev ens18 proto ra metric 100 expires 86000sec pref medium
fe80::/64 dev ens18 proto kernel metric 256 pref medium
local 192.168.0.111 dev ens18 table local proto kernel scope host src 192.168.0.111
multicast ff00::/8 dev ens18 table local proto kernel metric 256 pref medium
10.99.0.0/16 via 10.0.0.1 dev ens18 table 200
= listeners
LISTEN 0      4096      127.0.0.53%lo:53         0.0.0.0:*    users:(("systemd-resolve",pid=700,fd=14))
LISTEN 0      4096                  *:10250            *:*    users:(("kubelet",pid=2010,fd=20))
LISTEN 0      64              0.0.0.0:2049       0.0.0.0:*
LISTEN 0      511                [::]:80            [::]:*    users:(("nginx",pid=12,fd=6),("nginx",pid=13,fd=6))
LISTEN 0      5               0.0.0.0:80         0.0.0.0:*    users:(("apache2",pid=14,fd=6))
""".splitlines()


def test_the_network_of_a_member():
    units = {"ufw.service": UnitFact("loaded", "active", "enabled")}
    facts = network.network_facts(NETWORK, ["https://a\t200\t0\t", "https://b\t000\t6\tCould not resolve host: b"], units)
    assert facts.addresses == ("192.168.0.111/24", "fd00::111/64", "172.17.0.1/16")
    assert facts.routes == ("10.10.0.0/16", "172.17.0.0/16", "192.168.0.0/24", "192.168.0.1/32", "fd00::/64")
    assert facts.listeners == {53: "systemd-resolve", 80: "apache2,nginx", 2049: "?", 10250: "kubelet"}
    assert facts.resolvers == ("127.0.0.53", "192.168.0.1")
    assert facts.reachable == {"https://a": "ok", "https://b": "Could not resolve host: b"}
    assert facts.firewall == "ufw"


# Any user may listen under the name 'a<line end>b': that must not make the server unreadable.
def test_line_ends_in_the_name_of_a_program():
    lines = [
        "= listeners",
        'LISTEN 0 5 *:80 *:* users:(("a',
        "LISTEN 0",
        'b",pid=1,fd=3))',
        'LISTEN 0 5 *:81 *:* users:(("c",pid=2,fd=3))',
    ]
    assert network.network_facts(lines, [], {}).listeners == {80: "?", 81: "c"}


# ufw.service is active on every Ubuntu, and inactive after 'ufw enable' until the next boot: only ENABLED=yes tells.
def test_the_unit_of_ufw_tells_nothing():
    assert network.network_facts([], [], {"ufw.service": UnitFact("loaded", "active", "enabled")}).firewall == ""
    assert (
        network.network_facts(["firewall\tufw"], [], {"ufw.service": UnitFact("loaded", "inactive", "enabled")}).firewall == "ufw"
    )
    assert network.network_facts([], [], {"firewalld.service": UnitFact("loaded", "active", "enabled")}).firewall == "firewalld"


def test_any_answer_is_reachable_but_a_proxy_that_refuses_is_not():
    parsed = network.reachable(["u1\t404\t0\t", "u2\t403\t0\t", "u3\t503\t0\t", "u4\t000\t28\t"])
    assert parsed == {"u1": "ok", "u2": "ok", "u3": "a gateway or proxy answered 503", "u4": "curl exit status 28"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.7.24~ds1-6ubuntu1~24.04.2", "1.7.24"),
        ("1.7.28-1~ubuntu.24.04~noble", "1.7.28"),
        ("5:28.5.1-1~ubuntu.24.04~noble", "28.5.1"),
        ("1.34.2-1.1", "1.34.2"),
        ("containerd github.com/containerd/containerd/v2 v2.2.1 abcdef", "2.2.1"),
        ("Kubernetes v1.34.2", "1.34.2"),
        ("", ""),
    ],
)
def test_versions(text, version):
    assert runtime.plain_version(text) == version


def test_a_runtime_with_what_kubeadm_left():
    facts = runtime.runtime_facts(
        [
            "socket\t/run/containerd/containerd.sock",
            "cri\t/run/containerd/containerd.sock",
            "kubeadm\tadmin.conf",
            "kubeadm\tmanifests/etcd.yaml",
            "etcd\tyes",
            "ca\tabc",
            "node_name\tcp1",
            "leftover\tk3s /etc/rancher/k3s",
        ],
        {"containerd.io": "2.2.1-1~ubuntu", "kubelet": "1.34.2-1.1"},
    )
    assert (facts.containerd_version, facts.docker_version) == ("2.2.1", "")
    assert facts.cri_sockets == ("/run/containerd/containerd.sock",)
    assert facts.kubeadm_files == ("admin.conf", "manifests/etcd.yaml")
    assert (facts.etcd_data, facts.ca_sha256, facts.node_name) == (True, "abc", "cp1")
    assert facts.leftovers == ("k3s /etc/rancher/k3s",)


def test_detached_units():
    units = {"kf-a.service": UnitFact("loaded", "active", "transient"), "kf-b.service": UnitFact("not-found", "inactive", "")}
    parsed = runtime.kf_units(["kf-a\t\t", "kf-b\t3\t", "kf-c\t\t", "kf-d\t\talive"], units)
    assert parsed == {
        "kf-a": KfUnit("kf-a", running=True, status=None),
        "kf-b": KfUnit("kf-b", running=False, status=3),
        "kf-c": KfUnit("kf-c", running=False, status=None),
        "kf-d": KfUnit("kf-d", running=True, status=None),
    }


def test_files_with_awkward_names():
    digest = "0" * 64
    path = "/srv/a b'\"$(x)&;/0123  c"
    parsed = watched.files(
        [f"stat\t81a4\troot:root\t3\t1700000000\t{path}", "stat\ta1ff\troot:root\t9\t1700000000\t/l", f"{digest}  {path}"]
    )
    assert parsed[path].sha256 == digest
    assert (parsed["/l"].kind, parsed["/l"].sha256, parsed["/l"].mode) == ("symlink", "", 0o777)


def test_units_do_not_need_blank_lines_between_them():
    block = ["Names=a.service", "LoadState=loaded", "ActiveState=active", "UnitFileState=enabled"]
    other = ["Names=b.service c.service", "LoadState=masked", "ActiveState=inactive", "UnitFileState=masked"]
    with_blank, without = watched.units([*block, "", *other]), watched.units([*block, *other])
    assert with_blank == without
    assert with_blank["c.service"] == UnitFact("masked", "inactive", "masked")
    assert with_blank["a.service"].active == "active"


def test_space_of_directories_that_do_not_exist_yet():
    lines = [
        "dir\t/var/lib\t/var/lib/kubelet",
        "dir\t/mnt/x\t/mnt/x/y",
        "fs\t4096\t100\t50\t/var/lib",
        "mount\text4\t/\t/var/lib",
    ]
    assert watched.space(lines) == {"/var/lib/kubelet": SpaceFact("/", 409600, 204800)}


def test_white_space_inside_a_kernel_setting():
    assert watched.sysctls(["net.ipv4.ip_local_port_range\t32768\t60999"]) == {"net.ipv4.ip_local_port_range": "32768 60999"}


def test_a_section_that_a_part_owns_is_parsed_where_it_is_read_and_left_out_elsewhere():
    text = bare(nfs="directory=755 0:0\nclients=10.0.0.1 w2\n", registry="", other="nonsense\n")
    facts = parse_facts("n", "M", text, 1.0, (NfsExport, RegistryFacts, UndoRecord))
    assert facts.section(NfsExport) == NfsExport(directory=True, clients=frozenset({"10.0.0.1", "w2"}))
    assert facts.section(RegistryFacts) == RegistryFacts()
    assert facts.section(UndoRecord) == UndoRecord()
    assert parse_facts("n", "M", text, 1.0).sections == {}


def test_noise_before_the_first_section_is_left_out():
    assert parse_facts("n", "M", "Welcome to node1\n" + bare(), 1.0).node == "n"


@pytest.mark.parametrize("length", range(0, len(DEBIAN), 97))
def test_torn_text_is_refused(length):
    with pytest.raises(CommandError, match="section"):
        parse_facts("n", "MARK", DEBIAN[:length], 1.0)


def test_the_mark_must_fit():
    with pytest.raises(CommandError, match="section os is missing"):
        parse_facts("n", "OTHER", DEBIAN, 1.0)


def test_a_section_that_comes_twice_is_refused():
    with pytest.raises(CommandError, match="section files"):
        parse_facts("n", "M", bare() + "@M files\n", 1.0)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("os", "no tab\n"),
        ("hardware", "cpus\tmany\n"),
        ("hardware", "memory_kib\t\u0661\n"),
        ("clock", "epoch\tnan\n"),
        ("clock", "epoch\tinf\n"),
        ("end", "epoch\t1e999\nwhole\tyes\n"),
        ("packages", "what\tis\n"),
        ("packages", "package\tinstall\n"),
        ("apt", "lock\n"),
        ("files", "stat\t81a4\troot:root\t1\tnever\t/var/lib/apt/lists\n"),
        ("network", "= ip\n2: e inet 999.1.1.1/24\n"),
        ("network", "= ip\nunicast\n"),
        ("network", "= ip\nnonsense dev e\n"),
        ("files", "stat\tzz\troot:root\t1\t1\t/x\n"),
        ("files", "something else\n"),
        ("units", "no separator\n"),
        ("space", "fs\tx\n"),
        ("kf-units", "kf-a\n"),
        ("kf-units", "kf-a\tx\t\n"),
        ("reach", "https://a\n"),
    ],
)
def test_hostile_text_names_its_section(section, text):
    with pytest.raises(CommandError, match=section) as caught:
        parse_facts("n1", "M", bare(**{section.replace("-", "_"): text}), 1.0)
    assert caught.value.node == "n1"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SECTIONS), st.text(alphabet='ab0 \t\n=/.:-\u0661\x00\ufffd@M"(', max_size=60))
def test_nothing_but_a_known_error_is_ever_raised(section, text):
    with contextlib.suppress(KfError):
        parse_facts("n", "M", bare(**{section.replace("-", "_"): text}), 1.0)
