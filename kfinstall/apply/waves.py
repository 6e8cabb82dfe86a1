"""Documents in the order in which an API server can take them: pure, computed from the documents themselves.

namespaces        nothing can be made in a namespace that is not there
mutating hooks    before any pod, or the pods of injected namespaces come up without their sidecar
built-in          RBAC, configuration, Services, and workloads whose pods no webhook must see
definitions       the API server's costliest objects; what was sent before pulls its images meanwhile
validating hooks
hooked workloads  each once the webhooks that will see its pods answer
custom resources  each once its definition is established and the webhooks that will see it answer
in made namespaces  objects of a namespace that a controller makes (a profile's): waited for, never made here
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kfinstall.apply.selectors import matches, rule_covers
from kfinstall.kube.base import Document, Ref
from kfinstall.kube.raw import RawDocument

WORKLOAD_KINDS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"})
_EXISTING_NAMESPACES: Final = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
_BUILT_IN_GROUPS: Final = frozenset({"", "apps", "batch", "autoscaling", "policy", "extensions"})
_HOOKS: Final = {"MutatingWebhookConfiguration": "mutating", "ValidatingWebhookConfiguration": "validating"}
ADMISSION: Final = "admissionregistration.k8s.io/v1"


class Wave(StrEnum):
    """Where an object belongs; the first five one after the other, the rest each as soon as its gates are open."""

    NAMESPACES = "namespaces"
    MUTATING_HOOKS = "mutating webhooks"
    BUILT_IN = "built-in objects"
    DEFINITIONS = "definitions of custom resources"
    VALIDATING_HOOKS = "validating webhooks"
    HOOKED_WORKLOADS = "workloads that webhooks see"
    CUSTOM = "custom resources"
    MADE_NAMESPACES = "objects in namespaces that a controller makes"


IN_ORDER: Final = (Wave.NAMESPACES, Wave.MUTATING_HOOKS, Wave.BUILT_IN, Wave.DEFINITIONS, Wave.VALIDATING_HOOKS)


@dataclass(frozen=True, slots=True, order=True)
class Gate:
    """What must be there before an object is sent."""

    kind: str
    """'definition': a CRD is established; 'webhook': its Service has an endpoint and its caBundle is there; 'namespace'."""
    name: str
    """Name of the CRD, the webhook configuration, or the namespace."""
    configuration: str = ""
    """For a webhook: MutatingWebhookConfiguration or ValidatingWebhookConfiguration."""
    service: tuple[str, str] = ("", "")
    """For a webhook: namespace and name of the Service behind it."""

    def __str__(self) -> str:
        if self.kind == "webhook":
            return f"webhook {self.name} (Service {'/'.join(self.service)})"
        return f"{'definition' if self.kind == 'definition' else 'namespace'} {self.name}"


@dataclass(frozen=True, slots=True)
class Item:
    """One document and what it waits for."""

    document: Document
    ref: Ref
    wave: Wave
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class _Hook:
    gate: Gate
    rules: tuple[Mapping[str, Any], ...]
    namespace_selector: Mapping[str, Any]
    object_selector: Mapping[str, Any]


_CLUSTER_SCOPED: Final = frozenset(
    [
        "APIService",
        "ClusterIssuer",
        "ClusterRole",
        "ClusterRoleBinding",
        "CSIDriver",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ]
)


def without_stray_namespaces(documents: Sequence[Document]) -> list[Document]:
    """The documents, without a namespace where their kind has none.

    Kustomize's namespace transformer puts one on custom kinds whose scope it can't know (in Kubeflow 26.03 on the
    DecoratorController and on the Spark operator's roles); the API server drops it, and nothing would be found under its name.
    """
    kinds = {
        (str(spec["group"]), str(spec["names"]["kind"])): str(spec["scope"])
        for document in documents
        if document["kind"] == "CustomResourceDefinition" and (spec := document["spec"])
    }

    def cluster_scoped(document: Document) -> bool:
        group = str(document["apiVersion"]).rpartition("/")[0]
        return document["kind"] in _CLUSTER_SCOPED or kinds.get((group, document["kind"])) == "Cluster"

    def stripped(document: Document) -> Document:
        if "namespace" not in document["metadata"]:
            return document
        metadata = {key: value for key, value in document["metadata"].items() if key != "namespace"}
        return {**document, "metadata": metadata}

    return [stripped(document) if cluster_scoped(document) else document for document in documents]


def clean_document(document: Document) -> Document:
    """The document without what belongs to a controller, and would be taken from it for a moment at every apply.

    `caBundle: ""` would wipe a CA that was put there; the rules of an aggregated ClusterRole are gathered from other roles.
    """

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items() if not (key == "caBundle" and not item)}
        return [walk(item) for item in value] if isinstance(value, list) else value

    if document.get("kind") == "ClusterRole" and document.get("aggregationRule"):
        return {key: value for key, value in document.items() if key != "rules"}
    if isinstance(document, RawDocument):  # has none
        return document
    needs = document.get("kind") in (*_HOOKS, "CustomResourceDefinition")
    cleaned: Document = walk(document) if needs else document
    return cleaned


def split(documents: Sequence[Document]) -> list[Item]:
    """Every document in exactly one wave, waves in order, documents of a wave in their given order.

    Of what is built in that comes first on which pods of others wait: the webhooks that see them take the longest way. Of
    workloads those behind webhooks, of definitions those that are used.
    """
    plan = _Plan(documents)
    items = [plan.item(clean_document(document)) for document in documents]
    order = list(Wave)
    awaited = {gate.service[0] for item in items if item.wave is Wave.HOOKED_WORKLOADS for gate in item.gates}
    accounts = _accounts(documents, awaited)
    backends = plan.backends({gate.service for item in items for gate in item.gates if gate.kind == "webhook"})

    used = {gate.name for item in items for gate in item.gates if gate.kind == "definition"}

    def place(item: Item) -> tuple[int, bool, int]:
        wave = order.index(item.wave)
        if item.wave is Wave.HOOKED_WORKLOADS:
            return wave, item.ref not in backends, 0
        if item.wave is Wave.DEFINITIONS:
            # The API server establishes them one after the other, the larger the longer.
            return wave, item.ref.name not in used, len(item.document.text) if isinstance(item.document, RawDocument) else 0
        first = item.wave is Wave.BUILT_IN and (item.ref.namespace in awaited or item.ref in accounts)
        return wave, not first, int(first and item.ref.kind in WORKLOAD_KINDS)

    return sorted(items, key=place)


def _accounts(documents: Sequence[Document], namespaces: set[str]) -> set[Ref]:
    """The cluster-wide roles and bindings of accounts in these namespaces."""
    found: set[Ref] = set()
    for document in documents:
        subjects = document.get("subjects") or () if document.get("kind") == "ClusterRoleBinding" else ()
        if any(subject.get("namespace") in namespaces for subject in subjects):
            ref = Ref.of(document)
            found |= {ref, Ref(ref.api_version, "ClusterRole", str((document.get("roleRef") or {}).get("name")))}
    return found


class _Plan:
    """What the documents say about each other."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.namespaces = {_name(d): _labels(d) for d in documents if d.get("kind") == "Namespace"}
        self.definitions = {_kind_of(d): d for d in documents if d.get("kind") == "CustomResourceDefinition"}
        self.hooks = [hook for d in documents for hook in _hooks(d)]
        self._documents = documents
        self.services = {
            (_namespace(d), _name(d)): (d.get("spec") or {}).get("selector") or {} for d in documents if d.get("kind") == "Service"
        }

    def backends(self, services: set[tuple[str, str]]) -> set[Ref]:
        """The workloads whose pods are behind these Services."""
        chosen = [(key[0], selector.items()) for key, selector in self.services.items() if key in services and selector]
        return {
            Ref.of(document)
            for document in self._documents
            if document.get("kind") in WORKLOAD_KINDS
            for namespace, selector in chosen
            if _namespace(document) == namespace and selector <= _pod_labels(document).items()
        }

    def item(self, document: Document) -> Item:
        """Where one document belongs."""
        ref = Ref.of(document)
        group = ref.api_version.rpartition("/")[0]
        if ref.kind == "Namespace":
            return Item(document, ref, Wave.NAMESPACES)
        if ref.kind in _HOOKS:
            return Item(document, ref, Wave.MUTATING_HOOKS if ref.kind.startswith("Mutating") else Wave.VALIDATING_HOOKS)
        if ref.kind == "CustomResourceDefinition":
            return Item(document, ref, Wave.DEFINITIONS)
        gates = self._object_gates(document, ref, group)
        if ref.namespace and ref.namespace not in self.namespaces and ref.namespace not in _EXISTING_NAMESPACES:
            return Item(document, ref, Wave.MADE_NAMESPACES, _sorted([*gates, Gate("namespace", ref.namespace)]))
        if group not in _BUILT_IN_GROUPS and not group.endswith(".k8s.io"):
            return Item(document, ref, Wave.CUSTOM, gates)
        if self.definitions.get((group, ref.kind)):
            return Item(document, ref, Wave.CUSTOM, gates)
        return Item(document, ref, Wave.HOOKED_WORKLOADS if gates else Wave.BUILT_IN, gates)

    def _object_gates(self, document: Document, ref: Ref, group: str) -> tuple[Gate, ...]:
        definition = self.definitions.get((group, ref.kind))
        gates: list[Gate] = []
        version = ref.api_version.rpartition("/")[2]
        if definition is not None:
            gates.append(Gate("definition", _name(definition)))
            plural = definition["spec"]["names"]["plural"]
            gates += self._seen_by(group, version, plural, ref.namespace, _labels(document))
        elif ref.kind in WORKLOAD_KINDS:
            labels = _pod_labels(document)
            backed = {
                key
                for key, selector in self.services.items()
                if key[0] == ref.namespace and selector and selector.items() <= labels.items()
            }
            gates += [gate for gate in self._seen_by("", "v1", "pods", ref.namespace, labels) if gate.service not in backed]
        return _sorted(gates)

    def _seen_by(self, group: str, version: str, plural: str, namespace: str, labels: Mapping[str, str]) -> Iterable[Gate]:
        around = {"kubernetes.io/metadata.name": namespace, **self.namespaces.get(namespace, {})}
        for hook in self.hooks:
            if (
                any(rule_covers(rule, group, version, plural) for rule in hook.rules)
                and (not namespace or matches(hook.namespace_selector, around))
                and matches(hook.object_selector, labels)
            ):
                yield hook.gate


def _hooks(document: Document) -> Iterable[_Hook]:
    """The hooks of a configuration that refuse what they can't see (failurePolicy Fail, which is the default)."""
    kind = str(document.get("kind"))
    if kind not in _HOOKS:
        return
    for hook in document.get("webhooks") or []:
        service = (hook.get("clientConfig") or {}).get("service")
        if not service or hook.get("failurePolicy") == "Ignore":
            continue
        gate = Gate("webhook", _name(document), kind, (str(service["namespace"]), str(service["name"])))
        yield _Hook(gate, tuple(hook.get("rules") or ()), hook.get("namespaceSelector") or {}, hook.get("objectSelector") or {})


def _sorted(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    return tuple(sorted(set(gates)))


def _name(document: Document) -> str:
    return str((document.get("metadata") or {}).get("name", ""))


def _namespace(document: Document) -> str:
    return str((document.get("metadata") or {}).get("namespace", ""))


def _labels(document: Document) -> Mapping[str, str]:
    return (document.get("metadata") or {}).get("labels") or {}


def _pod_labels(document: Document) -> Mapping[str, str]:
    spec = document.get("spec") or {}
    if document.get("kind") == "Pod":
        return _labels(document)
    if document.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return _labels(spec.get("template") or {})


def _kind_of(definition: Document) -> tuple[str, str]:
    spec = definition.get("spec") or {}
    return str(spec.get("group")), str((spec.get("names") or {}).get("kind"))
