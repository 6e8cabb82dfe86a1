"""Plain lists, lines of /etc/hosts, tables: which word is the address, and what is not taken."""

import pytest

from tests.unit.answers.inventory.read import left, read, short, ssh

ETC_HOSTS = """127.0.0.1 localhost
192.168.0.111 master
192.168.0.169 worker1 worker1.lab.example
192.168.1.35\tworker2
::1 ip6-localhost ip6-loopback
"""


def test_lines_of_etc_hosts_have_the_address_first():
    found = read(ETC_HOSTS)
    assert found.form == "hosts"
    assert [(node["name"], node["address"]) for node in found.nodes] == [
        ("master", "192.168.0.111"),
        ("worker1", "192.168.0.169"),
        ("worker2", "192.168.1.35"),
    ]
    assert len(found.left) == 2
    assert left(found, "line 1:", "localhost", "loopback")
    assert left(found, "line 5:", "ip6-localhost")
    assert any("worker1.lab.example" in note for note in found.notes)
    assert any("master, the first, becomes the control plane" in note for note in found.about_roles)


def test_a_whole_etc_hosts_of_a_debian_machine():
    found = read(
        "# comment\n127.0.0.1\tlocalhost\n127.0.1.1\tme.lab me\n10.0.0.2 w1 # here\nfe00::0 ip6-localnet\nff02::1 ip6-allnodes\n"
        "fe80::1%lo0 localhost\n255.255.255.255 broadcasthost\n0.0.0.0 ads.example\n192.168.65.2 host.docker.internal\n2001:db8::7 w2\n"
    )
    assert short(found) == [("w1", "10.0.0.2"), ("w2", "2001:db8::7")]
    assert len(found.left) == 8


def test_names_give_roles_only_where_the_first_is_none_by_its_name():
    found = read("10.0.0.2 worker1\n10.0.0.1 master1\n")
    assert short(found) == [("worker1", "10.0.0.2", "worker"), ("master1", "10.0.0.1", "control-plane")]
    assert "by their names" in found.about_roles[0]


def test_a_plain_list():
    found = read(
        "# mine\nmaster 192.168.0.111 control-plane\nworker1,192.168.0.169\nubuntu@192.168.1.35:2222\nserver.example.org\na b c d\n- 10.0.0.4\n[2001:db8::1]:22\n"
    )
    assert short(found) == [
        ("master", "192.168.0.111", "control-plane"),
        ("worker1", "192.168.0.169", "worker"),
        ("node3", "192.168.1.35", "worker"),
        ("server", "server.example.org", "worker"),
        ("node5", "10.0.0.4", "worker"),
        ("node6", "2001:db8::1", "worker"),
    ]
    assert ssh(found, "node3") == {"user": "ubuntu", "port": 2222}
    assert found.left == ("line 6: 4 words; write: name address role",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.1,10.0.0.2, 10.0.0.3", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("10.0.0.1 10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("root@10.0.0.1,root@10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.1-3", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("10.0.0.1-10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("n[08:10:2].lab", ["n08.lab", "n10.lab"]),
        ("1. 10.0.0.1\n2) 10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("m: 10.0.0.1\nw: 10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("m=10.0.0.1\nw=10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("ssh://u@10.0.0.1:2222", ["10.0.0.1"]),
        ("* 10.0.0.1", ["10.0.0.1"]),
    ],
)
def test_ways_to_write_addresses(text, wanted):
    assert [node["address"] for node in read(text).nodes] == wanted


def test_an_address_and_a_role_word_are_no_name():
    found = read("10.0.0.1 master\n10.0.0.2 worker\n10.0.0.3 worker\n")
    assert short(found) == [
        ("node1", "10.0.0.1", "control-plane"),
        ("node2", "10.0.0.2", "worker"),
        ("node3", "10.0.0.3", "worker"),
    ]


def test_a_pasted_command_of_ssh():
    found = read("ssh -i ~/.ssh/k -p 2200 -J j@b.example:2022 root@10.0.0.20\n")
    assert found.nodes == (
        {
            "name": "node1",
            "address": "10.0.0.20",
            "ssh": {
                "user": "root",
                "port": 2200,
                "keys": ["~/.ssh/k"],
                "jumpHosts": [{"address": "b.example", "user": "j", "port": 2022}],
            },
        },
    )


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1 root Geh3im!x\n10.0.0.2 w\n",
        "root:Geh3im!x@10.0.0.1\n",
        "10.0.0.1:Geh3im!x\n",
        "w1 10.0.0.1 password=Geh3im!x\n",
        "name,ip,password\nw1,10.0.0.1,Geh3im!x\n",
        "[a]\nw1 ansible_host=10.0.0.1 Geh3im!x\n",
        "[a]\nw1 ansible_host=10.0.0.1 ansible_ssh_pass='Geh3im!x'\n",
        "[a]\nw1 ansible_ssh_common_args='-o ProxyCommand=\"sshpass -p Geh3im!x ssh -W %h:%p b\"'\n",
        "Host w1\n  ProxyCommand sshpass -p Geh3im!x ssh -W %h:%p b\n",
        "spec: {hosts: [{ssh: {address: 10.0.0.1, password: Geh3im!x}}]}\n",
        "nodes:\n- {address: 10.0.0.1, role: [worker], ssh_key: Geh3im!x}\n",
        '{"_meta": {"hostvars": {"a": {"ansible_become_password": "Geh3im!x"}}}, "g": {"hosts": ["a"]}}',
        "version: 1\nssh: {password: Geh3im!x}\nnodes: [{name: a, address: 10.0.0.1}]\n",
    ],
)
def test_a_password_is_told_and_never_shown(text):
    found = read(text)
    assert found.left
    assert "Geh3im" not in repr(found)


def test_a_private_key_is_not_read_line_by_line():
    text = "w1 10.0.0.1\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    for form in ("", "list", "ansible-ini", "csv"):
        found = read(text, form)
        assert not found.nodes
        assert "b3Blb" not in repr(found)


def test_a_table_with_a_heading_mark_and_quotes():
    found = read(
        '\ufeffHostname;IP;Role;User;Password;SSH Port;Rack\r\n"m";10.0.0.1;control plane;ubuntu;x;22;a\r\nw1;10.0.0.2;worker;;;2222;\r\n'
        "b1;10.0.0.9;bastion;jump;;;\r\nlb;10.0.0.4;loadbalancer;;;;\r\n"
    )
    assert found.form == "csv"
    assert short(found) == [("m", "10.0.0.1", "control-plane"), ("w1", "10.0.0.2", "worker")]
    way = [{"address": "10.0.0.9", "user": "jump"}]
    assert ssh(found, "m") == {"user": "ubuntu", "jumpHosts": way}
    assert ssh(found, "w1") == {"port": 2222, "jumpHosts": way}
    assert left(found, "line 1:", "Rack")
    assert left(found, "line 2:", "Password", "never copied")
    assert left(found, "line 4:", "b1", "jump host")
    assert left(found, "line 5:", "lb", "loadbalancer")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_every_delimiter(mark):
    found = read(f"name{mark}address{mark}role\nm{mark}10.0.0.1{mark}master\nw{mark}10.0.0.2{mark}\n")
    assert short(found) == [("m", "10.0.0.1", "control-plane"), ("w", "10.0.0.2", "worker")]


def test_a_table_of_markdown():
    found = read("| Name | Public IP | Private IP |\n|---|---|---|\n| m | 1.2.3.4 | 10.0.0.1 |\n")
    assert short(found) == [("m", "1.2.3.4")]
    assert left(found, "line 3:", "Private IP", "10.0.0.1 of m")


def test_rows_without_a_heading():
    assert short(read("m,10.0.0.1,master\nw,10.0.0.2,worker\n")) == [
        ("m", "10.0.0.1", "control-plane"),
        ("w", "10.0.0.2", "worker"),
    ]


def test_a_list_of_records():
    found = read('[{"name": "m", "ip": "10.0.0.1", "role": "master"}, {"name": "w", "ip": "10.0.0.2", "role": "worker"}]')
    assert short(found) == [("m", "10.0.0.1", "control-plane"), ("w", "10.0.0.2", "worker")]


def test_the_same_row_twice_is_told_and_another_one_is_a_clash():
    found = read("a 10.0.0.1\na 10.0.0.1\na 10.0.0.2\nb 10.0.0.1\n")
    assert [(node["name"], node["address"]) for node in found.nodes] == [("a", "10.0.0.1")]
    assert found.left == (
        "line 2: a: stands twice (as in line 1)",
        "line 3: a: stands twice, as 10.0.0.1 in line 1 and as 10.0.0.2 here",
        "line 4: b: 10.0.0.1 is a's address already",
    )
    assert [(clash.name, clash.line, clash.node["address"]) for clash in found.clashes] == [("a", 3, "10.0.0.2")]


def test_a_bastion_by_its_name_is_no_node():
    found = read("m 10.0.0.1\nbastion 203.0.113.9\n")
    assert short(found) == [("m", "10.0.0.1")]
    assert ssh(found, "m") == {"jumpHosts": [{"address": "203.0.113.9"}]}
    assert left(found, "line 2:", "bastion", "no node")


def test_a_name_with_addresses_of_both_families_is_one_server():
    found = read("10.0.0.1 m\n2001:db8::1 m\n10.0.0.2 w\n2001:db8::2 w\n")
    assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "10.0.0.1"), ("w", "10.0.0.2")]
    assert not found.clashes
    assert left(found, "lines 2, 4:", "2001:db8::1 of m", "2001:db8::2 of w")


def test_headings_in_other_words():
    found = read(
        "Server Name,Private IP Address,Public IP Address,SSH User Name,MAC Address,BMC Password\nm,10.0.0.1,1.2.3.4,ubuntu,aa:bb,Geh3im\n"
    )
    assert short(found) == [("m", "1.2.3.4")]
    assert ssh(found, "m") == {"user": "ubuntu"}
    assert left(found, "Private IP Address", "10.0.0.1")
    assert left(found, "MAC Address")
    assert left(found, "BMC Password")
    assert "Geh3im" not in repr(found)


def test_a_table_of_columns_as_a_cloud_prints_it():
    found = read(
        "ID        NAME   STATUS    IPV4           IPV6   PRIVATE NET   AGE\n4711      m      running   203.0.113.7    -      -             3d\n"
        "4712      w1     running   203.0.113.8    -      -             3d\n"
    )
    assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "203.0.113.7"), ("w1", "203.0.113.8")]
    assert left(found, "line 1:", "STATUS")


def test_a_server_whose_name_has_the_words_of_a_heading_is_none():
    found = read("login-1,ip-10-0-0-1.ec2.internal\nlogin-2,ip-10-0-0-2.ec2.internal\n")
    assert [node["address"] for node in found.nodes] == ["ip-10-0-0-1.ec2.internal", "ip-10-0-0-2.ec2.internal"]
