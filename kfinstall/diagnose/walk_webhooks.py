"""Rules for webhooks and the Services in front of workloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kfinstall.diagnose import symptoms
from kfinstall.diagnose.reasons import endpoints_waiting
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl

ADMISSION: Final = "admissionregistration.k8s.io/v1"
HOOKS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_INJECTED_FROM: Final = "cert-manager.io/inject-ca-from"
_INJECTOR: Final = Ref("apps/v1", "Deployment", "cert-manager-cainjector", "cert-manager")
_FIREWALL: Final = (
    "check firewalls between nodes (UDP 4789, TCP 179, 5473, 10250) and the proxy's exceptions: kfinstall check --answers FILE"
)


def hook_cause(walk: Walk, ref: Ref, name: str, text: str) -> Cause:
    """Why a webhook can't be called; `text` is what the API server says of it."""
    name, low = symptoms.line(name), text.lower()
    known = [
        Ref.of(item)
        for kind in HOOKS
        for item in walk.known.all(ADMISSION, kind)
        if any(h.get("name") == name for h in item.get("webhooks") or [])
    ]
    for configuration_ref in known:
        found = walk.behind(ref, configuration_ref)
        if found:
            return found
    key = ("webhook", name)
    if "x509" in low:
        hint = "kubectl -n cert-manager rollout restart deployment cert-manager-cainjector; kubectl get certificates -A"
        return walk.at(ref, symptoms.symptom(key, f"webhook {name} has no certificate that fits yet", hint))
    if "deadline exceeded" in low or "timeout" in low:
        return walk.at(
            ref, symptoms.symptom(key, f"webhook {name} can't be reached from the API server, though its pod is ready", _FIREWALL)
        )
    if known:
        again = kubectl("rollout", "restart", ref.kind.lower(), names=[ref.name], namespace=ref.namespace)
        hint = f"{again} makes them at once"
        return walk.at(ref, symptoms.vague(f"webhook {name} answers now; pods that it held up are tried again soon", hint))
    return walk.at(ref, symptoms.symptom(key, f"webhook {name} does not answer yet", "its own pod must be ready first"))


def configuration(walk: Walk, ref: Ref) -> Cause | None:
    """A webhook configuration: the Services that it leads to, then its CA."""
    document = walk.known.get(ref)
    hooks = [hook for hook in (document or {}).get("webhooks") or [] if _service(hook)]
    for service_ref in dict.fromkeys(_service(hook) for hook in hooks):
        found = walk.behind(ref, service_ref) if service_ref else None
        if found:
            return found
    if any(not (hook.get("clientConfig") or {}).get("caBundle") for hook in hooks):
        return _bundle(walk, ref, document or {})
    return None


def _bundle(walk: Walk, ref: Ref, document: Document) -> Cause:
    """Why nobody has put the CA in."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    namespace, _slash, name = str(annotations.get(_INJECTED_FROM) or "").partition("/")
    if name:
        issued = walk.behind(ref, Ref("cert-manager.io/v1", "Certificate", name, namespace))
        if issued:
            return issued
    found = walk.behind(ref, _INJECTOR) if any(key.startswith(_INJECTED_FROM) for key in annotations) else None
    hint = "is cert-manager's cainjector (or the controller behind it) running? kubectl -n cert-manager get pods"
    return found or walk.at(ref, symptoms.about(ref, "its CA is not filled in yet", hint))


def _service(hook: Mapping[str, Any]) -> Ref | None:
    found = (hook.get("clientConfig") or {}).get("service")
    return Ref("v1", "Service", str(found.get("name")), str(found.get("namespace"))) if found else None


def service(walk: Walk, ref: Ref) -> Cause | None:
    """A Service without endpoints: the workload behind it."""
    document = walk.known.get(ref)
    if document is None:
        if not walk.known.lacks(ref):
            return None
        return walk.not_sent(ref) or walk.at(ref, symptoms.about(ref, "it does not exist", symptoms.MADE))
    selector = (document.get("spec") or {}).get("selector") or {}
    if not selector or endpoints_waiting(walk.known.get(Ref("v1", "Endpoints", ref.name, ref.namespace))) is None:
        return None
    backends = [
        Ref.of(item)
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for item in (*walk.known.all("apps/v1", kind, ref.namespace), *walk.known.planned_of(kind, ref.namespace))
        if selector.items() <= _pod_labels(item).items()
    ]
    for backend in dict.fromkeys(backends):
        found = walk.behind(ref, backend)
        if found:
            return found
    for item in walk.known.all("v1", "Pod", ref.namespace) if not backends else ():
        if selector.items() <= ((item.get("metadata") or {}).get("labels") or {}).items():
            found = walk.behind(ref, Ref.of(item))
            if found:
                return found
    if backends:
        return walk.at(ref, symptoms.vague("its pods are ready, its endpoints are being written"))
    wanted = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return walk.at(
        ref,
        symptoms.about(
            ref,
            f"no workload is behind it ({symptoms.line(wanted)})",
            kubectl("get", "pods", "-l", wanted.replace(", ", ","), namespace=ref.namespace),
        ),
    )


def _pod_labels(document: Document) -> Mapping[str, str]:
    template = (document.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("labels") or {}
