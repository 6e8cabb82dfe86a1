"""Calico as kfinstall sets it up: which version serves the Kubernetes minor, and its Installation."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from kfinstall.engine.step import View
from kfinstall.kube.base import Document, Ref
from kfinstall.releases import Artifact

OPERATOR: Final = Ref("apps/v1", "Deployment", "tigera-operator", "tigera-operator")
AGENT: Final = Ref("apps/v1", "DaemonSet", "calico-node", "calico-system")
CONTROLLERS: Final = Ref("apps/v1", "Deployment", "calico-kube-controllers", "calico-system")
INSTALLATION_CRD: Final = Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "installations.operator.tigera.io")
_BLOCK_BITS: Final = {4: 26, 6: 122}
"""Addresses come to nodes in blocks of this prefix length (Calico's defaults)."""


def version(view: View) -> str:
    """Calico's version for the cluster's Kubernetes minor."""
    versions = view.release.versions
    return versions.get(f"calico-{view.minor}", versions["calico"])


def files(view: View) -> tuple[Artifact, Artifact]:
    """The definitions, and the operator."""
    artifacts, name = view.release.artifacts, version(view)
    return artifacts[f"calico-crds-{name}"], artifacts[f"calico-operator-{name}"]


def operator_image(view: View) -> str:
    """The image that the operator's Deployment has in that version."""
    return view.release.images[f"tigera-operator-{version(view)}"]


def installation(view: View) -> Document:
    """The Installation with the cluster's own pod CIDR.

    VXLAN everywhere and no BGP: clouds and hypervisors drop packets whose source is a pod's address, and the default
    (VXLANCrossSubnet) sends such packets within a subnet. Node addresses are those that the kubelets registered, never
    those of docker0 or of a second network that comes first by name.
    """
    network = ipaddress.ip_network(view.answers.cluster.pod_cidr)
    bits = _BLOCK_BITS[network.version]
    pool: dict[str, Any] = {
        "name": f"default-ipv{network.version}-ippool",
        "blockSize": max(bits, network.prefixlen),
        "cidr": str(network),
        "encapsulation": "VXLAN",
        "natOutgoing": "Enabled",
        "nodeSelector": "all()",
    }
    settings: dict[str, Any] = {
        "bgp": "Disabled",
        "ipPools": [pool],
        f"nodeAddressAutodetectionV{network.version}": {"kubernetes": "NodeInternalIP"},
    }
    return {
        "apiVersion": "operator.tigera.io/v1",
        "kind": "Installation",
        "metadata": {"name": "default"},
        "spec": {"calicoNetwork": settings},
    }
