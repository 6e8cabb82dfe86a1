"""What the scripts of phase registry do to a simulated node."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import Final

from kfinstall.simulator.nodes.model import ScriptError, SimFile, SimNode, SimUnit, World, effect
from kfinstall.simulator.parts.registry_facts import STATE

_FOLDER: Final = "/etc/kfinstall/registry"
_SECRET: Final = f"{_FOLDER}/.password"
"""Stands for the password file: a hash, so that a wrong password is refused."""


def _tell(node: SimNode, host: str, **values: str) -> None:
    lines = [f"host={shlex.quote(host)}", *(f"{key}={value}" for key, value in values.items())]
    node.write(STATE, "\n".join(lines) + "\n", 0o600)


def _hashed(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _serving(world: World, host: str) -> SimNode | None:
    """The node whose registry answers at that address."""
    for node in world.nodes.values():
        unit = node.units.get("kfinstall-registry.service")
        config = node.files.get(f"{_FOLDER}/host")
        if unit is not None and unit.active and config is not None and config.content == host:
            return node
    return None


def log_in(world: World, parameters: Mapping[str, str], stdin: str) -> SimNode:
    """The node whose registry takes that login.

    Raises:
        ScriptError: it does not answer, or refuses.
    """
    host = parameters["HOST"]
    server = _serving(world, host)
    if server is None:
        raise ScriptError(
            43, f"kf-error: the registry at {host} does not answer", "kf-hint: look at: journalctl -u kfinstall-registry"
        )
    known = server.files.get(_SECRET)
    if parameters["SECURED"] == "yes" and (known is None or known.content != _hashed(stdin.partition("\n")[0])):
        raise ScriptError(
            40,
            f"kf-error: the registry refuses the login of user {parameters['USER']}",
            "kf-hint: is the password the one it was set up with? run its step again: kfinstall --answers FILE --only registry",
        )
    return server


def _record(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    yield from node.put(parameters["RECORD_PATH"], parameters["RECORD"])


@effect("registry-server")
def server(node: SimNode, parameters: Mapping[str, str], stdin: str) -> Iterator[str]:
    """Package, certificate, login, unit."""
    secured = parameters["SECURED"] == "yes"
    node.units["docker-registry.service"] = SimUnit(active=False, enabled=False)
    yield from node.install({"docker-registry": "2.8.3+ds1-2", "openssl": "3.0.13-0ubuntu3", "curl": "8.5.0-2ubuntu10"})
    directory = parameters["DIRECTORY"]
    if directory not in node.files:
        node.files[directory] = SimFile(None, 0o750, "docker-registry:docker-registry")
    state = {"status": "200"}
    if secured:
        if f"{_FOLDER}/ca.crt" not in node.files:
            yield "making a certificate authority for the registry"
            body = base64.b64encode(f"registry CA of {node.name}".encode()).decode()
            node.write(f"{_FOLDER}/ca.key", "simulated\n", 0o600)
            node.write(f"{_FOLDER}/ca.crt", f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        yield f"signing a server certificate for {parameters['NAMES']}"
        node.write(f"{_FOLDER}/server.crt", "simulated\n")
        ends = time.time() + dt.timedelta(days=int(parameters["CERTIFICATE_DAYS"])).total_seconds()
        state = {
            "status": "401",
            "expires_at": str(int(ends)),
            "names": parameters["NAMES"],
            "ca_sha256": node.files[f"{_FOLDER}/ca.crt"].sha256,
        }
    if secured:
        password, hashed = [*stdin.split("\n"), "", ""][:2]
        node.write(_SECRET, _hashed(password), 0o600)
        node.write(f"{_FOLDER}/htpasswd", hashed + "\n", 0o640, "root:docker-registry")
    node.write(f"{_FOLDER}/host", parameters["HOST"], 0o600)
    node.units["kfinstall-registry.service"] = SimUnit(active=True, enabled=True)
    node.listeners[int(parameters["HOST"].rpartition(":")[2])] = "docker-registry"
    if secured:
        yield from node.put(f"{_FOLDER}/login.json", parameters["LOGIN"], 0o600)
    _tell(node, parameters["HOST"], **state, used_bytes="4096")
    yield f"the registry answers at {parameters['HOST']}"


@effect("ask/registry-ca")
def certificate(node: SimNode) -> Iterator[str]:
    """The CA certificate."""
    file = node.files.get(f"{_FOLDER}/ca.crt")
    if file is None or file.content is None:
        raise ScriptError(1, f"cat: {_FOLDER}/ca.crt: No such file or directory")
    yield from file.content.splitlines()


@effect("registry-trust")
def trust(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """The CA and daemon.json, then a try."""
    if parameters["CA"]:
        yield from node.put(f"{parameters['FOLDER']}/ca.crt", parameters["CA"])
    wanted: dict[str, list[str]] = json.loads(parameters["DAEMON"])
    if wanted:
        daemon = node.files.get("/etc/docker/daemon.json")
        current = json.loads(daemon.content) if daemon is not None and daemon.content else {}
        yield from node.put("/etc/docker/daemon.json", json.dumps({**current, **wanted}, indent=2) + "\n")
    serving = _serving(world, parameters["HOST"])
    if serving is None:
        raise ScriptError(
            33,
            f"kf-error: the registry at {parameters['HOST']} can't be reached from this node (curl 7, HTTP 000)",
            "kf-hint: open its TCP port between the nodes, and look at systemctl status kfinstall-registry on its node",
        )
    status = "401" if parameters["CA"] else "200"
    if serving is not node:
        _tell(node, parameters["HOST"], status=status)
    yield f"the registry answers {status} here"


@effect("registry-push")
def push(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """Upload the blobs and read the manifest back."""
    serving = log_in(world, parameters, stdin)
    for name in ("LAYER_DIGEST", "IMAGE_CONFIG_DIGEST"):
        yield f"pushed {parameters[name]}"
    repository = f"{parameters['HOST']}/{parameters['REPOSITORY']}"
    digest = parameters["MANIFEST_DIGEST"]
    node_images = {f"{repository}:{parameters['TAG']}", f"{repository}@{digest}"}
    serving.images |= {f"registry:{image}" for image in node_images}
    yield f"pushed {repository}:{parameters['TAG']} ({digest}) and read it back"
    yield from _record(node, parameters)


@effect("registry-pull-proof")
def pull(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """Pull by digest."""
    serving = log_in(world, parameters, stdin)
    image = parameters["IMAGE"]
    if f"registry:{image}" not in serving.images:
        raise ScriptError(55, f"{image}: not found", f"kf-error: this node can't pull {image}", "kf-hint: read the lines above")
    yield f"Image is up to date for {parameters['IMAGE']}"
    node.images.add(image)
    yield f"pulled {image}"
    yield from _record(node, parameters)
