"""Secrets by name: references of the answers resolved once, generated ones kept in the cluster only."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from kfinstall.answers.model import Answers, SecretRef
from kfinstall.kube.base import Cluster, Document, Ref
from kfinstall.secrets import Redactor, Secret, generate

NAMESPACE: Final = "kfinstall"
GENERATED: Final = Ref("v1", "Secret", "kfinstall-generated", NAMESPACE)
_NEXT_VALUE: Final = ".next"
"""Behind the name of a value that is being replaced: the one that takes its place."""

Resolve = Callable[[SecretRef, str], Secret]
"""(reference, the answers' key it stands at) -> the secret; raises AnswersError."""


class SecretStore:
    """Gives secrets by name; every one it gives is known to the redactor first."""

    def __init__(self, answers: Answers, resolve: Resolve, redact: Redactor, cluster: Callable[[], Awaitable[Cluster]]) -> None:
        """Nothing is resolved or generated before it is asked for.

        `resolve`: finds what a reference names; `cluster`: reaches the API, which keeps what is generated.
        """
        self._resolve = resolve
        self._redact = redact
        self._cluster = cluster
        self._known: dict[str, Secret] = {}
        self._references: dict[tuple[SecretRef, str], Secret] = {}
        self._lock = asyncio.Lock()
        self._named = {"registry.password": answers.registry.password, "kubeflow.user.password": answers.kubeflow.user.password}

    async def resolve(self, ref: SecretRef, purpose: str) -> Secret:
        """A reference of the answers; read once, and asked for once for each `purpose`, however many nodes use it.

        Raises:
            AnswersError: it can't be had; names the key and what to write instead.
        """
        # {prompt: true} is one word for as many secrets as there are places that it stands at.
        known_by = ref, purpose if ref.prompt else ""
        async with self._lock:
            if known_by not in self._references:
                self._references[known_by] = self._redact.register(await asyncio.to_thread(self._resolve, ref, purpose))
            return self._references[known_by]

    def register(self, secret: Secret) -> Secret:
        """Make a secret that is kept nowhere known to the redactor; gives it back."""
        return self._redact.register(secret)

    async def secret(self, name: str) -> Secret:
        """A secret by its name; one without a reference is generated and kept in Secret kfinstall/kfinstall-generated."""
        ref = self._named.get(name)
        if ref is not None and not ref.generate:
            return await self.resolve(ref, name)
        async with self._lock:
            if name not in self._known:
                self._known[name] = self._redact.register(await self._generated(name))
            return self._known[name]

    async def next_value(self, name: str) -> Secret:
        """The value that is to take the place of a generated one: made once, and kept beside it until `commit`."""
        async with self._lock:
            return self._redact.register(await self._generated(name + _NEXT_VALUE))

    async def commit(self, name: str) -> None:
        """Put the next value in the place of the value, which is forgotten; nothing where there is no next value."""
        async with self._lock:
            cluster = await self._cluster()
            data: dict[str, str] = dict((await cluster.get(GENERATED) or {}).get("data") or {})
            new = data.pop(name + _NEXT_VALUE, None)
            if new is not None:
                await cluster.apply(_generated_document({**data, name: new}))
            self._known.pop(name, None)

    async def _generated(self, name: str) -> Secret:
        cluster = await self._cluster()
        current = await cluster.get(GENERATED) or {}
        data: dict[str, str] = dict(current.get("data") or {})
        if name in data:
            return Secret(base64.b64decode(data[name]).decode())
        secret = self._redact.register(generate())
        data[name] = base64.b64encode(secret.reveal().encode()).decode()
        await cluster.apply(namespace())
        await cluster.apply(_generated_document(data))
        return secret


def _generated_document(data: Mapping[str, str]) -> Document:
    metadata = {"name": GENERATED.name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "kfinstall"}}
    return {"apiVersion": GENERATED.api_version, "kind": GENERATED.kind, "metadata": metadata, "type": "Opaque", "data": dict(data)}


async def forget(cluster: Cluster, prefix: str) -> None:
    """Delete the generated secrets whose names begin so; a later run makes new ones."""
    current = await cluster.get(GENERATED)
    data: dict[str, str] = dict((current or {}).get("data") or {})
    kept = {name: value for name, value in data.items() if not name.startswith(prefix)}
    if len(kept) < len(data):
        await cluster.apply(_generated_document(kept))


def namespace() -> Document:
    """The namespace that holds what kfinstall keeps in the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "kfinstall"}},
    }
