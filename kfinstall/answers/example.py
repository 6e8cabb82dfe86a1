"""The commented example that `kfinstall answers new` prints: every key with its meaning and default; only the nodes are set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from kfinstall.answers.catalogue import Key, keys
from kfinstall.answers.model import Answers, Node

_HEAD: Final = """\
# Answers of kfinstall, version 1. Only `nodes` is needed; every other key shows its default or an example as a comment.
# Check it:    kfinstall answers check FILE          Preflight:  kfinstall check --answers FILE
# Secrets are references, never values: {env: NAME}, {file: path}, {prompt: true} or {generate: true}
version: 1
"""
_NODES: Final = """\
nodes:
  - {name: master, address: 192.168.0.111, roles: [control-plane]}
  - {name: worker1, address: 192.168.0.169, roles: [worker]}
  - {name: worker2, address: 192.168.1.35, roles: [worker]}
"""
_SAMPLES: Final = {
    "kubernetesVersion": '"1.34"',
    "apiEndpoint": "k8s.example.com:6443",
    "user": "ubuntu",
    "port": "22",
    "useSshConfig": "true",
    "keys": "[~/.ssh/id_ed25519]",
    "passphrase": "{prompt: true}",
    "password": "{env: KF_PASSWORD}",
    "sudoPassword": "{env: KF_SUDO}",
    "jumpHosts": "[{address: bastion.example.com, user: ubuntu}]",
    "server": "192.168.0.10",
    "node": "master",
    "mirrors": "{docker.io: 'https://mirror.example.com'}",
    "release": '"26.03"',
    "hostName": "kubeflow.example.com",
    "certificate": "/path/to/fullchain.pem",
    "key": "/path/to/key.pem",
    "bundle": "/path/to/kubeflow.bundle",
    "namespace": "spark",
    "image": "docker.io/library/spark:3.5.2",
    "http": "http://proxy.example.com:3128",
    "https": "http://proxy.example.com:3128",
    "noProxy": "[.example.com]",
    "ssh": "{port: 2222}",
}


def example() -> str:
    """The example as YAML."""
    lines = [_HEAD]
    for key in keys(Answers):
        if key.name == "version":
            continue
        lines.append(f"# {key.description}")
        if key.name == "nodes":
            lines += [_NODES.rstrip(), *_node_keys(), ""]
        elif key.section is not None:
            lines += [f"#{key.name}:", *_section(key.section, 1), ""]
    return "\n".join(lines)


def _node_keys() -> Iterator[str]:
    yield "    # more keys of a node:"
    for key in keys(Node):
        if key.name in ("ssh", "local"):
            yield f"    #   {key.name}: {_sample(key)}  # {key.description}"


def _section(model: type[BaseModel], depth: int) -> Iterator[str]:
    pad = "  " * depth
    for key in keys(model):
        if key.section is not None and not key.many:
            yield f"#{pad}{key.name}:  # {key.description}"
            yield from _section(key.section, depth + 1)
        else:
            yield f"#{pad}{key.name}: {_sample(key)}  # {key.description}"


def _sample(key: Key) -> str:
    if key.default and key.default not in ("[]", "{}"):
        return key.default
    return _SAMPLES.get(key.name, key.default or '""')
