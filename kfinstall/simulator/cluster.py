"""The simulated cluster: store, API server and controllers together, and what kubeadm does to it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kfinstall import releases
from kfinstall.simulator.apiserver.api import ApiServer
from kfinstall.simulator.apiserver.kinds import Kinds
from kfinstall.simulator.apiserver.objects import Objects, at_version
from kfinstall.simulator.apiserver.patches import timestamp
from kfinstall.simulator.apiserver.pki import Pki, server_context
from kfinstall.simulator.apiserver.store import Store
from kfinstall.simulator.controllers.addons import Addons
from kfinstall.simulator.controllers.basics import Basics
from kfinstall.simulator.controllers.pods import Pods
from kfinstall.simulator.controllers.queue import Controllers, condition
from kfinstall.simulator.controllers.user_work import UserWork
from kfinstall.simulator.controllers.workloads import Workloads
from kfinstall.simulator.nodes.model import SimApi, SimNode, World

Document = dict[str, Any]

API_PORT: Final = 6443
_VERSION: Final = "v1.34.0"
_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
_CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"
_CONTROL_TOLERATION: Final = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
_RESERVED_BYTES: Final = 100 * 2**20


class SimCluster(SimApi):
    """Everything behind port 6443. It serves from `bootstrap` (or `resume`) on."""

    def __init__(self, world: World, pki: Pki, path: Path, dirty: Callable[[], None]) -> None:
        """`path`: the log of the store. `dirty` is called when nodes' state changed."""
        self.world = world
        self.pki = pki
        self.store = Store(path)
        self.kinds = Kinds()
        self._objects = Objects(self.store, self.kinds)
        self.server = ApiServer(self.store, self.kinds, self._objects, _VERSION)
        self.controllers = Controllers(world, self.store, self.kinds, self._objects)
        self._folder = path.parent
        self._dirty = dirty
        Basics(self.controllers, pki.ca)
        Workloads(self.controllers)
        Pods(self.controllers)
        Addons(self.controllers)
        UserWork(self.controllers)

    async def start(self) -> None:
        """Load what was saved, and listen; nothing is answered yet."""
        self.store.load()
        self.kinds.replace_custom(self.store.list(_CRDS))
        await self.server.start(server_context(self.pki.server, self.pki.server_key, self._folder, client_ca=self.pki.ca))
        self.controllers.start()

    async def close(self) -> None:
        """Stop."""
        await self.controllers.close()
        await self.server.close()
        self.store.close()

    def resume(self) -> None:
        """Go on as it was saved."""
        settings = self.get("v1", "ConfigMap", "kubeadm-config", "kube-system")
        self.server.version = ((settings or {}).get("data") or {}).get("version", _VERSION)
        self._serve()
        self.controllers.look_at_everything()

    def _serve(self) -> None:
        self.server.serving = True
        self.world.api = self
        self._dirty()

    def end(self) -> None:
        """What a kubeadm reset of the last control plane leaves: nothing. Members that did not leave are members of nothing."""
        self.server.serving = False
        self.world.api = None
        self.world.joined.clear()
        self.store.clear()
        self.kinds.replace_custom(())
        self._dirty()

    def bootstrap(self, node: SimNode, version: str, name: str) -> None:
        """What kubeadm init does on the first control plane."""
        self.server.version = version if version.startswith("v") else f"v{version}"
        self._serve()
        config = self.pki.kubeconfig(f"https://{f'[{node.address}]' if ':' in node.address else node.address}:{API_PORT}")
        for file in ("admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"):
            node.write(f"/etc/kubernetes/{file}", config, 0o600)
        node.write("/etc/kubernetes/pki/ca.crt", self.pki.ca)
        for part in _CONTROL_PLANE:
            node.write(f"/etc/kubernetes/manifests/{part}.yaml", f"# {part}\n", 0o600)
        node.write("/var/lib/etcd/member/snap/db", "")
        kubelet = f"current-context: system:node:{name}@kubernetes\nusers:\n- name: system:node:{name}\n"
        node.write("/etc/kubernetes/kubelet.conf", kubelet, 0o600)
        node.listeners |= {
            API_PORT: "kube-apiserver",
            2379: "etcd",
            2380: "etcd",
            10250: "kubelet",
            10257: "kube-controller",
            10259: "kube-scheduler",
        }
        self.world.joined[name] = "control-plane"
        for namespace in _NAMESPACES:
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        settings = {"version": self.server.version, "ClusterConfiguration": f"kubernetesVersion: {self.server.version}\n"}
        metadata = {"name": "kubeadm-config", "namespace": "kube-system"}
        self.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings})
        self._cluster_info(config)
        ports = [{"name": "https", "port": 443, "targetPort": API_PORT, "protocol": "TCP"}]
        metadata = {"name": "kubernetes", "namespace": "default"}
        self.put({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "10.96.0.1", "ports": ports}})
        self.add_node(name, node.address, control_plane=True)
        self._system_workloads()

    def _cluster_info(self, config: str) -> None:
        metadata = {"name": "cluster-info", "namespace": "kube-public"}
        self.put(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kubeconfig": config.partition("users:")[0]}}
        )

    def _system_workloads(self) -> None:
        self.put(_system("DaemonSet", "kube-proxy", [{"operator": "Exists"}], {}))
        tolerations = [_CONTROL_TOLERATION, {"key": "CriticalAddonsOnly", "operator": "Exists"}]
        self.put(_system("Deployment", "coredns", tolerations, {"replicas": 2}, label="kube-dns"))
        ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
        spec = {"clusterIP": "10.96.0.10", "selector": {"k8s-app": "kube-dns"}, "ports": ports[:1]}
        self.put(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system"}, "spec": spec}
        )
        metadata = {"name": "coredns", "namespace": "kube-system"}
        self.put(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"Corefile": ".:53 {\n    forward . /etc/resolv.conf\n}\n"},
            }
        )

    # what effects use (SimApi)

    def add_node(self, name: str, address: str, *, control_plane: bool) -> None:
        """A kubelet registered."""
        node = self.world.nodes.get(name) or next(item for item in self.world.nodes.values() if item.address == address)
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        taints = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
        if control_plane:
            labels |= {"node-role.kubernetes.io/control-plane": "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
            taints.append(dict(_CONTROL_TOLERATION))
        capacity = {
            "cpu": str(node.cpus),
            "memory": f"{node.memory_bytes // 1024}Ki",
            "pods": "110",
            "ephemeral-storage": str(node.disk_bytes),
        }
        info = {
            "kubeletVersion": self.server.version,
            "osImage": f"{node.os_id.title()} {node.version_id}",
            "kernelVersion": node.kernel,
            "containerRuntimeVersion": "containerd://2.1.0",
            "architecture": "amd64",
            "operatingSystem": "linux",
            "machineID": node.machine_id,
            "systemUUID": node.product_uuid,
            "bootID": node.boot_id,
            "kubeProxyVersion": "",
        }
        status = {
            "capacity": capacity,
            "allocatable": capacity | {"memory": f"{(node.memory_bytes - _RESERVED_BYTES) // 1024}Ki"},
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "nodeInfo": info,
            "conditions": [
                *(
                    condition(what, true=False, reason=f"KubeletHasNo{what}")
                    for what in ("MemoryPressure", "DiskPressure", "PIDPressure")
                ),
                condition(
                    "Ready",
                    true=False,
                    reason="KubeletNotReady",
                    message="container runtime network not ready: cni plugin not initialized",
                ),
            ],
        }
        spec = {"podCIDR": f"10.244.{node.index}.0/24", "taints": taints}
        self.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec, "status": status})
        lease = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": timestamp()}
        metadata = {"name": name, "namespace": "kube-node-lease"}
        self.put({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": lease})
        if control_plane:
            self._static_pods(name)
        self._dirty()

    def _static_pods(self, name: str) -> None:
        named = releases.shared("kubernetes").control_plane_images(self.server.version.removeprefix("v"))
        images = {image.rpartition("/")[2].partition(":")[0]: image for image in named}
        for part in _CONTROL_PLANE:
            labels = {"component": part, "tier": "control-plane"}
            metadata = {"name": f"{part}-{name}", "namespace": "kube-system", "labels": labels}
            container = {"name": part, "image": images[part]}
            spec = {"containers": [container], "nodeName": name, "hostNetwork": True, "tolerations": [{"operator": "Exists"}]}
            self.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def put(self, document: Document) -> None:
        """Create or replace an object as a controller would; `status` is taken over where it is given.

        Raises:
            LookupError: the cluster does not serve its kind.
        """
        kind = self.kinds.by_kind(document["apiVersion"], document["kind"])
        if kind is None:
            raise LookupError(f"the simulated cluster knows no {document['kind']} of {document['apiVersion']}")
        metadata = document["metadata"]
        namespace = metadata.get("namespace", "default") if kind.namespaced else ""
        old = self.store.get(kind.key, namespace, metadata["name"])
        if old is None:
            self._objects.create(kind, document)
            return

        def change(live: Document) -> Document:
            new = dict(document)
            new["metadata"] = {**live["metadata"], **metadata}
            return new

        updated = self._objects.update(kind, namespace, metadata["name"], change)
        if "status" in document and updated.get("status") != document["status"]:
            self.store.put(kind.key, {**updated, "status": document["status"]})

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Document | None:
        """One object, or None. Not to be changed in place."""
        known = self.kinds.by_kind(api_version, kind)
        found = self.store.get(known.key, namespace if known.namespaced else "", name) if known else None
        return at_version(found, known) if found is not None and known is not None else None

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> list[Document]:
        """All objects of a kind, in one namespace or everywhere. Not to be changed in place."""
        known = self.kinds.by_kind(api_version, kind)
        return self.store.list(known.key, namespace) if known else []

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> bool:
        """Delete an object; False where it was not there."""
        known = self.kinds.by_kind(api_version, kind)
        if known is None or self.store.get(known.key, namespace if known.namespaced else "", name) is None:
            return False
        self._objects.delete(known, namespace, name)
        return True

    def secret(self, namespace: str, name: str, key: str) -> str:
        """The value of a Secret's key, or an empty string."""
        data = (self.get("v1", "Secret", name, namespace) or {}).get("data") or {}
        return base64.b64decode(data.get(key, "")).decode("utf-8", "replace")


def _system(kind: str, name: str, tolerations: list[Document], spec: Document, *, label: str = "") -> Document:
    labels = {"k8s-app": label or name}
    pod: Document = {"containers": [{"name": name, "image": f"registry.k8s.io/{name}:simulated"}], "tolerations": tolerations}
    if kind == "DaemonSet":
        pod["hostNetwork"] = True
    body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}, **spec}
    metadata = {"name": name, "namespace": "kube-system", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": body}
