"""Configurations of containerd as they are found on servers: what others wrote stays, what Kubernetes needs is added, by the nodes' own scripts.

Where containerds are at hand (KFINSTALL_CONTAINERD, or one that is installed) each result is read by them too.
"""

import tomllib
from pathlib import Path

import pytest

from kfinstall.parts.preflight import containerd_merge
from kfinstall.parts.preflight.containerd_read import Refused, containerd_root, get, merged, read
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from tests.fakes.runtime_etc import CONTAINERDS, Etc, needs_bash, version_of

pytestmark = needs_bash
CONFIG = "/etc/containerd/config.toml"
OWN = "/etc/containerd/conf.d/zz-kfinstall.toml"
NVIDIA = "/etc/containerd/conf.d/99-nvidia.toml"
PAUSE = "registry.k8s.io/pause:3.10.1"
FRESH = "version = 2\n"
RECORDED = Path(__file__).parents[1] / "prepare" / "data" / "containerd"
V2, RUNTIME, IMAGES = (
    'plugins."io.containerd.grpc.v1.cri"',
    'plugins."io.containerd.cri.v1.runtime"',
    'plugins."io.containerd.cri.v1.images"',
)
VERSIONS = ["1.6.20", "1.7.24", "2.1.9"]

GPU_NODE = f"""version = 2
root = "/data/containerd"
imports = ["/etc/containerd/conf.d/*.toml"]
[{V2}.containerd]
  default_runtime_name = "nvidia"  # by nvidia-ctk
[{V2}.containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
[{V2}.containerd.runtimes.nvidia.options]
  BinaryName = "/usr/bin/nvidia-container-runtime"
"""
DEBIAN = f"""version = 2

[plugins]
  [{V2}]
    [{V2}.cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""
DOCKER_IO = """#   Copyright 2018-2022 Docker Inc.
disabled_plugins = ["cri"]

#root = "/var/lib/containerd"
#state = "/run/containerd"

#[grpc]
#  address = "/run/containerd/containerd.sock"
"""
SANDBOXES = f"""version = 2
[{V2}.containerd.runtimes.runsc]
  runtime_type = "io.containerd.runsc.v1"
[{V2}.containerd.runtimes.kata]
  runtime_type = "io.containerd.kata.v2"
  privileged_without_host_devices = true
[{V2}.containerd.runtimes.kata.options]
  ConfigPath = "/opt/kata/share/defaults/kata-containers/configuration.toml"
[{V2}.containerd.runtimes.crun]
  runtime_type = "io.containerd.runc.v2"
  [{V2}.containerd.runtimes.crun.options]
    BinaryName = "/usr/bin/crun"
    SystemdCgroup = false
[proxy_plugins]
  [proxy_plugins.stargz]
    type = "snapshot"
    address = "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock"
"""
INLINE = f"""version = 2
[{V2}.registry]
  [{V2}.registry.mirrors]
    [{V2}.registry.mirrors."docker.io"]
      endpoint = ["https://m.corp/v2/hub", "http://old.corp:5000"]
    [{V2}.registry.mirrors."*"]
      endpoint = ["https://all.corp"]
  [{V2}.registry.configs."m.corp".tls]
    ca_file = "/etc/ssl/corp.pem"
  [{V2}.registry.configs."m.corp".auth]
    username = "u"
    password = "hidden"
  [{V2}.registry.configs."private.corp:8443".tls]
    insecure_skip_verify = true
"""
FORM_3 = f"""version = 3
root = '/data/containerd'
[{RUNTIME}.containerd]
  default_runtime_name = 'nvidia'
[{RUNTIME}.containerd.runtimes.nvidia]
  runtime_type = 'io.containerd.runc.v2'
[{RUNTIME}.containerd.runtimes.nvidia.options]
  BinaryName = '/usr/bin/nvidia-container-runtime'
[{RUNTIME}.cni]
  bin_dirs = ['/usr/lib/cni']
[{IMAGES}.registry]
  config_path = '/data/certs.d'
"""
FORM_1 = """root = "/data/containerd"
[plugins.cri]
  systemd_cgroup = true
  [plugins.cri.containerd.runtimes.nvidia]
    runtime_type = "io.containerd.runc.v2"
    [plugins.cri.containerd.runtimes.nvidia.options]
      BinaryName = "/usr/bin/nvidia-container-runtime"
"""


def changes(etc, version, *hosts):
    return containerd_merge.changes(etc.read(*hosts), version, PAUSE, FRESH)


def settle(etc, version):
    """Apply what is needed; nothing is needed then. Returns the plan's lines."""
    found = changes(etc, version)
    done = etc.edit(found)
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(etc, version) == (), "a second look finds nothing to do"
    return [line for change in found for line in change.words]


def refused(etc, version):
    with pytest.raises(Refused) as error:
        changes(etc, version)
    return f"{error.value.reason} || {error.value.hint}"


def holds(etc, version):
    found = read(etc.read(), version)
    return found, found.effective


def daemons(version):
    """Those at hand of the same major version and minor."""
    return [program for program in CONTAINERDS if version_of(program).split(".")[:2] == version.split(".")[:2]]


def check_daemons(etc, version, *, runtimes=("runc",), root="", certs="/etc/containerd/certs.d"):
    for program in daemons(version):
        dumped = tomllib.loads(etc.dump(program))
        cri = dumped["plugins"].get("io.containerd.grpc.v1.cri", {})
        runtime, images = (
            (cri, cri)
            if version[0] == "1"
            else (dumped["plugins"][f"io.containerd.cri.v1.{name}"] for name in ("runtime", "images"))
        )
        for name in runtimes:
            assert runtime["containerd"]["runtimes"][name]["options"]["SystemdCgroup"] is True, (program, name)
        assert (images.get("sandbox_image") or images["pinned_images"]["sandbox"]) == PAUSE
        assert images["registry"]["config_path"] == certs
        assert "/opt/cni/bin" in (runtime["cni"].get("bin_dirs") or []) + [runtime["cni"]["bin_dir"]]
        assert not root or dumped["root"].endswith(root)
        yield dumped, runtime, images


@pytest.mark.skipif(
    not CONTAINERDS, reason="KFINSTALL_CONTAINERD names no containerd, and none is installed: results are read by tomllib alone"
)
def test_containerds_are_at_hand_that_read_each_result():
    assert all(version_of(program)[0] in "12" for program in CONTAINERDS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_gpu_nodes_configuration_keeps_what_others_wrote(tmp_path, version):
    etc = Etc(tmp_path, files={CONFIG: GPU_NODE})
    words = settle(etc, version)
    found, effective = holds(etc, version)
    for key, value in (("root", "/data/containerd"), ("imports", ["/etc/containerd/conf.d/*.toml"])):
        assert effective[key] == value
    containerd = get(effective, (*found.runtime, "containerd"))
    assert containerd["default_runtime_name"] == "nvidia"
    assert containerd["runtimes"]["nvidia"]["options"] == {"BinaryName": "/usr/bin/nvidia-container-runtime", "SystemdCgroup": True}
    assert "# by nvidia-ctk" in etc.text(CONFIG)
    assert containerd_root(etc.read(), version) == "/data/containerd"
    if version[0] == "2":
        assert etc.text(CONFIG) == GPU_NODE, "not a byte of theirs"
        assert words[0] == f"write {OWN}"
    else:
        assert not etc.at(OWN).exists(), "an imported file would take the whole CRI away from 1.x"
        assert f"set containerd.runtimes.nvidia.options.SystemdCgroup = true in {CONFIG}" in words
    for _dumped, runtime, _images in check_daemons(etc, version, runtimes=("runc", "nvidia"), root="/data/containerd"):
        assert runtime["containerd"]["default_runtime_name"] == "nvidia"
        assert runtime["containerd"]["runtimes"]["nvidia"]["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"


def nvidia_drop_in(version, form=2):
    """As nvidia-ctk 1.18 writes it: for 1.x it repeats the CRI's other settings, which its file would take away."""
    runtime = V2 if form == 2 else RUNTIME
    repeated = (
        f'[{V2}]\n  sandbox_image = "{PAUSE}"\n[{V2}.cni]\n  bin_dir = "/opt/cni/bin"\n  conf_dir = "/etc/cni/net.d"\n'
        f'[{V2}.registry]\n  config_path = "/etc/containerd/certs.d"\n'
        f'[{V2}.containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n[{V2}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n'
    )
    return (
        f"version = {form}\n{repeated if version[0] == '1' else ''}"
        f'[{runtime}.containerd.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n'
        f'[{runtime}.containerd.runtimes.nvidia.options]\n  BinaryName = "/usr/bin/nvidia-container-runtime"\n  SystemdCgroup = true\n'
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_drop_in_of_the_gpu_operator_is_no_drift(tmp_path, version):
    from kfinstall import releases
    from kfinstall.answers.model import Answers
    from kfinstall.engine.step import View
    from kfinstall.parts.prepare import files

    view = View(Answers.model_validate({"nodes": [{"name": "cp1", "address": "10.77.0.11"}]}), releases.load("26.03"), "cp1")
    form = 3 if version[0] == "2" else 2
    ours = files.containerd_v3(view) if form == 3 else files.containerd_v2(view)
    etc = Etc(tmp_path, files={CONFIG: ours})
    assert changes(etc, version) == ()
    # It adds its import to our file, which it writes anew without comments, and a file of its own.
    etc.write(
        CONFIG,
        'imports = ["/etc/containerd/conf.d/*.toml"]\n' + "\n".join(line for line in ours.splitlines() if line[:1] != "#") + "\n",
    )
    etc.write(NVIDIA, nvidia_drop_in(version, form))
    assert changes(etc, version) == ()
    list(check_daemons(etc, version, runtimes=("runc", "nvidia")))


def test_an_edit_by_nvidia_ctk_in_the_file_itself_is_no_drift(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: DEBIAN})
    settle(etc, "1.7.24")
    runtime = f'[{V2}.containerd.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n[{V2}.containerd.runtimes.nvidia.options]\n  BinaryName = "/usr/bin/nvidia-container-runtime"\n'
    etc.write(CONFIG, etc.text(CONFIG) + runtime + "  SystemdCgroup = true\n")
    assert changes(etc, "1.7.24") == ()
    # Without it pods of that runtime would have another cgroup driver than the kubelet.
    etc.write(CONFIG, etc.text(CONFIG).replace(runtime + "  SystemdCgroup = true\n", runtime))
    assert [line for change in changes(etc, "1.7.24") for line in change.words] == [
        f"set containerd.runtimes.nvidia.options.SystemdCgroup = true in {CONFIG}"
    ]


# In 1.x the last file that speaks of the CRI has all of it.
@pytest.mark.parametrize("version", ["1.6.20", "1.7.24"])
def test_what_counts_is_changed_where_it_counts(tmp_path, version):
    etc = Etc(
        tmp_path,
        files={
            CONFIG: GPU_NODE,
            NVIDIA: f"version = 2\n[{V2}.containerd.runtimes.nvidia]\n  runtime_type = 'io.containerd.runc.v2'\n",
        },
    )
    words = settle(etc, version)
    assert etc.text(CONFIG) == GPU_NODE
    assert words
    assert all(NVIDIA in line for line in words)
    list(check_daemons(etc, version, runtimes=("runc", "nvidia")))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cri_of_dockers_package_is_turned_on_and_said(tmp_path, version):
    etc = Etc(tmp_path, files={CONFIG: DOCKER_IO})
    words = settle(etc, version)
    assert f"turn the CRI plugin on: take cri out of disabled_plugins in {CONFIG}" in words
    assert "#   Copyright 2018-2022 Docker Inc." in etc.text(CONFIG)
    assert '#  address = "/run/containerd/containerd.sock"' in etc.text(CONFIG)
    for dumped, _runtime, _images in check_daemons(etc, version):
        assert dumped["disabled_plugins"] == []


@pytest.mark.parametrize(
    "names", ['["io.containerd.grpc.v1.cri"]', '["io.containerd.internal.v1.opt", "io.containerd.grpc.v1.cri"]']
)
@pytest.mark.parametrize("version", VERSIONS)
def test_only_the_cri_is_turned_on(tmp_path, version, names):
    etc = Etc(tmp_path, files={CONFIG: f"version = 2\ndisabled_plugins = {names}\n"})
    settle(etc, version)
    assert tomllib.loads(etc.text(CONFIG))["disabled_plugins"] == [
        name for name in tomllib.loads(f"a={names}")["a"] if "opt" in name
    ]
    list(check_daemons(etc, version))


# `containerd config default > /etc/containerd/config.toml`, as guides have it.
@pytest.mark.parametrize("version", VERSIONS)
def test_the_whole_default_written_out(tmp_path, version):
    text = (RECORDED / f"{version}.toml").read_text()
    etc = Etc(tmp_path, files={CONFIG: text})
    before = tomllib.loads(text)
    words = settle(etc, version)
    assert any("sandbox image" in line and "instead of" in line for line in words)
    after = tomllib.loads(etc.text(CONFIG))
    assert merged(before, after) == after, "nothing is lost"
    assert len(etc.text(CONFIG).splitlines()) == pytest.approx(len(text.splitlines()), abs=2)
    list(check_daemons(etc, version))
    found, effective = holds(etc, version)
    assert get(effective, (*found.images, "registry", "config_path")) == "/etc/containerd/certs.d"


TRANSFER = 'plugins."io.containerd.transfer.v1.local"'
DEFAULTS = "/etc/containerd/certs.d:/etc/docker/certs.d"


def looks_in(etc, version):
    found, effective = holds(etc, version)
    return get(effective, (*found.images, "registry", "config_path"))


# containerd #12415, #12636, #12808: the transfer service takes a list for the name of one directory.
@pytest.mark.parametrize("version", ["2.1.9", "2.2.0", "2.1.0-rc.1"])
@pytest.mark.parametrize("text", [f"version = 3\n[{IMAGES}.registry]\n", f"version = 2\n[{V2}.registry]\n"])
def test_a_list_of_directories_becomes_one_and_is_said(tmp_path, version, text):
    etc = Etc(tmp_path, files={CONFIG: f'{text}config_path = "{DEFAULTS}"\n'})
    words = settle(etc, version)
    assert looks_in(etc, version) == "/etc/containerd/certs.d"
    (line,) = [line for line in words if "config_path" in line]
    assert f'instead of "{DEFAULTS}"' in line
    assert "takes a list for the name of one directory" in line


@pytest.mark.parametrize(
    ("version", "more"), [("1.7.24", ""), ("1.6.20", ""), ("2.0.4", ""), ("2.1.9", "use_local_image_pull = true")]
)
def test_a_list_stays_where_it_is_taken_for_one(tmp_path, version, more):
    etc = Etc(tmp_path, files={CONFIG: f'version = 2\n[{V2}]\n{more}\n[{V2}.registry]\nconfig_path = "{DEFAULTS}"\n'})
    settle(etc, version)
    assert looks_in(etc, version) == DEFAULTS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_directory_of_somebodys_own_stays_alone(tmp_path, version):
    etc = Etc(tmp_path, files={CONFIG: f'version = 2\n[{V2}.registry]\nconfig_path = "/data/certs.d"\n'})
    settle(etc, version)
    assert looks_in(etc, version) == etc.there("/data/certs.d").removeprefix(str(etc.folder))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_list_of_somebodys_own_stays_or_becomes_its_first(tmp_path, version):
    head = f"version = 3\n[{IMAGES}.registry]" if version.startswith("2") else f"version = 2\n[{V2}.registry]"
    etc = Etc(tmp_path, files={CONFIG: f'{head}\nconfig_path = "/data/a:/data/b"\n'})
    words = settle(etc, version)
    first, whole = "/data/a", "/data/a:/data/b"
    one = version.startswith("2") and not version.startswith("2.0.")
    assert looks_in(etc, version) == (first if one else whole)
    assert any("what lies in /data/b counts for nothing there, as until now" in line for line in words) is one
    list(check_daemons(etc, version, certs=first if one else whole))


def test_a_folder_that_can_not_be_written_is_gone_past(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: f'version = 3\n[{IMAGES}.registry]\nconfig_path = "/data/a:/data/b"\n'})
    etc.write("/data/a", "a file where a directory is named")
    settle(etc, "2.1.9")
    assert looks_in(etc, "2.1.9") == "/data/b"


# As kfinstall wrote it before, beside a directory of somebody's own.
def test_a_list_of_ours_becomes_theirs(tmp_path):
    ours = f'# Written by kfinstall: what Kubernetes needs of containerd\nversion = 3\n[{IMAGES}.registry]\nconfig_path = "/etc/containerd/certs.d:/data/certs.d"\n'
    etc = Etc(tmp_path, files={CONFIG: f'imports = ["{OWN}"]\n{FORM_3}', OWN: ours})
    settle(etc, "2.1.9")
    assert looks_in(etc, "2.1.9") == "/data/certs.d"


def test_the_transfer_services_own_list_becomes_one(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: f'version = 3\n[{TRANSFER}]\nconfig_path = "{DEFAULTS}"\n'})
    words = settle(etc, "2.1.9")
    assert get(holds(etc, "2.1.9")[1], ("plugins", "io.containerd.transfer.v1.local", "config_path")) == "/etc/containerd/certs.d"
    assert any("io.containerd.transfer.v1.local" in line and "one directory" in line for line in words)
    one = f'version = 3\n[{TRANSFER}]\nconfig_path = "/srv/for-ctr"\n'
    etc = Etc(tmp_path / "one", files={CONFIG: one})
    settle(etc, "2.1.9")
    assert get(holds(etc, "2.1.9")[1], ("plugins", "io.containerd.transfer.v1.local", "config_path")) == "/srv/for-ctr"


@pytest.mark.parametrize("version", VERSIONS)
def test_other_runtimes_stay_as_they_are(tmp_path, version):
    etc = Etc(tmp_path, files={CONFIG: SANDBOXES})
    settle(etc, version)
    found, effective = holds(etc, version)
    runtimes = get(effective, (*found.runtime, "containerd", "runtimes"))
    assert runtimes["runsc"] == {"runtime_type": "io.containerd.runsc.v1"}, "gVisor's shim takes no SystemdCgroup"
    assert runtimes["kata"]["options"] == {"ConfigPath": "/opt/kata/share/defaults/kata-containers/configuration.toml"}
    assert runtimes["crun"]["options"] == {"BinaryName": "/usr/bin/crun", "SystemdCgroup": True}
    assert "stargz" in effective["proxy_plugins"]
    list(check_daemons(etc, version, runtimes=("runc", "crun")))


# containerd takes no config_path beside mirrors in its own file.
@pytest.mark.parametrize("version", VERSIONS)
def test_mirrors_in_the_file_move_to_hosts_toml(tmp_path, version):
    etc = Etc(tmp_path, files={CONFIG: INLINE})
    words = settle(etc, version)
    certs = "/etc/containerd/certs.d"
    hub = tomllib.loads(etc.text(f"{certs}/docker.io/hosts.toml"))
    assert hub["server"] == "https://registry-1.docker.io"
    assert list(hub["host"]) == ["https://m.corp/v2/hub", "http://old.corp:5000"]
    assert hub["host"]["https://m.corp/v2/hub"] == {
        "capabilities": ["pull", "resolve"],
        "override_path": True,
        "ca": "/etc/ssl/corp.pem",
    }
    assert tomllib.loads(etc.text(f"{certs}/_default/hosts.toml")) == {
        "host": {"https://all.corp": {"capabilities": ["pull", "resolve"]}}
    }
    assert tomllib.loads(etc.text(f"{certs}/private.corp:8443/hosts.toml")) == {
        "server": "https://private.corp:8443",
        "skip_verify": True,
    }
    assert not etc.at(f"{certs}/m.corp").exists()
    left = get(tomllib.loads(etc.text(CONFIG)), ("plugins", "io.containerd.grpc.v1.cri", "registry"))
    assert left["configs"] == {"m.corp": {"auth": {"username": "u", "password": "hidden"}}}
    assert "mirrors" not in left
    assert any("hosts.toml files say the same" in line for line in words)
    for _dumped, _runtime, images in check_daemons(etc, version):
        assert not images["registry"].get("mirrors")


IMPLIED = f"""version = 2
[{V2}.registry.mirrors."docker.io"]
  endpoint = ["https://h:5000"]
[{V2}.registry.configs."h:5000".tls]
  ca_file = "/etc/ca.crt"
"""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("text", [IMPLIED, IMPLIED.replace("docker.io", "*"), IMPLIED.partition(f"[{V2}.registry.configs")[0]])
def test_mirrors_whose_parents_are_only_implied_move_too(tmp_path, version, text):
    etc = Etc(tmp_path, files={CONFIG: text})
    settle(etc, version)
    assert "h:5000" not in etc.text(CONFIG)
    assert "https://h:5000" in etc.text(f"/etc/containerd/certs.d/{'_default' if '*' in text else 'docker.io'}/hosts.toml")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hosts_toml_that_is_there_beside_mirrors_in_the_file(tmp_path, version):
    path = "/etc/containerd/certs.d/docker.io/hosts.toml"
    etc = Etc(tmp_path, files={CONFIG: IMPLIED, path: 'server = "https://x"\n[host."https://old"]\n'})
    told = refused(etc, version)
    assert f"{path} is there and says otherwise" in told
    assert f"mirrors or TLS in {CONFIG}" in told
    # What says the same needs no change.
    etc.write(
        path,
        '# theirs\nserver = "https://registry-1.docker.io"\n[host."https://h:5000/"]\ncapabilities = ["pull", "resolve"]\nca = "/etc/ca.crt"\n',
    )
    settle(etc, version)
    assert etc.text(path).startswith("# theirs")


def test_a_refusal_says_what_to_take_out(tmp_path):
    from kfinstall.parts.preflight.toml_edit import Edit

    file = read(RuntimeFiles({CONFIG: b"version = 2\na = {b = 1}\n"}), "1.7.24").files[0]
    with pytest.raises(Refused) as error:
        containerd_merge._edited(file, [Edit(("a", "b", "c"), None)], [])
    assert error.value.hint == "take out of it: a.b.c"


# nvidia-docker #1468: before default_runtime_name there was a table.
@pytest.mark.parametrize("table", ["default_runtime", "untrusted_workload_runtime"])
def test_the_old_table_of_a_runtime_gets_the_systemd_driver(tmp_path, table):
    text = f"""version = 2
[{V2}.containerd.{table}]
  runtime_type = "io.containerd.runc.v2"
  [{V2}.containerd.{table}.options]
    BinaryName = "/usr/bin/nvidia-container-runtime"
"""
    etc = Etc(tmp_path, files={CONFIG: text})
    settle(etc, "1.7.24")
    found, effective = holds(etc, "1.7.24")
    assert get(effective, (*found.runtime, "containerd", table, "options")) == {
        "BinaryName": "/usr/bin/nvidia-container-runtime",
        "SystemdCgroup": True,
    }
    etc.write(CONFIG, text)
    assert f"{table} in {CONFIG} is a table that containerd 2 does not know" in refused(etc, "2.1.9")
    etc.write(CONFIG, text.replace("io.containerd.runc.v2", ""))
    settle(etc, "2.1.9")


LINUX = f"""version = 2
[{V2}]
  systemd_cgroup = true
[{V2}.containerd]
  default_runtime_name = "nvidia"
[{V2}.containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runtime.v1.linux"
"""


@pytest.mark.parametrize(
    "text",
    [
        LINUX,
        LINUX.replace("systemd_cgroup = true", ""),
        LINUX.replace('default_runtime_name = "nvidia"', ""),
        LINUX.replace('default_runtime_name = "nvidia"', "").replace("runtimes.nvidia", "default_runtime"),
    ],
)
def test_the_shim_of_containerd_1_0_is_refused(tmp_path, text):
    etc = Etc(tmp_path, files={CONFIG: text})
    told = refused(etc, "1.6.20")
    assert f"in {CONFIG} is of type io.containerd.runtime.v1.linux" in told
    assert 'runtime_type = "io.containerd.runc.v2"' in told


def test_a_password_in_the_file_is_never_sent_back(tmp_path):
    from kfinstall.parts.preflight.changes import described

    etc = Etc(tmp_path, files={CONFIG: INLINE})
    assert "hidden" not in described(changes(etc, "1.7.24"))


def test_form_3_keeps_its_places(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: FORM_3})
    words = settle(etc, "2.1.9")
    line = 'imports = ["/etc/containerd/conf.d/zz-kfinstall*.toml"]'
    assert [kept for kept in etc.text(CONFIG).splitlines() if kept and kept != line] == FORM_3.splitlines()
    assert f"add /etc/containerd/conf.d/zz-kfinstall*.toml to imports in {CONFIG}" in words
    for _dumped, runtime, _images in check_daemons(
        etc, "2.1.9", runtimes=("runc", "nvidia"), root="/data/containerd", certs="/data/certs.d"
    ):
        assert runtime["cni"]["bin_dirs"] == ["/usr/lib/cni", "/opt/cni/bin"]


@pytest.mark.parametrize("version", ["1.6.20", "1.7.24"])
def test_form_1_is_added_to_in_its_own_names(tmp_path, version):
    etc = Etc(tmp_path, files={CONFIG: FORM_1})
    words = settle(etc, version)
    assert f"set systemd_cgroup = false in {CONFIG} instead of true" in words
    list(check_daemons(etc, version, runtimes=("runc", "nvidia"), root="/data/containerd"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("text", ["", "# nothing\n", "version = 2\n", 'root = "/data/c"\n'])
def test_a_file_that_says_little(tmp_path, version, text):
    etc = Etc(tmp_path, files={CONFIG: text})
    settle(etc, version)
    assert text.strip() in etc.text(CONFIG)
    list(check_daemons(etc, version))


def test_where_there_is_nothing_the_whole_file_is_ours(tmp_path):
    etc = Etc(tmp_path)
    etc.at("/etc/containerd").mkdir(parents=True)
    (change,) = changes(etc, "1.7.24")
    assert (change.path, change.before, change.after) == (CONFIG, None, FRESH)


@pytest.mark.parametrize(
    ("text", "version", "words"),
    [
        ('version = 2\nroot = "/a\n', "1.7.24", "not valid TOML: Illegal character '\\n' (at line 2, column 11)"),
        ("version = 2\n[a]\n[a]\n", "1.7.24", "line 3"),
        ("version = 4\n", "2.1.9", "version 4, a form"),
        ("version = 4\n", "1.7.24", "version 4, a form"),
        ("version = '2'\n", "1.7.24", "version '2', a form"),
        ("version = 3\n", "1.7.24", "version 3, which containerd 1.7.24 does not read"),
        ("version = 3\n", "1.6.20", "version 3, which containerd 1.6.20 does not read"),
        (FORM_1, "2.1.9", "under their names of version 1, which containerd 2.1.9 ignores"),
        ("version = 2\nimports = ['/etc/containerd/gone.toml']\n", "2.1.9", "/etc/containerd/gone.toml, which is not there"),
        ("version = 2\nimports = 'x'\n", "2.1.9", "not a list of paths"),
        ("version = 2\n[grpc]\naddress = '/run/other.sock'\n", "1.7.24", "told to listen at /run/other.sock"),
        (
            f"version = 2\n[{V2}.registry.mirrors.'a']\nendpoint = ['https://a']\nrewrite = 'x'\n",
            "1.7.24",
            "rewrite, which hosts.toml has no word for",
        ),
        (
            f"version = 2\n[{V2}.registry.mirrors.'../../x']\nendpoint = ['https://a']\n",
            "1.7.24",
            "'../../x' for a host, which is none",
        ),
        (f"version = 2\n[{V2}.containerd]\ndefault_runtime_name = 'nvidia'\n", "1.7.24", "nvidia is the default runtime"),
        ("a = " + "[" * 20000, "1.7.24", "nested too deeply"),
        (b"version = 2\nroot = '\xff'\n", "1.7.24", "not UTF-8"),
    ],
)
def test_what_is_not_understood_is_named_with_its_file(tmp_path, text, version, words):
    etc = Etc(tmp_path, files={CONFIG: text})
    reason = refused(etc, version)
    assert words in reason
    assert CONFIG in reason or "/run/other.sock" in reason


def test_a_form_that_two_files_have_differently_is_refused(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: GPU_NODE, NVIDIA: nvidia_drop_in("2.1.9", 3)})
    reason = refused(etc, "2.1.9")
    assert f"{CONFIG} is of version 2 and {NVIDIA} of version 3" in reason


def test_a_file_that_is_read_later_and_says_otherwise_is_named(tmp_path):
    later = "/etc/containerd/conf.d/zzz.toml"
    etc = Etc(
        tmp_path, files={CONFIG: GPU_NODE, later: f"version = 2\n[{V2}.containerd.runtimes.runc.options]\nSystemdCgroup = false\n"}
    )
    assert later in refused(etc, "2.1.9")


def test_a_file_too_large_to_be_looked_at_is_refused(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: "# " + "x" * 300_000})
    assert "too large" in refused(etc, "1.7.24")


def test_another_configuration_file_in_the_unit_is_refused(tmp_path):
    found = RuntimeFiles(commands={"containerd.service": "/usr/local/bin/containerd --config=/opt/containerd.toml"})
    with pytest.raises(Refused, match=r"/opt/containerd\.toml"):
        containerd_merge.changes(found, "1.7.24", PAUSE, FRESH)


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: DEBIAN})
    found = changes(etc, "1.7.24")
    etc.write(CONFIG, DEBIAN + "# more\n")
    done = etc.edit(found)
    assert done.returncode == 65
    assert "was changed by somebody else" in done.stdout
    assert etc.text(CONFIG) == DEBIAN + "# more\n"


# A run that was killed after the change and before its end.
def test_a_change_that_is_made_already_is_none(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: DEBIAN})
    found = changes(etc, "1.7.24")
    assert etc.edit(found).returncode == 0
    made = etc.text(CONFIG)
    assert etc.edit(found).returncode == 0
    assert etc.text(CONFIG) == made


def test_mode_and_old_content_are_kept(tmp_path):
    etc = Etc(tmp_path, files={CONFIG: DEBIAN})
    etc.at(CONFIG).chmod(0o600)
    settle(etc, "1.7.24")
    assert etc.at(CONFIG).stat().st_mode & 0o777 == 0o600
    kept = [path for path in (tmp_path / "state" / "undo").iterdir() if path.name.endswith("config.toml")]
    assert [path.read_text() for path in kept] == [etc.there(DEBIAN)]
