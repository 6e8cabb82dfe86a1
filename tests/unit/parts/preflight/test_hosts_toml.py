"""hosts.toml of registries that have mirrors: ours, and those that an administrator wrote before."""

import tomllib

import pytest

from kfinstall.parts.preflight import hosts_folders, hosts_toml
from kfinstall.parts.preflight.containerd_read import Refused
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from tests.fakes.runtime_etc import Etc, needs_bash

CERTS = "/etc/containerd/certs.d"
HUB = f"{CERTS}/docker.io/hosts.toml"
MIRROR = "https://mirror.example"


def settle(etc, registry, url=MIRROR):
    told = etc.read(registry)
    found = hosts_toml.wanted(told, registry, url, hosts_folders.looked_in(told, "1.7.24"))
    if found is None:
        return ()
    done = etc.edit((found,))
    assert done.returncode == 0, done.stdout + done.stderr
    told = etc.read(registry)
    again = hosts_toml.wanted(told, registry, url, hosts_folders.looked_in(told, "1.7.24"))
    assert again is None, "a second look finds nothing to do"
    return found.words


@pytest.mark.parametrize(
    ("registry", "url", "wanted"),
    [
        (
            "docker.io",
            f"{MIRROR}/",
            {"server": "https://registry-1.docker.io", "host": {MIRROR: {"capabilities": ["pull", "resolve"]}}},
        ),
        ("quay.io", MIRROR, {"server": "https://quay.io", "host": {MIRROR: {"capabilities": ["pull", "resolve"]}}}),
        # Anybody on the way could say which image a tag means; the registry itself is asked for that.
        (
            "quay.io",
            "http://m.corp:5000",
            {"server": "https://quay.io", "host": {"http://m.corp:5000": {"capabilities": ["pull"]}}},
        ),
        (
            "docker.io",
            "https://harbor.corp.example/v2/dockerhub",
            {
                "server": "https://registry-1.docker.io",
                "host": {"https://harbor.corp.example/v2/dockerhub": {"capabilities": ["pull", "resolve"], "override_path": True}},
            },
        ),
        (
            "registry.corp:5000",
            MIRROR,
            {"server": "https://registry.corp:5000", "host": {MIRROR: {"capabilities": ["pull", "resolve"]}}},
        ),
        # Each registry is its own fallback then.
        ("_default", MIRROR, {"host": {MIRROR: {"capabilities": ["pull", "resolve"]}}}),
    ],
)
def test_what_ours_say(registry, url, wanted):
    assert tomllib.loads(hosts_toml.mirror(registry, url)) == wanted


@needs_bash
def test_a_registry_gets_its_folder(tmp_path):
    etc = Etc(tmp_path)
    etc.at("/etc/containerd").mkdir(parents=True)
    assert settle(etc, "registry.corp:5000") == (
        f"write {CERTS}/registry.corp:5000/hosts.toml: {MIRROR} stands for registry.corp:5000",
    )
    assert settle(etc, "registry.corp:5000") == ()


def test_a_path_is_told_to_be_the_whole_root():
    change = hosts_toml.wanted(RuntimeFiles(), "docker.io", f"{MIRROR}/hub")
    assert change is not None
    assert "whose API's root is that whole URL (most registries want /v2 in it)" in change.words[0]


@needs_bash
def test_another_mirror_in_the_answers_takes_the_place_of_ours(tmp_path):
    etc = Etc(tmp_path, files={HUB: hosts_toml.mirror("docker.io", "https://old.example")})
    settle(etc, "docker.io")
    assert etc.text(HUB) == hosts_toml.mirror("docker.io", MIRROR)


THEIRS = """# by the platform team
server = "https://registry-1.docker.io"

[host."https://cache.corp"]
  capabilities = ["pull", "resolve"]
  ca = "/etc/ssl/corp.pem"
"""


@needs_bash
def test_what_an_administrator_wrote_stays_before_ours(tmp_path):
    etc = Etc(tmp_path, files={HUB: THEIRS})
    assert settle(etc, "docker.io") == (f"add {MIRROR} to {HUB}, behind what is there",)
    assert etc.text(HUB).startswith(THEIRS)
    made = tomllib.loads(etc.text(HUB))
    assert list(made["host"]) == ["https://cache.corp", MIRROR]
    assert made["host"][MIRROR] == {"capabilities": ["pull", "resolve"]}


@needs_bash
@pytest.mark.parametrize(
    "text",
    [
        f'[host."{MIRROR}/"]\n',
        f'[host."{MIRROR}:443"]\n',
        f'[host."{MIRROR.upper().replace("HTTPS", "https")}:443/"]\n',
        f'[host."{MIRROR.removeprefix("https://")}"]\n',
        f'server = "https://x"\n[host."{MIRROR}"]\n  capabilities = ["pull", "resolve", "push"]\n  ca = "/etc/ssl/corp.pem"\n',
        # As kfinstall wrote it before.
        f'server = "https://registry-1.docker.io"\n\n[host."{MIRROR}"]\n  capabilities = ["pull", "resolve"]\n',
    ],
)
def test_a_mirror_that_is_there_already_is_left(tmp_path, text):
    etc = Etc(tmp_path, files={HUB: text})
    assert settle(etc, "docker.io") == ()
    assert etc.text(HUB) == text


@needs_bash
def test_a_path_that_is_taken_otherwise_is_said(tmp_path):
    url = f"{MIRROR}/v2/hub"
    etc = Etc(tmp_path, files={HUB: f'[host."{url}"]\n  capabilities = ["pull", "resolve"]\n  override_path = false\n'})
    with pytest.raises(Refused, match=r"otherwise than registry\.mirrors means it"):
        hosts_toml.wanted(etc.read("docker.io"), "docker.io", url)


# containerd reads host_5000_ before host:5000.
@needs_bash
def test_the_other_name_of_a_host_with_a_port_counts(tmp_path):
    path = f"{CERTS}/registry.corp_5000_/hosts.toml"
    etc = Etc(tmp_path, files={path: '[host."https://cache.corp"]\n'})
    settle(etc, "registry.corp:5000")
    assert MIRROR in etc.text(path)
    assert not etc.at(f"{CERTS}/registry.corp:5000").exists()


# One directory stays one: containerd 2.1 and later take a list for the name of one.
@needs_bash
def test_a_folder_of_somebodys_own_is_added_to(tmp_path):
    path = "/data/certs.d/docker.io/hosts.toml"
    config = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/data/certs.d"\n'
    etc = Etc(tmp_path, files={"/etc/containerd/config.toml": config, path: THEIRS})
    assert settle(etc, "docker.io") == (f"add {MIRROR} to {path}, behind what is there",)
    assert etc.text(path).startswith(THEIRS)
    assert not etc.at(HUB).exists()
    settle(etc, "quay.io")
    assert MIRROR in etc.text("/data/certs.d/quay.io/hosts.toml")


# The first directory of a list that knows the registry counts, in those containerds that take a list.
@needs_bash
def test_the_file_that_counts_of_several_folders(tmp_path):
    path = "/data/certs.d/docker.io/hosts.toml"
    config = f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "{CERTS}:/data/certs.d"\n'
    etc = Etc(tmp_path, files={"/etc/containerd/config.toml": config, path: THEIRS})
    settle(etc, "docker.io")
    settle(etc, "quay.io")
    assert MIRROR in etc.text(path)
    assert MIRROR in etc.text(f"{CERTS}/quay.io/hosts.toml")
    assert not etc.at(HUB).exists()


@pytest.mark.parametrize(
    ("paths", "version", "closed", "expected"),
    [
        ("/data/certs.d", "1.7.24", (), "/data/certs.d"),
        ("/data/certs.d", "2.1.9", (), "/data/certs.d"),
        ("/etc/containerd/registry.d:/data", "1.7.24", (), "/etc/containerd/registry.d"),
        ("/etc/containerd/registry.d:/data", "2.1.9", (), "/etc/containerd/registry.d"),
        ("/ro:/data", "1.7.24", ("/ro",), "/data"),
        ("/ro:/data", "2.1.9", ("/ro",), "/data"),
        ("/etc/containerd/certs.d:/etc/docker/certs.d", "2.1.9", (), CERTS),
        (CERTS, "2.1.9", (), CERTS),
    ],
)
def test_new_files_go_into_the_first_directory_that_can_be_written(paths, version, closed, expected):
    config = f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "{paths}"\n'.encode()
    found = RuntimeFiles({"/etc/containerd/config.toml": config}, closed=closed)
    assert hosts_folders.home(found, version) == expected
    change = hosts_toml.wanted(found, "quay.io", MIRROR, hosts_folders.looked_in(found, version))
    assert change.path == f"{expected}/quay.io/hosts.toml"


def test_directories_in_which_nothing_can_be_written_are_refused():
    config = b'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/data/certs.d"\n'
    found = RuntimeFiles({"/etc/containerd/config.toml": config}, closed=("/data/certs.d",))
    with pytest.raises(Refused, match=r"looks for registries in /data/certs\.d, and nothing can be written there"):
        hosts_folders.home(found, "1.7.24")
    assert hosts_folders.home(RuntimeFiles(), "1.7.24") == CERTS


@needs_bash
@pytest.mark.parametrize("text", ["server = ", b"\xff\xfe", "# " + "x" * 300_000])
def test_what_can_not_be_read_is_refused(tmp_path, text):
    etc = Etc(tmp_path, files={HUB: text})
    with pytest.raises(Refused, match=r"docker\.io/hosts\.toml"):
        hosts_toml.wanted(etc.read("docker.io"), "docker.io", MIRROR)
