"""The registry's login inside the cluster: a pull secret per namespace, attached to its service accounts."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Final

from kfinstall.answers.model import Answers
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Cluster, Document, ListQuery, Ref
from kfinstall.parts.registry import files
from kfinstall.secrets import Secret

NAME: Final = "kfinstall-registry"
ANNOTATION: Final = "kfinstall.io/login"
_LABELS: Final = {"app.kubernetes.io/managed-by": "kfinstall"}


def needed(answers: Answers) -> bool:
    """Whether the registry asks for a login at all."""
    return answers.registry.enabled and files.secured(answers)


def wants(namespaces: Sequence[str]) -> tuple[ListQuery, ...]:
    """The lists that `missing` reads; of Secrets only their metadata."""
    secrets = tuple(ListQuery("v1", "Secret", namespace, metadata_only=True) for namespace in namespaces)
    return (*secrets, *(ListQuery("v1", "ServiceAccount", namespace) for namespace in namespaces))


def missing(view: View, namespace: str, accounts: Sequence[str] = ("default",)) -> tuple[str, ...]:
    """What is still to be done in a namespace, one line per change."""
    if not needed(view.answers) or view.cluster is None:
        return () if view.cluster else (f"make the pull secret {namespace}/{NAME}",)
    changes: list[str] = []
    secret = view.cluster.get("v1", "Secret", NAME, namespace) or {}
    annotations = (secret.get("metadata") or {}).get("annotations") or {}
    if annotations.get(ANNOTATION) != files.login_fingerprint(view):
        changes.append(f"make the pull secret {namespace}/{NAME}")
    changes += [
        f"attach it to the service account {namespace}/{account}"
        for account in accounts
        if NAME not in _names(view.cluster.get("v1", "ServiceAccount", account, namespace))
    ]
    return tuple(changes)


def _names(account: Document | None) -> list[str]:
    return [str(item.get("name", "")) for item in (account or {}).get("imagePullSecrets") or []]


def document(view: View, namespace: str, password: Secret) -> Document:
    """The Secret of type kubernetes.io/dockerconfigjson."""
    user = view.answers.registry.user
    auth = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
    login = {"auths": {view.answers.registry_host: {"username": user, "password": password.reveal(), "auth": auth}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": dict(_LABELS),
            "annotations": {ANNOTATION: files.login_fingerprint(view)},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(login).encode()).decode()},
    }


async def ensure(context: ApplyContext, cluster: Cluster, namespace: str, accounts: Sequence[str] = ("default",)) -> None:
    """Make the pull secret and attach it; what else the accounts name is kept."""
    if not needed(context.view.answers):
        return
    await cluster.apply(document(context.view, namespace, await context.secret(files.PASSWORD)))
    for account in accounts:
        names = _names(await cluster.get(Ref("v1", "ServiceAccount", account, namespace)))
        if NAME in names:
            continue
        await cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": namespace},
                "imagePullSecrets": [{"name": name} for name in (*names, NAME)],
            }
        )
        context.say(f"pods of {namespace}/{account} pull with {NAME}")
