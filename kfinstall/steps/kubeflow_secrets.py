"""kubeflow.secrets: own values for the Secrets whose published ones everybody knows."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import ClassVar, Final

import bcrypt

from kfinstall import limits
from kfinstall.answers.model import Answers
from kfinstall.cluster.base import Cluster, Document, Ref, Want
from kfinstall.kubeflow import choice, own
from kfinstall.secrets import Secret
from kfinstall.stamp import LABELS
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View, sha256

PASSWORD: Final = "kubeflow.user.password"  # noqa: S105 (a name)
_ANNOTATION: Final = "kfinstall.io/values"
_CLIENT_ID: Final = "kubeflow-oidc-authservice"
_GENERATED: Final[Mapping[Ref, tuple[str, str, Mapping[str, str]]]] = {
    own.KATIB_MYSQL: ("kubeflow.katib.database-password", "MYSQL_ROOT_PASSWORD", {}),
    own.MYSQL: ("kubeflow.pipelines.database-password", "password", {"username": "root"}),
    own.OBJECT_STORE: ("kubeflow.pipelines.object-store-key", "secretkey", {"accesskey": "minio"}),
    own.MODEL_CATALOG: ("kubeflow.model-catalog.database-password", "POSTGRES_PASSWORD", {"POSTGRES_USER": "postgres"}),
}
"""Secret to (name of its value, the key that it stands at, fixed keys beside it)."""


class KubeflowSecrets(Step):
    """Written straight into the cluster before anything reads them; on no disk but etcd's."""

    id: ClassVar[str] = "kubeflow.secrets"
    title: ClassVar[str] = "Make Kubeflow's passwords and keys"
    scope: ClassVar[Scope] = Scope.CLUSTER
    estimate_seconds: ClassVar[float] = 3

    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted."""
        return answers.kubeflow.enabled

    def wants(self, view: View) -> tuple[Want, ...]:
        """The Secrets' metadata."""
        return tuple(Want("v1", "Secret", name, metadata_only=True) for name in sorted({ref.namespace for ref in wanted(view)}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """Where the password comes from, and which Secrets there are: never a value."""
        reference = view.answers.kubeflow.user.password.model_dump(mode="json", exclude_defaults=True)
        return {"PASSWORD": json.dumps(reference, sort_keys=True), "SECRETS": "\n".join(map(str, wanted(view)))}

    def check(self, view: View) -> Check:
        """Each Secret is there and marked as made from these answers."""
        mark, missing = _mark(self, view), []
        for ref in wanted(view):
            metadata = ((view.cluster.objects.get(ref) if view.cluster else None) or {}).get("metadata") or {}
            if (metadata.get("annotations") or {}).get(_ANNOTATION) != mark:
                missing.append(f"write {ref} with an own value")
        if missing:
            return Needed(tuple(missing))
        return Satisfied(f"{len(wanted(view))} Secrets hold own values, none of the published ones")

    async def apply(self, context: ApplyContext) -> None:
        """Write them; what was generated once stays the same. dex starts anew where its password changed."""
        cluster, mark = await context.cluster(), _mark(self, context.view)
        for namespace in sorted({ref.namespace for ref in wanted(context.view)}):
            if await cluster.get(Ref("v1", "Namespace", namespace)) is None:
                await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for ref in wanted(context.view):
            values, changed = await _values(context, cluster, ref)
            await cluster.apply(_document(ref, values, mark))
            context.say(f"{ref} holds its own value")
            if changed and ref == own.DEX_PASSWORDS:
                await _restart(cluster, context)


def wanted(view: View) -> tuple[Ref, ...]:
    """The Secrets of the chosen components."""
    paths = choice.paths(view.answers, view.release)
    leave = set()
    if not any(path.startswith("applications/katib/") for path in paths):
        leave.add(own.KATIB_MYSQL)
    if not any(path.startswith("applications/pipeline/") for path in paths):
        leave |= {own.MYSQL, own.OBJECT_STORE}
    if "model-catalog" not in choice.components(view.answers, view.release):
        leave.add(own.MODEL_CATALOG)
    return tuple(ref for ref in own.SECRETS if ref not in leave)


def _mark(step: Step, view: View) -> str:
    return sha256(step.parameters(view)["PASSWORD"])[:12]


async def _values(context: ApplyContext, cluster: Cluster, ref: Ref) -> tuple[dict[str, str], bool]:
    """What a Secret is to hold, and whether that changes a value that something may have read already."""
    if ref == own.DEX_PASSWORDS:
        return await _password(await context.secret(PASSWORD), await cluster.get(ref))
    if ref in _GENERATED:
        name, key, fixed = _GENERATED[ref]
        return {**fixed, key: (await context.secret(name)).reveal()}, False
    client = (await context.secret("kubeflow.oidc.client-secret")).reveal()
    if ref == own.DEX_CLIENT:
        return {"OIDC_CLIENT_ID": _CLIENT_ID, "OIDC_CLIENT_SECRET": client}, False
    # 24 characters: oauth2-proxy takes 16, 24 or 32 bytes.
    cookie = (await context.secret("kubeflow.oauth2-proxy.cookie-secret")).reveal()[:24]
    return {"client-id": _CLIENT_ID, "client-secret": client, "cookie-secret": cookie}, False


async def _password(password: Secret, current: Document | None) -> tuple[dict[str, str], bool]:
    """The bcrypt hash of the password; the one that is there already where it fits."""
    stored = base64.b64decode(((current or {}).get("data") or {}).get("DEX_USER_PASSWORD") or "")
    value = password.reveal().encode()[:72]  # bcrypt reads no more
    if stored:
        fits = await asyncio.to_thread(_fits, value, stored)
        if fits:
            return {"DEX_USER_PASSWORD": stored.decode()}, False
    hashed = await asyncio.to_thread(bcrypt.hashpw, value, bcrypt.gensalt(limits.KUBEFLOW_BCRYPT_ROUNDS))
    return {"DEX_USER_PASSWORD": hashed.decode()}, bool(stored)


def _fits(value: bytes, stored: bytes) -> bool:
    try:
        return bcrypt.checkpw(value, stored)
    except ValueError:  # what stands there is no hash
        return False


def _document(ref: Ref, values: Mapping[str, str], mark: str) -> Document:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": dict(LABELS), "annotations": {_ANNOTATION: mark}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


async def _restart(cluster: Cluster, context: ApplyContext) -> None:
    """dex reads its password only when it starts."""
    for pod in await cluster.list(Want("v1", "Pod", own.DEX_PASSWORDS.namespace), label_selector="app=dex"):
        ref = Ref.of(pod)
        await cluster.delete(ref)
        context.say(f"{ref} starts anew with the changed password")
