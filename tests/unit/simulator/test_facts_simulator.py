"""The simulator prints what the parsers understand, and what is parsed is what the model says."""

from dataclasses import dataclass

import pytest

from kfinstall.facts.model import KfUnit, NodeQuery, UnitFact
from kfinstall.facts.parse import SECTIONS, parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import FactSection
from kfinstall.simulator.facts import facts_output, renderers
from kfinstall.simulator.nodes.model import SimNode, SimPackage, SimUnit
from kfinstall.text import sha256

WATCH = NodeQuery(
    files=frozenset({"/etc/fstab", "/etc", "/etc/none", "/srv/a b"}),
    packages=frozenset({"kubelet", "chrony"}),
    units=frozenset({"chrony.service", "docker.service"}),
    sysctls=frozenset({"net.ipv4.ip_forward", "vm.none"}),
    modules=frozenset({"br_netfilter", "overlay"}),
    space=frozenset({"/var/lib/kubelet", "/srv"}),
    commands=frozenset({"git", "none"}),
    hosts=frozenset({"https://registry.k8s.io"}),
)


@dataclass(frozen=True)
class Zzz(FactSection):
    section = "zzz"
    lines: tuple[str, ...] = ()

    @classmethod
    def parse(cls, lines):
        return cls(tuple(lines))


def read(node, now=1000.0, reads=()):
    program = facts_program(WATCH, {}, "0123abcd")
    return parse_facts(node.name, "0123abcd", facts_output(node, program.parameters, now), now, reads)


@pytest.fixture
def node():
    made = SimNode("cp1", "10.77.0.11", 0, machine_id="a" * 32, product_uuid="U-1", mac="52:54:00:77:00:0B", boot_id="b1")
    made.write("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n#/old\tnone\tswap\tsw\t0\t0\n/swap.img\tnone\tswap\tsw\t0\t0\n")
    made.write("/srv/a b", "x", 0o600)
    made.packages |= {"kubelet": SimPackage("1.34.2-1.1", held=True), "containerd": SimPackage("1.7.28-1")}
    made.units |= {"chrony.service": SimUnit(True, True), "containerd.service": SimUnit(True, True)}
    made.sysctls["net.ipv4.ip_forward"] = "1"
    made.modules |= {"br_netfilter", "nf_nat"}
    made.commands["git"] = "/usr/bin/git"
    made.listeners |= {22: "sshd", 2049: "?"}
    made.swap_active.append("/swap.img")
    made.kf_units |= {"kf-prepare-apt": None, "kf-prepare-sysctl": 0}
    made.clock_skew_seconds = 42.0
    return made


def test_facts_are_what_the_model_says(node):
    facts = read(node)
    assert (facts.os.id, facts.os.version_id, facts.os.architecture, facts.os.hostname) == ("ubuntu", "24.04", "amd64", "cp1")
    assert facts.os.boot_id == "b1"
    assert (facts.identity.machine_id, facts.identity.product_uuid) == ("a" * 32, "u-1")
    assert facts.identity.macs == ("52:54:00:77:00:0b",)
    assert (facts.hardware.cpus, facts.hardware.memory_bytes, facts.hardware.cpu_level) == (8, node.memory_bytes, 3)
    assert facts.clock.epoch_seconds - facts.read_at == 42.0
    assert facts.clock.synchronized is True
    assert facts.swap.active == ("/swap.img",)
    assert facts.swap.fstab == ("/swap.img none swap sw 0 0",)
    assert facts.packages["kubelet"].held
    assert "chrony" not in facts.packages
    assert facts.runtime.containerd_version == "1.7.28"
    assert facts.runtime.cri_sockets == ("/run/containerd/containerd.sock",)
    assert set(facts.files) - {"/var/lib/apt/lists"} == {"/etc/fstab", "/etc", "/srv/a b"}
    assert facts.has_file("/srv/a b", sha256("x"), mode=0o600)
    assert facts.units["chrony.service"] == UnitFact("loaded", "active", "enabled")
    assert facts.units["docker.service"].load == "not-found"
    assert facts.sysctls == {"net.ipv4.ip_forward": "1"}
    assert facts.modules == {"br_netfilter"}
    assert facts.space["/srv"].free_bytes == node.disk_free_bytes
    assert facts.commands == {"git": "/usr/bin/git"}
    assert facts.network.addresses == ("10.77.0.11/24",)
    assert facts.network.listeners == {22: "sshd", 2049: "?"}
    assert facts.network.reachable == {"https://registry.k8s.io": "ok"}
    assert facts.kf_units == {
        "kf-prepare-apt": KfUnit("kf-prepare-apt", running=True, status=None),
        "kf-prepare-sysctl": KfUnit("kf-prepare-sysctl", running=False, status=0),
    }


def test_the_age_of_the_package_lists(node):
    assert read(node).apt.updated_age_seconds is None
    node.apt_updated = True
    assert read(node).apt.updated_age_seconds == pytest.approx(60 + node.clock_skew_seconds % 1, abs=1)


def test_a_member_is_seen(node):
    node.write("/etc/kubernetes/admin.conf", "secret", 0o600)
    node.write("/etc/kubernetes/super-admin.conf", "secret", 0o600)
    node.write("/etc/kubernetes/kubelet.conf", "user: system:node:cp1", 0o600)
    node.write("/etc/kubernetes/pki/ca.crt", "CA")
    node.write("/etc/kubernetes/manifests/etcd.yaml", "x")
    runtime = read(node).runtime
    assert runtime.kubeadm_files == ("admin.conf", "kubelet.conf", "manifests/etcd.yaml", "pki/ca.crt")
    assert runtime.node_name == "cp1"
    assert runtime.ca_sha256 == sha256("CA")


def test_a_containerd_whose_cri_plugin_is_off_does_not_answer(node):
    node.write("/etc/containerd/config.toml", 'version = 2\ndisabled_plugins = ["cri"]\n')
    runtime = read(node).runtime
    assert runtime.sockets == ("/run/containerd/containerd.sock",)
    assert not runtime.cri_sockets


def test_faults_are_appended_to_sections_and_others_are_for_whoever_reads_them(node):
    node.extra |= {"apt": "lock\t812 unattended-upgr", "zzz": "a\nb"}
    facts = read(node, reads=(Zzz,))
    assert facts.apt.lock_holder == "812 unattended-upgr"
    assert facts.section(Zzz) == Zzz(("a", "b"))
    assert read(node).section(Zzz) == Zzz()


def test_every_section_has_a_renderer_and_the_end_comes_last():
    assert set(SECTIONS) <= set(renderers())
    assert list(renderers())[-1] == "end"
