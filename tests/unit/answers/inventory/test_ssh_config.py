"""~/.ssh/config: the same values as ssh itself takes, jump hosts with their own login, and what can't be taken told."""

import getpass
import re
import shutil
import subprocess

import pytest

from tests.unit.answers.inventory.read import left, read, short, ssh

CASE = """Host *
  User ubuntu
  IdentityFile ~/.ssh/cluster
Host bastion
  HostName 203.0.113.5
Host master worker1
  HostName %h.lab.example.com
  ProxyJump bastion
"""


def test_host_star_tokens_and_the_way_through_the_bastion():
    found = read(CASE)
    assert found.form == "ssh-config"
    way = [{"address": "203.0.113.5", "user": "ubuntu", "keys": ["~/.ssh/cluster"]}]
    login = {"user": "ubuntu", "keys": ["~/.ssh/cluster"], "jumpHosts": way}
    assert found.nodes == (
        {"name": "master", "address": "master.lab.example.com", "ssh": login},
        {"name": "worker1", "address": "worker1.lab.example.com", "ssh": login},
    )
    assert left(found, "line 4:", "bastion", "no node")
    assert left(found, "line 1:", "*: a pattern names no server")


REAL = """# first values count
Host m w?
  Port 2222 # why
Host w? !w2
  User special
host=m
  hostname = "10.0.0.1"
Host w1
	HostName=10.0.0.2
	IdentityFile "~/.ssh/w one"
Host w2
  HostName 10.0.0.%%3
Match originalhost w3
  HostName w3.lab
  User matched
Match host w3.lab
  Port 2022
Host w3 W4
  IdentityFile %d/.ssh/%r-%h
Host *
  User ubuntu
  HostName late
  IdentityFile ~/.ssh/all
  Port 22
"""


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client on this machine")
def test_the_values_are_those_that_ssh_itself_takes(tmp_path):
    text = REAL.replace("%%", "")
    path = tmp_path / "config"
    path.write_text(text)
    found = read(text)
    assert [node["name"] for node in found.nodes] == ["m", "w1", "w2", "w3", "w4"]
    for node in found.nodes:
        printed = subprocess.run(
            ["ssh", "-G", "-F", path, node["name"].replace("w4", "W4")], capture_output=True, text=True, check=True
        ).stdout
        real = dict(line.split(" ", 1) for line in printed.splitlines())
        keys = re.findall(r"(?m)^identityfile (.*)$", printed)
        assert node["address"] == real["hostname"]
        assert node["ssh"].get("port", 22) == int(real["port"])
        assert node["ssh"]["user"] == real["user"]
        filled = [key.replace("%d", "~").replace("%r", real["user"]).replace("%h", real["hostname"]) for key in keys]
        assert node["ssh"]["keys"] == filled


def test_the_first_value_counts_and_negated_patterns_keep_out():
    found = read(REAL)
    assert ssh(found, "m") == {"user": "ubuntu", "port": 2222, "keys": ["~/.ssh/all"]}
    assert ssh(found, "w1") == {"user": "special", "port": 2222, "keys": ["~/.ssh/w one", "~/.ssh/all"]}
    assert ssh(found, "w3")["port"] == 2222
    assert ssh(found, "w3")["keys"] == ["~/.ssh/special-w3.lab", "~/.ssh/all"]
    assert left(found, "w2", "neither an IP address nor a DNS name")


def test_chains_of_jump_hosts():
    found = read(
        "Host outer\n HostName 198.51.100.1\n User o\nHost bastion\n HostName 203.0.113.5\n Port 2200\n ProxyJump outer\nHost n\n HostName 10.0.0.1\n"
        " ProxyJump u@bastion\nHost l\n HostName 10.0.0.2\n ProxyJump other.example:22,bastion\nHost d\n HostName 10.0.0.3\n ProxyJump none\n"
    )
    outer = {"address": "198.51.100.1", "user": "o"}
    assert ssh(found, "n") == {"jumpHosts": [outer, {"address": "203.0.113.5", "user": "u", "port": 2200}]}
    assert ssh(found, "l") == {"jumpHosts": [{"address": "other.example"}, {"address": "203.0.113.5", "port": 2200}]}
    assert ssh(found, "d") == {"jumpHosts": []}
    assert [node["name"] for node in found.nodes] == ["n", "l", "d"]


def test_a_circle_of_jump_hosts_is_told():
    found = read("Host a\n ProxyJump b\nHost b\n ProxyJump a\nHost c\n HostName 10.0.0.1\n ProxyJump a\n")
    assert left(found, "ProxyJump", "reach itself")


def test_a_proxy_command_that_is_a_jump_host_and_one_that_is_none():
    found = read(
        "Host gw\n HostName 203.0.113.5\n User g\nHost a\n HostName 10.0.0.1\n ProxyCommand ssh -q -W %h:%p gw\nHost b\n HostName 10.0.0.2\n"
        " ProxyCommand nc -X 5 -x socks:1080 %h %p\n"
    )
    assert ssh(found, "a") == {"jumpHosts": [{"address": "203.0.113.5", "user": "g"}]}
    assert left(found, "line 6:", "ProxyCommand", "jump host")
    assert ssh(found, "b") == {"host": "b"}
    assert left(found, "line 9:", "ProxyCommand runs nc")


def test_what_can_not_be_known_is_told_with_its_line():
    found = read(
        'Include config.d/*\nMatch exec "test -f /x"\n User evil\nMatch user x\n Port 1\nMatch final all\n Port 2222\nHost a\n HostName 10.0.0.1\n'
        " CertificateFile ~/.ssh/c\n HostKeyAlias z\n IdentityFile ${KEYS}/k\n ServerAliveInterval 30\n ProxyJump\n"
    )
    assert ssh(found, "a") == {"host": "a", "port": 2222}
    assert left(found, "line 1:", "Include", "not read")
    assert left(found, "line 2:", "Match exec", "never")
    assert left(found, "line 4:", "Match user")
    assert left(found, "line 10:", "CertificateFile", "useSshConfig")
    assert left(found, "line 11:", "HostKeyAlias")
    assert left(found, "line 12:", "IdentityFile", "environment")
    assert left(found, "line 14:", "proxyjump has no value")
    assert left(found, "line 13:", "ServerAliveInterval", "no place")


def test_other_names_of_one_server_and_hosts_that_are_none():
    found = read(
        "Host m m-alias\n HostName 10.0.0.1\nHost github.com\n User git\nHost gitea\n HostName 10.0.0.8\n User git\nHost jump\n HostName 1.2.3.4\n"
    )
    assert short(found) == [("m", "10.0.0.1")]
    assert left(found, "line 1:", "m-alias", "another name of m")
    assert left(found, "line 3:", "github.com", "keeps code")
    assert left(found, "line 5:", "gitea")
    assert left(found, "line 8:", "jump", "by its name a jump host")


def test_what_vagrant_prints_is_of_no_use_to_the_other_servers():
    found = read("Host default\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n  StrictHostKeyChecking no\n")
    assert not found.nodes
    assert left(found, "line 1:", "loopback")


def test_a_name_with_a_star_in_the_address():
    assert getpass.getuser()  # the login name is whoever runs it: nothing is written where the file says nothing
    assert ssh(read("Host a\n HostName 10.0.0.1\n"), "a") == {}
