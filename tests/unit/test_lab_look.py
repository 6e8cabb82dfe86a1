"""How the lab holds a plan against what then differs on a node: every word of a plan is looked for, and nothing else may have changed."""

import pytest

from kfinstall.engine.step import Needed, Scope
from kfinstall.parts.registry import files as registry_files
from kfinstall.workflows.installation import PHASES
from tests.lab.look import Look, unannounced, unkept
from tests.lab.test_steps_lab import CONTAINERD, DOCKER

NOTHING = Look(frozenset())


def look(*lines):
    return Look(frozenset(line.replace(" ", "\t", 2) for line in lines))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("apt-get install kubelet 1.34.2", "package kubelet 1.34.2-1.1 installed"),
        ("install docker-registry", "package docker-registry 2.8"),
        ("install kustomize 5.8.1 as /usr/local/bin/kustomize", "content /usr/local/bin/kustomize abc"),
        ("write /etc/sysctl.d/99-kfinstall.conf", "content /etc/sysctl.d/99-kfinstall.conf abc"),
        ("swapoff /swap.img", "swap /swap.img -"),
        ("comment out in /etc/fstab: /swap.img none swap sw 0 0", "content /etc/fstab abc"),
        (
            "turn off in /etc/sysctl.d/99-x.conf, which is read later: net.ipv4.ip_forward = 0",
            "content /etc/sysctl.d/99-x.conf abc",
        ),
        ("sysctl net.ipv4.ip_forward=1", "sysctl net.ipv4.ip_forward 1"),
        ("systemctl mask swap.img.swap", "link /etc/systemd/system/swap.img.swap /dev/null"),
        (r"systemctl mask 'lab\x2dswap.swap'", r"link /etc/systemd/system/lab\x2dswap.swap /dev/null"),
        ("modprobe br-netfilter", "module br_netfilter -"),
        ("apt-mark hold kubelet", "held kubelet -"),
        ("systemctl enable --now containerd", "active containerd.service -"),
        ("systemctl enable kubelet", "link /etc/systemd/system/multi-user.target.wants/kubelet.service /lib"),
        ("turn systemd-timesyncd on", "active systemd-timesyncd.service -"),
        ("make /srv/nfs/kubeflow", "folder /srv/nfs/kubeflow 755 root:root"),
        ("merge the cgroup driver into /etc/docker/daemon.json", "content /etc/docker/daemon.json abc"),
        (
            "push 10.0.0.1:5000/kfinstall/proof:1",
            "folder /srv/i/docker/registry/v2/repositories/kfinstall/proof/_manifests/tags/1 755 a:b",
        ),
        ("pull 10.0.0.1:5000/kfinstall/proof@sha256:abc", "image 10.0.0.1:5000/kfinstall/proof@sha256:abc -"),
        ("sign a server certificate for node1", f"content {registry_files.CERTIFICATE} abc"),
    ],
)
def test_what_a_plan_says_is_looked_for(change, line):
    plan = Needed((change,))
    assert unkept(plan, NOTHING, look(line)) == []
    assert len(unkept(plan, NOTHING, look("content /etc/other abc"))) == 1
    assert unkept(plan, look(line), look(line)) != []


def test_words_that_nobody_knows_how_to_look_for_are_an_error():
    with pytest.raises(ValueError, match="polish the disk"):
        unkept(Needed(("polish the disk",)), NOTHING, NOTHING)


def test_what_no_plan_says_is_found_also_where_packages_came():
    plan = Needed(("apt-get install ipset",))
    package, owned = "package ipset 7.17 installed", "owned /etc/ipset.conf -"
    fine = look(package, owned, "content /etc/ipset.conf abc", "link /etc/rc2.d/S01ipset ../init.d/ipset", "active ipset.service -")
    assert unannounced(plan, NOTHING, fine) == []
    for line in (
        "content /etc/cron.d/foreign abc",
        "folder /opt/foreign 777 root:root",
        "mode /etc/fstab 666",
        "sysctl vm.swappiness 1",
    ):
        kind, subject = line.split()[:2]
        assert unannounced(plan, NOTHING, look(package, line)) == [(kind, subject)]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("push 10.0.0.1:5000/kfinstall/proof:1", "content /srv/i/docker/registry/v2/blobs/sha256/ab/abc/data abc"),
        ("pull 10.0.0.1:5000/kfinstall/proof@sha256:abc", "image sha256:def -"),
    ],
)
def test_what_follows_a_push_or_a_pull_is_foreign_without_it(change, line):
    kind, subject = line.split()[:2]
    assert unannounced(Needed((change,)), NOTHING, look(line)) == []
    # Also where packages came: none of them brings an image.
    assert unannounced(Needed(("apt-get install ipset",)), NOTHING, look("package ipset 7.17", line)) == [(kind, subject)]
    for other in ("image 10.0.0.1:5000/foreign@sha256:abc -", "content /etc/foreign abc"):
        assert unannounced(Needed((change,)), NOTHING, look(other)) == [tuple(other.split()[:2])]


def test_each_step_on_nodes_is_done_by_itself():
    steps = [step for phase in PHASES if phase.id in ("prepare", "storage", "registry") for step in phase.steps]
    wanted = {step.id for step in steps if step.scope is not Scope.CLUSTER}
    assert {kind.id for setting in (CONTAINERD, DOCKER) for kind in setting.steps} == wanted
