"""What the Secrets hold whose published values everybody knows: own values, from a source of secrets by name."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import bcrypt

from kfinstall.answers.model import Answers
from kfinstall.apply.stamp import LABELS
from kfinstall.engine.step import View
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.kubeflow import choice, limits, own
from kfinstall.secrets import Secret
from kfinstall.text import sha256

PASSWORD: Final = "kubeflow.user.password"  # noqa: S105 (a name)
CLIENT: Final = "kubeflow.oidc.client-secret"
COOKIE: Final = "kubeflow.oauth2-proxy.cookie-secret"
KATIB_DATABASE: Final = "kubeflow.katib.database-password"
PIPELINES_DATABASE: Final = "kubeflow.pipelines.database-password"
OBJECT_STORE_KEY: Final = "kubeflow.pipelines.object-store-key"
MODEL_CATALOG_DATABASE: Final = "kubeflow.model-catalog.database-password"
MODEL_CATALOG_USER: Final = "postgres"
OBJECT_STORE_USER: Final = "minio"
ANNOTATION: Final = "kfinstall.io/values"
_CLIENT_ID: Final = "kubeflow-oidc-authservice"
_GENERATED: Final[Mapping[Ref, tuple[str, str, Mapping[str, str]]]] = {
    own.KATIB_MYSQL: (KATIB_DATABASE, "MYSQL_ROOT_PASSWORD", {}),
    own.MYSQL: (PIPELINES_DATABASE, "password", {"username": "root"}),
    own.OBJECT_STORE: (OBJECT_STORE_KEY, "secretkey", {"accesskey": OBJECT_STORE_USER}),
    own.MODEL_CATALOG: (MODEL_CATALOG_DATABASE, "POSTGRES_PASSWORD", {"POSTGRES_USER": MODEL_CATALOG_USER}),
}
"""Secret to (name of its value, the key that it stands at, fixed keys beside it)."""

Source = Callable[[str], Awaitable[Secret]]
"""Gives a secret by its name."""


_FOLDERS: Final[Mapping[Ref, str]] = {
    own.KATIB_MYSQL: "applications/katib/",
    own.MYSQL: "applications/pipeline/",
    own.OBJECT_STORE: "applications/pipeline/",
}
"""Secret to how the folders of the component begin that it is for; where none of them is chosen it is not wanted."""


def unwanted(view: View) -> dict[Ref, str]:
    """The Secrets of components that are not chosen, each with the first folder of its component; empty where the release has none."""
    paths = choice.paths(view.answers, view.release)
    known = choice.row(view.release).components
    every = [path for part in known.values() for path in part.paths]
    found = {
        ref: next((path for path in every if path.startswith(start)), "")
        for ref, start in _FOLDERS.items()
        if not any(path.startswith(start) for path in paths)
    }
    if "model-catalog" not in choice.components(view.answers, view.release):
        catalog = known.get("model-catalog")
        found[own.MODEL_CATALOG] = next(iter(catalog.paths), "") if catalog else ""
    return found


def wanted(view: View) -> tuple[Ref, ...]:
    """The Secrets of the chosen components."""
    leave = unwanted(view)
    return tuple(ref for ref in own.SECRETS if ref not in leave)


def reference(answers: Answers) -> str:
    """Where the user's password comes from, as JSON: never the password."""
    return json.dumps(answers.kubeflow.user.password.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


def mark(answers: Answers) -> str:
    """Short hash of what the Secrets are made from, for the annotation on them."""
    return sha256(reference(answers))[:12]


async def values(secret: Source, ref: Ref, current: Document | None) -> tuple[dict[str, str], bool]:
    """What a Secret is to hold, and whether that changes a hash that dex has read already. `current`: the Secret as it is."""
    if ref == own.DEX_PASSWORDS:
        return await _password(await secret(PASSWORD), current)
    if ref in _GENERATED:
        name, key, fixed = _GENERATED[ref]
        return {**fixed, key: (await secret(name)).reveal()}, False
    client = (await secret(CLIENT)).reveal()
    if ref == own.DEX_CLIENT:
        return {"OIDC_CLIENT_ID": _CLIENT_ID, "OIDC_CLIENT_SECRET": client}, False
    # 24 characters: oauth2-proxy takes 16, 24 or 32 bytes.
    cookie = (await secret(COOKIE)).reveal()[:24]
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


def document(ref: Ref, held: Mapping[str, str], made_from: str) -> Document:
    """A Secret with its mark."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in held.items()}
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": dict(LABELS), "annotations": {ANNOTATION: made_from}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
