"""What the scripts of phase cluster do to a simulated node and to the simulated cluster."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from kfinstall import releases
from kfinstall.parts.cluster import join as cluster_join
from kfinstall.parts.cluster import proof_pods as cluster_proof_pods
from kfinstall.simulator.nodes.model import Document, PodOutcome, ScriptError, SimApi, SimNode, SimUnit, World, effect, pod_hook
from kfinstall.simulator.parts.cluster_facts import HOME, LOGIN, certificate

_ADMIN: Final = "/etc/kubernetes/admin.conf"
_CA: Final = "/etc/kubernetes/pki/ca.crt"
_MANIFESTS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_LISTENERS: Final = {6443: "kube-apiserver", 2379: "etcd", 2380: "etcd", 10257: "kube-controller", 10259: "kube-scheduler"}
_OPERATOR_GROUP: Final = "operator.tigera.io"
_NETWORK_GROUP: Final = "crd.projectcalico.org"
_NAMESPACED: Final = ("NetworkPolicy", "NetworkSet", "StagedKubernetesNetworkPolicy", "StagedNetworkPolicy")
_KINDS: Final = {
    _OPERATOR_GROUP: "APIServer GatewayAPI Goldmane ImageSet Installation Istio ManagementClusterConnection TigeraStatus Whisker",
    _NETWORK_GROUP: "BGPConfiguration BGPFilter BGPPeer BlockAffinity CalicoNodeStatus ClusterInformation FelixConfiguration "
    "GlobalNetworkPolicy GlobalNetworkSet HostEndpoint IPAMBlock IPAMConfig IPAMHandle IPPool IPReservation "
    "KubeControllersConfiguration NetworkPolicy NetworkSet StagedGlobalNetworkPolicy StagedKubernetesNetworkPolicy "
    "StagedNetworkPolicy Tier",
}


def _api(world: World) -> SimApi:
    if world.api is None:
        raise ScriptError(1, "The connection to the server was refused - did you specify the right host or port?")
    return world.api


def take_back(node: SimNode) -> Iterator[str]:
    """Kubeadm reset."""
    yield "  [reset] Stopping the kubelet service"
    for path in [path for path in node.files if path.startswith(("/etc/kubernetes/", "/var/lib/etcd/member"))]:
        del node.files[path]
    for port in (*_LISTENERS, 10250):
        node.listeners.pop(port, None)
    node.units["kubelet.service"] = SimUnit(active=False, enabled=True)
    yield "  [reset] Deleting contents of directories: [/etc/kubernetes/manifests /var/lib/kubelet /etc/kubernetes/pki]"


def _began(node: SimNode) -> bool:
    return any(path in node.files for path in ("/etc/kubernetes/kubelet.conf", _CA, "/var/lib/etcd/member"))


def _owned(node: SimNode, parameters: Mapping[str, str]) -> str:
    file = node.files.get(parameters["OWNER_FILE"])
    return file.content or "" if file is not None else ""


def _taint(world: World, registration: Mapping[str, Any]) -> None:
    """An empty list of taints lets pods run on a control plane; none at all keeps kubeadm's default."""
    if registration.get("taints") != []:
        return
    node = _api(world).get("v1", "Node", registration["name"]) or {}
    spec = node.get("spec") or {}
    taints = [taint for taint in spec.get("taints") or [] if not taint["key"].startswith("node-role.kubernetes.io/")]
    _api(world).put({**node, "spec": {**spec, "taints": taints}})


@effect("cluster-init")
def init(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Kubeadm init: the API server starts."""
    owned = _owned(node, parameters)
    if owned == parameters["DONE"] and _ADMIN in node.files and world.api is not None:
        node.units["kubelet.service"] = SimUnit(active=True, enabled=True)
        yield "the API server answers again"
        return
    if _began(node):
        if owned != parameters["BEGUN"]:
            raise ScriptError(20, "kf-error: kubeadm was here before kfinstall", "kf-hint: take another server")
        yield "taking back what a killed run left"
        yield from take_back(node)
    documents = {item["kind"]: item for item in yaml.safe_load_all(parameters["CONFIG"])}
    settings = documents["ClusterConfiguration"]
    yield from node.put(parameters["OWNER_FILE"], parameters["BEGUN"])
    yield from node.put(parameters["CONFIG_FILE"], parameters["CONFIG"], 0o600)
    yield "pulling the control plane's images"
    for image in releases.shared("kubernetes").control_plane_images(settings["kubernetesVersion"].removeprefix("v")):
        yield f"[config/images] Pulled {image}"
        node.images.add(image)
    yield f"[init] Using Kubernetes version: {settings['kubernetesVersion']}"
    node.write("/etc/kubernetes/pki/etcd/ca.crt", "etcd")
    yield '[certs] Using certificateDir folder "/etc/kubernetes/pki"'
    yield '[kubeconfig] Using kubeconfig folder "/etc/kubernetes"'
    yield '[etcd] Creating static Pod manifest for local etcd in "/etc/kubernetes/manifests"'
    if world.start_api is None:
        raise ScriptError(1, "this simulation has no API server")
    registration = documents["InitConfiguration"]["nodeRegistration"]
    world.start_api(node, settings["kubernetesVersion"], registration["name"])
    _taint(world, registration)
    node.units["kubelet.service"] = SimUnit(active=True, enabled=True)
    metadata = {"name": "kubeadm-config", "namespace": "kube-system"}
    data = {"ClusterConfiguration": yaml.safe_dump(settings), "version": settings["kubernetesVersion"]}
    _api(world).put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    yield '[upload-config] Storing the configuration used in ConfigMap "kubeadm-config" in the "kube-system" Namespace'
    yield "[addons] Applied essential addon: CoreDNS"
    yield "[addons] Applied essential addon: kube-proxy"
    yield "Your Kubernetes control-plane has initialized successfully!"
    yield from node.put(parameters["OWNER_FILE"], parameters["DONE"])


@effect("cluster-kubeconfig")
def kubeconfig(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Copy the administrator's file, beside one that is another cluster's."""
    path = f"{HOME}/.kube/config"
    other = node.files.get(path)
    if other is not None and other.content and certificate(node, path) != certificate(node, _ADMIN):
        path = f"{path}-{parameters['NAME']}"
        yield f"{HOME}/.kube/config is another cluster's; this one's is {path}"
    yield from node.put(path, node.files[_ADMIN].content or "", 0o600, f"{LOGIN}:{LOGIN}")


def _crd(group: str, kind: str) -> Document:
    plural = {"IPAMConfig": "ipamconfigs", "TigeraStatus": "tigerastatuses"}.get(kind, "")
    if not plural:
        low = kind.lower()
        plural = (
            f"{low[:-1]}ies" if low.endswith("y") and not low.endswith("ay") else f"{low}es" if low.endswith("s") else f"{low}s"
        )
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version: Document = {"name": "v1", "served": True, "storage": True, "schema": schema}
    if group == _OPERATOR_GROUP:
        version["subresources"] = {"status": {}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    scope = "Namespaced" if kind in _NAMESPACED else "Cluster"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": [version]},
    }


def _operator(version: str) -> list[Document]:
    # The file of that version names the image of that version: the row of the matrix knows both.
    image = releases.shared("network").images[f"tigera-operator-{version}"]
    labels = {"k8s-app": "tigera-operator"}
    pod = {
        "containers": [{"name": "tigera-operator", "image": image}],
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "serviceAccountName": "tigera-operator",
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    metadata = {"name": "tigera-operator", "namespace": "tigera-operator"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tigera-operator"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
    ]


@effect("cluster-network")
def network(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Fetch the two files and apply them."""
    folder = f"/var/cache/kfinstall/calico-{parameters['VERSION']}"
    for name in ("operator-crds.yaml", "tigera-operator.yaml"):
        if f"{folder}/{name}" not in node.files:
            node.write(f"{folder}/{name}", f"# {name}\n")
            yield f"downloaded {name}"
    for group, kinds in _KINDS.items():
        for kind in kinds.split():
            document = _crd(group, kind)
            _api(world).put(document)
            yield f"customresourcedefinition.apiextensions.k8s.io/{document['metadata']['name']} serverside-applied"
    for document in _operator(parameters["VERSION"]):
        _api(world).put(document)
        yield f"{document['kind'].lower()}/{document['metadata']['name']} serverside-applied"


@effect("cluster-upload-certs")
def upload_certs(stdin: str, world: World) -> Iterator[str]:
    """Keep the certificates in the cluster; the hash of the key stands for the encryption."""
    key = next(item["certificateKey"] for item in yaml.safe_load_all(stdin) if item["kind"] == "InitConfiguration")
    data = {"key-hash": base64.b64encode(hashlib.sha256(key.encode()).hexdigest().encode()).decode()}
    metadata = {"name": "kubeadm-certs", "namespace": "kube-system"}
    _api(world).put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    yield '[upload-certs] Storing the certificates in Secret "kubeadm-certs" in the "kube-system" Namespace'


def _value(secret: Document | None, key: str) -> str:
    return base64.b64decode(((secret or {}).get("data") or {}).get(key, "")).decode()


def _admit(world: World, config: Document) -> SimNode:
    """What a real cluster looks at: the token, its end, the CA's pin, and for a control plane its certificates' key."""
    found = config["discovery"]["bootstrapToken"]
    identity, _dot, secret = found["token"].partition(".")
    token = _api(world).get("v1", "Secret", f"bootstrap-token-{identity}", "kube-system")
    ends = _value(token, "expiration")
    if not secret or _value(token, "token-secret") != secret or dt.datetime.fromisoformat(ends) < dt.datetime.now(dt.UTC):
        raise ScriptError(30, f'could not find a JWS signature in the cluster-info ConfigMap for token ID "{identity}"')
    first = next(node for node in world.nodes.values() if _ADMIN in node.files)
    if found["caCertHashes"] != [cluster_join.ca_hash((first.files[_CA].content or "").encode())]:
        raise ScriptError(30, "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys is pinned")
    plane = config.get("controlPlane")
    if plane is not None:
        known = _value(_api(world).get("v1", "Secret", "kubeadm-certs", "kube-system"), "key-hash")
        if known != hashlib.sha256(plane["certificateKey"].encode()).hexdigest():
            raise ScriptError(30, "error downloading the secret: Secret kubeadm-certs was not found or can't be decrypted")
    return first


@effect("cluster-join")
def join(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """Kubeadm join."""
    owned = _owned(node, parameters)
    if _began(node):
        if owned not in (parameters["BEGUN"], parameters["DONE"]):
            raise ScriptError(20, "kf-error: kubeadm was here before kfinstall", "kf-hint: take another server")
        yield "taking back what an earlier join left"
        yield from take_back(node)
    config = yaml.safe_load(stdin)
    yield from node.put(parameters["OWNER_FILE"], parameters["BEGUN"])
    yield "[preflight] Running pre-flight checks"
    first = _admit(world, config)
    node.write(_CA, first.files[_CA].content or "")
    yield '[kubelet-start] Writing kubelet configuration to file "/var/lib/kubelet/config.yaml"'
    name, plane = config["nodeRegistration"]["name"], "controlPlane" in config
    if plane:
        for part in _MANIFESTS:
            node.write(f"/etc/kubernetes/manifests/{part}.yaml", f"# {part}\n", 0o600)
        node.write(_ADMIN, first.files[_ADMIN].content or "", 0o600)
        node.write("/var/lib/etcd/member/snap/db", "")
        node.listeners |= _LISTENERS
        yield '[etcd] Creating static Pod manifest for "etcd"'
    kubelet = f"current-context: system:node:{name}@kubernetes\nusers:\n- name: system:node:{name}\n"
    node.write("/etc/kubernetes/kubelet.conf", kubelet, 0o600)
    node.units["kubelet.service"] = SimUnit(active=True, enabled=True)
    node.listeners[10250] = "kubelet"
    _api(world).add_node(name, node.address, control_plane=plane)
    world.joined[name] = "control-plane" if plane else "worker"
    _taint(world, config["nodeRegistration"])
    yield "This node has joined the cluster."
    yield from node.put(parameters["OWNER_FILE"], parameters["DONE"])


@pod_hook
def network_proof_pod(pod: Document, world: World) -> PodOutcome | None:
    """The asking pods: they reach the addresses of running pods, and no others."""
    if (pod["metadata"].get("labels") or {}).get(cluster_proof_pods.LABEL) != "client":
        return None
    running = {
        item["status"]["podIP"]
        for item in _api(world).objects("v1", "Pod", cluster_proof_pods.NAMESPACE)
        if (item.get("status") or {}).get("phase") == "Running" and item["status"].get("podIP")
    }
    peers = next(entry["value"] for entry in pod["spec"]["containers"][0]["env"] if entry["name"] == "PEERS")
    lines: list[str] = []
    for target in peers.split():
        name, _equals, address = target.partition("=")
        if address.rpartition(":")[0].strip("[]") not in running:
            return PodOutcome(log="\n".join([*lines, "TIMEOUT", f"kf-unreachable {name} {address}"]) + "\n", exit_code=1)
        lines.append(f"kf-reached {name} {address}")
    lines += ["kf-resolved kubernetes.default.svc.cluster.local", "kf-service kubernetes.default.svc.cluster.local:443"]
    return PodOutcome(log="\n".join(lines) + "\n")
