"""Texts that are known and are no list of servers, each with what to import instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from kfinstall.answers.inventory import names, tree
from kfinstall.answers.inventory.tree import Map, Seq

_TEXTS: Final = (
    (r"\A\s*-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key", "it was not read further; give its path as ssh.keys"),
    (r"(?m)^#!", "a program", "it is not run; paste what it prints, or what `ansible-inventory -i FILE --list` prints"),
    (
        r"(?m)^\s*Vagrant\.configure\b",
        "a Vagrantfile",
        "write a line for each box: its name, the address of its private network (`vagrant ssh NAME -c 'hostname -I'` prints it), its role",
    ),
    (
        r"(?m)^(\|1\|\S+|\S+) (ssh-(ed25519|rsa|dss)|ecdsa-sha2-\S+|sk-\S+) AAAA",
        "a known_hosts file",
        "it has host keys, not servers; paste a list",
    ),
    (r"(?m)^(ssh-(ed25519|rsa|dss)|ecdsa-sha2-\S+) AAAA", "a public key", "paste a list of servers"),
    (
        r"(?m)^(resource|module|provider|terraform|variable)\b[^\n]*\{",
        "a Terraform file",
        "paste the addresses that `terraform output` prints as a list",
    ),
    (r"(?m)^#cloud-config", "a cloud-init file", "it says what one machine becomes; paste a list of servers"),
    (r"(?is)^\s*<(\?xml|!doctype|html)", "a web page or XML", "paste the text of the list itself"),
    (r"(?m)^NAME +STATUS +ROLES", "what kubectl prints", "these are nodes of a cluster that runs; paste a list of bare servers"),
    (
        r"\A(?:[ \t]*(?:[#;][^\n]*)?\n)*\[(?:defaults|ssh_connection|privilege_escalation|inventory|persistent_connection)\][^\n]*\n",
        "an ansible.cfg",
        "it names the inventory's file (inventory = ...): import that one",
    ),
    (
        r"\A(?:[ \t]*(?:#[^\n]*)?\n)*\[\[[A-Za-z0-9_.\"-]+\]\][ \t]*\n",
        "a TOML file",
        "write the servers as lines: name address role",
    ),
    (
        r"\A\s*Outputs:\s*\n|(?:\A|\n)[a-z][a-z0-9_]* = (?:to(?:list|set|map)\()?[\[{][ \t]*\n",
        "Terraform's output or variables",
        "write the addresses that `terraform output` prints as a list: name address role",
    ),
    (r"\A\$ANSIBLE_VAULT;", "a file that Ansible Vault has encrypted", "open it with `ansible-vault view FILE` and paste that"),
)
_SHELL: Final = ("settings of a shell (NAME=value)", "write the servers as lines: name address role")
_ASSIGNED: Final = re.compile(r"(?:export[ \t]+)?[A-Z_][A-Z0-9_]*=(?P<value>.*)")
_KINDS: Final = (
    (
        r"cluster\.x-k8s\.io/|infrastructure\.cluster\.x-k8s\.io",
        "objects of Cluster API",
        "it makes its machines itself; paste their addresses as a list",
    ),
    (r"^kind\.x-k8s\.io/|^k3d\.io/", "a cluster of containers on one computer", "kfinstall needs servers; paste a list of them"),
    (r"^kubeadm\.k8s\.io/", "a file of kubeadm", "it names no servers to log in to; paste a list of them"),
    (r"^karpenter|^eksctl\.io/|^kops\.k8s\.io/", "a cloud's cluster", "kfinstall needs servers with SSH; paste a list of them"),
)


def holds_a_key(text: str) -> bool:
    """Whether a private key stands in it: lines of it must not be taken for anything, or shown."""
    return re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", text) is not None


def of_text(text: str) -> tuple[str, str] | None:
    """What a text is and what to do instead; None where it is nothing that is known."""
    for pattern, what, instead in _TEXTS:
        if re.search(pattern, text):
            return what, instead
    return _SHELL if _is_of_a_shell(text) else None


def _is_of_a_shell(text: str) -> bool:
    """Whether all lines are NAME=value in capitals, and not all values are addresses: those may be passwords and are not looked at."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [_ASSIGNED.fullmatch(line) for line in lines]
    values = [one["value"].strip("'\"") for one in found if one is not None]
    return bool(values) and len(values) == len(lines) and not all(map(names.is_address, values))


def of_data(data: Any) -> tuple[str, str] | None:
    """The same for YAML and JSON."""
    if isinstance(data, Seq):
        return _PLAYBOOK if any(_is_play(item) for item in data) else None
    if not isinstance(data, Map):
        return None
    version, kind = tree.text(data.get("apiVersion")), tree.text(data.get("kind"))
    for pattern, what, instead in _KINDS:
        if re.search(pattern, version):
            return what, instead
    for holds, what, instead in _SHAPES:
        if holds(data):
            return what, instead
    if version and kind:
        return f"a Kubernetes object ({kind} of {version})", "it is no list of servers that is known; paste one: name address role"
    return None


def _is_play(item: Any) -> bool:
    return isinstance(item, Map) and (
        "import_playbook" in item or ("hosts" in item and bool({"tasks", "roles", "pre_tasks"} & set(item)))
    )


def _is_output(data: Map) -> bool:
    return bool(data) and all(
        isinstance(value, Map) and "value" in value and {"sensitive", "type"} & set(value) for value in data.values()
    )


def _is_netplan(data: Map) -> bool:
    return bool({"ethernets", "version", "bonds"} & set(tree.mapping(data.get("network"))))


_PLAYBOOK: Final = ("a playbook of Ansible", "its hosts stand in another file, the inventory: import that one")
_TERRAFORM: Final = (
    "Terraform's output or state",
    "kfinstall can't tell its values apart; write the addresses as a list: name address role",
)
_SHAPES: Final[tuple[tuple[Callable[[Map], bool], str, str], ...]] = (
    (
        lambda data: tree.text(data.get("kind")) == "Config" and "clusters" in data,
        "a kubeconfig",
        "it says how to reach a cluster that runs",
    ),
    (lambda data: "terraform_version" in data or _is_output(data), *_TERRAFORM),
    (
        lambda data: {"machine", "cluster"} <= set(data) and tree.text(data.get("version")).startswith("v1"),
        "a machine's file of Talos",
        "Talos has no SSH; kfinstall needs Ubuntu or Debian servers",
    ),
    (
        lambda data: isinstance(data.get("services"), Map) and "all" not in data,
        "a Compose file",
        "it names containers; paste a list of servers",
    ),
    (
        lambda data: bool(tree.text(data.get("plugin"))) and not isinstance(data.get("all"), Map),
        "the configuration of an inventory plugin of Ansible",
        "paste what `ansible-inventory -i FILE --list` prints, or import a file with it",
    ),
    (_is_netplan, "a file of netplan", "it says what one machine is called; paste a list of servers"),
)
