"""Rules for webhooks and the Services in front of workloads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kfinstall.diagnose import symptoms
from kfinstall.diagnose.reasons import condition, endpoints_waiting
from kfinstall.diagnose.symptoms import Symptom
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


_AFTER_URL: Final = re.compile(r'https?://[^\s"]+"?: (.*)$', re.DOTALL)
_AFTER_NAME: Final = re.compile(r'failed calling webhook "[^"]*"[:,] (?:failed to call webhook: )?(.*)$', re.DOTALL)
_UNREACHABLE: Final = re.compile(
    r"deadline exceeded|i/o timeout|no route to host|network is unreachable|client\.timeout exceeded|request canceled|handshake timeout|timed out",
    re.IGNORECASE,
)
_SECONDS: Final = len("2026-01-01T00:00:00")
"""So much of a time is the same whatever its precision."""
_PROXY: Final = re.compile(r"^(?:forbidden|proxy authentication required|method not allowed)\W*$|proxyconnect", re.IGNORECASE)
_PATH: Final = re.compile(r"could not find the requested resource|404 page not found|\b404 not found", re.IGNORECASE)


def said_of(text: str) -> str:
    """What the API server says of a call, without the URL, which always holds 'timeout'."""
    found = _AFTER_URL.search(text) or _AFTER_NAME.search(text)
    return found[1] if found else text


def hook_cause(walk: Walk, ref: Ref, name: str, text: str, when: str = "") -> Cause:
    """Why a webhook can't be called; `text` is what the API server says of it, `when` it said so (RFC 3339), where that is known."""
    name, said = symptoms.line(name), said_of(text)
    known = {
        Ref.of(item): (item, hook)
        for kind in HOOKS
        for item in walk.known.all(ADMISSION, kind)
        for hook in item.get("webhooks") or []
        if hook.get("name") == name
    }
    for configuration_ref in known:
        found = walk.behind(ref, configuration_ref)
        if found:
            return found
    if "x509" in said.lower() or "tls: " in said.lower():
        document, hook = next(iter(known.values()), ({}, {}))
        return walk.at(ref, _distrusted(walk, name, said, document, hook))
    key = ("webhook", name)
    if _PROXY.search(said):
        hint = "the API server asks a proxy: proxy.noProxy of the answers must hold .svc and the Service network; kfinstall check --answers FILE"
        reason = f"webhook {name}: a proxy answers in its place ({symptoms.line(said)})"
        return walk.at(ref, symptoms.symptom(("webhook proxy",), reason, hint, cause="webhook-proxy"))
    if _UNREACHABLE.search(said) and not _came_up_since(walk, [_service(hook) for _item, hook in known.values()], when):
        reason = f"webhook {name} can't be reached from the API server, though its pod is ready"
        return walk.at(ref, symptoms.symptom(key, reason, _FIREWALL, cause="webhook-unreachable"))
    if _PATH.search(said):
        reason = f"webhook {name}: who answers at its address does not know it ({symptoms.line(said)})"
        hint = "its configuration is of another version than its pod: kfinstall --answers FILE"
        return walk.at(ref, symptoms.symptom(key, reason, hint, cause="webhook-path"))
    if known:
        again = kubectl("rollout", "restart", ref.kind.lower(), names=[ref.name], namespace=ref.namespace)
        hint = f"{again} makes them at once"
        reason = f"webhook {name} answers now; pods that it held up are tried again soon"
        return walk.at(ref, symptoms.vague(reason, hint, cause="webhook-passing"))
    return walk.at(
        ref, symptoms.symptom(key, f"webhook {name} does not answer yet", "its own pod must be ready first", cause="webhook-down")
    )


def _came_up_since(walk: Walk, services: Sequence[Ref | None], when: str) -> bool:
    """Whether what is behind a webhook became available after it was refused: then it was only not there yet."""
    for service_ref in services if when else ():
        for item in _backends(walk, service_ref) if service_ref else ():
            available = condition(item, "Available")
            since = str(available.get("lastTransitionTime") or "")
            if available.get("status") == "True" and since[:_SECONDS] > when[:_SECONDS]:
                return True
    return False


def _backends(walk: Walk, service_ref: Ref) -> list[Document]:
    """The workloads that a Service leads to."""
    selector = ((walk.known.get(service_ref) or {}).get("spec") or {}).get("selector") or {}
    kinds = ("Deployment", "StatefulSet", "DaemonSet") if selector else ()
    return [
        item
        for kind in kinds
        for item in walk.known.all("apps/v1", kind, service_ref.namespace)
        if selector.items() <= _pod_labels(item).items()
    ]


def _distrusted(walk: Walk, name: str, said: str, document: Document, hook: Mapping[str, Any]) -> Symptom:
    """A certificate that the API server does not take, by who made it and what is wrong with it."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    injected = next((key for key in annotations if key.startswith((_INJECTED_FROM, "cert-manager.io/inject-"))), "")
    key, behind = ("webhook", name), _service(hook) if hook else None
    restart = _restart(walk, behind) if behind else "restart the pod behind its Service"
    dates = symptoms.line(said.rpartition("not yet valid: ")[2])
    if "is before" in said:
        reason = f"webhook {name}: its certificate is not valid yet by the control plane's clock ({dates})"
        return symptoms.symptom(
            key, reason, "the clocks of the nodes differ: timedatectl; kfinstall check --answers FILE", cause="webhook-early"
        )
    namespace, _slash, issued = str(annotations.get(_INJECTED_FROM) or "").partition("/")
    if "has expired" in said or "is after" in said:
        reason = f"webhook {name}: its certificate has expired ({dates})"
        look = kubectl("describe", "certificate", names=[issued], namespace=namespace) if issued else ""
        hint = f"cert-manager should have renewed it: {look}; then {restart}" if issued else f"{restart} (it makes its own anew)"
        return symptoms.symptom(key, reason, hint, cause="webhook-expired")
    what = symptoms.line(said.rpartition("x509: ")[2])
    if injected and "unknown authority" in said:
        hint = "kubectl -n cert-manager rollout restart deployment cert-manager-cainjector; kubectl get certificates -A"
        reason = f"webhook {name} has no certificate that fits yet: cert-manager's CA in its configuration is not that of its certificate"
        return symptoms.symptom(key, reason, hint, cause="webhook-ca")
    reason = f"webhook {name} has no certificate that fits the CA in its configuration ({what}); it makes both itself"
    if issued:
        reason = f"webhook {name} has no certificate that fits ({what})"
        restart = f"{kubectl('describe', 'certificate', names=[issued], namespace=namespace)}; then {restart}"
    return symptoms.symptom(key, reason, restart, cause="webhook-certificate")


def _restart(walk: Walk, service_ref: Ref) -> str:
    """The command that makes the pods behind a Service anew."""
    for item in _backends(walk, service_ref):
        return kubectl("rollout", "restart", str(item["kind"]).lower(), names=[Ref.of(item).name], namespace=service_ref.namespace)
    selector = ((walk.known.get(service_ref) or {}).get("spec") or {}).get("selector") or {}
    if not selector:
        return f"restart the pod behind Service {service_ref.namespace}/{service_ref.name}"
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return kubectl("delete", "pod", "-l", labels, namespace=service_ref.namespace)


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
    return found or walk.at(ref, symptoms.about(ref, "its CA is not filled in yet", hint, cause="webhook-ca"))


def _service(hook: Mapping[str, Any]) -> Ref | None:
    found = (hook.get("clientConfig") or {}).get("service")
    return Ref("v1", "Service", str(found.get("name")), str(found.get("namespace"))) if found else None


def service(walk: Walk, ref: Ref) -> Cause | None:
    """A Service without endpoints: the workload behind it."""
    document = walk.known.get(ref)
    if document is None:
        if not walk.known.lacks(ref):
            return None
        return walk.not_sent(ref) or walk.at(ref, symptoms.about(ref, "it does not exist", symptoms.MADE, cause="object-missing"))
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
