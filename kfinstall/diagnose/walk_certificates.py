"""Rules for what a pod mounts: Secrets and ConfigMaps, the Certificates and requests that fill them, and their issuers."""

from __future__ import annotations

from typing import Any, Final

from kfinstall import invocation
from kfinstall.diagnose import symptoms
from kfinstall.diagnose.reasons import condition, is_true, outdated
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl

_API: Final = "cert-manager.io/v1"
_CERT_MANAGER: Final = Ref("apps/v1", "Deployment", "cert-manager", "cert-manager")
_MAKERS: Final = {
    ("ConfigMap", "istio-ca-root-cert"): Ref("apps/v1", "Deployment", "istiod", "istio-system"),
    ("ConfigMap", "istio-ca-crl"): Ref("apps/v1", "Deployment", "istiod", "istio-system"),
}
"""What a controller writes into every namespace."""


def part(walk: Walk, ref: Ref) -> Cause | None:
    """A Secret or ConfigMap that a pod needs: who should make it, and why that did not happen."""
    if walk.known.get(ref) is not None or not walk.known.lacks(ref):
        return None
    for certificate in _certificates(walk, ref) if ref.kind == "Secret" else ():
        found = walk.behind(ref, certificate)
        if found:
            return found
    maker = _MAKERS.get((ref.kind, ref.name))
    behind = walk.behind(ref, maker) if maker else None
    if behind:
        return behind
    request = unsigned(walk, f"system:serviceaccount:{ref.namespace}:", f".{ref.namespace}") if ref.kind == "Secret" else None
    if request:
        return walk.at(ref, request)
    if ref.name == "kube-root-ca.crt":
        return walk.at(
            ref, symptoms.about(ref, "it is not made", "is kube-controller-manager running? kubectl -n kube-system get pods")
        )
    what = "it does not exist, and no Certificate makes it" if ref.kind == "Secret" else "it does not exist"
    hint = f"let kfinstall make its own: {invocation.reinstall()}; else make it: {kubectl('create', ref.kind.lower(), namespace=ref.namespace)}"
    return walk.at(ref, symptoms.about(ref, what, hint, cause="object-missing"))


def _certificates(walk: Walk, secret: Ref) -> list[Ref]:
    """The Certificates that fill a Secret, also one that is not sent yet."""
    found = walk.known.all(_API, "Certificate", secret.namespace)
    return [Ref.of(item) for item in (*found, *walk.known.planned_of("Certificate", secret.namespace)) if _fills(item, secret)]


def _fills(certificate: Document, secret: Ref) -> bool:
    return (certificate.get("spec") or {}).get("secretName") == secret.name


def certificate(walk: Walk, ref: Ref) -> Cause | None:
    """A Certificate: its request, its issuer, or cert-manager itself."""
    document = walk.known.get(ref)
    if document is None:
        return walk.not_sent(ref)
    if is_true(document, "Ready"):
        return None
    issued_by = (document.get("spec") or {}).get("issuerRef") or {}
    kind = str(issued_by.get("kind") or "Issuer")
    issuer_ref = Ref(_API, kind, str(issued_by.get("name")), "" if kind == "ClusterIssuer" else ref.namespace)
    found = walk.behind(ref, issuer_ref) if kind in ("Issuer", "ClusterIssuer") else None
    found = found or walk.behind(ref, _CERT_MANAGER)
    if found:
        return found
    texts = [
        condition(item, "Ready").get("message")
        for item in walk.known.all(_API, "CertificateRequest", ref.namespace)
        if _asks(item, ref) and not is_true(item, "Ready")
    ]
    message = next((text for text in texts if text), _message(document))
    look = kubectl("describe", "certificate", names=[ref.name], namespace=ref.namespace)
    hint = f"{look}; kubectl -n cert-manager logs deployment/cert-manager"
    return walk.at(
        ref, symptoms.about(ref, f"it is not issued yet: {symptoms.line(message) or 'cert-manager has not looked at it'}", hint)
    )


def _message(document: Document) -> Any:
    ready = condition(document, "Ready")
    return None if outdated(document, ready) else ready.get("message")


def _asks(request: Document, certificate_ref: Ref) -> bool:
    owners = (request.get("metadata") or {}).get("ownerReferences") or []
    return any(owner.get("kind") == "Certificate" and owner.get("name") == certificate_ref.name for owner in owners)


def issuer(walk: Walk, ref: Ref) -> Cause | None:
    """An Issuer or ClusterIssuer: the Secret of its CA, or cert-manager itself."""
    document = walk.known.get(ref)
    if document is None:
        later = walk.not_sent(ref)
        return later or (
            walk.at(ref, symptoms.about(ref, "it does not exist", kubectl("get", ref.kind.lower(), "-A")))
            if walk.known.lacks(ref)
            else None
        )
    if is_true(document, "Ready"):
        return None
    secret = str(((document.get("spec") or {}).get("ca") or {}).get("secretName") or "")
    behind = walk.behind(ref, Ref("v1", "Secret", secret, ref.namespace or "cert-manager")) if secret else None
    behind = behind or walk.behind(ref, _CERT_MANAGER)
    message = symptoms.line(_message(document)) or "cert-manager has not looked at it"
    return behind or walk.at(
        ref, symptoms.about(ref, f"it is not ready: {message}", kubectl("describe", ref.kind.lower(), names=[ref.name]))
    )


def unsigned(walk: Walk, requester: str, suffix: str = "") -> Symptom | None:
    """The first certificate request of someone (or whose name ends so) that nobody has signed."""
    for item in walk.known.all("certificates.k8s.io/v1", "CertificateSigningRequest"):
        spec, name = item.get("spec") or {}, Ref.of(item).name
        if not str(spec.get("username") or "").startswith(requester) and not (suffix and name.endswith(suffix)):
            continue
        found = signing(Ref.of(item), item)
        if found:
            return found
    return None


def signing(ref: Ref, document: Document) -> Symptom | None:
    """Why a certificate signing request has no certificate; None where it has one."""
    signer, status = (document.get("spec") or {}).get("signerName"), document.get("status") or {}
    if status.get("certificate"):
        return None
    messages = {str(entry.get("type")): symptoms.line(entry.get("message")) for entry in status.get("conditions") or []}
    key = ("request", ref.name)
    for kind in ("Denied", "Failed"):
        if kind in messages:
            text = (
                f"certificate request {ref.name} ({signer}) was {'denied' if kind == 'Denied' else 'not signed'}: {messages[kind]}"
            )
            return symptoms.symptom(key, text, f"{kubectl('delete', 'csr', names=[ref.name])}, so that it is asked anew")
    if "Approved" in messages:
        text = f"certificate request {ref.name} is approved, and no signer takes {signer}"
        return symptoms.symptom(key, text, "is kube-controller-manager running, with a signer of that name?")
    text = f"certificate request {ref.name} ({signer}) waits for approval"
    look, approve = kubectl("describe", "csr", names=[ref.name]), kubectl("certificate", "approve", names=[ref.name])
    return symptoms.symptom(key, text, f"{look}, and if it is right: {approve}")


def signing_request(walk: Walk, ref: Ref) -> Cause | None:
    """A CertificateSigningRequest."""
    document = walk.known.get(ref)
    found = signing(ref, document) if document else None
    return walk.at(ref, found) if found else None
