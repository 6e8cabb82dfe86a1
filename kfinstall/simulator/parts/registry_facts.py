"""Section `registry`: how the registry looks from a simulated node."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.model import SimNode

STATE: Final = "/run/sim/registry"
"""A file of the simulated node that the effects keep: the lines of this section."""


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """The lines that scripts/registry/facts.sh would print, as the effects left them."""
    host = parameters.get("REGISTRY_HOST", "")
    state = node.files.get(STATE)
    if not host or state is None or state.content is None:
        return ""
    values = dict(line.partition("=")[::2] for line in state.content.splitlines())
    if values.pop("host", "") != shlex.quote(host):
        return ""
    lines = "".join(f"{key}={value}\n" for key, value in values.items())
    for path in sorted(node.files):
        folder = path.removesuffix("/ca.crt")
        if path.endswith(f"/{host}/ca.crt") and not folder.startswith(("/etc/containerd/certs.d/", "/etc/docker/certs.d/")):
            lines += f"trusted={node.files[path].sha256} {folder}\n"
    return lines
