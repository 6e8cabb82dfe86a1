"""The checks of phase prepare, on constructed facts: what is needed, what is not, what can't be; and the contents that they write."""

import json
import re
import shlex
import tomllib
from dataclasses import replace

import pytest

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.engine.programs import step_program
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.errors import AnswersError
from kfinstall.facts.model import AptFacts, ClockFacts, Facts, FileFact, OsFacts, PackageFact, RuntimeFacts, SwapFacts, UnitFact
from kfinstall.parts.preflight.apt_facts import AptFiles, Key
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, DOCKER_CONFIG, RuntimeFiles
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.prepare import limits
from kfinstall.parts.prepare.apt import PrepareApt
from kfinstall.parts.prepare.base_packages import PrepareBasePackages
from kfinstall.parts.prepare.clock import PrepareClock
from kfinstall.parts.prepare.containerd import PrepareContainerd
from kfinstall.parts.prepare.docker import PrepareDocker
from kfinstall.parts.prepare.facts import OthersFiles
from kfinstall.parts.prepare.kubernetes_packages import PrepareKubernetesPackages
from kfinstall.parts.prepare.kubernetes_repository import PrepareKubernetesRepository
from kfinstall.parts.prepare.modules import PrepareModules
from kfinstall.parts.prepare.proxy import PrepareProxy
from kfinstall.parts.prepare.swap_off import PrepareSwapOff
from kfinstall.parts.prepare.sysctl import PrepareSysctl
from kfinstall.parts.prepare.tools import PrepareTools
from kfinstall.text import sha256

# ruff: noqa: RUF012
RELEASE = releases.load("26.03")
ACTIVE = UnitFact("loaded", "active", "enabled")
UBUNTU = OsFacts(id="ubuntu", version_id="24.04", architecture="amd64")
DEBIAN_13 = OsFacts(id="debian", version_id="13", architecture="amd64")
KUBERNETES = dict.fromkeys(("kubelet", "kubeadm", "kubectl"), PackageFact(f"{RELEASE.patch(None)}-1.1", "installed", held=True))


def view(facts=None, **more):
    nodes = [{"name": "cp1", "address": "10.77.0.11"}, {"name": "w1", "address": "10.77.0.12"}]
    facts = facts or Facts("cp1")
    facts = facts if facts.os.id else replace(facts, os=UBUNTU)
    return View(Answers.model_validate({"nodes": nodes} | more), RELEASE, "cp1", {"cp1": facts})


def others(text):
    return {OthersFiles: OthersFiles.parse(text.splitlines())}


def file(text, mode=0o644):
    return FileFact("file", mode, "root:root", len(text), sha256(text))


def changes(step, facts=None, **more):
    found = step().check(view(facts, **more))
    assert isinstance(found, Needed), found
    return " | ".join(found.changes)


def satisfied(step, facts=None, **more):
    found = step().check(view(facts, **more))
    assert isinstance(found, Satisfied), found
    return found.evidence


def conflict(step, facts=None, **more):
    found = step().check(view(facts, **more))
    assert isinstance(found, Conflict), found
    return f"{found.reason} || {found.hint}"


class TestApt:
    base = dict.fromkeys(prepare_files.BASE_PACKAGES, PackageFact("1", "installed"))

    def test_others_sources_of_kubernetes_are_named_even_with_fresh_lists(self):
        text = "file\tab\t/etc/apt/sources.list.d/k.sources\nline\tTypes: deb\nline\tURIs: https://apt.kubernetes.io/\nline\tSuites: kubernetes-xenial"
        minor = "file\tcd\t/etc/apt/sources.list.d/m.list\nline\tdeb https://pkgs.k8s.io/core:/stable:/v1.29/deb/ /"
        known = {AptFiles: AptFiles.parse(f"{text}\n{minor}".splitlines())}
        facts = Facts("cp1", apt=AptFacts(updated_age_seconds=1), sections=known)
        wanted = (
            "turn off in /etc/apt/sources.list.d/k.sources the repository of Kubernetes that is gone: "
            "https://apt.kubernetes.io/ kubernetes-xenial"
            " | turn off in /etc/apt/sources.list.d/m.list another source of Kubernetes' packages: https://pkgs.k8s.io/core:/stable:/v1.29/deb/ /"
        )
        assert changes(PrepareApt, facts) == wanted
        assert changes(PrepareApt, replace(facts, apt=AptFacts())) == f"{wanted} | apt-get update"
        given = PrepareApt().parameters(view(facts))
        assert given["OFF"] == "/etc/apt/sources.list.d/k.sources\tab\t1\n/etc/apt/sources.list.d/m.list\tcd\t1\n"
        # What a node has is no change of the answers.
        assert PrepareApt().fingerprint(view(facts)) == PrepareApt().fingerprint(view())

    def test_what_a_killed_step_left_off_hold_is_held_again(self):
        known = {AptFiles: AptFiles(loose=("kubernetes-cni", "cri-tools"))}
        facts = Facts("cp1", apt=AptFacts(updated_age_seconds=1), sections=known)
        assert changes(PrepareApt, facts) == "apt-mark hold kubernetes-cni cri-tools"

    def test_old_lists_are_read_only_where_something_is_missing(self):
        old = AptFacts(updated_age_seconds=limits.PREPARE_LISTS_AGE_SECONDS)
        assert changes(PrepareApt, Facts("cp1", apt=old)) == "apt-get update"
        assert changes(PrepareApt, Facts("cp1", apt=AptFacts())) == "apt-get update"
        assert changes(PrepareApt, Facts("cp1", apt=AptFacts(updated_age_seconds=-5.0)))  # its clock was set back
        satisfied(PrepareApt, Facts("cp1", apt=AptFacts(updated_age_seconds=60.0)))

    # Whichever package brought the runtime: on Ubuntu 26.04 containerd is a virtual one.
    def test_a_prepared_node_never_reads_its_lists_again(self):
        done = Facts("cp1", packages=self.base | KUBERNETES, runtime=RuntimeFacts(containerd_version="2.2.1"))
        satisfied(PrepareApt, done)
        assert changes(PrepareApt, done, cluster={"runtime": "docker"}) == "apt-get update"
        satisfied(PrepareApt, replace(done, runtime=RuntimeFacts(docker_version="29.1.3")), cluster={"runtime": "docker"})

    def test_half_installed_packages_come_first(self):
        broken = Facts("cp1", packages=self.base | KUBERNETES, apt=AptFacts(broken=("runc",), updated_age_seconds=1.0))
        assert "runc" in changes(PrepareApt, broken)

    def test_base_packages(self):
        assert "conntrack" in changes(PrepareBasePackages)
        half = self.base | {"socat": PackageFact("1", "half-configured")}
        assert changes(PrepareBasePackages, Facts("cp1", packages=half)) == "apt-get install socat"
        satisfied(PrepareBasePackages, Facts("cp1", packages=self.base))


class TestSwap:
    @pytest.mark.parametrize(
        ("swap", "change"),
        [
            (SwapFacts(active=("/swap.img",)), "swapoff /swap.img"),
            (SwapFacts(fstab=("/swap.img none swap sw 0 0",)), "/etc/fstab"),
            (SwapFacts(units=("dev-vda3.swap",)), "mask dev-vda3.swap"),
            (SwapFacts(zram=True), "zram"),
            (SwapFacts(units=("dphys-swapfile.service",)), "mask dphys-swapfile.service"),
        ],
    )
    def test_every_source_counts(self, swap, change):
        assert change in changes(PrepareSwapOff, Facts("cp1", swap=swap))

    def test_none(self):
        assert "boot" in satisfied(PrepareSwapOff)

    def test_what_may_make_it_again_is_told(self):
        told = satisfied(PrepareSwapOff, Facts("cp1", swap=SwapFacts(again=("armbian-zram-config.service",))))
        assert "made again by armbian-zram-config.service" in told


class TestKernel:
    def test_modules(self):
        assert "modprobe br_netfilter" in changes(PrepareModules)
        there = frozenset({"overlay", "br_netfilter", "vxlan", "xt_owner"})
        content = f"{prepare_files.MODULES_HEAD}\noverlay\nbr_netfilter\nvxlan\nxt_owner\n"
        # Loaded now, but lost at the next boot.
        parts = changes(PrepareModules, Facts("cp1", modules=there)).split(" | ")
        assert parts[0].startswith("modprobe what this kernel has of Istio's: bridge ip_tables ")
        assert "xt_owner" not in parts[0]
        assert parts[1:] == [f"write {prepare_files.MODULES_FILE}"]
        facts = Facts("cp1", modules=there, files={prepare_files.MODULES_FILE: file(content)})
        assert "1 of 15" in satisfied(PrepareModules, facts)
        # A module that this kernel does not have must not stand in the file: systemd-modules-load would fail at boot.
        assert prepare_files.MODULES_FILE in changes(PrepareModules, replace(facts, modules=there - {"xt_owner"}))

    def test_sysctl_sets_now_and_at_boot(self):
        wanted = prepare_files.sysctl_values(view())
        assert wanted["fs.inotify.max_user_instances"] == "2280"
        assert wanted["fs.inotify.max_user_watches"] == "1255360"
        done = Facts("cp1", sysctls=wanted, files={prepare_files.SYSCTL_FILE: file(prepare_files.sysctl_content(view()))})
        satisfied(PrepareSysctl, done)
        assert "sysctl net.ipv4.ip_forward=1" in changes(
            PrepareSysctl, replace(done, sysctls=wanted | {"net.ipv4.ip_forward": "0"})
        )
        assert "write" in changes(PrepareSysctl, replace(done, files={}))
        lost = {name: value for name, value in wanted.items() if "bridge" not in name}
        assert "bridge-nf-call" in changes(PrepareSysctl, replace(done, sysctls=lost))

    # The kernel has it, the file is right, and the next boot loses it to a file that is read after ours.
    @pytest.mark.parametrize(
        ("order", "name", "value", "lost"),
        [
            ("99-x.conf", "net.ipv4.ip_forward", "0", True),
            ("99-x.conf", "net.ipv4.ip_forward", "1", False),
            ("10-x.conf", "net.ipv4.ip_forward", "0", False),
            ("99-x.conf", "fs.inotify.max_user_instances", "128", True),
            ("99-x.conf", "fs.inotify.max_user_instances", "9000", False),
            ("99-x.conf", "net.ipv4.ip_forward", "off", True),
        ],
    )
    def test_a_later_file_that_sets_less_is_named(self, order, name, value, lost):
        output = f"sysctl\t{order}\t/etc/sysctl.conf\t{name}\t{value}\nnonsense\nsysctl\t99\t"
        wanted = prepare_files.sysctl_values(view())
        files = {prepare_files.SYSCTL_FILE: file(prepare_files.sysctl_content(view()))}
        facts = Facts("cp1", sysctls=wanted, files=files, sections=others(output))
        if lost:
            line = f"turn off in /etc/sysctl.conf, which is read later: {name} = {value}"
            assert changes(PrepareSysctl, facts) == line
        else:
            satisfied(PrepareSysctl, facts)

    # What no kernel says. Digits are more than 0 to 9 to Python, and more than 4300 of them are no number to it.
    @pytest.mark.parametrize("text", ["\u00b2", "\u0661", "9" * 5000, "-" + "9" * 5000, "", "x"])
    def test_numbers_without_sense_are_none(self, text):
        wanted = prepare_files.sysctl_values(view())
        facts = Facts(
            "cp1",
            sysctls=wanted | {"fs.inotify.max_user_instances": text},
            sections=others(f"sysctl\t99-x.conf\t/etc/x\tnet.ipv4.ip_forward\t{text}"),
        )
        assert prepare_files.sysctl_values(view(facts)) == wanted
        assert "sysctl fs.inotify.max_user_instances=2280" in changes(PrepareSysctl, facts)
        assert ("/etc/x" in changes(PrepareSysctl, facts)) is (text != "9" * 5000)
        assert prepare_files.major(text) == 0

    def test_a_higher_value_of_the_machine_stays(self):
        facts = Facts("cp1", sysctls={"fs.inotify.max_user_instances": "8192"})
        assert "fs.inotify.max_user_instances = 8192\n" in prepare_files.sysctl_content(view(facts))

    def test_ipv6_pods_need_forwarding_too(self):
        assert "net.ipv6.conf.all.forwarding" not in prepare_files.sysctl_values(view())
        six = {"podCIDR": "fd00:10::/56", "serviceCIDR": "fd00:20::/112"}
        assert prepare_files.sysctl_values(view(cluster=six))["net.ipv6.conf.all.forwarding"] == "1"

    def test_clock(self):
        assert "timesyncd" in changes(PrepareClock)
        satisfied(PrepareClock, Facts("cp1", units={"chrony.service": ACTIVE}))
        satisfied(PrepareClock, Facts("cp1", clock=ClockFacts(synchronized=True)))
        satisfied(PrepareClock, Facts("cp1", os=replace(UBUNTU, virtualization="lxc")))
        assert changes(PrepareClock, Facts("cp1", os=replace(UBUNTU, virtualization="kvm")))


class TestContainerd:
    def facts(self, version="1.7.28", **more):
        found = Facts("cp1", runtime=RuntimeFacts(containerd_version=version, cri_sockets=("/run/containerd/containerd.sock",)))
        made = view(found)
        content = prepare_files.containerd_v3(made) if version.startswith("2") else prepare_files.containerd_v2(made)
        found = replace(found, sections={RuntimeFiles: RuntimeFiles({CONTAINERD_CONFIG: content.encode()})})
        files = {
            CONTAINERD_CONFIG: file(content),
            prepare_files.CONTAINERD_LIMITS: file(prepare_files.containerd_limits()),
            f"{prepare_files.PROOFS}/prepare-containerd.json": file(prepare_files.containerd_record(made)),
        }
        return replace(found, files=files, units={"containerd.service": ACTIVE}, **more)

    @pytest.mark.parametrize("version", ["1.6.20", "1.7.28", "2.0.6", "2.2.1"])
    def test_satisfied(self, version):
        assert version in satisfied(PrepareContainerd, self.facts(version))

    def test_missing(self):
        assert "apt-get install containerd" in changes(PrepareContainerd)

    # containerd 2 reads the form of 1.7, with the same meaning: whoever upgrades need not restart it for another one.
    def test_an_upgraded_containerd_keeps_its_file(self):
        satisfied(
            PrepareContainerd, replace(self.facts("1.7.28"), runtime=replace(self.facts().runtime, containerd_version="2.2.1"))
        )

    def test_which_containerd_comes_is_known_on_the_node(self):
        given = PrepareContainerd().parameters(view())
        assert "version = 2" in given["EDITS1"]
        assert "version = 3" in given["EDITS2"]
        there = PrepareContainerd().parameters(view(replace(self.facts("1.7.28"), sections={})))
        assert there["EDITS1"]
        assert not there["EDITS2"]

    # The record is of what is wanted: what others set beside it later is no drift.
    def test_what_others_add_is_no_drift(self):
        facts = self.facts("1.7.28")
        text = facts.sections[RuntimeFiles].contents[CONTAINERD_CONFIG].decode()
        more = text + '[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "runc"\n[debug]\nlevel = "info"\n'
        satisfied(PrepareContainerd, replace(facts, sections={RuntimeFiles: RuntimeFiles({CONTAINERD_CONFIG: more.encode()})}))

    def test_what_is_not_understood_is_a_conflict(self):
        broken = {RuntimeFiles: RuntimeFiles({CONTAINERD_CONFIG: b"version = 4"})}
        assert "version 4" in conflict(PrepareContainerd, replace(self.facts(), sections=broken))
        assert PrepareContainerd().parameters(view(replace(self.facts(), sections=broken)))["REFUSED1"]

    def test_both_forms_are_toml_with_what_matters(self):
        old, new = (tomllib.loads(text(view())) for text in (prepare_files.containerd_v2, prepare_files.containerd_v3))
        cri = old["plugins"]["io.containerd.grpc.v1.cri"]
        assert (old["version"], new["version"]) == (2, 3)
        assert old["disabled_plugins"] == new["disabled_plugins"] == []
        assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
        assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10.1"
        assert cri["registry"]["config_path"] == "/etc/containerd/certs.d"
        assert cri["cni"]["bin_dir"] == "/opt/cni/bin"  # Debian's own file says /usr/lib/cni, where Calico installs nothing
        runtime, images = (new["plugins"][f"io.containerd.cri.v1.{name}"] for name in ("runtime", "images"))
        assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
        assert images["pinned_images"]["sandbox"] == "registry.k8s.io/pause:3.10.1"
        assert images["registry"]["config_path"] == "/etc/containerd/certs.d"

    @pytest.mark.parametrize(
        ("minor", "tag"), [("1.32", "3.10"), ("1.33", "3.10"), ("1.34", "3.10.1"), ("1.35", "3.10.1"), ("1.36", "3.10.2")]
    )
    def test_the_sandbox_image_follows_the_minor(self, minor, tag):
        made = view(cluster={"kubernetesVersion": minor})
        assert prepare_files.pause_image(made) == f"registry.k8s.io/pause:{tag}"
        for text in (prepare_files.containerd_v2(made), prepare_files.containerd_v3(made)):
            assert re.findall(r"pause:([0-9.]+)", text) == [tag]

    def test_no_sandbox_image_is_guessed(self):
        with pytest.raises(AnswersError, match=r"1\.30 are not known"):
            prepare_files.containerd_v3(view(cluster={"kubernetesVersion": "1.30"}))

    @pytest.mark.parametrize("version", ["1.7.28", "2.2.1"])
    def test_another_minors_sandbox_image_is_told_in_the_plan(self, version):
        settings = {"cluster": {"release": "26.03.1", "kubernetesVersion": "1.36"}}
        facts = self.facts(version)  # of 1.34 or 1.35
        path = CONTAINERD_CONFIG if version.startswith("1") else "/etc/containerd/conf.d/zz-kfinstall.toml"
        expected = f"write {path}: sandbox image registry.k8s.io/pause:3.10.2 instead of registry.k8s.io/pause:3.10.1"
        assert expected in changes(PrepareContainerd, facts, **settings)

    # Docker's containerd.io ships disabled_plugins = ["cri"]: the daemon runs, and kubeadm fails.
    def test_a_daemon_without_cri_is_not_done(self):
        facts = self.facts()
        mute = replace(facts, runtime=replace(facts.runtime, cri_sockets=("/run/cri-dockerd.sock",)))
        assert "CRI" in changes(PrepareContainerd, mute)

    # Killed between writing the file and restarting the daemon: the file is right, the daemon has the old one.
    def test_right_files_without_a_restart_are_not_done(self):
        facts = self.facts()
        assert "restart" in changes(PrepareContainerd, replace(facts, files=dict(list(facts.files.items())[:2])))

    def test_off_at_boot(self):
        off = {"containerd.service": UnitFact("loaded", "active", "disabled")}
        assert "enable" in changes(PrepareContainerd, replace(self.facts(), units=off))


class TestDocker:
    docker = {"cluster": {"runtime": "docker"}}

    def facts(self, version="29.1.3"):
        made, step = view(**self.docker), PrepareDocker()
        given = step.parameters(made)
        files = {
            given["BINARY"]: file("x", 0o755),
            given["SERVICE_FILE"]: file(given["SERVICE"]),
            given["SOCKET_FILE"]: file(given["SOCKET"]),
            f"{prepare_files.PROOFS}/prepare-docker.json": file(given["RECORD"] + "\n"),
        }
        units = dict.fromkeys(("docker.service", "cri-docker.socket", "cri-docker.service"), ACTIVE)
        runtime = RuntimeFacts(docker_version=version, cri_sockets=("/run/cri-dockerd.sock",))
        daemon = {"exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file", "log-opts": {"max-size": "100m"}}
        sections = {RuntimeFiles: RuntimeFiles({DOCKER_CONFIG: json.dumps(daemon).encode()})}
        return Facts("cp1", files=files, units=units, runtime=runtime, sections=sections)

    def test_satisfied_and_missing(self):
        assert "29.1.3" in satisfied(PrepareDocker, self.facts(), **self.docker)
        other = {"cluster": {"runtime": "docker", "release": "26.03.1", "kubernetesVersion": "1.36"}}
        text = changes(PrepareDocker, self.facts(), **other)
        assert "cri-docker.service: sandbox image registry.k8s.io/pause:3.10.2 instead of registry.k8s.io/pause:3.10.1" in text
        facts = self.facts()
        for path in facts.files:
            changes(PrepareDocker, replace(facts, files={k: v for k, v in facts.files.items() if k != path}), **self.docker)
        assert "answers" in changes(PrepareDocker, replace(facts, runtime=RuntimeFacts(docker_version="29.1.3")), **self.docker)

    # All that apt-get brings is in the plan; a Docker that is there brings its own client.
    @pytest.mark.parametrize(
        ("system", "there", "packages"),
        [
            (UBUNTU, Facts("cp1"), "docker.io"),
            (DEBIAN_13, Facts("cp1"), "docker.io docker-cli"),
            (DEBIAN_13, Facts("cp1", runtime=RuntimeFacts(docker_version="28.5.1")), "docker-cli"),
        ],
    )
    def test_the_packages_that_come(self, system, there, packages):
        check = PrepareDocker().check(view(replace(there, os=system), **self.docker))
        assert check.changes[0] == f"apt-get install {packages}"

    def test_a_docker_that_is_there_brings_its_own_client(self):
        there = Facts("cp1", runtime=RuntimeFacts(docker_version="28.5.1"), commands={"docker": "/usr/bin/docker"}, os=DEBIAN_13)
        assert "apt-get" not in changes(PrepareDocker, there, **self.docker)

    def test_daemon_json_is_looked_at_by_field(self):
        facts = self.facts()
        other = {RuntimeFiles: RuntimeFiles({DOCKER_CONFIG: b'{"exec-opts": ["native.cgroupdriver=cgroupfs"]}'})}
        assert 'set exec-opts to ["native.cgroupdriver=systemd"] in /etc/docker/daemon.json instead of' in changes(
            PrepareDocker, replace(facts, sections=other), **self.docker
        )
        broken = {RuntimeFiles: RuntimeFiles({DOCKER_CONFIG: b'{"log-driver": "syslog"}'})}
        assert "log driver is syslog" in conflict(PrepareDocker, replace(facts, sections=broken), **self.docker)

    # cri-dockerd speaks API 1.42 and newer; Debian 12 has Docker 20.10. Told before anything is installed.
    def test_too_old(self):
        assert "containerd" in conflict(PrepareDocker, self.facts("20.10.24"), **self.docker)
        debian = Facts("cp1", os=OsFacts(id="debian", version_id="12", architecture="amd64"))
        assert "20.10" in conflict(PrepareDocker, debian, **self.docker)
        # Docker's own packages there are new enough.
        satisfied(PrepareDocker, replace(self.facts("28.0.1"), os=debian.os), **self.docker)

    def test_an_architecture_without_a_pinned_file(self):
        riscv = Facts("cp1", os=replace(UBUNTU, architecture="riscv64"))
        assert "riscv64" in conflict(PrepareDocker, riscv, **self.docker)
        assert "riscv64" in conflict(PrepareTools, riscv)

    def test_only_one_runtime_applies(self):
        for runtime, applies in (("containerd", (True, False)), ("docker", (False, True))):
            given = view(cluster={"runtime": runtime}).answers
            assert (PrepareContainerd().applies(given), PrepareDocker().applies(given)) == applies


class TestKubernetes:
    on = {"kubelet.service": UnitFact("loaded", "activating", "enabled")}

    def test_repository_of_the_minor(self):
        given = PrepareKubernetesRepository().parameters(view())
        assert given["LIST"] == (
            "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v1.34/deb/ /\n"
        )
        assert given["KEY_URL"] == "https://pkgs.k8s.io/core:/stable:/v1.34/deb/Release.key"
        files = {given["KEY_FILE"]: file("key"), given["LIST_FILE"]: file(given["LIST"])}
        satisfied(PrepareKubernetesRepository, Facts("cp1", files=files))
        assert "1.33" in changes(PrepareKubernetesRepository, Facts("cp1", files=files), cluster={"kubernetesVersion": "1.33"})
        assert "keyring" in changes(PrepareKubernetesRepository, Facts("cp1", files=files | {given["KEY_FILE"]: file("")}))

    def test_packages(self):
        assert "apt-get install kubelet 1.34" in changes(PrepareKubernetesPackages)
        satisfied(PrepareKubernetesPackages, Facts("cp1", packages=KUBERNETES, units=self.on))
        free = KUBERNETES | {"kubectl": replace(KUBERNETES["kubectl"], held=False)}
        assert changes(PrepareKubernetesPackages, Facts("cp1", packages=free, units=self.on)) == "apt-mark hold kubectl"
        assert "enable kubelet" in changes(PrepareKubernetesPackages, Facts("cp1", packages=KUBERNETES))

    def test_another_version(self):
        other = dict.fromkeys(KUBERNETES, PackageFact("1.33.1-1.1", "installed", held=True))
        assert "replace kubelet 1.33.1" in changes(PrepareKubernetesPackages, Facts("cp1", packages=other))
        member = Facts("cp1", packages=other, runtime=RuntimeFacts(kubeadm_files=("kubelet.conf",)))
        assert "cluster: {kubernetesVersion: 1.33.1}" in conflict(PrepareKubernetesPackages, member)

    def test_a_newer_version_is_not_downgraded(self):
        newer = dict.fromkeys(KUBERNETES, PackageFact("1.36.0-1.1", "installed", held=True))
        text = conflict(PrepareKubernetesPackages, Facts("cp1", packages=newer))
        assert "kubelet 1.36.0 is installed, newer than 1.34" in text
        assert "apt-get purge --allow-change-held-packages kubelet kubeadm kubectl" in text

    # The guide of Kubernetes' own documentation gives list and key the names that ours have.
    @pytest.mark.parametrize(
        ("form", "readable", "ends", "why"),
        [
            ("binary", True, 0, ""),
            ("binary", True, 2_000_000_000, ""),
            ("binary", True, 999, "has expired"),
            ("binary", False, 0, "can't be read"),
            ("page", True, -1, "a web page"),
            ("armored", True, 0, "is text"),
        ],
    )
    def test_a_key_that_apt_can_not_use_is_fetched_anew(self, form, readable, ends, why):
        given = PrepareKubernetesRepository().parameters(view())
        files = {given["KEY_FILE"]: file("key"), given["LIST_FILE"]: file(given["LIST"])}
        known = {AptFiles: AptFiles(keys=(Key(given["KEY_FILE"], form, readable, ends),))}
        facts = Facts("cp1", files=files, sections=known, clock=ClockFacts(epoch_seconds=1000.0))
        if why:
            assert why in changes(PrepareKubernetesRepository, facts)
        else:
            satisfied(PrepareKubernetesRepository, facts)


def test_tools_know_their_file_by_its_content():
    given = PrepareTools().parameters(view())
    binary, record = file("kustomize", 0o755), f"{prepare_files.PROOFS}/prepare-tools.json"
    git = {"git": PackageFact("1:2", "installed")}
    files = {given["BINARY"]: binary, record: file(f"{given['SHA256']}\n{binary.sha256}\n")}
    satisfied(PrepareTools, Facts("cp1", files=files, packages=git))
    assert "git" in changes(PrepareTools, Facts("cp1", files=files))
    replaced = files | {given["BINARY"]: file("another one", 0o755)}
    assert "kustomize 5.8.1" in changes(PrepareTools, Facts("cp1", files=replaced, packages=git))
    arm = Facts("cp1", os=replace(UBUNTU, architecture="arm64"))
    assert PrepareTools().parameters(view(arm))["URL"].endswith("_linux_arm64.tar.gz")


class TestProxy:
    proxy = {
        "proxy": {
            "http": "http://p:3128/a%20b",
            "https": "http://p:3128/$(x)'\"",
            "noProxy": [".corp", "mirror.corp", "10.0.0.0/8"],
        }
    }

    def test_only_where_there_is_one(self):
        assert not PrepareProxy().applies(view().answers)
        assert PrepareProxy().applies(view(**self.proxy).answers)

    def test_what_goes_direct(self):
        direct = prepare_files.no_proxy(view(**self.proxy).answers).split(",")
        for host in ("127.0.0.1", "10.77.0.11", "w1", "10.244.0.0/16", "10.96.0.0/16", ".svc", ".corp"):
            assert host in direct
        assert len(direct) == len(set(direct))

    def test_quoting(self):
        given = view(**self.proxy).answers
        assert 'Environment="HTTP_PROXY=http://p:3128/a%%20b"' in prepare_files.proxy_unit(given)
        assert '$(x)\'\\""' in prepare_files.proxy_unit(given)
        line = next(line for line in prepare_files.proxy_env(given).splitlines() if line.startswith("export https_proxy="))
        assert shlex.split(line) == ["export", "https_proxy=http://p:3128/$(x)'\""]
        apt = prepare_files.proxy_apt(given)
        assert 'Acquire::https::Proxy "http://p:3128/$(x)\'%22";' in apt
        assert 'Acquire::http::Proxy::mirror.corp "DIRECT";' in apt
        assert "10.0.0.0" not in apt

    def test_check(self):
        given = PrepareProxy().parameters(view(**self.proxy))
        files = {given[f"{name}_FILE"]: file(given[text]) for name, text in (("APT", "APT"), ("UNIT", "DROP_IN"), ("ENV", "ENV"))}
        satisfied(PrepareProxy, Facts("cp1", files=files), **self.proxy)
        for path in files:
            assert path in changes(PrepareProxy, Facts("cp1", files={k: v for k, v in files.items() if k != path}), **self.proxy)

    def test_the_runtime_of_the_answers_is_told(self):
        given = PrepareProxy().parameters(view(**self.proxy, cluster={"runtime": "docker"}))
        assert given["UNIT_FILE"].startswith("/etc/systemd/system/docker.service.d/")


# Whatever the parameters hold, the rendered program only ever quotes it.
def test_parameters_are_quoted():
    text = step_program("prepare-base-packages", {"PACKAGES": "a'b; $(touch /tmp/x)\n`c`"}).render()
    assert "export KF_PACKAGES='a'\"'\"'b; $(touch /tmp/x)\n`c`'" in text
