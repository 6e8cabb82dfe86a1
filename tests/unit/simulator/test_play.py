"""Scripts on a simulated node: what WANTED lists first, then the script's own effect, which takes what it names."""

import pytest

from kfinstall.engine.wanted import Directory, File, Unit, Wanted
from kfinstall.simulator.nodes.asking import asking
from kfinstall.simulator.nodes.machine import fresh_node
from kfinstall.simulator.nodes.model import EFFECTS, ScriptError, World, effect
from kfinstall.simulator.nodes.play import play


@pytest.fixture
def node():
    return fresh_node("n1", 0)


def played(node, wanted, script="test-x", **more):
    return list(play(node, script, {**wanted.parameters, **more}, "", World({node.name: node})))


def test_what_is_wanted_is_done_once(node):
    wanted = Wanted(
        packages=("nfs-kernel-server", "other"),
        directories=(Directory("/srv/a/b", private=True), Directory("/srv/open")),
        modules=("overlay",),
        sysctls=(("net.x", "1"),),
        files=(File("/etc/x/y", "y\n", 0o600, "a:b"),),
        units=(Unit("x.service"),),
    )
    assert played(node, wanted) == [
        "Setting up nfs-common (1:2.6.4-3ubuntu5) ...",
        "Setting up nfs-kernel-server (1:2.6.4-3ubuntu5) ...",
        "Setting up other (1.0-1ubuntu1) ...",
        "made /srv/a/b, for root alone",
        "made /srv/open",
        "/etc/x/y",
        "enabled x.service",
        "started x.service",
    ]
    assert {name: node.files[name].mode for name in ("/srv/a", "/srv/a/b", "/srv/open", "/etc/x")} == {
        "/srv/a": 0o700,
        "/srv/a/b": 0o700,
        "/srv/open": 0o755,
        "/etc/x": 0o755,
    }
    assert ("overlay" in node.modules, node.sysctls["net.x"]) == (True, "1")
    assert played(node, wanted) == []


def test_an_effect_adds_to_it_and_takes_what_it_names(node):
    @effect("test-also")
    def also(parameters, node):
        yield f"{parameters['WORD']} {'one' in node.packages}"

    try:
        assert played(node, Wanted(packages=("one",)), "test-also", WORD="w") == ["Setting up one (1.0-1ubuntu1) ...", "w True"]
    finally:
        del EFFECTS["test-also"]


def test_an_effect_that_asks_for_something_else_is_refused():
    with pytest.raises(TypeError, match="asks for nodes"):
        asking(lambda nodes: nodes, ("node", "world"))


def test_a_script_without_effect_and_without_wanted_is_not_known(node):
    with pytest.raises(ScriptError) as found:
        list(play(node, "test-x", {}, "", World({node.name: node})))
    assert found.value.status == 127


def test_what_is_in_the_way_is_refused_as_on_a_node(node):
    node.write("/etc/x/y", "y\n")
    for wanted, expected in (
        (Wanted(files=(File("/etc/x", "x"),)), "/etc/x is there and is a directory"),
        (Wanted(files=(File("/etc/x/y/z", "x"),)), "/etc/x/y is there and is no directory"),
        (Wanted(directories=(Directory("/etc/x/y"),)), "/etc/x/y is there and is no directory"),
        (Wanted(directories=(Directory("/etc/x/y/z", private=True),)), "/etc/x/y is there and is no directory"),
    ):
        with pytest.raises(ScriptError) as ended:
            played(node, wanted)
        assert ended.value.status == 20
        assert expected in ended.value.lines[0]
    assert node.files["/etc/x/y"].content == "y\n"


def test_a_modules_name_is_the_same_with_either_dash(node):
    played(node, Wanted(modules=("dns-resolver",)))
    assert "dns_resolver" in node.modules


def test_a_content_that_was_not_sent_is_no_empty_file(node):
    given = {**Wanted(files=(File("/etc/x", "x"),)).parameters}
    del given["FILE_1"]
    with pytest.raises(ScriptError):
        list(play(node, "test-x", given, "", World({node.name: node})))
    assert "/etc/x" not in node.files
