"""kubeflow.access: the certificate that the gateway shows to browsers."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.apply.stamp import ANNOTATION, LABELS
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.workloads import wait_explained
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import CommandError
from kfinstall.kube.base import Document, ListQuery, Ref
from kfinstall.parts.kubeflow import certificate, limits, own
from kfinstall.text import sha256

_CERT_MANAGER: Final = "cert-manager.io/v1"
_CERTIFICATE: Final = Ref(_CERT_MANAGER, "Certificate", "kubeflow-gateway", own.GATEWAY_NAMESPACE)
_SECRET: Final = Ref("v1", "Secret", own.TLS_SECRET, own.GATEWAY_NAMESPACE)
_DIGEST: Final = "kfinstall.io/sha256"
"""Annotation: SHA-256 of the given certificate, which also tells its key."""
_ISSUED: Final = "cert-manager.io/certificate-name"
"""Annotation of each Secret that cert-manager wrote."""
_CA_SECRET: Final = "kfinstall-gateway-ca"  # noqa: S105 (a name)


class KubeflowAccess(ObjectsStep):
    """An own CA signs it by cert-manager and renews it, unless a certificate is given."""

    id: ClassVar[str] = "kubeflow.access"
    title: ClassVar[str] = "Give the gateway its certificate"
    estimate_seconds: ClassVar[float] = 10
    lists: ClassVar[tuple[ListQuery, ...]] = (ListQuery("v1", "Secret", own.GATEWAY_NAMESPACE, metadata_only=True),)

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Kubeflow is wanted with HTTPS."""
        return answers.kubeflow.enabled and own.secured(answers)

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Names in the certificate, or which one is given."""
        tls = view.answers.kubeflow.tls
        return {"CERTIFICATE": tls.certificate or "", "KEY": tls.key or "", "NAMES": "\n".join(names(view.answers))}

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """Issuers, certificate, gateway."""
        return documents(view.answers)

    @override
    def waited(self, view: View) -> Sequence[Ref]:
        """The gateway's certificate, unless one is given."""
        return () if view.answers.kubeflow.tls.certificate else (_CERTIFICATE,)

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The certificate is issued for these names, or the given one is in place."""
        if view.answers.kubeflow.tls.certificate:
            return self._given(view)
        given = (f"remove the given certificate in {_SECRET}",) if _holds_given(_annotations(view)) else ()
        return (*given, *super().changes(view))

    @override
    def evidence(self, view: View) -> str:
        """Whose certificate it is."""
        given = view.answers.kubeflow.tls.certificate
        if given:
            return f"the gateway shows the certificate of {given}"
        return f"the gateway's certificate is signed by the cluster's own CA for {', '.join(names(view.answers)[:3])}"

    def _given(self, view: View) -> tuple[str, ...]:
        path, annotations = view.answers.kubeflow.tls.certificate or "", _annotations(view)
        wanted = certificate.digest(path)
        # Where the file can't be read here, what was put in place from it stays.
        same = annotations.get(_DIGEST) == wanted if wanted else annotations.get(ANNOTATION) == self.fingerprint(view)
        put = f"put {path} into {_SECRET}"
        if view.cluster and _CERTIFICATE in view.cluster.objects:
            return (f"delete {_CERTIFICATE}, or cert-manager puts its own back", put)
        return () if same and _holds_given(annotations) else (put,)

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Ask cert-manager for it, or put the given one in place."""
        cluster, tls = await context.cluster(), context.view.answers.kubeflow.tls
        if tls.certificate and tls.key:
            texts = await asyncio.gather(_read(tls.certificate), _read(tls.key))
            await asyncio.to_thread(certificate.check, tls.certificate, tls.key)
            await cluster.delete(_CERTIFICATE)
            if not _holds_given(_annotations(context.view)):
                # What another manager put into it (the own CA's ca.crt) would stay beside the given one.
                await cluster.delete(_SECRET)
            await cluster.apply(_secret(texts, self.fingerprint(context.view)))
            return
        if _holds_given(_annotations(context.view)):
            await cluster.delete(_SECRET)
        for document in self.documents(context.view):
            await self.send(context, document)
        limit = limits.KUBEFLOW_CERTIFICATE_TIMEOUT_SECONDS
        await wait_explained(cluster, _CERTIFICATE, workload_waiting, timeout_seconds=limit, say=context.say)
        context.say(f"browsers trust it with the CA in Secret {own.GATEWAY_NAMESPACE}/{_CA_SECRET}, key ca.crt")


def _annotations(view: View) -> Mapping[str, str]:
    """Those of the gateway's Secret; empty where it is not there."""
    secret = view.cluster.objects.get(_SECRET) if view.cluster else None
    return ((secret or {}).get("metadata") or {}).get("annotations") or {}


def _holds_given(annotations: Mapping[str, str]) -> bool:
    """Whether a Secret holds a given certificate; cert-manager leaves kfinstall's annotations when it writes over one."""
    return _DIGEST in annotations and _ISSUED not in annotations


def names(answers: Answers) -> tuple[str, ...]:
    """The names and addresses that browsers may use, the preferred one first."""
    preferred = answers.kubeflow.access.host_name or answers.first_control_plane.address
    return tuple(dict.fromkeys((preferred, *(node.address for node in answers.nodes), "localhost", "127.0.0.1")))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def documents(answers: Answers) -> tuple[Document, ...]:
    """A CA of the cluster's own, and the gateway's certificate signed by it."""

    def document(kind: str, name: str, spec: Mapping[str, object]) -> Document:
        metadata = {"name": name, "namespace": own.GATEWAY_NAMESPACE, "labels": dict(LABELS)}
        return {"apiVersion": _CERT_MANAGER, "kind": kind, "metadata": metadata, "spec": spec}

    key = {"algorithm": "ECDSA", "size": 256}
    authority = {
        "isCA": True,
        "commonName": f"kfinstall {answers.cluster.name}",
        "secretName": _CA_SECRET,
        "duration": "87600h0m0s",
        "privateKey": key,
        "issuerRef": {"name": "kfinstall-self-signed", "kind": "Issuer", "group": "cert-manager.io"},
    }
    wanted = names(answers)
    gateway = {
        "secretName": own.TLS_SECRET,
        "duration": "8760h0m0s",
        "renewBefore": "720h0m0s",
        "privateKey": {**key, "rotationPolicy": "Always"},
        "dnsNames": [name for name in wanted if not _is_address(name)],
        "ipAddresses": [name for name in wanted if _is_address(name)],
        "issuerRef": {"name": "kfinstall-ca", "kind": "Issuer", "group": "cert-manager.io"},
    }
    return (
        document("Issuer", "kfinstall-self-signed", {"selfSigned": {}}),
        document("Certificate", "kfinstall-ca", authority),
        document("Issuer", "kfinstall-ca", {"ca": {"secretName": _CA_SECRET}}),
        document("Certificate", _CERTIFICATE.name, gateway),
    )


def _text(path: str) -> str:
    return Path(path).expanduser().read_text(encoding="ascii")


async def _read(path: str) -> str:
    try:
        return await asyncio.to_thread(_text, path)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{path} can't be read",
            why=getattr(error, "strerror", None) or "it is no PEM file",
            hint="kubeflow.tls names PEM files",
        ) from None


def _secret(texts: Sequence[str], mark: str) -> Document:
    data = {name: base64.b64encode(text.encode()).decode() for name, text in zip(("tls.crt", "tls.key"), texts, strict=True)}
    metadata = {
        "name": own.TLS_SECRET,
        "namespace": own.GATEWAY_NAMESPACE,
        "labels": dict(LABELS),
        "annotations": {ANNOTATION: mark, _DIGEST: sha256(texts[0])},
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
