"""Every function that a script calls is its own or its library's: bash tells of a missing one only where it is reached, on a node."""

import re

import pytest

from kfinstall import resources

FOLDER = resources.root() / "scripts"
SCRIPTS = {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.sh"))}
DEFINED = re.compile(r"^\s*(kf_\w+)\(\)", re.MULTILINE)
CALLED = re.compile(
    r"(?:^|[;(|&!]|\bthen|\belse|\bdo|\bif|\bwhile|\buntil|\belif)[ \t]*(?:[ \t]*!)?[ \t]*(kf_[a-z_]+)(?=[ \t;)]|$)(?![ \t]*(?:=|\+\+|<=|>=))",
    re.MULTILINE,
)
LIBRARIES = {name for library in ("lib", "facts-lib", "unit-lib") for name in DEFINED.findall(SCRIPTS[f"engine/{library}.sh"])}


def missing(text):
    code = "\n".join(line.partition(" # ")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))
    code = re.sub(r"\(\((?!\)).*?\)\)", "", code)  # arithmetic names variables
    return sorted(set(CALLED.findall(code)) - set(DEFINED.findall(text)) - LIBRARIES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_function_is_missing(name):
    others = {found for other, text in SCRIPTS.items() if other.startswith("facts/") for found in DEFINED.findall(text)}
    assert [found for found in missing(SCRIPTS[name]) if not ("facts" in name and found in others)] == []


def test_a_missing_one_is_seen():
    assert missing("kf_file /a <<<b\nkf_say x\nif kf_nowhere; then :; fi\n") == ["kf_file", "kf_nowhere"]


def test_no_step_takes_a_name_of_the_library():
    """It would be the library's own callers that get it: kf_put, say, where a step defines kf_record."""
    library = set(DEFINED.findall(SCRIPTS["engine/lib.sh"]))
    steps = {name: text for name, text in SCRIPTS.items() if not re.search(r"^engine/|^facts/|/facts|/ask-", name)}
    assert len(steps) > 30
    assert {name: sorted(taken) for name, text in steps.items() if (taken := library & set(DEFINED.findall(text)))} == {}
