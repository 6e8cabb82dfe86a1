"""Admission webhooks of the simulated API server: which one sees an object, and what it says when nobody answers."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.simulator.apiserver.kinds import Kind
from kfinstall.simulator.apiserver.selectors import matches_labels
from kfinstall.simulator.apiserver.status import internal
from kfinstall.simulator.apiserver.store import Store

Document = dict[str, Any]

_ISTIO: Final = "istio-validator"
_KNATIVE: Final = ("webhook.serving.knative.dev", "validation.webhook.serving.knative.dev")


def as_served(configuration: str, webhook: Document) -> Document:
    """A webhook of a configuration as the controller behind it leaves it, over what was applied.

    istiod sets the failure policy of its validator to Fail once that answers; Knative replaces the rules by one for each kind,
    with its status (knative.dev/pkg/webhook/resourcesemantics).
    """
    if configuration.startswith(_ISTIO):
        return {**webhook, "failurePolicy": "Fail"}
    if configuration not in _KNATIVE:
        return webhook
    rules = [
        {**rule, "resources": [plural, f"{plural}/status"]}
        for rule in webhook.get("rules") or []
        for plural in rule["resources"]
        if "/" not in plural
    ]
    return {**webhook, "rules": rules}


def admit(store: Store, kind: Kind, operation: str, document: Document) -> None:
    """Ask the webhooks: one that has no endpoint refuses, unless its failure policy is Ignore.

    Raises:
        ApiError: 500, as the API server says it.
    """
    if kind.group == "admissionregistration.k8s.io":
        return
    for what in ("mutating", "validating"):
        for configuration in store.list(f"{what}webhookconfigurations.admissionregistration.k8s.io"):
            for webhook in configuration.get("webhooks") or []:
                if webhook.get("failurePolicy", "Fail") != "Ignore" and _concerns(store, webhook, kind, operation, document):
                    _dial(store, webhook)


def _concerns(store: Store, webhook: Document, kind: Kind, operation: str, document: Document) -> bool:
    def has(values: list[str], wanted: str) -> bool:
        return "*" in values or "*/*" in values or wanted in values

    rules = webhook.get("rules") or []
    if not any(
        has(rule.get("apiGroups") or [], kind.group)
        and has(rule.get("apiVersions") or [], kind.version)
        and has(rule.get("resources") or [], kind.plural)
        and has(rule.get("operations") or [], operation)
        for rule in rules
    ):
        return False
    metadata = document.get("metadata") or {}
    if not matches_labels(webhook.get("objectSelector") or {}, metadata.get("labels")):
        return False
    if not kind.namespaced:
        return True
    namespace = store.get("namespaces", "", metadata.get("namespace", "")) or {"metadata": {}}
    return matches_labels(webhook.get("namespaceSelector") or {}, namespace["metadata"].get("labels"))


def _dial(store: Store, webhook: Document) -> None:
    service = (webhook.get("clientConfig") or {}).get("service")
    if service is None:
        return
    namespace, name = service["namespace"], service["name"]
    path, port = service.get("path", ""), service.get("port", 443)
    url = f'Post "https://{name}.{namespace}.svc:{port}{path}?timeout={webhook.get("timeoutSeconds", 10)}s"'
    start = f'failed calling webhook "{webhook["name"]}": failed to call webhook: {url}'
    found = store.get("services", namespace, name)
    if found is None:
        raise internal(f'{start}: service "{name}" not found')
    endpoints = store.get("endpoints", namespace, name)
    if not any(subset.get("addresses") for subset in (endpoints or {}).get("subsets") or ()):
        raise internal(f"{start}: dial tcp {found['spec'].get('clusterIP')}:{port}: connect: connection refused")
    if not webhook["clientConfig"].get("caBundle"):
        raise internal(f"{start}: tls: failed to verify certificate: x509: certificate signed by unknown authority")
