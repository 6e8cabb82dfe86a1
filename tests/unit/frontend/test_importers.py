"""Servers that are imported into a table: what is new, what is there already, whose address it is, and files beside the inventory's."""

import pytest

from kfinstall.frontend import importers


def test_a_file_by_its_path_and_text_as_it_is(tmp_path):
    path = tmp_path / "in ventory"
    path.write_bytes(b"# B\xfcro\nn1 10.0.0.1\n")
    assert [node["name"] for node in importers.from_file_or_text(f"  {path}\n").nodes] == ["n1"]
    assert [node["name"] for node in importers.from_file_or_text(f"'{path}'").nodes] == ["n1"]
    assert importers.from_file_or_text(str(tmp_path)).left == (
        f"{tmp_path} is a folder; write the path of the inventory's file in it",
    )
    assert importers.from_file_or_text("n2 10.0.0.2").nodes[0]["name"] == "n2"
    path.write_bytes(b"a" * (1 << 21))
    assert "larger" in importers.read_file(path).left[0]


def test_keys_by_relative_paths_are_found_beside_the_inventory(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "id").write_text("")
    path = tmp_path / "hosts.ini"
    path.write_text(
        "[g]\na ansible_host=10.0.0.1 ansible_ssh_private_key_file=keys/id\nb ansible_host=10.0.0.2 ansible_ssh_private_key_file=./none\n"
        "c ansible_host=10.0.0.3 ansible_ssh_private_key_file=~/.ssh/id\n[g:vars]\nansible_ssh_common_args='-o ProxyCommand=\"ssh -i keys/id -W %h:%p gw\"'\n"
    )
    found = importers.read_file(path)
    whole = str(tmp_path / "keys" / "id")
    assert [node["ssh"]["keys"] for node in found.nodes] == [[whole], ["./none"], ["~/.ssh/id"]]
    assert found.nodes[0]["ssh"]["jumpHosts"] == [{"address": "gw", "keys": [whole]}]
    assert [line for line in found.left if "./none" in line and "no such file" in line]


def test_logins_in_group_vars_are_told(tmp_path):
    for name, text in (
        ("group_vars/all/all.yml", "ansible_user: x\nother: 1\n"),
        ("host_vars/a.yml", "ansible_port: 2\nansible_password: hush\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    path = tmp_path / "hosts.ini"
    path.write_text("[g]\na ansible_host=10.0.0.1\n")
    left = importers.read_file(path).left
    assert [line for line in left if line.startswith("group_vars/all/all.yml: sets ansible_user,")]
    assert [line for line in left if "host_vars/a.yml: sets ansible_port, ansible_password," in line]
    assert "hush" not in repr(left)


TABLE = [
    {"name": "a", "address": "10.0.0.1", "roles": ["control-plane"], "local": True},
    {"name": "b", "address": "10.0.0.2", "roles": ["worker"]},
]


def test_a_row_of_the_same_name_is_asked_about_and_stays_unless_it_is_taken():
    found = importers.read("a 10.0.0.9\nb 10.0.0.2\nc 10.0.0.3\n")
    same = importers.same_names(TABLE, found)
    assert [one.name for one in same] == ["a"]
    assert same[0].line_of_text().startswith("a: address 10.0.0.1")
    nodes, report = importers.merged(TABLE, found)
    assert nodes == [*TABLE, {"name": "c", "address": "10.0.0.3", "roles": ["worker"]}]
    assert report.left == ()
    nodes, _report = importers.merged(TABLE, found, taken={"a"})
    assert nodes[0]["address"] == "10.0.0.9"
    assert nodes[0]["local"] is True, "what the import does not say stays"


def test_a_row_that_says_the_same_is_not_asked_about():
    found = importers.read("a 10.0.0.1\n")
    assert importers.same_names(TABLE, found) == ()
    assert importers.merged(TABLE, found)[0] == TABLE


def test_a_name_twice_in_the_import_is_asked_about_too():
    found = importers.read("x 10.0.0.7\nx 10.0.0.8\n")
    (same,) = importers.same_names([], found)
    assert (same.name, same.line) == ("x", 2)
    assert "10.0.0.7" in same.line_of_text()
    assert "line 2: address 10.0.0.8" in same.line_of_text()
    assert [node["address"] for node in importers.merged([], found)[0]] == ["10.0.0.7"]
    assert [node["address"] for node in importers.merged([], found, taken={"x"})[0]] == ["10.0.0.8"]


def test_an_address_that_another_one_has_is_left():
    nodes, report = importers.merged(TABLE, importers.read("z 10.0.0.2\n"))
    assert nodes == TABLE
    assert report.left == ("line 1: z: 10.0.0.2 is b's address already",)


def test_roles_stay_what_the_table_showed():
    before = [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}]
    nodes, _report = importers.merged(before, importers.read("c 10.0.0.3 worker\n"))
    assert [node["roles"] for node in nodes] == [["control-plane"], ["worker"], ["worker"]]
    nodes, _report = importers.merged([], importers.read("c 10.0.0.3\nd 10.0.0.4\n"))
    assert not any("roles" in node for node in nodes)


@pytest.mark.parametrize("words", ["\0", "~nobody-has-this-name/x", "/etc/shadow\0", "a" * 5000])
def test_no_path_ends_the_import(words):
    importers.from_file_or_text(words)


def test_roles_that_nobody_said_change_none_that_are_there():
    found = importers.read("x 10.0.0.8 worker\na 10.0.0.7\ny 10.0.0.6\n")
    assert found.guessed == {"a", "y"}
    assert importers.same_names(TABLE, found)[0].line_of_text() == "a: address 10.0.0.1 now; line 2: address 10.0.0.7"
    nodes, _report = importers.merged(TABLE, found, taken={"a"})
    assert {node["name"]: node["roles"] for node in nodes} == {
        "a": ["control-plane"],
        "b": ["worker"],
        "x": ["worker"],
        "y": ["worker"],
    }


def test_a_worker_by_its_name_is_never_made_the_control_plane():
    assert [(node["name"], *node["roles"]) for node in importers.read("w1 10.0.0.8 worker\nworker2 10.0.0.7\n").nodes] == [
        ("w1", "worker"),
        ("worker2", "worker"),
    ]


def test_what_was_taken_is_what_is_counted():
    found = importers.read("a 10.0.0.1\nz 10.0.0.2\nc 10.0.0.3\n")
    assert [node["name"] for node in importers.merged(TABLE, found)[1].nodes] == ["c"]
    nodes, report = importers.merged(TABLE, importers.read("a 10.0.0.2\n"), taken={"a"})
    assert nodes == TABLE
    assert report.left == ("line 1: a: 10.0.0.2 is b's address already",)
