"""What a step wants: the plan's lines, what is watched, and the lines that scripts read."""

import re

import pytest

from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.wanted import Directory, File, Unit, Wanted, rows
from kfinstall.facts.model import Facts, FileFact, PackageFact, UnitFact
from kfinstall.text import sha256
from kfinstall.transport import limits

CONTENT = "a = 1\n"
WANTED = Wanted(
    packages=("one", "two"),
    directories=(Directory("/srv/a", private=True), Directory("/srv/b c"), Directory("/srv/told", there=True)),
    modules=("overlay",),
    sysctls=(("net.x", "1"),),
    files=(File("/etc/a", CONTENT, 0o600, "root:adm", note="for n1"), File("/etc/b", "", path_as="B_FILE", content_as="B")),
    units=(Unit("a.service"), Unit("b.service", words="start b", name_as="SERVICE")),
)


def there(**more):
    facts = {
        "packages": {name: PackageFact("1", "installed") for name in ("one", "two")},
        "files": {
            "/srv/a": FileFact("directory", 0o755, "x:x"),
            "/srv/b c": FileFact("directory", 0o755, "x:x"),
            "/etc/a": FileFact("file", 0o600, "root:adm", 6, sha256(CONTENT)),
            "/etc/b": FileFact("file", 0o644, "root:root", 0, sha256("")),
        },
        "modules": frozenset({"overlay"}),
        "sysctls": {"net.x": "1"},
        "units": {"a.service": UnitFact("loaded", "active", "enabled"), "b.service": UnitFact("loaded", "active", "static")},
    }
    return Facts("n1", **{**facts, **{key: {**facts[key], **value} for key, value in more.items()}})


def test_each_thing_that_is_missing_is_one_line_of_the_plan():
    assert list(WANTED.changes(Facts("n1"))) == [
        "apt-get install one two",
        "make /srv/a, for root alone",
        "mkdir -p '/srv/b c'",
        "modprobe overlay",
        "sysctl net.x=1",
        "write /etc/a for n1",
        "write /etc/b",
        "systemctl enable --now a.service",
        "start b",
    ]
    assert list(WANTED.changes(there())) == []
    assert WANTED.evidence == "2 packages, 3 directories, 1 module, 1 kernel parameter, 2 files, 2 units as wanted"


@pytest.mark.parametrize(
    ("differs", "line"),
    [
        ({"packages": {"two": PackageFact("1", "config-files")}}, "apt-get install two"),
        ({"files": {"/srv/a": FileFact("file", 0o644, "root:root")}}, "make /srv/a, for root alone"),
        ({"files": {"/etc/a": FileFact("file", 0o644, "root:adm", 6, sha256(CONTENT))}}, "write /etc/a for n1"),
        ({"files": {"/etc/a": FileFact("file", 0o600, "root:root", 6, sha256(CONTENT))}}, "write /etc/a for n1"),
        ({"files": {"/etc/a": FileFact("file", 0o600, "root:adm", 6, sha256("b"))}}, "write /etc/a for n1"),
        ({"sysctls": {"net.x": "2"}}, "sysctl net.x=1"),
        ({"units": {"a.service": UnitFact("loaded", "active", "disabled")}}, "systemctl enable --now a.service"),
        ({"units": {"b.service": UnitFact("loaded", "failed", "static")}}, "start b"),
    ],
)
def test_what_differs_counts_as_missing(differs, line):
    assert list(WANTED.changes(there(**differs))) == [line]


def test_all_of_it_is_watched_but_what_a_section_tells():
    watch = WANTED.watch
    assert watch.files == {"/srv/a", "/srv/b c", "/etc/a", "/etc/b"}
    assert (watch.packages, watch.units) == ({"one", "two"}, {"a.service", "b.service"})
    assert (watch.modules, watch.sysctls) == ({"overlay"}, {"net.x"})


def test_the_scripts_parameters():
    given = WANTED.parameters
    assert {key: value for key, value in given.items() if key != "WANTED"} == {
        "FILE_1": CONTENT,
        "B_FILE": "/etc/b",
        "B": "",
        "SERVICE": "b.service",
    }
    assert rows(given) == [
        ["package", "one"],
        ["package", "two"],
        ["directory", "/srv/a", "private"],
        ["directory", "/srv/b c", "open"],
        ["directory", "/srv/told", "open"],
        ["module", "overlay"],
        ["sysctl", "net.x", "1"],
        ["file", "/etc/a", "0600", "root:adm", "FILE_1"],
        ["file", "/etc/b", "0644", "root:root", "B"],
        ["unit", "a.service"],
        ["unit", "b.service"],
    ]


@pytest.mark.parametrize(
    "wanted", [Wanted(packages=("",)), Wanted(sysctls=(("a", "1\t2"),)), Wanted(files=(File("/etc/a\nunit\tx", ""),))]
)
def test_what_does_not_fit_into_one_line_is_refused(wanted):
    with pytest.raises(ValueError, match="one line"):
        _given = wanted.parameters


def files(*given):
    return Wanted(files=tuple(File(f"/f{number}", "x", content_as=name) for number, name in enumerate(given)))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (files("C", "C"), "C is given twice"),
        (files("FILE_2", ""), "FILE_2 is given twice"),
        (files("", "FILE_1"), "FILE_1 is given twice"),
        (files("WANTED"), "WANTED is given twice"),
        (files("a-b"), "'a-b' is no name of a parameter"),
        (files("lower"), "'lower' is no name of a parameter"),
        (files("\u00c4"), "is no name of a parameter"),
        (files("1A"), "'1A' is no name of a parameter"),
        (Wanted(directories=(Directory("/a", path_as="P"), Directory("/b", path_as="P"))), "P is given twice"),
        (Wanted(files=(File("/a", "x", path_as="P", content_as="P"),)), "P is given twice"),
        (Wanted(files=(File("/a", "x", content_as="U"),), units=(Unit("u.service", name_as="U"),)), "U is given twice"),
        (Wanted(units=(Unit("u.service", name_as="a b"),)), "'a b' is no name of a parameter"),
        (Wanted(files=(File("/a", "x"), File("/a", "y"))), "/a is wanted twice"),
        (Wanted(files=(File("/a", "x"), File("/a", "x"))), "/a is wanted twice"),
        (Wanted(files=(File("/a", "x"),), directories=(Directory("/a/"),)), "/a is wanted twice"),
        (Wanted(directories=(Directory("/a"), Directory("//a/."))), "/a is wanted twice"),
        (Wanted(files=(File("/a", "x"), File("/a/b/c", "x"))), "/a/b/c is to be in /a, which is a file"),
        (Wanted(files=(File("/a", "x"),), directories=(Directory("/a/b"),)), "/a/b is to be in /a, which is a file"),
        (Wanted(packages=("one", "one")), "package one is wanted twice"),
        (Wanted(modules=("dns-resolver", "dns_resolver")), "module dns_resolver is wanted twice"),
        (Wanted(sysctls=(("a.b", "1"), ("a.b", "2"))), "sysctl a.b is wanted twice"),
        (Wanted(units=(Unit("u.service"), Unit("u.service", words="again"))), "unit u.service is wanted twice"),
        (Wanted(files=(File("etc/a", "x"),)), "etc/a is no absolute path"),
        (Wanted(directories=(Directory("srv"),)), "srv is no absolute path"),
        (Wanted(files=(File("~/a", "x"),)), "~/a is no absolute path"),
        (Wanted(files=(File("/etc/a/", "x"),)), "/etc/a/ is not the plain path of a file"),
        (Wanted(files=(File("/etc/../a", "x"),)), "/etc/../a is not the plain path of a file"),
        (Wanted(files=(File("/etc/a", "x\0y"),)), "FILE_1 holds a NUL"),
        (Wanted(directories=(Directory("/a\0b"),)), "can't be told in one line"),
        (Wanted(files=(File("/etc/a", "\udcff"),)), "surrogates not allowed"),
        (Wanted(files=(File("/etc/a", "x", mode=0o100644),)), "mode"),
        (Wanted(files=(File("/etc/a", "x", owner="root"),)), "'root' is no user:group"),
        (Wanted(units=(Unit("docker"),)), "docker has no suffix"),
    ],
)
def test_what_can_not_be_told_or_made_is_refused(wanted, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        _given = wanted.parameters


def test_what_the_kernel_would_hand_no_program_is_refused():
    room = limits.PARAMETER_BYTES - len("KF_FILE_1=")
    assert len(Wanted(files=(File("/a", "x" * room),)).parameters["FILE_1"]) == room
    for text in ("x" * (room + 1), "\u20ac" * (room // 3 + 1)):
        with pytest.raises(ValueError, match=f"FILE_1 is longer than {limits.PARAMETER_BYTES} bytes"):
            _given = Wanted(files=(File("/a", text),)).parameters
    with pytest.raises(ValueError, match="WANTED is longer"):
        _given = Wanted(packages=tuple(f"p{number}" for number in range(20_000))).parameters


def test_an_option_can_not_have_the_name_of_what_is_wanted():
    class Colliding(NodeStep):
        def options(self, view):
            return {"HEAD": "", "FILE_1": "an option's"}

        def wanted(self, view):
            return Wanted(files=(File("/a", "x"),))

    with pytest.raises(ValueError, match="FILE_1"):
        Colliding().parameters(None)


def test_names_and_values_that_are_the_same_to_the_kernel_count_as_there():
    wanted = Wanted(modules=("dns-resolver",), sysctls=(("net.ipv4.tcp_rmem", "4096  87380 6291456"),))
    facts = Facts("n1", modules=frozenset({"dns_resolver"}), sysctls={"net.ipv4.tcp_rmem": "4096 87380 6291456"})
    assert list(wanted.changes(facts)) == []
    assert list(wanted.changes(Facts("n1"))) == ["modprobe dns-resolver", "sysctl net.ipv4.tcp_rmem=4096  87380 6291456"]
