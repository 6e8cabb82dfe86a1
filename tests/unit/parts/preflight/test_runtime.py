"""What is configured of a runtime already is looked at before anything is touched: what stands in the way, where its data lies, who is asked for images."""

from dataclasses import replace

import pytest

from kfinstall.engine.step import Satisfied
from kfinstall.facts.lines import SectionError
from kfinstall.facts.model import SpaceFact
from kfinstall.facts.section import parsed
from kfinstall.parts.preflight.disk import PreflightDisk
from kfinstall.parts.preflight.network import PreflightNetwork
from kfinstall.parts.preflight.runtime import PreflightRuntime
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, DOCKER_CONFIG, RuntimeFiles
from kfinstall.releases import load
from tests.unit.parts.preflight import test_preflight as base

DOCKER = {"cluster": {"runtime": "docker"}, "spark": {"enabled": False}}
CASE_1 = {
    "docker.io": "https://harbor.corp.example/v2/dockerhub",
    "registry.k8s.io": "https://m.corp.example",
    "quay.io": "https://m.corp.example",
}


def configured(fleet, files, **space):
    """The fleet whose nodes have these files, and this free space in GiB: (directory, mount) to GiB."""
    elsewhere = {
        directory: SpaceFact(mount, 400 * 2**30, free * 2**30) for (directory, mount), free in space.get("space", {}).items()
    }
    node_files = RuntimeFiles({path: text.encode() for path, text in files.items()}, space=elsewhere)
    return {name: replace(facts, sections={RuntimeFiles: node_files}) for name, facts in fleet.items()}


@pytest.fixture
def fleet():
    return base.read(base.answers(), base.machines())


def small_var(fleet, *directories):
    """/var is a disk of its own, and a small one."""
    small = {path: SpaceFact("/var", 10 * 2**30, 3 * 2**30) for path in directories}
    return {name: replace(facts, space={**facts.space, **small}) for name, facts in fleet.items()}


# The guide's servers often have a large disk beside the system's, and Docker told to use it.
@pytest.mark.parametrize("text", ['{"data-root": "/data/docker"}', '{\n  "debug": true,\n  "data-root" : "/data/docker"\n}'])
def test_space_is_asked_for_where_docker_keeps_its_data(text):
    wanted = base.answers(**DOCKER)
    fleet = small_var(base.read(wanted, base.machines()), "/var/lib/docker")
    without = base.check(PreflightDisk, configured(fleet, {}), "worker1", wanted)
    assert base.conflict(without, "3.0 GiB free at /var for /var/lib/docker")
    there = configured(fleet, {DOCKER_CONFIG: text}, space={("/data/docker", "/data"): 300})
    done = base.check(PreflightDisk, there, "worker1", wanted)
    assert isinstance(done, Satisfied), done
    assert "300.0 GiB free at /data" in done.evidence
    assert "/var" not in done.evidence.replace("/var/lib/kubelet", "")
    full = configured(fleet, {DOCKER_CONFIG: text}, space={("/data/docker", "/data"): 4})
    assert base.conflict(base.check(PreflightDisk, full, "worker1", wanted), "4.0 GiB free at /data for /data/docker")


def test_space_is_asked_for_where_containerd_keeps_its_data(fleet):
    fleet = small_var(fleet, "/var/lib/containerd")
    text = 'version = 2\nroot = "/data/containerd"\n'
    there = configured(fleet, {CONTAINERD_CONFIG: text}, space={("/data/containerd", "/data"): 300})
    assert isinstance(base.check(PreflightDisk, there, "worker1"), Satisfied)
    full = configured(fleet, {CONTAINERD_CONFIG: text}, space={("/data/containerd", "/data"): 4})
    assert base.conflict(base.check(PreflightDisk, full, "worker1"), "4.0 GiB free at /data for /data/containerd")


@pytest.mark.parametrize(
    ("more", "path", "text", "words"),
    [
        ({}, CONTAINERD_CONFIG, "version = 4\n", "version 4, a form of containerd's configuration that is not known here"),
        ({}, CONTAINERD_CONFIG, "version = 2\n[a\n", "is not valid TOML"),
        (DOCKER, DOCKER_CONFIG, '{"log-driver": "syslog"}', "kubectl logs can't read it"),
        (DOCKER, DOCKER_CONFIG, '{"data-root": "/data",}', "line 1: a comma before }"),
        (DOCKER, DOCKER_CONFIG, '{"hosts": ["tcp://0.0.0.0:2375"]}', "Docker does not start with both"),
        (
            {"registry": {"mirrors": {"quay.io": "https://m.example"}}},
            "/etc/containerd/certs.d/quay.io/hosts.toml",
            "server = ",
            "not valid TOML",
        ),
    ],
)
def test_what_stands_in_the_way_is_said_before_anything_is_touched(fleet, more, path, text, words):
    for version in ("", "1.7.24", "2.1.9"):
        there = configured(fleet, {path: text})
        there = {name: replace(facts, runtime=replace(facts.runtime, containerd_version=version)) for name, facts in there.items()}
        assert base.conflict(base.check(PreflightRuntime, there, "worker1", base.answers(**more), load("26.03")), words, path)


# The own registry and a mirror go where containerd looks.
def test_the_own_registry_and_a_folder_of_somebodys_own(fleet):
    text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/srv/certs.d"\n'
    there = configured(fleet, {CONTAINERD_CONFIG: text})
    there = {name: replace(facts, runtime=replace(facts.runtime, containerd_version="2.1.9")) for name, facts in there.items()}
    for enabled in (True, False):
        wanted = base.answers(registry={"enabled": enabled, "mirrors": {"quay.io": "https://m.example"}}, spark={"enabled": False})
        done = base.check(PreflightRuntime, there, "worker1", wanted, load("26.03"))
        assert isinstance(done, Satisfied), done
        shut = {
            name: replace(
                facts, sections={**facts.sections, RuntimeFiles: replace(facts.section(RuntimeFiles), closed=("/srv/certs.d",))}
            )
            for name, facts in there.items()
        }
        done = base.check(PreflightRuntime, shut, "worker1", wanted, load("26.03"))
        assert base.conflict(done, "looks for registries in /srv/certs.d", "make /srv/certs.d writable")


def test_the_other_runtimes_file_is_not_asked(fleet):
    there = configured(fleet, {DOCKER_CONFIG: '{"log-driver": "syslog"}'})
    assert isinstance(base.check(PreflightRuntime, there, "worker1"), Satisfied)


def test_mirrors_are_asked_and_not_what_they_stand_for():
    urls = PreflightNetwork().watch(base.View(base.answers(registry={"mirrors": CASE_1}), base.RELEASE, "worker1")).hosts
    assert {"https://harbor.corp.example/v2/dockerhub", "https://m.corp.example", "https://pkgs.k8s.io"} <= urls
    assert not {"https://registry.k8s.io", "https://registry-1.docker.io", "https://quay.io"} & urls
    assert "https://ghcr.io" in urls, "what has no mirror is asked itself"


def test_the_default_mirror_stands_for_all():
    wanted = base.answers(registry={"mirrors": {"_default": "https://all.example", "quay.io": "https://q.example"}})
    urls = PreflightNetwork().watch(base.View(wanted, base.RELEASE, "worker1")).hosts
    assert urls == {"https://pkgs.k8s.io", "https://all.example", "https://q.example"}


# A tag is never resolved there, so the registry itself has to answer too.
def test_a_mirror_over_plain_http_does_not_stand_alone():
    wanted = base.answers(registry={"mirrors": {"quay.io": "http://m.corp:5000"}})
    urls = PreflightNetwork().watch(base.View(wanted, base.RELEASE, "worker1")).hosts
    assert {"http://m.corp:5000", "https://quay.io"} <= urls


def test_what_a_node_tells_is_bounded_and_checked():
    lines = [
        "file\t/etc/containerd/config.toml",
        "data\tdmVyc2lvbiA9",
        "data\tIDIK",
        "file\t/etc/docker/daemon.json",
        "large\t/etc/x",
    ]
    node_files = RuntimeFiles.parse(
        [
            *lines,
            "import\t/etc/containerd/conf.d/*.toml",
            "exec\tdocker.service /usr/sbin/dockerd -H fd://",
            "space\t/data\t/\t4096\t10\t5",
        ]
    )
    assert node_files.contents == {CONTAINERD_CONFIG: b"version = 2\n", DOCKER_CONFIG: b""}
    assert node_files.unread == ("/etc/x",)
    assert node_files.commands == {"docker.service": "/usr/sbin/dockerd -H fd://"}
    assert node_files.space["/data"].free_bytes == 5 * 4096
    for line in ("data\tdmVy", "what\tx", "file\t/x\ndata\t!!", "space\t/data\t/\t4096\tx\t5"):
        with pytest.raises(SectionError):
            RuntimeFiles.parse(line.split("\n"))
    with pytest.raises(SectionError):
        parsed([RuntimeFiles], {"runtime-files": ["file\t/x"] * 5001})
