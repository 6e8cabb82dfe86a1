"""What controllers and kubelets do, for the small API of tests: workloads become available, hooks get their CA, profiles a namespace."""

from __future__ import annotations

import asyncio
from typing import Any

from kfinstall.simulator.apiserver.hooks import as_served
from tests.fakes.api import FakeApi

BUNDLE = "Q0E="


class Controllers:
    """Acts `delay_seconds` after each change; notes in `unseen` every pod template that came before its webhook answered."""

    def __init__(self, api: FakeApi, *, delay_seconds: float = 0.02) -> None:
        self.api = api
        self.delay = delay_seconds
        self.refused: list[str] = []
        self.early: list[str] = []
        self.stuck: set[str] = set()
        api.changed = self._changed
        api.admit = self._admit
        api.established = False

    def _changed(self, _api: FakeApi, verb: str, document: dict[str, Any]) -> None:
        if verb == "ADDED":
            asyncio.get_running_loop().call_later(self.delay, self._act, document)

    def _act(self, document: dict[str, Any]) -> None:
        kind, metadata = document["kind"], document["metadata"]
        if kind == "CustomResourceDefinition":
            self.api.serve_crd(document)
            self._status(document, {"conditions": [{"type": "Established", "status": "True"}]})
        elif kind in ("Deployment", "StatefulSet") and metadata["name"] not in self.stuck:
            wanted = document["spec"].get("replicas") or 1
            self._status(document, {"availableReplicas": wanted, "readyReplicas": wanted, "updatedReplicas": wanted})
            self._endpoints(metadata.get("namespace"), document["spec"]["template"]["metadata"].get("labels") or {})
        elif kind.endswith("WebhookConfiguration"):
            for hook in document.get("webhooks") or []:
                backend = hook["clientConfig"].get("service") or {}
                if backend and self._up(backend["namespace"], backend["name"]):
                    self._bundles(backend["namespace"], backend["name"])
        elif kind == "DaemonSet":
            self._status(
                document, {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberReady": 1, "numberAvailable": 1}
            )
        elif kind == "Service":
            self._ready_backend(document)
        elif kind == "Certificate" and document["apiVersion"] == "cert-manager.io/v1":
            self._status(document, {"conditions": [{"type": "Ready", "status": "True"}]})
        elif kind == "Profile":
            name = metadata["name"]
            self.api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"profile": "yes"}}})
            self.api.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default-editor", "namespace": name}})

    def _status(self, document: dict[str, Any], status: dict[str, Any]) -> None:
        key = self.api.key(document)
        if key in self.api.objects:
            self.api.put({**self.api.objects[key], "status": status})

    def _ready_backend(self, service: dict[str, Any]) -> None:
        for (_version, name, namespace, _name), document in list(self.api.objects.items()):
            if (
                name in ("deployments", "statefulsets")
                and document.get("status")
                and namespace == service["metadata"].get("namespace")
            ):
                self._endpoints(namespace, document["spec"]["template"]["metadata"].get("labels") or {})

    def _endpoints(self, namespace: str, labels: dict[str, str]) -> None:
        for (_version, name, where, service), document in list(self.api.objects.items()):
            selector = (document.get("spec") or {}).get("selector") if name == "services" and where == namespace else None
            if selector and selector.items() <= labels.items():
                self.api.put(
                    {
                        "apiVersion": "v1",
                        "kind": "Endpoints",
                        "metadata": {"name": service, "namespace": namespace},
                        "subsets": [{"addresses": [{"ip": "10.244.0.9"}]}],
                    }
                )
                self._bundles(namespace, service)

    def _bundles(self, namespace: str, service: str) -> None:
        for (_version, name, _where, _name), document in list(self.api.objects.items()):
            if not name.endswith("webhookconfigurations"):
                continue
            hooks = []
            for hook in document.get("webhooks") or []:
                backend = hook["clientConfig"].get("service") or {}
                mine = (backend.get("namespace"), backend.get("name")) == (namespace, service)
                hooks.append({**hook, "clientConfig": {**hook["clientConfig"], "caBundle": BUNDLE}} if mine else hook)
            served = [
                as_served(document["metadata"]["name"], hook) if hook["clientConfig"].get("caBundle") == BUNDLE else hook
                for hook in hooks
            ]
            if served != hooks:
                self.api.edit(self.api.key(document), {"webhooks": served})
            elif hooks != document.get("webhooks"):
                self.api.put({**document, "webhooks": hooks})

    def _up(self, namespace: str, service: str) -> bool:
        return ("v1", "endpoints", namespace, service) in self.api.objects

    def _admit(self, document: dict[str, Any]) -> str:
        """The sidecar injector and cert-manager's webhook, as the API server would call them."""
        if document["kind"] in ("Deployment", "StatefulSet"):
            namespace = self.api.objects.get(("v1", "namespaces", "", document["metadata"].get("namespace", "")), {})
            labels = document["spec"]["template"]["metadata"].get("labels") or {}
            injected = (namespace.get("metadata", {}).get("labels") or {}).get("istio-injection") == "enabled"
            if injected and labels.get("sidecar.istio.io/inject") != "false" and not self._up("istio-system", "istiod"):
                self.early.append(document["metadata"]["name"])
        if document["apiVersion"] == "cert-manager.io/v1" and not self._up("cert-manager", "cert-manager-webhook"):
            self.refused.append(document["metadata"]["name"])
            return 'failed calling webhook "webhook.cert-manager.io": connect: connection refused'
        return ""
