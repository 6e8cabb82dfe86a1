"""Kinds of files as people have them in public: whatever is not taken stands in `left`, and no secret does."""

import pytest

from kfinstall.answers.inventory import forms
from tests.unit.answers.inventory.read import left, read, short, ssh

NO_PLACE = "the answers have no place for it"


def test_one_name_for_two_servers_says_nothing_of_taking():
    found = read("name,ip\nw1,10.0.0.2\nw1,10.0.0.3\n")
    assert found.left == ("line 3: w1: stands twice, as 10.0.0.2 in line 2 and as 10.0.0.3 here",)
    assert not left(found, "taken")


def test_one_name_with_two_logins_has_one_address_and_something_else():
    found = read("[all]\na ansible_host=10.0.0.1\n[x]\nA ansible_host=10.0.0.1 ansible_user=root\n")
    assert left(found, "A: 10.0.0.1 is a's address already") or left(found, "with something else here than in line 2")


def test_a_row_without_an_address_is_told_beside_those_with_one():
    found = read("name;ip;role\ncp;10.0.0.1;master\nw1;;worker\nw2;TBD;worker\nw3;dhcp;worker\nw4;10.0.0.2;worker\n")
    assert short(found) == [("cp", "10.0.0.1", "control-plane"), ("w4", "10.0.0.2", "worker")]
    assert left(found, "line 3", "w1: no address in it")
    assert left(found, "line 4", "w2: TBD is a placeholder")
    assert left(found, "line 5", "w3: dhcp is a placeholder")


@pytest.mark.parametrize(
    "address",
    [
        "<MASTER_IP>",
        "$MASTER_IP",
        "${master_ip}",
        "192.168.x.x",
        "x.x.x.x",
        "10.0.??.??",
        "TBD",
        "todo",
        "YOUR_SERVER_IP",
        "your-ip",
    ],
)
def test_a_placeholder_is_no_address(address):
    found = read(f"[masters]\ncp ansible_host={address}\n[workers]\nw ansible_host=10.0.0.2\n")
    assert [node["name"] for node in found.nodes] == ["w"]
    assert left(found, "cp: ", "is a placeholder that nobody has filled in")


@pytest.mark.parametrize("address", ["node1", "my-server.example.com", "x.example.com", "n1.x.lab", "1a.b.c.d", "dhcp1", "tip"])
def test_names_that_are_none_of_placeholders(address):
    assert [node["address"] for node in read(f"[masters]\ncp ansible_host={address}\n").nodes] == [address]


def test_a_template_is_told_once_and_says_what_to_import():
    found = read("[masters]\n%{ for ip in masters ~}\n${ip}\n%{ endfor ~}\n[workers]\n{{ worker }}\n{% for x in y %}\n")
    assert not found.nodes
    assert left(found, "lines 2, 4, 6, 7: a line of a template")
    assert "secret" not in "".join(found.left)
    assert "import the file that it has made" in found.instead


MAIL = (
    "Contact: admin@example.com",
    "Maintainer: Jane Doe <jane@example.com>",
    "ask ops@example.com",
    "mail jane.doe@gmail.com",
    "ops@example.com",
)


@pytest.mark.parametrize("line", MAIL)
def test_an_address_to_write_to_is_no_server(line):
    found = read(f"Our servers\n{line}\n10.0.0.1\n10.0.0.2 worker\n")
    assert [node["address"] for node in found.nodes] == ["10.0.0.1", "10.0.0.2"]
    assert left(found, "line 2: taken for an e-mail address")


@pytest.mark.parametrize(
    "line",
    [
        "master root@master.example.com",
        "cp1 root@10.0.0.9",
        "root@n3.example.com:22",
        "n-3 root@box.example.com",
        "worker ubuntu@box.example.com",
    ],
)
def test_a_login_with_a_name_stays_a_server(line):
    found = read(f"10.0.0.1\n{line}\n")
    assert len(found.nodes) == 2, found.left


def test_logins_at_names_alone_are_servers():
    assert len(read("root@a.example.com\nroot@b.example.com\n").nodes) == 2


SETTINGS = (
    "ServerAliveInterval 30",
    "ServerAliveCountMax=3",
    "ControlPath ~/.ssh/%C",
    "IdentitiesOnly yes",
    "LocalForward 80 a:80",
    "Compression yes",
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_ssh_without_a_place_in_the_answers_are_told(setting):
    key = setting.replace("=", " ").split()[0]
    found = read(f"Host *\n  {setting}\nHost a\n  HostName 10.0.0.1\n")
    assert left(found, f"line 2: {key}: not taken over", NO_PLACE)


@pytest.mark.parametrize("option", ["ServerAliveInterval=30", "ControlMaster=auto", "ConnectTimeout=5"])
def test_the_same_in_arguments_of_ansible_and_commands(option):
    key = option.partition("=")[0]
    assert left(
        read(f"[masters]\na ansible_host=10.0.0.1 ansible_ssh_common_args='-o {option}'\n"), f"{key}: not taken over", NO_PLACE
    )
    found = read(f"ssh -A -o {option} root@10.0.0.1 uptime\nssh root@10.0.0.2\n")
    assert left(found, f"line 1: {key}: not taken over", NO_PLACE)
    assert left(found, "line 1: -A: not taken over")
    assert left(found, "line 1: what the command of ssh does on the server")


def test_settings_that_count_for_nobody_are_told():
    found = read(
        "Host a\n  HostName 10.0.0.1\n  ProxyJump j@203.0.113.1\nHost a b*\n  ProxyCommand nc -x s %h %p\nHost c-*\n  User cora\n"
    )
    assert left(found, "line 5: ProxyCommand: counts for no server here")
    assert left(found, "line 7: User: counts for no server here")
    assert ssh(found, "a")["jumpHosts"] == [{"address": "203.0.113.1", "user": "j"}]


def test_canonical_blocks_count_only_while_ssh_runs():
    found = read("Host a\n  HostName 10.0.0.1\nMatch canonical all\n  User x\n")
    assert ssh(found, "a") == {}
    assert left(found, "line 3: Match canonical")


def test_a_page_with_an_inventory_in_it():
    found = read(
        "# Ours\n\nEdit `hosts.ini`:\n\n```ini\n[master]\n10.0.0.1\n[node]\n10.0.0.2\n```\nThen run it with -i hosts.ini\n"
    )
    assert short(found) == [("node1", "10.0.0.1", "control-plane"), ("node2", "10.0.0.2", "worker")]
    assert found.left == ("lines 1, 3, 11: outside of the block in lines 6 to 9, and not read",)


def test_the_first_block_with_servers_counts_and_others_are_told():
    found = read("```\napt install x\n```\n~~~\n10.0.0.1 cp\n10.0.0.2 w\n~~~\n")
    assert [node["name"] for node in found.nodes] == ["cp", "w"]
    assert left(found, "line 2: outside of the block in lines 5 to 6")


def test_groups_that_say_which_of_their_kind():
    text = "[master]\n10.0.0.1\n[additional_master]\n10.0.0.2\n[gpu_workers]\n10.0.0.3\n[gpu-nodes]\n10.0.0.4\n[prod_servers]\n10.0.0.5\n"
    found = read(text)
    assert [node["roles"] for node in found.nodes] == [["control-plane"], ["control-plane"], ["worker"], ["worker"]]
    assert left(found, "10.0.0.5: only in prod_servers")


def test_hosts_and_sentences_among_groups_of_groups():
    found = read("[a_masters]\nm ansible_host=10.0.0.1\n[k8s_cluster:children]\na_masters\nm\nkube_nodes\n")
    assert left(found, "line 5: m in [k8s_cluster:children]: a host, and only groups stand there")
    assert left(found, "line 6: kube_nodes in [k8s_cluster:children]: no such group")


def test_variables_of_a_group_without_hosts_are_told():
    found = read("[webserver]\nw ansible_host=10.0.0.1\n[webservers:vars]\nansible_user=bob\n")
    assert left(found, "line 4: group webservers has variables and no host")


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp1252"])
def test_every_coding_of_an_editor(coding):
    text = forms.decode("name;ip;Größe\r\ncp;10.0.0.1;4\r\nw;10.0.0.2;8\r\n".encode(coding))
    assert short(read(text)) == [("cp", "10.0.0.1"), ("w", "10.0.0.2")]
    assert left(read(text), "column Größe: not taken over")


def test_a_table_of_blanks_whose_heading_has_wide_ones():
    found = read("ip         hostname user password\n10.0.0.1   cp       root Geh3im!\n10.0.0.2   w        root Geh3im!\n")
    assert short(found) == [("cp", "10.0.0.1"), ("w", "10.0.0.2")]
    assert left(found, "password: a secret is never copied")
    assert not left(found, "Geh3im")


def test_the_list_of_openstack():
    found = read(
        "+----+------+--------+-------------------------------+\n| ID | Name | Status | Networks                      |\n"
        "+----+------+--------+-------------------------------+\n| 1  | cp   | ACTIVE | lan=192.168.1.5, 203.0.113.5  |\n"
        "| 2  | w1   | ACTIVE | lan=192.168.1.6               |\n+----+------+--------+-------------------------------+\n"
    )
    assert short(found) == [("cp", "192.168.1.5"), ("w1", "192.168.1.6")]
    assert left(found, "Networks: a second address (203.0.113.5 of cp)")


def test_headings_in_german():
    found = read("Rechnername;IP-Adresse;Rolle;Benutzer;Passwort\ncp;10.0.0.1;Master;root;geh3im\n")
    assert short(found) == [("cp", "10.0.0.1", "control-plane")]
    assert ssh(found, "cp") == {"user": "root"}
    assert left(found, "Passwort: a secret")
    assert not left(found, "geh3im")


def test_records_with_a_login_of_their_own():
    found = read(
        "hosts:\n- {name: cp, ip: 10.0.0.1, roles: [control-plane], ssh: {user: root, port: 2222, password: Geh3im}}\n- {name: w, ip: 10.0.0.2}\n"
    )
    assert found.form == "records"
    assert ssh(found, "cp") == {"user": "root", "port": 2222}
    assert left(found, "password: a secret")
    assert not left(found, "Geh3im")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# mine\n[defaults]\ninventory = hosts.ini\nremote_user = ubuntu\n", "an ansible.cfg"),
        ("[[servers]]\nname = 'a'\nip = '10.0.0.1'\n", "a TOML file"),
        ("MASTER_IP=10.0.0.1\nexport SSH_PASSWORD=Geh3im\n", "settings of a shell (NAME=value)"),
        ('Outputs:\n\nip = "10.0.0.1"\n', "Terraform's output or variables"),
        ('worker_ips = [\n  "10.0.0.2",\n]\n', "Terraform's output or variables"),
        ("plugin: amazon.aws.aws_ec2\nregions: [eu-central-1]\n", "the configuration of an inventory plugin of Ansible"),
    ],
)
def test_files_that_are_no_list_say_what_to_do(text, kind):
    found = read(text)
    assert (found.nodes, found.kind) == ((), kind)
    assert found.instead
    assert not left(found, "Geh3im")


def test_names_with_addresses_behind_a_sign_stay_a_list():
    assert short(read("CP=10.0.0.1\nW1=10.0.0.2\n")) == [("cp", "10.0.0.1"), ("w1", "10.0.0.2")]


def test_a_setting_among_lines_is_not_repeated():
    found = read("10.0.0.1\nSSH_PASSWORD=Geh3im\n")
    assert left(found, "line 2: a setting, and no address")
    assert not left(found, "Geh3im")


@pytest.mark.parametrize(
    "command",
    ["mosh root@10.0.0.4", "scp a root@10.0.0.4:/b", "sshpass -p Geh3im ssh root@10.0.0.4", "plink -pw Geh3im root@10.0.0.4"],
)
def test_other_commands_than_ssh_are_left(command):
    found = read(f"root@10.0.0.1\n{command}\n")
    assert [node["address"] for node in found.nodes] == ["10.0.0.1"]
    assert left(found, "line 2: a command")
    assert not left(found, "Geh3im")


def test_yaml_that_is_broken_says_where_to_mend_it():
    found = read("nodes:\n  - address: 10.0.0.1\n    role:[worker]\n    user: ubuntu\n  - address: 10.0.0.2\n    role:[worker]\n")
    assert not found.nodes
    assert found.instead.startswith("mend line")
