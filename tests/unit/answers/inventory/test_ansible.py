"""Ansible's inventories in all three forms: precedence, groups of groups, ranges, old names, the way through bastions."""

import json

import pytest

from tests.unit.answers.inventory.read import left, read, short, ssh

CASE_INI = """[all]
master ansible_host=10.0.0.11
w1 ansible_ssh_host=10.0.0.12 ansible_ssh_port=2222
w2 ansible_host=10.0.0.13 ansible_password='a#b c'
10.0.0.14:2222
bastion ansible_host=203.0.113.5 ansible_user=jump
[bastion]
bastion
[cp]
master
[kube_control_plane:children]
cp
[kube_node:children]
rest
[rest]
w1
w2
10.0.0.14:2222
[all:vars]
ansible_user=ops
ansible_ssh_private_key_file=~/.ssh/cluster
ansible_ssh_common_args='-o ProxyJump=jump@203.0.113.5'
"""
WAY = [{"address": "203.0.113.5", "user": "jump"}]


def test_an_inventory_of_kubespray_in_ini():
    found = read(CASE_INI)
    assert found.form == "ansible-ini"
    assert [(node["address"], *node["roles"]) for node in found.nodes] == [
        ("10.0.0.11", "control-plane"),
        ("10.0.0.12", "worker"),
        ("10.0.0.13", "worker"),
        ("10.0.0.14", "worker"),
    ]
    login = {"user": "ops", "keys": ["~/.ssh/cluster"], "jumpHosts": WAY}
    assert ssh(found, "master") == login
    assert ssh(found, "w1") == login | {"port": 2222}
    assert ssh(found, "node4") == login | {"port": 2222}
    assert left(found, "line 4:", "ansible_password", "ssh.password")
    assert left(found, "line 6:", "bastion", "203.0.113.5", "no node")
    assert "a#b c" not in repr(found)


def test_an_inventory_of_kubespray_in_yaml():
    found = read(
        "all:\n  vars: {ansible_user: ops}\n  hosts:\n    node1: {ansible_host: 95.54.0.12, ip: 10.3.0.1}\n    node2: {ansible_host: 95.54.0.13}\n"
        "  children:\n    kube_control_plane: {hosts: {node1: }}\n    kube_node: {hosts: {node2: }}\n"
    )
    assert found.form == "ansible-yaml"
    assert short(found) == [("node1", "95.54.0.12", "control-plane"), ("node2", "95.54.0.13", "worker")]
    assert ssh(found, "node1") == ssh(found, "node2") == {"user": "ops"}
    assert left(found, "line 4:", "ip", "10.3.0.1")


OLD_KUBESPRAY = """all:
  hosts:
    node1: &one
      ansible_host: node1.example.org
      ansible_user: user
    node2:
      <<: *one
      ansible_host: node2.example.org
    node3:
      ansible_host: 10.0.0.3
      ansible_become_pass: !vault |
        $ANSIBLE_VAULT;1.1;AES256
        6134
    bastion: {ansible_host: 198.51.100.1, ansible_user: jumper, ansible_port: 2022, ansible_ssh_private_key_file: ~/.ssh/b}
    nfs: {ansible_host: 10.0.0.9}
  children:
    kube-master: {hosts: {node1: null}}
    kube-node:
      hosts:
        node1:
        node2: {}
        node3: ~
    etcd: {hosts: {node1: }}
    k8s-cluster:
      children: {kube-master: , kube-node: }
    calico-rr: {hosts: {}}
    bastion: {hosts: {bastion: }}
    nfs-server: {hosts: {nfs: }}
"""


def test_the_bastion_group_is_the_way_to_all_nodes_as_kubespray_has_it():
    found = read(OLD_KUBESPRAY)
    assert short(found) == [
        ("node1", "node1.example.org", "control-plane", "worker"),
        ("node2", "node2.example.org", "worker"),
        ("node3", "10.0.0.3", "worker"),
    ]
    assert ssh(found, "node2") == {
        "user": "user",
        "jumpHosts": [{"address": "198.51.100.1", "user": "jumper", "port": 2022, "keys": ["~/.ssh/b"]}],
    }
    assert left(found, "ansible_become_pass", "ssh.sudoPassword")
    assert left(found, "nfs", "no Kubernetes node")
    assert "6134" not in repr(found)


def test_a_host_beats_a_child_group_beats_its_parent_beats_all():
    found = read(
        "[all:vars]\nansible_user=all\n[parent:children]\nchild\n[parent:vars]\nansible_user=parent\n[child:vars]\nansible_user=child\n"
        "[child]\nown ansible_user=own\nc\n[parent]\np\n[other]\no\n"
    )
    assert {node["name"]: node["ssh"]["user"] for node in found.nodes} == {"own": "own", "c": "child", "p": "parent", "o": "all"}


def test_of_groups_of_one_depth_the_last_by_name_wins_unless_a_priority_says_otherwise():
    text = "[a]\nh\n[b]\nh\n[a:vars]\nansible_user=a\n[b:vars]\nansible_user=b\n"
    assert ssh(read(text), "h") == {"user": "b"}
    assert ssh(read(text + "[a:vars]\nansible_group_priority=10\n"), "h") == {"user": "a"}


def test_of_two_names_for_one_thing_the_older_wins_as_with_ansible_and_the_other_is_told():
    found = read("[x]\nh ansible_host=10.0.0.1 ansible_user=new\n[all:vars]\nansible_ssh_user=old\n")
    assert ssh(found, "h") == {"user": "old"}
    assert left(found, "line 2:", "ansible_user of h", "ansible_ssh_user")


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("node[01:10:3]", ["node01", "node04", "node07", "node10"]),
        ("[a:c].lab", ["a.lab", "b.lab", "c.lab"]),
        ("r[1:2]-n[1:2]", ["r1-n1", "r1-n2", "r2-n1", "r2-n2"]),
        ("n[8:10]:2222", ["n8", "n9", "n10"]),
        ("[::1:2]:22", ["::1:2"]),
        ("2001:db8::5", ["2001:db8::5"]),
    ],
)
def test_ranges_and_ports(pattern, wanted):
    for text in (f"[g]\n{pattern}\n", f"all:\n  children:\n    g:\n      hosts:\n        '{pattern}':\n"):
        found = read(text)
        assert [node["address"] for node in found.nodes] == wanted
        if ":2222" in pattern:
            assert {node["ssh"]["port"] for node in found.nodes} == {2222}


@pytest.mark.parametrize("pattern", ["n[3:1]", "n[01:100]", "n[1:99999999]", "n[a:3]", "n[1:5:0]"])
def test_a_range_without_sense_is_left_with_its_line(pattern):
    found = read(f"[g]\n{pattern}\nok ansible_host=10.0.0.1\n")
    assert [node["name"] for node in found.nodes] == ["ok"]
    assert left(found, "line 2:")


def test_comments_quotes_and_broken_lines():
    found = read(
        "; first\n# second\n[g] # third\nh1 ansible_host=10.0.0.1 ansible_user=\"o'p\" # fourth\nh2 ansible_host=10.0.0.2 ansible_user='x\n"
        "h3 ansible_host=10.0.0.3 oops\n[g:vars]\nansible_port = 2222 ; why\nno value here\n[g:wrong]\nx\n"
    )
    assert [(node["name"], node["ssh"].get("port")) for node in found.nodes] == [("h1", 2222), ("h3", 2222)]
    assert left(found, "line 4:", "user is not a login name") or left(found, "h1", "login name")
    assert left(found, "line 5:", "quote")
    assert left(found, "line 6:", "name=value")
    assert left(found, "line 9:", "name=value")
    assert left(found, "g:wrong", "no section")


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        ("-o ProxyJump=ops@b.example:2200", [{"address": "b.example", "user": "ops", "port": 2200}]),
        ("-J one,two", [{"address": "one"}, {"address": "two"}]),
        ('-o ProxyCommand="ssh -W %h:%p -q ops@b.example"', [{"address": "b.example", "user": "ops"}]),
        (
            "-o ProxyCommand='ssh -p 2200 -i ~/k -o StrictHostKeyChecking=no ops@b nc %h %p'",
            [{"address": "b", "user": "ops", "port": 2200, "keys": ["~/k"]}],
        ),
        ('-o ProxyCommand="/usr/bin/ssh b -l ops -W [%h]:%p"', [{"address": "b", "user": "ops"}]),
        ('-o "ProxyCommand ssh -J a -W %h:%p b"', [{"address": "a"}, {"address": "b"}]),
        ("-o ProxyJump=none", []),
    ],
)
def test_arguments_for_ssh_become_jump_hosts(arguments, way):
    text = json.dumps({"all": {"hosts": {"h": {"ansible_host": "10.0.0.1", "ansible_ssh_common_args": arguments}}}})
    found = read(text)
    assert ssh(found, "h")["jumpHosts"] == way
    assert not left(found, "ProxyCommand")


@pytest.mark.parametrize(
    "arguments",
    [
        "-o ProxyCommand='connect -S proxy:1080 %h %p'",
        "-o ProxyCommand='ssh b other'",
        "-F ./ssh.cfg",
        "-o ProxyJump={{x}}",
        "-o ProxyCommand='nc",
    ],
)
def test_arguments_that_are_not_understood_are_told(arguments):
    found = read(json.dumps({"all": {"hosts": {"h": {"ansible_host": "10.0.0.1", "ansible_ssh_extra_args": arguments}}}}))
    assert short(found) == [("h", "10.0.0.1")]
    assert "jumpHosts" not in ssh(found, "h")
    assert left(found, "ansible_ssh_extra_args")


def test_a_jump_host_by_its_name_in_the_inventory_has_that_hosts_login_and_is_no_node():
    found = read(
        "gw ansible_host=198.51.100.7 ansible_user=j ansible_port=2022\n[w]\nw1 ansible_host=10.0.0.1\n[w:vars]\nansible_ssh_common_args='-J gw'\n"
    )
    assert short(found) == [("w1", "10.0.0.1")]
    assert ssh(found, "w1") == {"jumpHosts": [{"address": "198.51.100.7", "user": "j", "port": 2022}]}
    assert left(found, "line 1:", "gw", "no node")


def test_a_node_that_others_go_through_stays_one_and_does_not_go_through_itself():
    found = read(
        "[kube_control_plane]\nm ansible_host=10.0.0.1\n[kube_node]\nw ansible_host=10.0.0.2\n[all:vars]\nansible_ssh_common_args='-J 10.0.0.1'\n"
    )
    assert short(found) == [("m", "10.0.0.1", "control-plane"), ("w", "10.0.0.2", "worker")]
    assert ssh(found, "m") == {"jumpHosts": []}
    assert ssh(found, "w") == {"jumpHosts": [{"address": "10.0.0.1"}]}


def test_templates_are_filled_in_where_they_can_be_and_told_where_not():
    found = read(
        "[g]\na ansible_host=\"{{ inventory_hostname }}.{{ domain }}\"\nb ansible_host=\"{{ lookup('env', 'B') }}\"\n"
        'c ansible_host=10.0.0.3 ansible_user="{{ nobody }}"\n[g:vars]\ndomain=lab.example\nansible_user=ops\n'
    )
    assert short(found) == [("a", "a.lab.example"), ("c", "10.0.0.3")]
    assert left(found, "line 3:", "ansible_host", "template")
    assert left(found, "line 3:", "b: its address is not known")
    assert left(found, "line 4:", "ansible_user", "template")
    assert "user" not in ssh(found, "c")


def test_other_connections_and_this_computer():
    found = read(
        "[g]\nd ansible_connection=docker\nwin ansible_host=10.0.0.9 ansible_connection=winrm\nlocalhost ansible_connection=local\n"
        "me ansible_connection=local ip=10.0.0.1 ansible_host=10.0.0.1\ns ansible_host=10.0.0.2 ansible_connection=ssh\n"
    )
    assert [(node["name"], node.get("local", False)) for node in found.nodes] == [("me", True), ("s", False)]
    assert left(found, "line 2:", "docker")
    assert left(found, "line 3:", "winrm")
    assert left(found, "line 4:", "this computer")


def test_a_vagrant_inventory_is_of_no_use_to_the_other_servers():
    found = read("default ansible_host=127.0.0.1 ansible_port=2222 ansible_user='vagrant' ansible_ssh_private_key_file='/v/key'\n")
    assert not found.nodes
    assert left(found, "line 1:", "loopback")


def test_becoming_root_in_another_way_is_told():
    found = read(
        "[g]\nh ansible_host=10.0.0.1\n[g:vars]\nansible_become_method=su\nansible_become_user=admin\nansible_become=yes\nhttp_proxy=http://u:p@x\n"
    )
    assert left(found, "line 4:", "ansible_become_method", "sudo")
    assert left(found, "line 5:", "ansible_become_user")
    assert left(found, "line 7:", "http_proxy", "proxy.http")
    assert not left(found, "ansible_become:")
    assert "u:p@x" not in repr(found)


def test_roles_of_other_projects_groups():
    k3s = "k3s_cluster:\n  children:\n    server: {hosts: {192.16.35.11: }}\n    agent: {hosts: {192.16.35.12: }}\n  vars: {ansible_user: debian}\n"
    assert [(*node["roles"], node["ssh"]["user"]) for node in read(k3s).nodes] == [
        ("control-plane", "debian"),
        ("worker", "debian"),
    ]
    for text in (
        "[masters]\na ansible_host=10.0.0.1\n[nodes]\nb ansible_host=10.0.0.2\n",
        "[master]\na ansible_host=10.0.0.1\n[node]\nb ansible_host=10.0.0.2\n[k3s_cluster:children]\nmaster\nnode\n",
        "[rke2_servers]\na ansible_host=10.0.0.1\n[rke2_agents]\nb ansible_host=10.0.0.2\n[rke2_cluster:children]\nrke2_servers\nrke2_agents\n",
        "[kube_master]\na ansible_host=10.0.0.1\n[kube_nodes]\nb ansible_host=10.0.0.2\n",
        "[control_plane]\na ansible_host=10.0.0.1\n[worker_nodes]\nb ansible_host=10.0.0.2\n",
    ):
        assert short(read(text)) == [("a", "10.0.0.1", "control-plane"), ("b", "10.0.0.2", "worker")], text


def test_the_word_for_all_servers_is_no_role():
    assert all("roles" not in node for node in read("[servers]\na ansible_host=10.0.0.1\nb ansible_host=10.0.0.2\n").nodes)
    found = read(
        "[kube_control_plane]\na ansible_host=10.0.0.1\n[kube_node]\nb ansible_host=10.0.0.2\n[nodes:children]\nkube_control_plane\nkube_node\n"
    )
    assert short(found) == [("a", "10.0.0.1", "control-plane"), ("b", "10.0.0.2", "worker")]


def test_who_stands_outside_of_the_clusters_groups_is_not_taken():
    found = read(
        "[kube_control_plane]\na ansible_host=10.0.0.1\n[kube_node]\nb ansible_host=10.0.0.2\n[mail]\nc ansible_host=10.0.0.3\n[etcd]\ne ansible_host=10.0.0.4\n"
    )
    assert [node["name"] for node in found.nodes] == ["a", "b"]
    assert left(found, "line 6:", "c: only in mail")
    assert left(found, "line 8:", "e: only in etcd")


def test_circles_of_groups_are_told():
    found = read("[a:children]\nb\n[b:children]\na\n[b]\nh ansible_host=10.0.0.1\n")
    assert short(found) == [("h", "10.0.0.1")]
    assert left(found, "line 4:", "circle")


def test_what_ansible_inventory_prints():
    found = read(
        '{"_meta": {"hostvars": {"m": {"ansible_host": "10.0.0.1", "ansible_password": "pw", "ansible_port": 2222}, "w": {"ansible_host": "10.0.0.2"}}},\n'
        ' "all": {"children": ["kube_control_plane", "kube_node", "ungrouped"]}, "kube_control_plane": {"hosts": ["m"]},\n'
        ' "kube_node": {"hosts": ["w"], "vars": {"ansible_user": "z"}}}'
    )
    assert found.form == "ansible-json"
    assert short(found) == [("m", "10.0.0.1", "control-plane"), ("w", "10.0.0.2", "worker")]
    assert ssh(found, "m") == {"port": 2222}
    assert ssh(found, "w") == {"user": "z"}
    assert left(found, "ansible_password")


def test_hosts_as_a_list_are_taken_though_ansible_refuses_them():
    assert short(read("all:\n  hosts:\n  - a\n  - b\n  children:\n    g: {hosts: {c: }}\n")) == [("a", "a"), ("b", "b"), ("c", "c")]


def test_faulty_yaml_groups_are_told():
    found = read("all:\n  hosts: {a: {ansible_host: 10.0.0.1}}\n  children: [x]\n  host: {b: }\n  vars: text\n")
    assert short(found) == [("a", "10.0.0.1")]
    assert left(found, "line 3:", "children")
    assert left(found, "line 4:", "host")
    assert left(found, "line 5:", "no mapping")


def test_a_key_twice_in_one_mapping_is_told():
    found = read("all:\n  hosts:\n    a: {ansible_host: 10.0.0.1}\n    a: {ansible_host: 10.0.0.2}\n")
    assert short(found) == [("a", "10.0.0.2")]
    assert left(found, "line 4:", "a stands twice")


def test_variables_of_another_host_in_a_template():
    found = read(
        "bastion ansible_host=198.51.100.7 ansible_user=j\n[w]\nw1 ansible_host=10.0.0.1\n[w:vars]\n"
        """ansible_ssh_common_args='-o ProxyCommand="ssh -W %h:%p {{ hostvars["bastion"].ansible_user }}@{{ hostvars["bastion"]["ansible_host"] }}"'\n"""
    )
    assert short(found) == [("w1", "10.0.0.1")]
    assert ssh(found, "w1") == {"jumpHosts": [{"address": "198.51.100.7", "user": "j"}]}
