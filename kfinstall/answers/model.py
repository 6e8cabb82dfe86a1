"""The answers, version 1: frozen pydantic models with Kubernetes' camelCase keys.

Only shapes and defaults live here; rules across fields are in `kfinstall.answers.rules`, reading a file with every
problem's line and column in `kfinstall.answers.load`. Secrets are references, never values.
"""

from __future__ import annotations

import re
from typing import Literal, Self, assert_never

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from kfinstall.answers import types as t

Role = Literal["control-plane", "worker"]
Proof = Literal["notebooks", "pipelines", "katib", "kserve"]
"""Components of Kubeflow whose work can be proven beyond the login."""
NotebookImage = Literal["elyra", "kale", "fairing"]


class Section(BaseModel):
    """Base of every section: frozen, camelCase in the file, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, defer_build=True)


class SecretRef(Section):
    """Where a secret comes from: exactly one of env, file, prompt or generate. Never the secret itself."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: t.EnvName | None = Field(None, description="Name of an environment variable of the installer's process.")
    file: t.LocalFile | None = Field(None, description="Path of a file on the installer's machine; its first line is the secret.")
    prompt: t.Flag = Field(False, description="Ask at the terminal. Fails at once where there is none.")
    generate: t.Flag = Field(False, description="Make one up; it is kept in the cluster only.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum((self.env is not None, self.file is not None, self.prompt, self.generate)) != 1:
            raise ValueError("write exactly one of {env: NAME}, {file: path}, {prompt: true} or {generate: true}")
        return self


class Cluster(Section):
    """The Kubernetes cluster."""

    name: t.DnsLabel = Field("kubeflow", description="Name of the cluster; the state directory and the kubeconfig context use it.")
    release: str = Field("26.03", description="Row of the version matrix, named after its Kubeflow release.")
    kubernetes_version: t.KubernetesVersion | None = Field(
        None, description="Minor (1.34) or patch (1.34.2); the release's default if absent."
    )
    pod_cidr: t.Cidr = Field("10.244.0.0/16", alias="podCIDR", description="Addresses of pods; must not overlap nodes or Services.")
    service_cidr: t.Cidr = Field("10.96.0.0/16", alias="serviceCIDR", description="Addresses of Services.")
    runtime: Literal["containerd", "docker"] = Field("containerd", description="Container runtime; docker brings cri-dockerd.")
    cni: Literal["calico"] = Field("calico", description="Pod network.")
    api_endpoint: t.Endpoint | None = Field(
        None, description="host:port of a load balancer in front of several control planes; an IPv6 address in brackets."
    )


class JumpHost(Section):
    """A host that SSH goes through. It is sent its own password only, and offered no key that is written for a node."""

    address: t.SshHost = Field(description="DNS name, IP address, or an alias of ~/.ssh/config.")
    user: t.LoginName | None = Field(None, description="Login user; the one of `ssh` if absent.")
    port: t.Port | None = Field(None, description="SSH port; that of ~/.ssh/config, else 22, if absent.")
    keys: tuple[t.LocalFile, ...] = Field((), description="Private key files; those of `ssh` if empty, never a node's own.")
    password: SecretRef | None = Field(
        None, description="Login password. If absent none is sent: neither that of `ssh`, which is the nodes', nor a node's own."
    )


class Ssh(Section):
    """How to log in to the nodes."""

    user: t.LoginName | None = Field(
        None, description="Login user; that of ~/.ssh/config, else your own login name, if absent, as with ssh."
    )
    port: t.Port | None = Field(None, description="SSH port; that of ~/.ssh/config, else 22, if absent.")
    keys: tuple[t.LocalFile, ...] = Field(
        (),
        description="Private key files, for jump hosts without their own too; a .pub file names a key of the agent. ~/.ssh/id_* if empty.",
    )
    agent: t.Flag = Field(
        True, description="Offer the keys of the SSH agent; to jump hosts without those that are written for a node."
    )
    passphrase: SecretRef | None = Field(
        None,
        description="Passphrase of the private keys, those of nodes and jump hosts too; it opens them here and is sent nowhere.",
    )
    password: SecretRef | None = Field(None, description="Login password of the nodes; jump hosts have their own.")
    sudo_password: SecretRef | None = Field(None, description="Password for sudo; the login password is tried if absent.")
    jump_hosts: tuple[JumpHost, ...] = Field((), description="Hosts to go through, in order.")
    use_ssh_config: t.Flag | None = Field(
        None,
        description="Log in as ~/.ssh/config says wherever these answers say nothing, read by OpenSSH itself (ssh -G). If absent: where that file is there.",
    )


class NodeSsh(Section):
    """What differs for one node; absent keys come from `ssh`."""

    host: t.SshHost | None = Field(
        None,
        description="What ssh calls it: an alias of ~/.ssh/config. The nodes know it by `address` all the same. If absent, or where that file does not count: `address`.",
    )
    user: t.LoginName | None = Field(None, description="Login user.")
    port: t.Port | None = Field(None, description="SSH port.")
    keys: tuple[t.LocalFile, ...] | None = Field(None, description="Private key files; no jump host is offered them.")
    password: SecretRef | None = Field(None, description="Login password; no jump host is sent it.")
    sudo_password: SecretRef | None = Field(None, description="Password for sudo.")
    jump_hosts: tuple[JumpHost, ...] | None = Field(None, description="Hosts to go through.")


class Node(Section):
    """One server."""

    name: t.NodeName = Field(description="Name of the node in Kubernetes.")
    address: t.NodeAddress = Field(description="Address that the installer and the other nodes reach it at.")
    roles: tuple[Role, ...] = Field(
        (), description="control-plane, worker, or both. If no node has any, the first is the control plane."
    )
    ssh: NodeSsh | None = Field(None, description="Differences from `ssh` for this node.")
    local: t.Flag = Field(False, description="This node is the machine that kfinstall runs on.")


class LocalPath(Section):
    """local-path-provisioner: volumes are directories of the node that the pod runs on (ReadWriteOnce only)."""

    directory: t.AbsolutePath = Field("/opt/local-path-provisioner", description="Directory on every node.")
    minimum_free: t.Size = Field("50Gi", description="Free space that preflight asks for there.")


class Nfs(Section):
    """NFS: volumes are directories of one server, ReadWriteMany."""

    server: str | None = Field(
        None, description="A node's name: set a server up there. An address: use that server. Absent: the first control plane."
    )
    path: t.AbsolutePath = Field("/srv/nfs/kubeflow", description="Exported directory.")
    version: Literal["4.2", "4.1", "4.0", "3"] = Field("4.1", description="NFS protocol version of the mounts.")
    provisioner: Literal["csi", "subdir"] = Field("csi", description="csi-driver-nfs, or nfs-subdir-external-provisioner.")
    minimum_free: t.Size = Field("100Gi", description="Free space that preflight asks for on the server's node.")


class Storage(Section):
    """Where volumes live."""

    type: Literal["nfs", "local-path"] = Field(
        "nfs", description="nfs serves ReadWriteMany, which Spark needs; local-path does not."
    )
    local_path: LocalPath = Field(LocalPath(), description="Settings of local-path.")
    nfs: Nfs = Field(Nfs(), description="Settings of nfs.")


class Registry(Section):
    """A container registry on one node."""

    enabled: t.Flag = Field(True, description="Set a registry up.")
    node: str | None = Field(None, description="Node it runs on; the first control plane if absent.")
    port: t.Port = Field(5000, description="TCP port.")
    insecure: t.Flag = Field(
        False, description="Plain HTTP without a login, as the guide had it. Otherwise TLS by an own CA, and a login."
    )
    user: t.LoginName = Field("kfinstall", description="Login name.")
    password: SecretRef = Field(SecretRef(generate=True), description="Login password.")
    directory: t.AbsolutePath = Field("/var/lib/kfinstall/registry", description="Where the images are kept on that node.")
    mirrors: dict[str, t.HttpUrl] = Field(
        {},
        description="Registry host to mirror URL, for example {docker.io: 'https://mirror.example'}; _default stands for every other "
        "registry. Used with and without a registry of the cluster's own. A URL with a path is the whole root of the mirror's API "
        "(override_path of hosts.toml): /v2 has to stand in it where the registry has it, 'https://harbor.example/v2/project'. Over http:// images are pulled, but the registry itself is asked what a tag means. "
        "Docker has mirrors for docker.io only.",
    )
    minimum_free: t.Size = Field("50Gi", description="Free space that preflight asks for.")


class KubeflowUser(Section):
    """The first user; the profile namespace is made for it."""

    email: t.Email = Field("user@example.com", description="Login name. The namespace of its profile comes from it.")
    password: SecretRef = Field(SecretRef(generate=True), description="Login password.")


class Access(Section):
    """How browsers reach the dashboard."""

    type: Literal["port-forward", "nodePort", "loadBalancer"] = Field("port-forward", description="Kind of access.")
    node_port: t.NodePort = Field(30443, description="Port on every node, with nodePort.")
    host_name: t.HostAddress | None = Field(
        None, description="Name that browsers use; the first control plane's address if absent."
    )


class Tls(Section):
    """TLS at the gateway."""

    enabled: t.Flag = Field(True, description="HTTPS. Plain HTTP is only possible with port-forward.")
    certificate: t.LocalFile | None = Field(None, description="PEM file with a certificate chain; an own CA signs one if absent.")
    key: t.LocalFile | None = Field(None, description="PEM file with its key.")


class Kubeflow(Section):
    """Which components of Kubeflow are installed, who may use them, and how they are reached."""

    enabled: t.Flag = Field(True, description="Install Kubeflow.")
    release: str | None = Field(None, description="Must equal cluster.release where given.")
    components: tuple[str, ...] | Literal["mini", "standard", "full"] = Field(
        "standard", description="A preset, or a list of components."
    )
    proofs: tuple[Proof, ...] | Literal["all"] = Field(
        "all", description="Chosen components whose work is proven in the user's profile after the login; [] for the login alone."
    )
    notebook_images: tuple[NotebookImage, ...] = Field(
        (), description="Notebook images that are built for the own registry and offered beside the release's."
    )
    bundle: t.LocalFile | None = Field(
        None,
        description="Offline bundle (`kfinstall bundle`) that the rendering is taken from; rendered on the first control plane if absent.",
    )
    user: KubeflowUser = Field(KubeflowUser(), description="The first user.")
    access: Access = Field(Access(), description="How browsers reach it.")
    tls: Tls = Field(Tls(), description="TLS at the gateway.")


class Spark(Section):
    """Spark in the user's namespace."""

    enabled: t.Flag = Field(True, description="Install Spark.")
    namespace: t.DnsLabel | None = Field(None, description="Namespace; the Kubeflow user's profile if absent.")
    volume_size: t.Size = Field("10Gi", description="Size of the shared ReadWriteMany volume.")
    image: t.Image | None = Field(None, description="Base image; the release's pinned one if absent.")
    history_server: t.Flag = Field(True, description="Run a history server behind the gateway.")
    submit: t.Flag = Field(True, description="Write a spark-submit script for these nodes.")
    operator: t.Flag = Field(True, description="Use the Spark operator (SparkApplication objects).")


class Proxy(Section):
    """HTTP proxy of the nodes."""

    http: t.HttpUrl | None = Field(None, description="Proxy for http URLs.")
    https: t.HttpUrl | None = Field(None, description="Proxy for https URLs.")
    no_proxy: tuple[t.DirectHost, ...] = Field((), description="More hosts that go direct; nodes, pods and Services always do.")


class Answers(Section):
    """Everything that an installation needs to know."""

    version: Literal[1] = Field(1, description="Version of this format.")
    cluster: Cluster = Field(Cluster(), description="The Kubernetes cluster.")
    ssh: Ssh = Field(Ssh(), description="How to log in to the nodes.")
    nodes: tuple[Node, ...] = Field(min_length=1, description="The servers. The only key without a default.")
    storage: Storage = Field(Storage(), description="Where volumes live.")
    registry: Registry = Field(Registry(), description="The container registry.")
    kubeflow: Kubeflow = Field(Kubeflow(), description="Kubeflow.")
    spark: Spark = Field(Spark(), description="Spark.")
    proxy: Proxy = Field(Proxy(), description="HTTP proxy of the nodes.")

    @model_validator(mode="before")
    @classmethod
    def _default_roles(cls, data: object) -> object:
        """The first node is the control plane where no node has a role; a lone node is a worker too."""
        if not isinstance(data, dict) or not isinstance(data.get("nodes"), (list, tuple)):
            return data
        nodes = data["nodes"]
        if not all(isinstance(node, dict) and "roles" not in node for node in nodes):
            return data
        first: list[Role] = ["control-plane", "worker"] if len(nodes) == 1 else ["control-plane"]
        rest: list[Role] = ["worker"]
        return {**data, "nodes": [{**node, "roles": rest if index else first} for index, node in enumerate(nodes)]}

    @property
    def control_planes(self) -> tuple[Node, ...]:
        """The nodes with the role control-plane, in the order of the file."""
        return tuple(node for node in self.nodes if "control-plane" in node.roles)

    @property
    def workers(self) -> tuple[Node, ...]:
        """The nodes that only have the role worker."""
        return tuple(node for node in self.nodes if "control-plane" not in node.roles)

    @property
    def first_control_plane(self) -> Node:
        """The node that kubeadm init runs on."""
        return self.control_planes[0]

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def nfs_node(self) -> Node | None:
        """The node that serves NFS, or None where storage is not NFS or the server is a foreign one."""
        if self.storage.type != "nfs":
            return None
        server = self.storage.nfs.server
        if server is None:
            return self.first_control_plane
        return next((node for node in self.nodes if node.name == server), None)

    def volume_directories(self, node: str) -> tuple[str, ...]:
        """The directories of a node, by its name, that volumes are made in."""
        if self.storage.type == "local-path":
            return (self.storage.local_path.directory,)
        return (self.storage.nfs.path,) if self.nfs_node is not None and self.nfs_node.name == node else ()

    @property
    def nfs_address(self) -> str:
        """The address that NFS is mounted from."""
        node = self.nfs_node
        return node.address if node else str(self.storage.nfs.server)

    @property
    def storage_class(self) -> str:
        """The name of the one default StorageClass."""
        match self.storage.type:
            case "local-path":
                return "local-path"
            case "nfs":
                return "nfs-csi" if self.storage.nfs.provisioner == "csi" else "nfs-client"
            case other:
                assert_never(other)

    @property
    def registry_node(self) -> Node:
        """The node that the registry runs on."""
        return self.node(self.registry.node) if self.registry.node else self.first_control_plane

    @property
    def registry_host(self) -> str:
        """host:port that images of the registry are named by."""
        address = self.registry_node.address
        return f"[{address}]:{self.registry.port}" if ":" in address else f"{address}:{self.registry.port}"

    @property
    def profile_namespace(self) -> str:
        """The namespace of the Kubeflow user's profile, as the guide has it: user@example.com, kubeflow-user-example-com."""
        return "kubeflow-" + re.sub(r"[^a-z0-9]+", "-", self.kubeflow.user.email.lower()).strip("-")

    @property
    def spark_namespace(self) -> str:
        """The namespace that Spark applications run in."""
        if self.spark.namespace:
            return self.spark.namespace
        return self.profile_namespace if self.kubeflow.enabled else "spark"
