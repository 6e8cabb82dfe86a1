"""A look at one server while its row is being filled in: host key, login, sudo, and what it is made of. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kfinstall.answers.model import Answers
from kfinstall.facts.model import Facts
from kfinstall.phases import PHASES
from kfinstall.releases import load as load_release
from kfinstall.secret_store import Resolve, SecretStore
from kfinstall.secrets import Redactor
from kfinstall.site import OpenCluster, Site
from kfinstall.transport.base import HostKeyQuestion
from kfinstall.transport.connect import connect_node
from kfinstall.transport.keyring import KeyRing
from kfinstall.transport.tuning import Limits


async def probe(
    answers: Answers,
    name: str,
    *,
    pins: Path,
    resolve: Resolve,
    open_cluster: OpenCluster,
    question: HostKeyQuestion | None,
    dial: Mapping[str, tuple[str, int]],
    patience: Limits,
    keys: KeyRing | None = None,
) -> Facts:
    """Log in to one node of the answers, become root, read its facts, and leave.

    Raises:
        KfError: says what stands in the way: address, host key, login (with what was tried), sudo.
    """
    redact = Redactor()
    site = Site(answers, load_release(answers.cluster.release), PHASES, open_cluster)
    secrets = SecretStore(answers, resolve, redact, site.cluster)
    try:
        site.hosts[name] = await connect_node(
            answers.node(name),
            answers.ssh,
            secrets,
            pins=pins,
            on_unknown_key=question,
            dial=dial.get(name),
            keys=keys,
            limits=patience,
        )
        return await site.read_node(name)
    finally:
        await site.close()
