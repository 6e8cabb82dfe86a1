"""Tables as people and other tools write them: which of several columns counts, titles above the heading, cells with more than an address."""

import pytest

from tests.unit.answers.inventory.read import left, read, short, ssh

M = ("m", "10.0.0.1", "control-plane")
W = ("w", "10.0.0.2", "worker")


@pytest.mark.parametrize("heading", ["gateway", "Default Gateway", "gw", "Gateway IP", "gateway_address", "proxy"])
def test_a_networks_gateway_is_no_jump_host(heading):
    found = read(f"name,ip,{heading},role\nm,10.0.0.1,10.0.0.254,master\nw,10.0.0.2,10.0.0.254,worker\n")
    assert short(found) == [M, W]
    assert ssh(found, "m") == ssh(found, "w") == {}
    assert left(found, "line 1:", heading, "not taken over")


@pytest.mark.parametrize("heading", ["Jump Host", "bastion", "ProxyJump"])
def test_a_column_that_says_jump_host_is_one(heading):
    found = read(f"name,ip,gateway,{heading}\nm,10.0.0.1,10.0.0.254,j@b.example\n")
    assert ssh(found, "m") == {"jumpHosts": [{"address": "b.example", "user": "j"}]}


@pytest.mark.parametrize("heading", ["host", "Server", "hostname", "fqdn"])
def test_a_host_beside_a_name_is_the_address_where_there_is_no_other(heading):
    found = read(f"name,{heading},role\nm,root@10.0.0.1,master\nw,w.lab.example,worker\n")
    assert short(found) == [M, ("w", "w.lab.example", "worker")]
    assert ssh(found, "m") == {"user": "root"}
    assert short(read(f"{heading},name,role\n10.0.0.1,m,master\nw.lab.example,w,worker\n"))[0] == M


def test_the_value_says_which_of_two_names_is_the_address():
    assert short(read("hostname,host,role\nm,10.0.0.1,master\n")) == [M]
    assert short(read("host,hostname,role\nm,10.0.0.1,master\n")) == [M]
    assert short(read("vm,machine,role\nm,10.0.0.1,master\n")) == [M]


def test_the_second_of_two_columns_with_one_meaning_is_told():
    found = read("name,hostname,ip,user,login\nm,m.lab.example,10.0.0.1,ubuntu,admin\nw,w,10.0.0.2,ubuntu,ubuntu\n")
    assert [(node["name"], node["address"], node["ssh"]["user"]) for node in found.nodes] == [
        ("m", "10.0.0.1", "ubuntu"),
        ("w", "10.0.0.2", "ubuntu"),
    ]
    assert left(found, "line 2:", "hostname", "column name is taken")
    assert left(found, "line 2:", "login", "column user is taken")
    assert len(found.left) == 2


def test_one_heading_twice_is_told():
    found = read("name,ip,ip\nm,10.0.0.1,10.9.0.1\n")
    assert [node["address"] for node in found.nodes] == ["10.0.0.1"]
    assert left(found, "line 2:", "10.9.0.1 of m")


@pytest.mark.parametrize("heading", ["type", "group", "kind", "Groups"])
def test_a_role_counts_for_more_than_a_type_or_a_group(heading):
    found = read(f"name,{heading},ip,role\nm,agent,10.0.0.1,master\nw,server,10.0.0.2,worker\nx,server,10.0.0.3,\n")
    assert short(found) == [M, W, ("x", "10.0.0.3", "worker")]
    assert left(found, heading, "column role is taken")


def test_of_a_type_and_a_group_the_one_with_roles_counts():
    found = read("name,ip,type,group\nm,10.0.0.1,vm,masters\nw,10.0.0.2,vm,workers\n")
    assert short(found) == [M, W]
    assert left(found, "type", "column group is taken")


@pytest.mark.parametrize("key", ["host", "hostname", "server", "fqdn"])
def test_records_whose_address_is_called_host(key):
    found = read(f"- {key}: 10.0.0.1\n  role: master\n  user: root\n- {key}: w.lab.example\n  role: worker\n")
    assert found.form == "records"
    assert [(node["address"], *node["roles"]) for node in found.nodes] == [
        ("10.0.0.1", "control-plane"),
        ("w.lab.example", "worker"),
    ]
    assert found.nodes[0]["ssh"] == {"user": "root"}
    assert short(read(f"- name: m\n  {key}: 10.0.0.1\n  role: master\n")) == [M]
    assert short(read(f"servers:\n- name: m\n  {key}: 10.0.0.1\n  role: master\n")) == [M]


@pytest.mark.parametrize(
    "title", ["Server list", "Cluster Servers 2024,,", "Our servers:", "Servers", "Inventory v1.2", "Rack-5 servers"]
)
def test_a_title_is_no_server(title):
    for rest in ("m,10.0.0.1,master\nw,10.0.0.2,worker\n", "name,ip,role\nm,10.0.0.1,master\nw,10.0.0.2,worker\n"):
        found = read(f"{title}\n{rest}")
        assert short(found) == [M, W]
        assert left(found, "line 1:")
    found = read(f"{title}\n\nm 10.0.0.1 master\nw 10.0.0.2 worker\n")
    assert short(found) == [M, W]
    assert left(found, "line 1:", "no address")


def test_a_list_of_short_names_stays_one():
    assert [node["address"] for node in read("alpha\nbeta\n").nodes] == ["alpha", "beta"]
    assert [node["address"] for node in read("10.0.0.1\nnode-7\nu@gamma\n").nodes] == ["10.0.0.1", "node-7", "gamma"]


def test_a_total_below_a_table_is_no_server():
    found = read("name,ip,role\nm,10.0.0.1,master\nTotal,,1\nWorkers,,\nw,10.0.0.2,worker\n")
    assert short(found) == [M, W]
    assert left(found, "line 3:", "no address")
    assert left(found, "line 4:", "no address")


def test_what_nmap_prints():
    found = read(
        "Starting Nmap 7.94 ( https://nmap.org ) at 2024-05-01 10:00 UTC\nNmap scan report for m (10.0.0.1)\nHost is up (0.00020s latency).\n"
        "Not shown: 999 closed tcp ports (reset)\nPORT   STATE SERVICE\n22/tcp open  ssh\nMAC Address: 08:00:27:AA:BB:CC (Oracle)\n\n"
        "Nmap scan report for 10.0.0.2\nHost is up.\nNmap scan report for 10.0.0.3 [host down]\nNmap done: 256 IP addresses (2 hosts up) scanned in 2.51 seconds\n"
    )
    assert found.form == "list"
    assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "10.0.0.1"), ("node2", "10.0.0.2")]
    assert left(found, "3", "10", "Host is up") or left(found, "line 3:")


def test_a_table_that_begins_with_host_is_no_ssh_config():
    assert short(read("HOST   IP         ROLE\nm      10.0.0.1   master\nw      10.0.0.2   worker\n")) == [M, W]
    assert short(read("host ip role\nm 10.0.0.1 master\nw 10.0.0.2 worker\n")) == [M, W]
    assert read("Host a b\nHost c\n").form == "ssh-config"


@pytest.mark.parametrize(
    "command",
    [
        'ssh -o ProxyCommand="ssh -W %h:%p bastion" ubuntu@10.0.0.3',
        'ssh -o ProxyCommand="ssh -W %%h:%%p bastion" ubuntu@10.0.0.3',
        "ssh -o 'ProxyCommand ssh -W %h:%p bastion' ubuntu@10.0.0.3",
        "$ ssh -o user=ubuntu -J bastion 10.0.0.3",
    ],
)
def test_a_quoted_proxy_command_is_the_way_of_its_line_alone(command):
    found = read(f"10.0.0.1\n{command}\nssh root@10.0.0.2\n")
    assert [node["address"] for node in found.nodes] == ["10.0.0.1", "10.0.0.3", "10.0.0.2"]
    assert [node.get("ssh") for node in found.nodes] == [
        None,
        {"user": "ubuntu", "jumpHosts": [{"address": "bastion"}]},
        {"user": "root"},
    ]
    assert not found.left


def test_a_command_in_the_marks_of_markdown():
    found = read('10.0.0.1\n- `ssh -o ProxyCommand="ssh -W %h:%p bastion" ubuntu@10.0.0.3`\n')
    assert [node["address"] for node in found.nodes] == ["10.0.0.1", "10.0.0.3"]
    assert "ssh" not in found.nodes[0]


def test_titles_with_a_colon_between_addresses_are_no_broken_yaml():
    found = read("Masters:\n10.0.0.1\nWorkers:\nroot@10.0.0.2\n10.0.0.3 w\n")
    assert [node["address"] for node in found.nodes] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert left(found, "line 1:", "no address")
    assert left(found, "line 3:", "no address")


def test_a_command_that_goes_on_in_the_next_line():
    found = read('ssh -o ProxyCommand="ssh -W %h:%p bastion" \\\n  ubuntu@10.0.0.3\n10.0.0.4\n')
    assert [node["address"] for node in found.nodes] == ["10.0.0.3", "10.0.0.4"]
    assert ssh(found, "node1") == {"user": "ubuntu", "jumpHosts": [{"address": "bastion"}]}
    assert found.lines["node2"] == 3


def test_a_quoted_cell_over_two_lines():
    for heading in ("", "name,ipv4\n"):
        found = read(f'{heading}m,"10.0.0.1 (eth0)\n172.17.0.1 (docker0)"\nw,10.0.0.2 (eth0)\n')
        assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "10.0.0.1"), ("w", "10.0.0.2")]
        assert left(found, "172.17.0.1")


@pytest.mark.parametrize(
    "text", ['m 10.0.0.1 # 19" rack\nw 10.0.0.2 # 19" rack\n', 'name,ip,rack\nm,10.0.0.1,19"\nw,10.0.0.2,19"\n']
)
def test_a_quote_that_opens_no_cell_joins_no_lines(text):
    assert [(node["name"], node["address"]) for node in read(text).nodes] == [("m", "10.0.0.1"), ("w", "10.0.0.2")]


def test_an_indented_address_is_no_name_where_columns_do_not_line_up():
    found = read("Name   State   IPv4   Image\nm   Running   10.0.0.1   Ubuntu 24.04 LTS\n              10.1.0.1\n")
    assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "10.0.0.1")]
    assert left(found, "line 3:", "10.1.0.1 of m")


def test_a_quote_that_is_not_closed_is_told():
    found = read('10.0.0.1\nssh -o ProxyCommand="ssh -W %h:%p bastion ubuntu@10.0.0.3\n')
    assert [node["address"] for node in found.nodes] == ["10.0.0.1"]
    assert left(found, "line 2:", "quote")


def test_the_second_line_of_a_row_of_multipass():
    found = read(
        "Name                    State             IPv4             Image\nm                       Running           10.0.0.1         Ubuntu 22.04 LTS\n"
        "                                          172.17.0.1\n                                          10.42.0.0\n"
        "w                       Running           10.0.0.2         Ubuntu 22.04 LTS\nx                       Stopped           --               Ubuntu 22.04 LTS\n"
    )
    assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "10.0.0.1"), ("w", "10.0.0.2")]
    assert left(found, "lines 3, 4:", "172.17.0.1 of m", "10.42.0.0 of m")
    assert left(found, "line 6:", "no address")


def test_the_list_of_lxc():
    found = read(
        "+------+---------+-------------------+----------------------+-----------+-----------+\n"
        "| NAME |  STATE  |       IPV4        |         IPV6         |   TYPE    | SNAPSHOTS |\n"
        "+------+---------+-------------------+----------------------+-----------+-----------+\n"
        "| m    | RUNNING | 10.0.0.1 (eth0)   | fd42::1 (eth0)       | CONTAINER | 0         |\n"
        "|      |         | 172.17.0.1 (docker0) |                   |           |           |\n"
        "+------+---------+-------------------+----------------------+-----------+-----------+\n"
        "| w    | RUNNING | 10.0.0.2 (eth0)   |                      | CONTAINER | 0         |\n"
    )
    assert [(node["name"], node["address"]) for node in found.nodes] == [("m", "10.0.0.1"), ("w", "10.0.0.2")]
    assert left(found, "line 5:", "172.17.0.1 of m")
    assert left(found, "fd42::1 of m")
    assert [node["address"] for node in read("m,10.0.0.1 (eth0)\nw,10.0.0.2 (enp5s0)\n").nodes] == ["10.0.0.1", "10.0.0.2"]


def test_exports_of_an_address_management():
    found = read("name,status,role,primary_ip4,oob_ip\nm,active,master,10.0.0.1/24,10.9.9.1/24\nw,active,worker,10.0.0.2/24,\n")
    assert short(found) == [M, W]
    assert left(found, "oob_ip")
    assert short(read("Name,IP Address,Role\nm,10.0.0.1/24,master\nv,2001:db8::7/64,worker\n")) == [
        M,
        ("v", "2001:db8::7", "worker"),
    ]
    assert short(read("m 10.0.0.1/24 master\nw 10.0.0.2/32 worker\n")) == [M, W]
    found = read("name,prefix_ip\nm,10.0.0.1/24\nlan,10.0.0.0/24\n")
    assert [node["name"] for node in found.nodes] == ["m"]
    assert left(found, "line 3:", "network")


def test_records_of_an_address_management():
    found = read(
        '{"count": 2, "results": [{"name": "m", "role": {"name": "master"}, "primary_ip4": {"id": 1, "address": "10.0.0.1/24"}},'
        ' {"name": "w", "role": {"name": "worker"}, "primary_ip4": {"id": 2, "address": "10.0.0.2/24"}}]}'
    )
    assert short(found) == [M, W]


def test_what_spreadsheets_put_in_front():
    for first in ("sep=;", '"sep=;"', "SEP=;"):
        assert short(read(f"{first}\r\nname;ip;role\r\nm;10.0.0.1;master\r\nw;10.0.0.2;worker\r\n")) == [M, W]
    found = read("#,Name,IP,Role\n1,m,10.0.0.1,master\n2,w,10.0.0.2,worker\n")
    assert short(found) == [M, W]
    assert short(
        read("| # | Name | IP | Role |\n|---|---|---|---|\n| 1 | m | 10.0.0.1 | master |\n| 2 | w | 10.0.0.2 | worker |\n")
    ) == [M, W]
    assert short(read("#  NAME  IP  ROLE\n1  m  10.0.0.1  master\n2  w  10.0.0.2  worker\n")) == [M, W]


@pytest.mark.parametrize("role", ["Control Plane + Worker", "control plane and worker", "Master / Worker", "Control Plane; Worker"])
def test_both_roles_in_words(role):
    found = read(f'name,ip,role\nm,10.0.0.1,"{role}"\n')
    assert short(found) == [(*M, "worker")]
    assert short(read(f"m 10.0.0.1 {role}\n")) == [(*M, "worker")]
