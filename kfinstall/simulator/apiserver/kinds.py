"""The kinds that the simulated API server knows: the built-in ones, and those that CRDs bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kfinstall.simulator.apiserver.schemas import Schema

Document = dict[str, Any]

# group, version: "Kind plural[/short...]" with ! for cluster-wide kinds, then: + for kinds with a status subresource,
# ^ for those whose changes are counted in metadata.generation, * for those that kubectl means by "all".
_BUILT_IN: Final = {
    ("", "v1"): (
        "Namespace! namespaces/ns +",
        "Node! nodes/no +",
        "PersistentVolume! persistentvolumes/pv +",
        "Pod pods/po +^*",
        "Service services/svc +*",
        "ConfigMap configmaps/cm",
        "Secret secrets",
        "ServiceAccount serviceaccounts/sa",
        "PersistentVolumeClaim persistentvolumeclaims/pvc +",
        "Endpoints endpoints/ep",
        "Event events/ev",
        "ResourceQuota resourcequotas/quota +",
        "LimitRange limitranges/limits",
        "PodTemplate podtemplates",
        "ReplicationController replicationcontrollers/rc +^*",
    ),
    ("apps", "v1"): (
        "Deployment deployments/deploy +^*",
        "StatefulSet statefulsets/sts +^*",
        "DaemonSet daemonsets/ds +^*",
        "ReplicaSet replicasets/rs +^*",
        "ControllerRevision controllerrevisions",
    ),
    ("batch", "v1"): ("Job jobs +^*", "CronJob cronjobs/cj +^*"),
    ("rbac.authorization.k8s.io", "v1"): (
        "Role roles",
        "RoleBinding rolebindings",
        "ClusterRole! clusterroles",
        "ClusterRoleBinding! clusterrolebindings",
    ),
    ("storage.k8s.io", "v1"): (
        "StorageClass! storageclasses/sc",
        "CSIDriver! csidrivers",
        "CSINode! csinodes",
        "VolumeAttachment! volumeattachments +",
        "CSIStorageCapacity csistoragecapacities",
    ),
    ("networking.k8s.io", "v1"): (
        "Ingress ingresses/ing +^",
        "IngressClass! ingressclasses ^",
        "NetworkPolicy networkpolicies/netpol ^",
    ),
    ("policy", "v1"): ("PodDisruptionBudget poddisruptionbudgets/pdb +^",),
    ("autoscaling", "v2"): ("HorizontalPodAutoscaler horizontalpodautoscalers/hpa +*",),
    ("admissionregistration.k8s.io", "v1"): (
        "MutatingWebhookConfiguration! mutatingwebhookconfigurations ^",
        "ValidatingWebhookConfiguration! validatingwebhookconfigurations ^",
        "ValidatingAdmissionPolicy! validatingadmissionpolicies +^",
        "ValidatingAdmissionPolicyBinding! validatingadmissionpolicybindings ^",
    ),
    ("apiextensions.k8s.io", "v1"): ("CustomResourceDefinition! customresourcedefinitions/crd/crds +^",),
    ("apiregistration.k8s.io", "v1"): ("APIService! apiservices +",),
    ("coordination.k8s.io", "v1"): ("Lease leases",),
    ("discovery.k8s.io", "v1"): ("EndpointSlice endpointslices",),
    ("events.k8s.io", "v1"): ("Event events/ev",),
    ("scheduling.k8s.io", "v1"): ("PriorityClass! priorityclasses/pc ^",),
    ("certificates.k8s.io", "v1"): ("CertificateSigningRequest! certificatesigningrequests/csr +",),
    ("node.k8s.io", "v1"): ("RuntimeClass! runtimeclasses",),
    ("flowcontrol.apiserver.k8s.io", "v1"): (
        "FlowSchema! flowschemas +^",
        "PriorityLevelConfiguration! prioritylevelconfigurations +^",
    ),
}
_SCALED: Final = ("deployments", "statefulsets", "replicasets", "replicationcontrollers")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind at one version. Objects of all versions of a kind are stored under (group, plural)."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    has_status: bool = False
    """Status is written through its subresource only."""
    custom: bool = False
    counted: bool = False
    """Changes of anything but metadata and status are counted in metadata.generation."""
    categories: tuple[str, ...] = ()
    schema: Schema | None = None
    """What a custom object is checked against, filled in from and cut to."""
    singular: str = ""

    @property
    def api_version(self) -> str:
        """group/version, or version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> str:
        """Where its objects are stored: plural.group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_scale(self) -> bool:
        """Whether it has a scale subresource."""
        return not self.custom and self.plural in _SCALED


def _parse(group: str, version: str, text: str) -> Kind:
    name, plurals, *flags = text.split()
    plural, *short = plurals.split("/")
    marks = "".join(flags)
    return Kind(
        group,
        version,
        name.rstrip("!"),
        plural,
        not name.endswith("!"),
        tuple(short),
        "+" in marks,
        counted="^" in marks,
        categories=("all",) if "*" in marks else (),
        singular=name.rstrip("!").lower(),
    )


def _built_in() -> Iterator[Kind]:
    for (group, version), rows in _BUILT_IN.items():
        for row in rows:
            yield _parse(group, version, row)


def kinds_of_crd(crd: Mapping[str, Any]) -> list[Kind]:
    """The kinds that an established CRD brings, one per served version."""
    conditions = (crd.get("status") or {}).get("conditions") or []
    if not any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions):
        return []
    spec = crd["spec"]
    names = spec["names"]
    return [
        Kind(
            spec["group"],
            version["name"],
            names["kind"],
            names["plural"],
            spec.get("scope", "Namespaced") == "Namespaced",
            tuple(names.get("shortNames") or ()),
            "status" in (version.get("subresources") or {}),
            custom=True,
            counted=True,
            categories=tuple(names.get("categories") or ()),
            schema=Schema.of((version.get("schema") or {}).get("openAPIV3Schema")),
            singular=names.get("singular") or names["kind"].lower(),
        )
        for version in spec.get("versions") or []
        if version.get("served", True)
    ]


class Kinds:
    """All kinds that are served now."""

    def __init__(self) -> None:
        """The built-in ones; CRDs bring theirs with `replace_custom`."""
        self._by_plural: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        for kind in _built_in():
            self._add(kind)

    def _add(self, kind: Kind) -> None:
        self._by_plural[kind.group, kind.version, kind.plural] = kind
        self._by_kind[kind.api_version, kind.kind] = kind

    def replace_custom(self, crds: Iterable[Mapping[str, Any]]) -> None:
        """Serve the kinds of these CRDs, and no other custom ones."""
        for kind in [kind for kind in self._by_plural.values() if kind.custom]:
            del self._by_plural[kind.group, kind.version, kind.plural]
            self._by_kind.pop((kind.api_version, kind.kind), None)
        for crd in crds:
            for kind in kinds_of_crd(crd):
                self._add(kind)

    def by_plural(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind behind a URL."""
        return self._by_plural.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind of a document."""
        return self._by_kind.get((api_version, kind))

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_plural.values())

    def groups(self) -> dict[str, list[str]]:
        """Group to its versions, in the order in which they came."""
        found: dict[str, list[str]] = {}
        for kind in self:
            versions = found.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        return found
