"""Why the API server refuses a pod or a claim, where no webhook has failed. Pure."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.diagnose.saying import MADE, Symptom, line, symptom, vague
from kfinstall.text import clean, kubectl

_QUOTA: Final = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")
_DETAILS: Final = re.compile(r" \((?:pod|container|volume|host)[^()]*\)")
_MUST: Final = re.compile(r"failed quota: ([^:]+): must specify (.+)$")
_UNCOUNTED: Final = re.compile(r"status unknown for quota: ([^,\s]+)")
_LIMITS: Final = re.compile(r"usage per (?:container|pod|persistentvolumeclaim)|limit to request ratio per", re.IGNORECASE)
_ABSENT: Final = (
    (re.compile(r"no PriorityClass with name (\S+) was found"), "priority class", "priority-class", "priorityclasses"),
    (re.compile(r'RuntimeClass "?([\w.-]+)"? not found'), "runtime class", "runtime-class", "runtimeclasses"),
)
_DENIED: Final = re.compile(r'admission webhook "([^"]+)" denied the request(?:: ?|\b)(.*)', re.DOTALL)
_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '([^']+)' with binding '[^']*' denied request:? ?(.*)", re.DOTALL)


def refused(message: str, namespace: str) -> Symptom | None:
    """Why the API server refuses a pod or a claim, where no webhook has to do with it, or where one looked at it and refuses it."""
    text = clean(message.replace("\n", " "))
    details = line(message.rpartition("is forbidden:")[2] or message)
    found = _by_policy(text) or _by_quota(text, namespace) or _by_what_is_absent(text, namespace)
    if found:
        return found
    low = message.lower()
    if "violates podsecurity" in low:
        label = kubectl("label", "--overwrite", "namespace", names=[namespace, "pod-security.kubernetes.io/enforce=baseline"])
        hint = f"{label}  # or privileged"
        rules = line(_DETAILS.sub("", message.rpartition("is forbidden:")[2] or message))
        reason = f"the pod security of namespace {namespace} refuses its pods: {rules}"
        return symptom(("pod security", namespace, rules), reason, hint, cause="pod-security")
    if _LIMITS.search(message):
        hint = kubectl("describe", "limitrange", namespace=namespace)
        reason = f"a LimitRange of namespace {namespace} refuses it: {details}"
        return symptom(("limits", namespace, details), reason, hint, cause="limit-range")
    if "because it is being terminated" in low:
        look = kubectl("get", "namespace", names=[namespace], options=("-o", "yaml"))
        return symptom(
            ("leaving", namespace),
            f"namespace {namespace} still goes away",
            f"{look} shows what holds it",
            cause="namespace-leaving",
        )
    return None


def _by_policy(text: str) -> Symptom | None:
    """A webhook or policy that looked at it and said no: its own words are the cause."""
    for pattern, what, cause in ((_DENIED, "webhook", "webhook-denied"), (_POLICY, "admission policy", "policy")):
        if found := pattern.search(text):
            name, said = line(found[1]), line(found[2]) or "without a reason"
            return symptom((cause, name, said), f"{what} {name} refuses it: {said}", "change what it asks for", cause=cause)
    return None


def _by_quota(text: str, namespace: str) -> Symptom | None:
    if found := _QUOTA.search(text):
        name, requested, used, limited = map(line, found.groups())
        return symptom(
            ("quota", namespace, name),
            f"ResourceQuota {namespace}/{name} is used up: {requested} asked, {used} of {limited} used",
            kubectl("edit", "resourcequota", names=[name], namespace=namespace),
            cause="quota",
        )
    if found := _MUST.search(text):
        name, what = map(line, found.groups())
        look = kubectl("describe", "resourcequota", names=[name], namespace=namespace)
        hint = f"{look}; a LimitRange with defaults would give each pod one"
        reason = f"ResourceQuota {namespace}/{name} wants every pod to name {what}"
        return symptom(("quota", namespace, name), reason, hint, cause="quota-unnamed")
    if found := _UNCOUNTED.search(text):
        return vague(f"ResourceQuota {namespace}/{line(found[1])} is not counted yet; it is tried again", cause="quota-passing")
    if "insufficient quota to " in text:
        reason = f"the cluster wants a ResourceQuota for what it asks, and namespace {namespace} has none: {line(text.rpartition(': ')[2])}"
        hint = kubectl("create", "resourcequota", namespace=namespace)
        return symptom(("quota", namespace), reason, hint, cause="quota-unnamed")
    return None


def _by_what_is_absent(text: str, namespace: str) -> Symptom | None:
    if found := re.search(r'serviceaccount "?([\w./-]+)"? not found', text):
        key = ("account", namespace, found[1])
        return symptom(key, f"service account {found[1]} does not exist", MADE, cause="account-missing")
    for pattern, what, cause, plural in _ABSENT:
        if found := pattern.search(text):
            name = line(found[1])
            return symptom((cause, name), f"{what} {name} does not exist", kubectl("get", plural), cause=cause)
    return None
