"""Docker's daemon.json as it is found on servers. Where Dockers are at hand (KFINSTALL_DOCKERD) each result is read by them too."""

import json
import os
import subprocess

import pytest

from kfinstall import resources
from kfinstall.parts.preflight import daemon_json
from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import DOCKER_CONFIG, RuntimeFiles
from tests.fakes.runtime_etc import BASH, Etc, needs_bash

OURS = {"exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file", "log-opts": {"max-size": "100m", "max-file": "3"}}
DOCKERDS = [path for path in os.environ.get("KFINSTALL_DOCKERD", "").split(os.pathsep) if path]
UNIT = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"


@pytest.mark.skipif(not DOCKERDS, reason="KFINSTALL_DOCKERD names no dockerd: results are read by json alone")
def test_dockers_are_at_hand_that_read_each_result():
    assert all(os.access(path, os.X_OK) for path in DOCKERDS)


def found(text, command=""):
    return RuntimeFiles(
        {DOCKER_CONFIG: text.encode() if isinstance(text, str) else text}, commands={"docker.service": command} if command else {}
    )


def merged(text, mirrors=()):
    (change,) = daemon_json.changes(found(text), mirrors)
    assert daemon_json.changes(found(change.after), mirrors) == (), "a second look finds nothing to do"
    return json.loads(change.after), change


def refused(text, command=""):
    with pytest.raises(Refused) as error:
        daemon_json.changes(found(text, command), ())
    return f"{error.value.reason} || {error.value.hint}"


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('{"data-root": "/data/docker"}', {"data-root": "/data/docker"}),
        ("{}", {}),
        ("{\n}\n", {}),
        (
            '{"insecure-registries": ["r:5000"], "log-opts": {"tag": "x"}}',
            {"insecure-registries": ["r:5000"], "log-opts": {"tag": "x"}},
        ),
        (
            '{\n    "default-runtime": "nvidia",\n    "runtimes": {\n        "nvidia": {\n            "args": [],\n            "path": "nvidia-container-runtime"\n        }\n    }\n}\n',
            {"default-runtime": "nvidia", "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}},
        ),
        (
            '{"storage-driver": "btrfs", "live-restore": true, "bip": "10.200.0.1/24", "debug": true}',
            {"storage-driver": "btrfs", "live-restore": True, "bip": "10.200.0.1/24", "debug": True},
        ),
        (
            '{"features": {"containerd-snapshotter": true}, "proxies": {"http-proxy": "http://p:3128"}}',
            {"features": {"containerd-snapshotter": True}, "proxies": {"http-proxy": "http://p:3128"}},
        ),
    ],
)
def test_what_others_set_stays(tmp_path, text, more):
    data, change = merged(text)
    assert data == {**OURS, **more}
    for key, value in json.loads(text).items():
        assert data[key] == value
    for dockerd in DOCKERDS:
        path = tmp_path / "daemon.json"
        path.write_text(change.after)
        options = ["--validate", "--userland-proxy-path=/bin/true", "--config-file", str(path)]
        completed = subprocess.run([dockerd, *options], capture_output=True, text=True, check=False)
        assert "configuration OK" in completed.stderr + completed.stdout, completed


def test_only_the_lines_that_differ_are_touched():
    text = '{\n\t"data-root": "/data/docker",\n\t"proxies": {"https-proxy": "http://u:hidden@p"},\n\t"exec-opts": ["native.cgroupdriver=cgroupfs", "a=b"]\n}\n'
    data, change = merged(text)
    assert data["exec-opts"] == ["a=b", "native.cgroupdriver=systemd"]
    assert (
        'set exec-opts to ["a=b", "native.cgroupdriver=systemd"] in /etc/docker/daemon.json instead of ["native.cgroupdriver=cgroupfs", "a=b"]'
        in change.words
    )
    assert change.after.splitlines()[:3] == text.splitlines()[:3]
    from kfinstall.parts.preflight.changes import described

    assert "hidden" not in described((change,))


def test_where_there_is_none_it_is_ours():
    (change,) = daemon_json.changes(RuntimeFiles(), ())
    assert change.before is None
    assert json.loads(change.after) == OURS


def test_the_mirror_of_docker_hub_comes_first_and_once():
    data, _change = merged('{"registry-mirrors": ["https://old.corp"]}', ("https://m.corp",))
    assert data["registry-mirrors"] == ["https://m.corp", "https://old.corp"]
    assert daemon_json.changes(found(json.dumps({**OURS, "registry-mirrors": ["https://m.corp/"]})), ("https://m.corp",)) == ()


# Only json-file leaves what cri-dockerd can lead the kubelet to.
@pytest.mark.parametrize(
    "driver", ["syslog", "journald", "none", "local", "fluentd", "gelf", "awslogs", "splunk", "gcplogs", "loki", "plugin/name:1"]
)
def test_a_log_driver_that_kubectl_logs_can_not_read(driver):
    reason = refused(json.dumps({"log-driver": driver}))
    assert driver in reason
    assert "kubectl logs" in reason
    assert driver in refused("{}", f"{UNIT} --log-driver={driver}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  // the data disk\n  "data-root": "/data"\n}', "line 2: JSON has no comments"),
        ('{\n  # the data disk\n  "data-root": "/data"\n}', "line 2: JSON has no comments"),
        ('{\n  "data-root": "/data",\n}', "line 3: a comma before }"),
        ('{"exec-opts": [\n"a",\n]}', "line 3: a comma before ]"),
        ('{"a": 1}\n}', "line 2: Extra data"),
        ("{\n'a': 1}", "line 2"),
        ("[]", "is not a JSON object"),
        ("5", "is not a JSON object"),
        ('{"exec-opts": "native.cgroupdriver=systemd"}', "exec-opts in /etc/docker/daemon.json is not a list"),
        ('{"registry-mirrors": [1]}', "registry-mirrors in /etc/docker/daemon.json is not a list"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        ("[" * 20000, "not valid JSON"),
        ('{"graph": "/data"}', "graph in /etc/docker/daemon.json is a key that Docker does not know any more"),
        ('{"userns-remap": "default"}', "userns-remap is on"),
        ('{"cgroup-parent": "/custom"}', "cgroup-parent is /custom"),
        ('{"default-runtime": "nvidia"}', "nvidia is Docker's default-runtime, and no runtime of that name is described"),
        ('{"storage-driver": "devicemapper"}', "storage driver is devicemapper, which Docker 25 and later do not have"),
        ('{"storage-driver": "overlay"}', "storage driver is overlay"),
        ('{"storage-driver": "aufs"}', "storage driver is aufs"),
    ],
)
def test_what_can_not_stay_is_said(text, words):
    assert words in refused(text)


@pytest.mark.parametrize(
    ("text", "command", "words"),
    [
        (
            '{"hosts": ["tcp://0.0.0.0:2375", "unix:///var/run/docker.sock"]}',
            UNIT,
            "hosts stands in /etc/docker/daemon.json, and docker.service starts with -H",
        ),
        # The package's unit, which is there once it is installed.
        ('{"hosts": ["unix:///var/run/docker.sock"]}', "", "starts with -H"),
        ('{"hosts": ["fd://"]}', "/usr/bin/dockerd --host=fd://", "starts with --host"),
        (
            "{}",
            f"{UNIT} --exec-opt native.cgroupdriver=systemd",
            "exec-opts has to stand in /etc/docker/daemon.json, and docker.service starts with --exec-opt",
        ),
        ('{"data-root": "/a"}', f"{UNIT} --data-root /b", "starts with --data-root"),
        ('{"hosts": ["tcp://0.0.0.0:2375"]}', "/usr/bin/dockerd", "told to listen at tcp://0.0.0.0:2375 only"),
        ("{}", "/usr/bin/dockerd -H tcp://0.0.0.0:2375", "told to listen at tcp://0.0.0.0:2375 only"),
        ("{}", f"{UNIT} --cgroup-parent=/kube", "cgroup-parent is /kube"),
        ("{}", f"{UNIT} --default-runtime nvidia", "nvidia is Docker's default-runtime"),
        ("{}", f"{UNIT} -s aufs", "storage driver is aufs"),
        ("{}", "/usr/bin/dockerd $DOCKER_OPTS ${DNS_1}", "starts Docker with $DOCKER_OPTS, ${DNS_1}, whose value can't be read"),
        ("{}", f"{UNIT} --config-file=/opt/docker.json", "started with the configuration /opt/docker.json"),
    ],
)
def test_a_key_and_an_option_for_the_same(text, command, words):
    assert words in refused(text, command)


@pytest.mark.parametrize(
    ("text", "command", "version"),
    [
        ('{"cgroup-parent": "custom.slice"}', UNIT, ""),
        ('{"storage-driver": "devicemapper"}', UNIT, "24.0.7"),
        ('{"storage-driver": "overlay2"}', UNIT, "28.2.2"),
        ('{"default-runtime": "nvidia"}', f"{UNIT} --add-runtime=nvidia=/usr/bin/nvidia-container-runtime", ""),
        ('{"default-runtime": "io.containerd.runsc.v1"}', UNIT, ""),
        ("{}", "/usr/bin/dockerd -H tcp://127.0.0.1:2375 -H unix:///var/run/docker.sock", ""),
        ('{"hosts": ["tcp://0.0.0.0:2375", "unix:///run/docker.sock"]}', "/usr/bin/dockerd", ""),
    ],
)
def test_what_pods_run_under_stays(text, command, version):
    (change,) = daemon_json.changes(found(text, command), (), version)
    assert json.loads(change.after) == {**OURS, **json.loads(text)}


# kubespray's unit, and those of distributions that have an EnvironmentFile.
@needs_bash
@pytest.mark.parametrize(
    ("environment", "files", "command"),
    [
        ("A=b DOCKER_OPTS=--debug", "", "dockerd --debug  end"),
        (r'HTTP_PROXY=http://u:p@x "DOCKER_OPTS=--label \"a b\" -H fd://" X=1', "", 'dockerd --label "a b" -H fd://  end'),
        (
            "",
            "DOCKER_OPTS='--exec-opt a=b'\nDNS=--dns=1.1.1.1 \\\n  --dns=8.8.8.8\n",
            "dockerd --exec-opt a=b --dns=1.1.1.1   --dns=8.8.8.8 end",
        ),
        ("DOCKER_OPTS=--debug", 'DOCKER_OPTS="--later"\n', "dockerd --later  end"),
        ("", None, "dockerd $DOCKER_OPTS $DNS end"),
        ("$'DOCKER_OPTS=a b'", "", "dockerd $DOCKER_OPTS  end"),
        ("[unprintable]", "", "dockerd $DOCKER_OPTS $DNS end"),
    ],
)
def test_variables_of_the_unit_are_read(tmp_path, environment, files, command):
    told = tmp_path / "environment"
    if files is None:
        told.mkdir()
    else:
        told.write_text(files)
    systemctl = (
        'systemctl() { case "$*" in *" Environment "*) printf "%s\\n" "$ENVIRONMENT" ;; '
        f'*EnvironmentFiles*) printf "%s\\n" "{told} (ignore_errors=no)" ;; esac; }}\n'
    )
    script = resources.script("preflight/facts-runtime").rpartition("kf_section")[0]
    body = f"{script}\n{systemctl}kf_runtime_command docker.service 'dockerd $DOCKER_OPTS ${{DNS}} end'\nprintf %s \"$KF_COMMAND\""
    done = subprocess.run(
        [BASH, "-c", body],
        capture_output=True,
        text=True,
        check=False,
        env={"ENVIRONMENT": environment, "PATH": os.environ["PATH"]},
    )
    assert done.stdout == command, done.stderr


def test_hosts_without_an_option_is_fine():
    (change,) = daemon_json.changes(
        found('{"hosts": ["fd://"]}', "/usr/bin/dockerd --containerd=/run/containerd/containerd.sock"), ()
    )
    assert json.loads(change.after)["hosts"] == ["fd://"]


@pytest.mark.parametrize(
    ("text", "command", "root"),
    [
        ('{"data-root": "/data/docker"}', "", "/data/docker"),
        ("{}", f"{UNIT} --data-root=/data/b", "/data/b"),
        ("{}", f"{UNIT} -g /data/c", "/data/c"),
        ("{", "", "/var/lib/docker"),
        ('{"data-root": 5}', "", "/var/lib/docker"),
    ],
)
def test_where_docker_keeps_its_data(text, command, root):
    assert daemon_json.data_root(found(text, command)) == root


@needs_bash
def test_the_nodes_scripts_change_it_and_keep_the_old_one(tmp_path):
    text = '{"data-root": "/data/docker"}'
    etc = Etc(tmp_path, files={DOCKER_CONFIG: text})
    files = etc.read()
    assert daemon_json.data_root(files) == "/data/docker"
    assert set(files.space) == {"/data/docker"}
    changes = daemon_json.changes(files, ())
    assert etc.edit(changes).returncode == 0
    assert json.loads(etc.text(DOCKER_CONFIG)) == {**OURS, "data-root": "/data/docker"}
    assert daemon_json.changes(etc.read(), ()) == ()
    (kept,) = [path for path in (tmp_path / "state" / "undo").iterdir() if path.name.endswith("daemon.json")]
    assert kept.read_text() == etc.there(text)
