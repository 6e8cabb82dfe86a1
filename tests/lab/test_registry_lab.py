"""The distribution's registry on real nodes: TLS, login, pushes and pulls through containerd and Docker, and what goes wrong with it.

node1 serves and pulls by containerd; node2 and node3 have containerd and Docker, and pull by both.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kfinstall.engine.step import Conflict, Needed, Satisfied
from kfinstall.errors import CommandError
from kfinstall.parts.prepare.base_packages import PrepareBasePackages
from kfinstall.parts.prepare.containerd import PrepareContainerd
from kfinstall.parts.prepare.docker import PrepareDocker
from kfinstall.parts.registry import files as registry_files
from kfinstall.parts.registry import proof_image, pull_secret_objects
from kfinstall.parts.registry.pull_proof import RegistryPullProof
from kfinstall.parts.registry.push import RegistryPush
from kfinstall.parts.registry.server import RegistryServer
from kfinstall.parts.registry.trust import RegistryTrust
from kfinstall.secrets import Secret
from tests.lab.fleet import Context, Fleet, fleet
from tests.lab.nodes import Lab

pytestmark = pytest.mark.lab
SERVER, DOCKER, CONTAINERD = "node1", "node2", "node3"
OTHERS = (DOCKER, CONTAINERD)
PASSWORD = 'pass "word\\ with $everything'
HOST = "10.78.0.11:5000"
DATA = "/var/lib/kf-lab-registry"
APT = "export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive\n"
GET_DOCKER = (
    f"{APT}command -v dockerd >/dev/null || {{ apt-get -qq update; apt-get -qq -y --no-install-recommends install docker.io; }}"
)
# An image of 8 MB that no compression makes smaller; gives its digest in the registry.
DOCKER_PUSH = f"""
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
IFS= read -r password
head -c 8000000 /dev/urandom >"$folder/payload"
tar -C "$folder" -c payload | docker import - {HOST}/lab/big:1 >/dev/null
docker --config "$folder" login --username kfinstall --password-stdin {HOST} <<<"$password" >/dev/null
docker --config "$folder" push {HOST}/lab/big:1 | sed -n 's/.*digest: \\(sha256:[0-9a-f]*\\).*/\\1/p'
docker rmi {HOST}/lab/big:1 >/dev/null
"""
# The way an administrator does it: in the unit's own view of the disk, as the registry's user.
COLLECT = """
pid=$(systemctl show -p MainPID --value kfinstall-registry)
nsenter --mount --target "$pid" -- setpriv --reuid docker-registry --regid docker-registry --clear-groups \
  docker-registry garbage-collect /etc/kfinstall/registry/config.yml
"""
SIZE = f"du -sm {DATA} | cut -f 1"


@contextmanager
def runtime(nodes: Fleet, name: str) -> Iterator[None]:
    """The answers say that this is the runtime."""
    before = nodes.answers
    nodes.answers = before.model_copy(update={"cluster": before.cluster.model_copy(update={"runtime": name})})
    try:
        yield
    finally:
        nodes.answers = before


def runtime_of(name: str) -> str:
    return "docker" if name == DOCKER else "containerd"


async def set_up(nodes: Fleet) -> None:
    """Runtimes, registry and trust, by the steps; Docker by hand, since its step also fetches what no Debian package has."""
    await asyncio.gather(*(nodes.apply(PrepareBasePackages(), name) for name in nodes.hosts))
    await asyncio.gather(*(nodes.apply(PrepareContainerd(), name) for name in nodes.hosts))
    await asyncio.gather(*(nodes.shell(name, GET_DOCKER, timeout_seconds=900) for name in OTHERS))
    await nodes.apply(RegistryServer(), SERVER)
    await nodes.apply(RegistryPush(), SERVER)
    for kind, name in runtimes():
        with runtime(nodes, kind):
            await nodes.apply(RegistryTrust(), name)


def runtimes() -> list[tuple[str, str]]:
    """Each runtime of each node."""
    return [("containerd", SERVER), *((kind, name) for kind in ("containerd", "docker") for name in OTHERS)]


@pytest.fixture(scope="module")
def begun() -> set[str]:
    """Not empty once the nodes are set up; each test leaves them so."""
    return set()


@pytest.fixture
async def nodes(lab: Lab, tmp_path: Path, begun: set[str]) -> AsyncIterator[Fleet]:
    registry = {"node": SERVER, "directory": DATA, "user": "kfinstall", "password": {"env": "REGISTRY"}}
    async with fleet(lab, tmp_path, registry=registry) as connected:
        connected.secrets[registry_files.PASSWORD] = PASSWORD
        if not begun:
            await set_up(connected)
            begun.add("done")
        yield connected


async def pull(nodes: Fleet, name: str, image: str = "", *, kind: str = "") -> None:
    """As the step does it; another image where one is named."""
    with runtime(nodes, kind or runtime_of(name)):
        step = RegistryPullProof()
        view = await nodes.view(step, name)
        context = Context(nodes, view)
        more = {"IMAGE": image, "RECORD_PATH": "/root/pulled"} if image else {}
        await context.run_script(step.script, {**step.parameters(view), **more}, stdin=await step.stdin(context))


async def pushed_by_docker(nodes: Fleet) -> str:
    """Digest of a large image that node2 made and pushed."""
    program = DOCKER_PUSH.replace("IFS= read -r password", "password=$(</root/password)")
    await nodes.shell(DOCKER, f"umask 077; cat >/root/password <<'END'\n{PASSWORD}\nEND")
    digest = (await nodes.shell(DOCKER, f"{program}\nrm /root/password")).splitlines()[-1]
    assert digest.startswith("sha256:"), digest
    return digest


async def test_images_go_from_any_node_to_any_other(nodes: Fleet) -> None:
    found = await nodes.check(RegistryServer(), SERVER)
    assert isinstance(found, Satisfied), found
    assert "TLS and login" in found.evidence
    assert isinstance(await nodes.check(RegistryPush(), SERVER), Satisfied)
    digest = await pushed_by_docker(nodes)
    for kind, name in runtimes():
        await pull(nodes, name, kind=kind)
        await pull(nodes, name, f"{HOST}/lab/big@{digest}", kind=kind)
        with runtime(nodes, kind):
            assert isinstance(await nodes.check(RegistryTrust(), name), Satisfied)
            assert isinstance(await nodes.check(RegistryPullProof(), name), Satisfied)
    before = await nodes.shell(SERVER, "systemctl show -p MainPID kfinstall-registry; sha256sum /etc/kfinstall/registry/*")
    await nodes.apply(RegistryServer(), SERVER)
    assert await nodes.shell(SERVER, "systemctl show -p MainPID kfinstall-registry; sha256sum /etc/kfinstall/registry/*") == before


# Debian 12's Docker pushes and pulls, and is too old to be the runtime: cri-dockerd would not speak with it.
async def test_a_docker_that_is_too_old_for_kubernetes_is_told_before_anything_is_done(nodes: Fleet) -> None:
    with runtime(nodes, "docker"):
        found = await nodes.check(PrepareDocker(), DOCKER)
        assert isinstance(found, Conflict), found
        assert found.reason.startswith("Docker 20.10.")
        assert isinstance(await nodes.check(PrepareDocker(), CONTAINERD), Conflict)


# What kubelets get from the cluster is a Docker client's configuration, which Docker itself judges here.
async def test_the_pull_secret_of_pods_is_a_login_that_the_registry_takes(nodes: Fleet) -> None:
    view = await nodes.view(RegistryPush(), SERVER)
    image = f"{HOST}/{proof_image.REPOSITORY}@{proof_image.build(nodes.answers.cluster.name).digest}"

    async def pulled(password: str) -> str:
        made = pull_secret_objects.document(view, "kfinstall", Secret(password))
        login = base64.b64decode(made["data"][".dockerconfigjson"]).decode()
        write = f"umask 077; mkdir -p /root/login; cat >/root/login/config.json <<'END'\n{login}\nEND\n"
        try:
            return await nodes.shell(
                DOCKER, f"{write}docker rmi {image} >/dev/null 2>&1; docker --config /root/login pull {image} || true"
            )
        finally:
            await nodes.shell(DOCKER, "rm -r /root/login")

    assert "no basic auth credentials" in await nodes.shell(DOCKER, f"docker pull {image} || true")
    assert "unauthorized" in await pulled("wrong")
    assert f"Status: Downloaded newer image for {image}" in await pulled(PASSWORD)


@pytest.mark.parametrize("name", [DOCKER, CONTAINERD])
async def test_a_wrong_password_is_named(nodes: Fleet, name: str) -> None:
    nodes.secrets[registry_files.PASSWORD] = "wrong"
    with pytest.raises(CommandError, match="refuses the login of user kfinstall"):
        await pull(nodes, name)
    with pytest.raises(CommandError, match="refuses the login of user kfinstall"):
        await nodes.apply(RegistryPush(), SERVER)


@pytest.mark.parametrize("name", [DOCKER, CONTAINERD])
async def test_a_wrong_ca_is_named_and_mended(nodes: Fleet, name: str) -> None:
    with runtime(nodes, runtime_of(name)):
        folder = registry_files.certs_folder(await nodes.view(RegistryTrust(), name))
        other = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=other -keyout /dev/null"
        await nodes.shell(name, f"{other} -out {folder}/ca.crt")
        with pytest.raises(CommandError, match="does not trust the registry's certificate"):
            await pull(nodes, name)
        assert isinstance(await nodes.check(RegistryTrust(), name), Needed)
        await nodes.apply(RegistryTrust(), name)
        await pull(nodes, name)


async def test_images_outlive_the_registry_and_its_node(nodes: Fleet, lab: Lab, tmp_path: Path) -> None:
    await nodes.shell(SERVER, "systemctl restart kfinstall-registry; sync")
    await pull(nodes, CONTAINERD)
    step = RegistryPullProof()
    context = Context(nodes, await nodes.view(step, CONTAINERD))
    await asyncio.to_thread(lab.cut, 1)
    try:
        with pytest.raises(CommandError, match="can't reach the registry"):
            await step.apply(context)
    finally:
        await asyncio.to_thread(lab.start, 1)
    async with fleet(lab, tmp_path / "again", registry=nodes.answers.registry.model_dump(mode="json", by_alias=True)) as again:
        again.secrets |= nodes.secrets
        assert isinstance(await again.check(RegistryServer(), SERVER), Satisfied)
        for name in (DOCKER, CONTAINERD):
            await pull(again, name)


# What is deleted is gone, what is not stays, and the same image can be pushed again: nothing counts as there that is not.
async def test_garbage_is_collected(nodes: Fleet) -> None:
    digest = await pushed_by_docker(nodes)
    before = int(await nodes.shell(SERVER, SIZE))
    login = f"printf 'cacert = /etc/kfinstall/registry/ca.crt\\nuser = \"kfinstall:%s\"\\n' {_quoted()}"
    call = "curl --silent --fail --config - --request DELETE"
    await nodes.shell(SERVER, f"{login} | {call} https://{HOST}/v2/lab/big/manifests/{digest}")
    await nodes.shell(SERVER, COLLECT)
    assert int(await nodes.shell(SERVER, SIZE)) <= before - 7
    with pytest.raises(CommandError):
        await pull(nodes, CONTAINERD, f"{HOST}/lab/big@{digest}")
    await pull(nodes, CONTAINERD)
    image = f"{HOST}/{proof_image.REPOSITORY}"
    await nodes.shell(
        SERVER,
        f"{login} | {call} https://{image.replace('/', '/v2/', 1)}/manifests/{proof_image.build(nodes.answers.cluster.name).digest}",
    )
    await nodes.shell(SERVER, COLLECT)
    await nodes.apply(RegistryPush(), SERVER)
    await pull(nodes, DOCKER)


def _quoted() -> str:
    """The password as curl's configuration file wants it, for a shell."""
    inner = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    return f"'{inner}'"


async def test_a_full_disk_is_named(nodes: Fleet) -> None:
    await nodes.shell(
        SERVER,
        f"systemctl stop kfinstall-registry; mount -t tmpfs -o size=1m,mode=0750,uid=$(id -u docker-registry),gid=$(id -g docker-registry) none {DATA}\n"
        f"systemctl start kfinstall-registry; head -c 2000000 /dev/zero >{DATA}/filler || true",
    )
    try:
        with pytest.raises(CommandError) as caught:
            await nodes.apply(RegistryPush(), SERVER)
        assert "disk full" in caught.value.hint
    finally:
        await nodes.shell(SERVER, f"systemctl stop kfinstall-registry; umount {DATA}; systemctl start kfinstall-registry")
    await nodes.apply(RegistryServer(), SERVER)
    await pull(nodes, CONTAINERD)
