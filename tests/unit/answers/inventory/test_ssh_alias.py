"""An alias of ssh_config: for ssh alone, beside the address that the other nodes need."""

from __future__ import annotations

import pytest

from kfinstall.answers.inventory import ssh_config
from kfinstall.answers.model import Answers
from kfinstall.answers.rules import problems
from kfinstall.answers.types import node_address


@pytest.mark.parametrize(
    "line",
    [
        "CertificateFile ~/.ssh/w1-cert.pub",
        "UserKnownHostsFile ~/.ssh/known_lab",
        "HostKeyAlias w1.lab",
        "ProxyCommand cloudflared access ssh --hostname %h",
        "RequiredRSASize 4096",
    ],
)
def test_the_name_is_kept_where_settings_hang_on_it(line: str) -> None:
    (node,) = ssh_config.read(f"Host w_1\n  HostName 10.0.0.2\n  {line}\n").nodes
    assert node["address"] == "10.0.0.2"
    assert node["name"] == "w-1"
    assert node["ssh"]["host"] == "w_1"


@pytest.mark.parametrize("line", ["User deploy", "ProxyJump bastion", "ProxyCommand ssh -W %h:%p bastion", "ServerAliveInterval 5"])
def test_the_address_will_do_where_nothing_hangs_on_the_name(line: str) -> None:
    (node,) = ssh_config.read(f"Host w1\n  HostName 10.0.0.2\n  {line}\n").nodes
    assert "host" not in node.get("ssh", {})


def test_what_holds_for_all_does_not_hang_on_the_name() -> None:
    (node,) = ssh_config.read("Host w1\n  HostName 10.0.0.2\nHost *\n  UserKnownHostsFile ~/.ssh/known_lab\n").nodes
    assert "host" not in node.get("ssh", {})


@pytest.mark.parametrize("value", ["k8s_master_1", "vm+x", "sha~1"])
def test_an_alias_as_address_is_told_where_it_goes(value: str) -> None:
    with pytest.raises(ValueError, match=r"ssh: \{host: ") as caught:
        node_address(value)
    assert value in str(caught.value)


def test_a_login_in_an_address_is_told_where_it_goes() -> None:
    with pytest.raises(ValueError, match=r"ssh: \{user: deploy\}"):
        node_address("deploy@10.0.0.1")


@pytest.mark.parametrize(("counts", "expected"), [(None, False), (True, False), (False, True)])
def test_an_alias_is_of_no_use_where_the_configuration_does_not_count(counts: bool | None, expected: bool) -> None:
    nodes = [{"name": "a", "address": "10.0.0.1", "ssh": {"host": "k8s_master_1"}}]
    answers = Answers.model_validate({"nodes": nodes, "ssh": {"useSshConfig": counts}})
    assert any(broken.path == ("nodes", 0, "ssh", "host") for broken in problems(answers)) is expected
