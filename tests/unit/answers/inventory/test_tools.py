"""Files of other installers: k0sctl, RKE, KubeKey in both forms, KubeOne, Sealos, and our own answers."""

import pytest

from tests.unit.answers.inventory.read import left, read, short, ssh

K0SCTL = """apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts:
  - role: controller
    privateAddress: 10.9.0.1
    ssh: {address: 10.0.0.1, user: ops, port: 22, keyPath: ~/.ssh/id, bastion: {address: 5.5.5.5, user: j, port: 2200, keyPath: ~/.ssh/j}}
  - role: controller+worker
    hostname: cw
    openSSH: {address: cw.alias, options: {ProxyJump: "u@jump:22", ForwardAgent: yes, ProxyUseFdpass: yes}}
  - role: worker
    winRM: {address: 10.0.0.3, password: hunter2}
  - role: worker
    localhost: {enabled: true}
  - role: single
    ssh: {address: 10.0.0.4}
    installFlags: [--debug]
  - role: worker
    ssh: {user: x}
  k0s: {version: 1.33.1}
"""


def test_k0sctl():
    found = read(K0SCTL)
    assert found.form == "k0sctl"
    assert short(found) == [
        ("node1", "10.0.0.1", "control-plane"),
        ("cw", "cw.alias", "control-plane", "worker"),
        ("node3", "10.0.0.4", "control-plane", "worker"),
    ]
    assert ssh(found, "node1") == {
        "user": "ops",
        "keys": ["~/.ssh/id"],
        "jumpHosts": [{"address": "5.5.5.5", "user": "j", "port": 2200, "keys": ["~/.ssh/j"]}],
    }
    assert ssh(found, "cw") == {"jumpHosts": [{"address": "jump", "user": "u"}]}
    assert ssh(found, "node3") == {"user": "root"}, "k0sctl's own default"
    for line, word in (
        (6, "10.9.0.1"),
        (10, "ProxyUseFdpass"),
        (12, "winRM"),
        (14, "localhost"),
        (17, "installFlags"),
        (19, "no ssh.address"),
        (20, "k0s"),
    ):
        assert [one for one in found.left if f"{line}: " in one and word in one] or left(found, word), word


def test_a_chain_of_k0sctls_bastions():
    found = read("spec: {hosts: [{role: worker, ssh: {address: 10.0.0.1, bastion: {address: b, bastion: {address: a, user: x}}}}]}")
    assert ssh(found, "node1")["jumpHosts"] == [{"address": "a", "user": "x"}, {"address": "b", "user": "root"}]


RKE = """cluster_name: mycluster
nodes:
- address: 1.1.1.1
  internal_address: 172.16.22.12
  user: ubuntu
  role: [controlplane, etcd]
  ssh_key_path: /home/u/.ssh/id
  port: "2222"
- address: 2.2.2.2
  hostname_override: node2
  user: ubuntu
  role: [worker]
  ssh_key: |-
    -----BEGIN RSA PRIVATE KEY-----
    hush
    -----END RSA PRIVATE KEY-----
- {address: 3.3.3.3, user: ubuntu, role: [etcd]}
- {address: 4.4.4.4, user: ubuntu, role: [worker], taints: []}
bastion_host: {address: x.x.example.org, user: ubuntu, port: 2022, ssh_key_path: ~/.ssh/b}
ssh_key_path: ~/.ssh/test
kubernetes_version: v1.30.2-rancher1-1
"""


def test_rke():
    found = read(RKE)
    assert found.form == "rke"
    assert short(found) == [("node1", "1.1.1.1", "control-plane"), ("node2", "2.2.2.2", "worker"), ("node3", "4.4.4.4", "worker")]
    way = [{"address": "x.x.example.org", "user": "ubuntu", "port": 2022, "keys": ["~/.ssh/b"]}]
    assert ssh(found, "node1") == {"user": "ubuntu", "port": 2222, "keys": ["/home/u/.ssh/id"], "jumpHosts": way}
    assert ssh(found, "node2") == {"user": "ubuntu", "jumpHosts": way}
    assert ssh(found, "node3") == {"user": "ubuntu", "keys": ["~/.ssh/test"], "jumpHosts": way}
    assert left(found, "line 4:", "internal_address", "172.16.22.12")
    assert left(found, "line 13:", "ssh_key", "file of its own")
    assert left(found, "line 17:", "3.3.3.3", "etcd")
    assert left(found, "bastion_host", "no node")
    assert left(found, "kubernetes_version", "cluster.kubernetesVersion")
    assert "hush" not in repr(found)


KUBEKEY = """apiVersion: kubekey.kubesphere.io/v1alpha2
kind: Cluster
spec:
  hosts:
  - {name: node1, address: 172.16.0.2, internalAddress: 172.16.0.2, port: 8022, user: ubuntu, password: "Qcloud@123"}
  - {name: node2, address: 172.16.0.3, internalAddress: 10.16.0.3, password: Qcloud@123}
  - {name: node3, address: 172.16.0.4, privateKeyPath: "~/.ssh/id_rsa"}
  - {name: node9, address: 172.16.0.9}
  - {name: nodeX, address: 172.16.0.10}
  roleGroups:
    etcd: [node1]
    MASTER: [node1]
    worker:
    - node[1:3]
    - node7
    registry: [node9]
  controlPlaneEndpoint: {domain: lb.kubesphere.local}
---
apiVersion: installer.kubesphere.io/v1alpha1
kind: ClusterConfiguration
"""


@pytest.mark.parametrize("group", ["master", "control-plane"])
def test_kubekey_with_ranges_in_role_groups(group):
    found = read(KUBEKEY.replace("MASTER", group))
    assert found.form == "kubekey"
    assert short(found) == [
        ("node1", "172.16.0.2", "control-plane", "worker"),
        ("node2", "172.16.0.3", "worker"),
        ("node3", "172.16.0.4", "worker"),
    ]
    assert ssh(found, "node1") == {"user": "ubuntu", "port": 8022}
    assert ssh(found, "node2") == {"user": "root"}, "KubeKey's own default"
    assert ssh(found, "node3") == {"user": "root", "keys": ["~/.ssh/id_rsa"]}
    assert left(found, "lines 5, 6:", "password")
    assert left(found, "line 6:", "10.16.0.3")
    assert left(found, "line 8:", "node9", "registry")
    assert left(found, "line 9:", "nodeX", "no roleGroup")
    assert left(found, "node7", "not among the hosts")
    assert left(found, "ClusterConfiguration")
    assert "Qcloud" not in repr(found)


KUBEKEY_4 = """apiVersion: kubekey.kubesphere.io/v1
kind: Inventory
spec:
  hosts:
    master1:
      connector: {type: local, password: hush}
      internal_ipv4: 10.148.0.3
    w1:
      connector: {type: ssh, host: 1.2.3.4, port: 2222, user: alex, private_key: /home/a/.ssh/id}
      internal_ipv4: 10.148.0.4
    w2:
    nfs1: {connector: {host: 10.148.0.9}}
    pod: {connector: {type: kubernetes}}
  groups:
    k8s_cluster: {groups: [kube_control_plane, kube_worker]}
    kube_control_plane: {hosts: [master1, localhost]}
    kube_worker: {hosts: [w1, w2, pod]}
    etcd: {hosts: [master1]}
    nfs: {hosts: [nfs1]}
"""


def test_kubekey_4():
    found = read(KUBEKEY_4)
    assert short(found) == [("master1", "10.148.0.3", "control-plane"), ("w1", "1.2.3.4", "worker"), ("w2", "w2", "worker")]
    assert found.nodes[0]["local"] is True
    assert ssh(found, "w1") == {"user": "alex", "port": 2222, "keys": ["/home/a/.ssh/id"]}
    assert left(found, "10.148.0.4 of w1")
    assert left(found, "nfs1", "no Kubernetes node")
    assert left(found, "pod", "kubernetes")
    assert left(found, "localhost", "this computer")
    assert left(found, "connector.password")
    assert "hush" not in repr(found)


def test_kubeone():
    found = read(
        "apiVersion: kubeone.k8c.io/v1beta2\nkind: KubeOneCluster\ncontrolPlane:\n  hosts:\n"
        "  - {publicAddress: '1.2.3.4', privateAddress: '172.18.0.1', bastion: '4.3.2.1', bastionPort: 2022, bastionUser: b, sshPrivateKeyFile: /k}\n"
        "staticWorkers:\n  hosts:\n  - {publicAddress: '1.2.3.5', privateAddress: '172.18.0.2', sshUsername: ubuntu}\nversions: {kubernetes: 1.33.1}\n"
    )
    assert short(found) == [("node1", "172.18.0.1", "control-plane"), ("node2", "1.2.3.5", "worker")]
    assert ssh(found, "node1") == {
        "user": "root",
        "keys": ["/k"],
        "jumpHosts": [{"address": "4.3.2.1", "user": "b", "port": 2022, "keys": ["/k"]}],
    }
    assert left(found, "1.2.3.4")
    assert left(read("kind: KubeOneCluster\nversions: {}\n"), "Terraform")


def test_sealos():
    found = read(
        "apiVersion: apps.sealos.io/v1beta1\nkind: Cluster\nspec:\n  hosts:\n  - {ips: ['10.0.0.2:22', '10.0.0.3:2222'], roles: [master, amd64]}\n"
        "  - {ips: ['10.0.0.5:22'], roles: [node]}\n  ssh: {passwd: s3cr3t, pk: /root/.ssh/id_rsa, user: root}\n"
    )
    assert [(*node["roles"], node["address"], node["ssh"].get("port")) for node in found.nodes] == [
        ("control-plane", "10.0.0.2", None),
        ("control-plane", "10.0.0.3", 2222),
        ("worker", "10.0.0.5", None),
    ]
    assert left(found, "ssh.passwd")
    assert "s3cr3t" not in repr(found)


def test_our_own_answers():
    found = read(
        "version: 1\nssh: {user: ops, agent: false, password: {env: X}, jumpHosts: [{address: b.example, user: j}]}\nnodes:\n"
        "- {name: a, address: 10.0.0.1, roles: [control-plane]}\n- {name: b, address: 10.0.0.2, roles: [worker], local: true, ssh: {port: 2222, jumpHosts: []}}\n"
        "storage: {type: nfs}\n"
    )
    assert found.form == "answers"
    assert found.nodes == (
        {
            "name": "a",
            "address": "10.0.0.1",
            "roles": ["control-plane"],
            "ssh": {"user": "ops", "jumpHosts": [{"address": "b.example", "user": "j"}], "password": {"env": "X"}},
        },
        {
            "name": "b",
            "address": "10.0.0.2",
            "roles": ["worker"],
            "ssh": {"user": "ops", "port": 2222, "jumpHosts": [], "password": {"env": "X"}},
            "local": True,
        },
    )
    assert left(found, "line 6:", "storage", "--answers")
    assert left(found, "ssh.agent")
