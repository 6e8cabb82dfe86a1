"""What the steps of phase cluster share: kubeadm's configuration, and what the cluster knows of a node."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

import yaml

from kfinstall.answers.model import Answers, Node
from kfinstall.answers.types import endpoint_host
from kfinstall.engine.step import View
from kfinstall.parts.cluster import limits

CONFIG_FILE: Final = "/etc/kfinstall/kubeadm.yaml"
_V1BETA4_MINOR: Final = (1, 31)
"""v1beta4 came with 1.31, v1beta3 is removed in 1.37 (kubernetes#125029, #136016)."""
_SOCKETS: Final = {"containerd": "unix:///run/containerd/containerd.sock", "docker": "unix:///run/cri-dockerd.sock"}


def kubernetes_node(view: View, name: str) -> dict[str, Any] | None:
    """The Node object, or None."""
    return view.cluster.get("v1", "Node", name) if view.cluster else None


def condition(node: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any]:
    """A condition of a Node, empty where there is none."""
    found = ((node or {}).get("status") or {}).get("conditions") or []
    return next((item for item in found if item.get("type") == kind), {})


def is_ready(node: Mapping[str, Any] | None) -> bool:
    """Whether a Node is Ready."""
    return condition(node, "Ready").get("status") == "True"


def endpoint(answers: Answers) -> str:
    """host:port that every node reaches the API server at."""
    if answers.cluster.api_endpoint:
        return answers.cluster.api_endpoint
    address = answers.first_control_plane.address.rstrip(".")
    return f"{f'[{address}]' if ':' in address else address}:{limits.CLUSTER_API_SERVER_PORT}"


def socket(answers: Answers) -> str:
    """The container runtime's CRI socket."""
    return _SOCKETS[answers.cluster.runtime]


def _address(node: Node) -> str:
    """The node's address where it is one, empty for a DNS name: kubeadm finds the default route's address then."""
    try:
        return str(ipaddress.ip_address(node.address))
    except ValueError:
        return ""


def _local_endpoint(node: Node) -> dict[str, Any]:
    """Where the node's own API server listens; nothing for a DNS name. Without it kubeadm looks for a default route, which need not be."""
    if not _address(node):
        return {}
    return {"localAPIEndpoint": {"advertiseAddress": _address(node), "bindPort": limits.CLUSTER_API_SERVER_PORT}}


def _new_format(view: View) -> bool:
    return tuple(int(part) for part in view.minor.split(".")) >= _V1BETA4_MINOR


def _api_version(view: View) -> str:
    return "kubeadm.k8s.io/v1beta4" if _new_format(view) else "kubeadm.k8s.io/v1beta3"


def _registration(view: View, node: Node) -> dict[str, Any]:
    """nodeRegistration: name, socket, address, and whether pods may run on a control plane."""
    registration: dict[str, Any] = {"name": node.name, "criSocket": socket(view.answers)}
    address = _address(node)
    if address:
        registration["kubeletExtraArgs"] = [{"name": "node-ip", "value": address}] if _new_format(view) else {"node-ip": address}
    if "control-plane" in node.roles and "worker" in node.roles:
        registration["taints"] = []
    return registration


def _timeouts(view: View) -> dict[str, Any]:
    """`timeouts` of v1beta4, for an init and a join alike; v1beta3 has two of them, elsewhere."""
    if not _new_format(view):
        return {}
    seconds = {
        "controlPlaneComponentHealthCheck": limits.CLUSTER_CONTROL_PLANE_SECONDS,
        "kubeletHealthCheck": limits.CLUSTER_KUBELET_SECONDS,
        "kubernetesAPICall": limits.CLUSTER_API_CALL_SECONDS,
        "etcdAPICall": limits.CLUSTER_ETCD_CALL_SECONDS,
        "tlsBootstrap": limits.CLUSTER_TLS_BOOTSTRAP_SECONDS,
        "discovery": limits.CLUSTER_DISCOVERY_SECONDS,
    }
    return {"timeouts": {name: f"{value}s" for name, value in seconds.items()}}


def _names(answers: Answers) -> list[str]:
    """Names of the API server's certificate; the installer itself comes by 127.0.0.1 through SSH."""
    # kubeadm refuses a name with a dot at its end.
    planes = [text.rstrip(".") for node in answers.control_planes for text in (node.name, node.address)]
    return list(dict.fromkeys(["127.0.0.1", "localhost", endpoint_host(endpoint(answers)), *planes]))


def _dump(*documents: Mapping[str, Any]) -> str:
    return "".join(f"---\n{yaml.safe_dump(dict(document), sort_keys=False)}" for document in documents)


def init_config(view: View) -> str:
    """kubeadm's configuration for the first control plane; it holds no secret."""
    node = view.answers.first_control_plane
    init: dict[str, Any] = {
        "apiVersion": _api_version(view),
        "kind": "InitConfiguration",
        "nodeRegistration": _registration(view, node),
        # kubeadm makes up a token where none is given, valid for a day; the script revokes it at once.
        "bootstrapTokens": [{"ttl": f"{limits.CLUSTER_TOKEN_SECONDS}s", "description": "kubeadm init by kfinstall"}],
        **_timeouts(view),
    }
    init |= _local_endpoint(node)
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "systemd"}
    return _dump(init, cluster_configuration(view), kubelet)


def cluster_configuration(view: View) -> dict[str, Any]:
    """kubeadm's ClusterConfiguration. The endpoint is always set: without it no second control plane could ever join."""
    answers = view.answers
    patience = {} if _new_format(view) else {"timeoutForControlPlane": f"{limits.CLUSTER_CONTROL_PLANE_SECONDS}s"}
    return {
        "apiVersion": _api_version(view),
        "kind": "ClusterConfiguration",
        "clusterName": answers.cluster.name,
        "kubernetesVersion": f"v{view.patch}",
        "controlPlaneEndpoint": endpoint(answers),
        "networking": {
            "podSubnet": str(answers.cluster.pod_cidr),
            "serviceSubnet": str(answers.cluster.service_cidr),
            "dnsDomain": "cluster.local",
        },
        "apiServer": {"certSANs": _names(answers), **patience},
    }


def join_config(view: View, token: str, ca_hash: str, certificate_key: str = "") -> str:
    """kubeadm's configuration for a node that joins. Secret: it holds the token. `certificate_key` makes it a control plane."""
    node = view.node
    patience = {} if _new_format(view) else {"timeout": f"{limits.CLUSTER_DISCOVERY_SECONDS}s"}
    document: dict[str, Any] = {
        "apiVersion": _api_version(view),
        "kind": "JoinConfiguration",
        "nodeRegistration": _registration(view, node),
        "discovery": {
            "bootstrapToken": {"token": token, "apiServerEndpoint": endpoint(view.answers), "caCertHashes": [ca_hash]},
            **patience,
        },
        **_timeouts(view),
    }
    if certificate_key:
        document["controlPlane"] = {"certificateKey": certificate_key, **_local_endpoint(node)}
    return _dump(document)


def certificate_config(view: View, certificate_key: str) -> str:
    """Configuration for `kubeadm init phase upload-certs`. Secret: it holds the key that the certificates are encrypted with."""
    node = view.answers.first_control_plane
    init: dict[str, Any] = {
        "apiVersion": _api_version(view),
        "kind": "InitConfiguration",
        "certificateKey": certificate_key,
        "nodeRegistration": {"criSocket": socket(view.answers)},
        **_local_endpoint(node),
        **_timeouts(view),
    }
    return _dump(init, cluster_configuration(view))
