"""How a node joins: a token for this one join, kubeadm on the node, and the token's end, whatever came of it."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import secrets
import string
from collections.abc import AsyncIterator
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kfinstall.engine.step import ApplyContext, Check, Conflict, Needed, Satisfied, View
from kfinstall.errors import CommandError, KfError
from kfinstall.kube.base import Cluster, Document, ListQuery, Ref
from kfinstall.parts.cluster import kubeadm, limits
from kfinstall.parts.preflight import membership
from kfinstall.secrets import Secret

NODES: Final = ListQuery("v1", "Node")
SCRIPT: Final = "cluster-join"
_CLUSTER_INFO: Final = Ref("v1", "ConfigMap", "cluster-info", "kube-public")
_CERTIFICATES: Final = Ref("v1", "Secret", "kubeadm-certs", "kube-system")
_RESET: Final = "sudo kubeadm reset --force && sudo rm -rf /etc/cni/net.d /etc/kfinstall/cluster.conf"
_ALPHABET: Final = string.ascii_lowercase + string.digits
_TOKEN_ID_CHARACTERS: Final = 6
_TOKEN_SECRET_CHARACTERS: Final = 16
_CERTIFICATE_KEY_BYTES: Final = 32
"""An AES-256 key, in hex (kubeadm, certificateKey)."""


def check(view: View, what: str) -> Check:
    """Whether the target is a member of the cluster. `what`: worker or control plane."""
    facts, name = view.facts, view.target
    if membership.owned_by_another(view):
        return Conflict(f"{name} was made a member of another cluster, or under another name, by kfinstall", _RESET)
    known = kubeadm.kubernetes_node(view, name)
    joined = membership.member(view) and "kubelet.conf" in facts.runtime.kubeadm_files
    if joined and (known is not None or view.cluster is None):
        # Without an API server the node's own word has to do: a member is never reset because nobody could be asked.
        return Satisfied(f"{name} is a member of {view.answers.cluster.name}")
    if not membership.kubeadm_was_here(facts):
        return Needed((f"kubeadm join {name} as a {what}",))
    if membership.begun(view) or membership.done(view):
        return Needed((f"kubeadm reset what an earlier join left on {name}", f"kubeadm join {name} as a {what}"))
    return Conflict(f"kubeadm made {name} a member of a cluster that is not this one", _RESET)


def parameters(view: View) -> dict[str, str]:
    """Parameters of the script; the configuration itself is secret and goes by standard input."""
    return {
        "NAME": view.target,
        "OWNER_FILE": membership.OWNER_FILE,
        "BEGUN": membership.owner_begun(view),
        "DONE": membership.owner_done(view),
        "SOCKET": kubeadm.socket(view.answers),
        "ENDPOINT": kubeadm.endpoint(view.answers),
        "ROLE": "control-plane" if "control-plane" in view.node.roles else "worker",
    }


def ca_hash(authority: bytes) -> str:
    """What kubeadm pins a cluster by: SHA-256 of the CA's public key (RFC 7469), from its PEM."""
    key = x509.load_pem_x509_certificate(authority).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


async def _authority(cluster: Cluster) -> bytes:
    """PEM of the cluster's CA, as kubeadm publishes it.

    Raises:
        CommandError: it is not published.
    """
    found = await cluster.get(_CLUSTER_INFO)
    text = str(((found or {}).get("data") or {}).get("kubeconfig") or "")
    config: Any = yaml.safe_load(text) if text else {}
    clusters = (config or {}).get("clusters") or []
    data = str(((clusters[0] if clusters else {}).get("cluster") or {}).get("certificate-authority-data") or "")
    if not data:
        raise CommandError(
            "the cluster does not publish how to join it",
            why=f"{_CLUSTER_INFO} is missing or empty",
            hint="on the first control plane: sudo kubeadm init phase bootstrap-token",
        )
    return base64.b64decode(data)


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def token_document(identity: str, secret: str, node: str, expires: dt.datetime) -> Document:
    """The Secret that makes a bootstrap token valid (Kubernetes, "Authenticating with Bootstrap Tokens")."""
    values = {
        "description": f"kfinstall: join of {node}",
        "token-id": identity,
        "token-secret": secret,
        "expiration": expires.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


@contextlib.asynccontextmanager
async def _token(context: ApplyContext, cluster: Cluster) -> AsyncIterator[str]:
    """A token that is valid inside the block only."""
    identity, value = _random(_TOKEN_ID_CHARACTERS), _random(_TOKEN_SECRET_CHARACTERS)
    context.register(Secret(value))
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=limits.CLUSTER_TOKEN_SECONDS)
    document = token_document(identity, value, context.view.target, expires)
    await cluster.apply(document)
    try:
        yield f"{identity}.{value}"
    finally:
        await _revoke(context, cluster, Ref.of(document))


async def _revoke(context: ApplyContext, cluster: Cluster, ref: Ref) -> None:
    try:
        await cluster.delete(ref)
    except KfError as error:  # it ends by itself; the join's own outcome matters more
        context.say(f"{ref} could not be deleted ({error.message}); it expires by itself within two hours")


@contextlib.asynccontextmanager
async def _certificates(context: ApplyContext, cluster: Cluster) -> AsyncIterator[str]:
    """The control plane's keys, encrypted in the cluster, inside the block only; gives the key that opens them."""
    key = secrets.token_hex(_CERTIFICATE_KEY_BYTES)
    context.register(Secret(key))
    first = context.view.answers.first_control_plane.name
    config = Secret(kubeadm.certificate_config(context.view, key))
    await context.run_script(
        "cluster-upload-certs", {}, on=first, stdin=config, timeout_seconds=limits.CLUSTER_UPLOAD_TIMEOUT_SECONDS
    )
    try:
        yield key
    finally:
        await _revoke(context, cluster, _CERTIFICATES)


async def join(context: ApplyContext, *, control_plane: bool) -> None:
    """Make the target a member.

    Raises:
        CommandError: kubeadm failed there.
    """
    view, cluster = context.view, await context.cluster()
    pin = ca_hash(await _authority(cluster))
    async with contextlib.AsyncExitStack() as stack:
        key = await stack.enter_async_context(_certificates(context, cluster)) if control_plane else ""
        token = await stack.enter_async_context(_token(context, cluster))
        config = Secret(kubeadm.join_config(view, token, pin, key))
        await context.run_script(SCRIPT, parameters(view), stdin=config, timeout_seconds=limits.CLUSTER_JOIN_TIMEOUT_SECONDS)
