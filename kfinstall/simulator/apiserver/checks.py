"""What the API server refuses: names, labels, workloads, Services, webhooks, and changes of what can't be changed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kfinstall.simulator.apiserver.kinds import Kind
from kfinstall.simulator.apiserver.quantities import quantity
from kfinstall.simulator.apiserver.schemas import Problem
from kfinstall.simulator.apiserver.status import invalid

Document = dict[str, Any]

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_SUBDOMAIN_WORDS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NAME_WORDS: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
_DNS_LABELS: Final = ("namespaces", "services")
_LOOSE: Final = ("roles", "rolebindings", "clusterroles", "clusterrolebindings", "apiservices")
"""Kinds whose names are path segments instead of DNS names."""
_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")
_ANNOTATIONS_BYTES: Final = 262_144
_LABEL_CHARACTERS: Final = 63
_NAME_CHARACTERS: Final = 253
_WORKLOADS: Final = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps", "jobs.batch")
_CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


def check(kind: Kind, document: Document, old: Document | None = None) -> None:
    """Refuse what Kubernetes refuses of a new or changed object, and changes of fields that can't be changed.

    Raises:
        ApiError: 422.
    """
    name = document["metadata"].get("name")
    if not isinstance(name, str) or not name:
        raise invalid(kind, "", ("metadata.name", "Required value: name or generateName is required"))
    problems = [*_metadata(kind, name, document["metadata"])]
    by_kind = _BY_KIND.get(kind.key)
    problems += by_kind(document) if by_kind is not None else ()
    if kind.schema is not None:
        problems += kind.schema.problems(document)
    if old is not None:
        problems += _changed(kind.key, old, document)
    if problems:
        raise invalid(kind, name, *problems)


def _metadata(kind: Kind, name: str, metadata: Document) -> Iterator[Problem]:
    pattern, limit = (_DNS_LABEL, _LABEL_CHARACTERS) if kind.key in _DNS_LABELS else (_SUBDOMAIN, _NAME_CHARACTERS)
    if kind.plural not in _LOOSE and (len(name) > limit or not pattern.fullmatch(name.replace(":", "-"))):
        yield "metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN_WORDS}'
    yield from _keys(metadata)
    annotations = metadata.get("annotations") or {}
    for value in (metadata.get("labels") or {}).values():
        if not isinstance(value, str) or len(value) > _LABEL_CHARACTERS or not _LABEL.fullmatch(value):
            yield "metadata.labels", f"Invalid value: {json.dumps(value)}: {_VALUE_WORDS}"
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > _ANNOTATIONS_BYTES:
        yield "metadata.annotations", f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes"
    if kind.custom:  # only warned about there
        return
    for number, finalizer in enumerate(metadata.get("finalizers") or ()):
        if "/" not in finalizer and finalizer not in _FINALIZERS:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            yield f"metadata.finalizers[{number}]", f'Invalid value: "{finalizer}": {words}'


def _keys(metadata: Document) -> Iterator[Problem]:
    for field in ("labels", "annotations"):
        for key in metadata.get(field) or {}:
            if not key or not _LABEL.fullmatch(key.rpartition("/")[2]):
                yield f"metadata.{field}", f'Invalid value: "{key}": {_NAME_WORDS}'


def _containers(spec: Document, path: str) -> Iterator[Problem]:
    if not spec.get("containers"):
        yield f"{path}.containers", "Required value"
    for number, container in enumerate(spec.get("containers") or ()):
        if not container.get("image"):
            yield f"{path}.containers[{number}].image", "Required value"


def _pod(document: Document) -> Iterator[Problem]:
    yield from _containers(document.get("spec") or {}, "spec")


def _workload(document: Document) -> Iterator[Problem]:
    spec = document.get("spec") or {}
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    replicas = spec.get("replicas")
    if isinstance(replicas, int) and replicas < 0:
        yield "spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0"
    yield from _containers(template.get("spec") or {}, "spec.template.spec")
    if document["kind"] == "Job":
        if (template.get("spec") or {}).get("restartPolicy") not in ("Never", "OnFailure"):
            yield "spec.template.spec.restartPolicy", 'Required value: valid values: "OnFailure", "Never"'
        return
    selector = spec.get("selector")
    if not selector:
        yield "spec.selector", "Required value"
    wanted = (selector or {}).get("matchLabels") or {}
    if not selector or any(labels.get(key) != value for key, value in wanted.items()):
        words = "`selector` does not match template `labels`"
        yield "spec.template.metadata.labels", f"Invalid value: {json.dumps(labels, separators=(',', ':'))}: {words}"


def _service(document: Document) -> Iterator[Problem]:
    spec = document.get("spec") or {}
    if not spec.get("ports") and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield "spec.ports", "Required value"


def _definition(document: Document) -> Iterator[Problem]:
    spec = document.get("spec") or {}
    names, name = spec.get("names") or {}, document["metadata"]["name"]
    if name != f"{names.get('plural')}.{spec.get('group')}":
        yield "metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield "spec.versions", "Invalid value: must have exactly one version marked as storage version"
        yield "status.storedVersions", "Invalid value: []: must have at least one stored version"
    for number, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield f"spec.versions[{number}].schema.openAPIV3Schema", "Required value: schemas are required"


def _webhooks(document: Document) -> Iterator[Problem]:
    for number, hook in enumerate(document.get("webhooks") or ()):
        path, name = f"webhooks[{number}]", str(hook.get("name") or "")
        if not name:
            yield f"{path}.name", "Required value"
        elif name.count(".") < 2:
            yield f"{path}.name", f'Invalid value: "{name}": should be a domain with at least three segments separated by dots'
        if not hook.get("admissionReviewVersions"):
            yield f"{path}.admissionReviewVersions", "Required value: must specify one of v1, v1beta1"
        if not hook.get("sideEffects"):
            yield f"{path}.sideEffects", "Required value: must specify one of None, NoneOnDryRun"
        client = hook.get("clientConfig") or {}
        if bool(client.get("url")) is bool(client.get("service")):
            yield f"{path}.clientConfig", "Required value: exactly one of url or service is required"


def _storage_class(document: Document) -> Iterator[Problem]:
    if not document.get("provisioner"):
        yield "provisioner", "Required value"
    for field, known in _CLASS_WORDS.items():
        if document.get(field) not in known:
            words = ", ".join(f'"{word}"' for word in sorted(known))
            yield field, f"Unsupported value: {_words(document.get(field))}: supported values: {words}"


def _secret(document: Document) -> Iterator[Problem]:
    key = _LOGIN_KEYS.get(str(document.get("type")))
    if key is None:
        return
    field, value = f"data[{key}]", (document.get("data") or {}).get(key)
    if value is None:
        yield field, "Required value"
        return
    try:
        json.loads(base64.b64decode(value))
    except ValueError:
        yield field, 'Invalid value: "<secret contents redacted>": not a JSON object'


_LOGIN_KEYS: Final = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_CLASS_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "reclaimPolicy": ("Delete", "Retain"),
    "volumeBindingMode": ("Immediate", "WaitForFirstConsumer"),
}
_BY_KIND: Final[Mapping[str, Callable[[Document], Iterator[Problem]]]] = {
    "pods": _pod,
    "secrets": _secret,
    "services": _service,
    _CRDS: _definition,
    "storageclasses.storage.k8s.io": _storage_class,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
    **dict.fromkeys(_WORKLOADS, _workload),
}


def _changed(key: str, old: Document, new: Document) -> Iterator[Problem]:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if key in ("deployments.apps", "statefulsets.apps", "daemonsets.apps") and before.get("selector") != after.get("selector"):
        yield "spec.selector", f"Invalid value: {_words(after.get('selector'))}: field is immutable"
    if key == "jobs.batch" and before.get("template") != after.get("template"):
        yield "spec.template", f"Invalid value: {_words(after.get('template'))}: field is immutable"
    if key == "storageclasses.storage.k8s.io":
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            if old.get(field) != new.get(field):
                yield field, f"Forbidden: updates to {field} are forbidden."
    if key == "persistentvolumeclaims":
        yield from _claim(old, new)
    address = before.get("clusterIP")
    if key == "services" and address and after.get("clusterIP") not in (None, "", address) and after.get("type") != "ExternalName":
        yield "spec.clusterIPs[0]", f"Invalid value: {_words([after['clusterIP']])}: may not change once set"
    if key.endswith("rolebindings.rbac.authorization.k8s.io") and old.get("roleRef") != new.get("roleRef"):
        yield "roleRef", f"Invalid value: {_words(new.get('roleRef'))}: cannot change roleRef"
    if key in ("secrets", "configmaps"):
        yield from _kept_data(key, old, new)


def storage(document: Document) -> float:
    """The bytes that a claim asks for."""
    return quantity(((document.get("spec") or {}).get("resources") or {}).get("requests", {}).get("storage") or 0)


def _claim(old: Document, new: Document) -> Iterator[Problem]:
    status, before, after = old.get("status") or {}, old.get("spec") or {}, new.get("spec") or {}
    free = {"resources", "volumeAttributesClassName"} if status.get("phase") == "Bound" else {"resources"}
    free |= {field for field in ("volumeName", "storageClassName") if before.get(field) is None}
    unlike = any(before.get(field) != after.get(field) for field in {*before, *after} - free)
    if unlike or (status.get("phase") != "Bound" and storage(old) != storage(new)):
        yield (
            "spec",
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )
    if storage(new) < storage(old) and storage(new) <= quantity((status.get("capacity") or {}).get("storage") or 0):
        yield "spec.resources.requests.storage", "Forbidden: field can not be less than status.capacity"


def _kept_data(key: str, old: Document, new: Document) -> Iterator[Problem]:
    if key == "secrets" and old.get("type") != new.get("type"):
        yield "type", f"Invalid value: {_words(new.get('type'))}: field is immutable"
    if old.get("immutable") and old.get("data") != new.get("data"):
        yield "data", "Forbidden: field is immutable when `immutable` is set"


def _words(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
