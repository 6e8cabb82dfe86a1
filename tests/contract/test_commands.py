"""Commands that texts tell people to run are taken by the parser, wherever they are written."""

import ast
import re

import pytest

from kfinstall import invocation, resources
from kfinstall.invocation import Invocation, using
from tests.commands import commands_in, refused, trouble

ROOT = resources.root()
SCRIPTS = sorted((ROOT / "scripts").rglob("*.sh"))
SOURCES = sorted([*(ROOT / "kfinstall").rglob("*.py"), *(ROOT / "screens").rglob("*.py")])
CALLS = [
    Invocation(),
    Invocation(command="install", answers="my answers.yaml", state_dir="/a b"),
    Invocation(command="check", answers="a.yaml", words=("check", "--answers", "a.yaml", "--strict")),
    Invocation(command="resume", state_dir="/s"),
    Invocation(command="demo", demo=True),
]
TABLES = tuple(f"kfinstall/diagnose/{name}.py" for name in ("ends", "mounts", "pulls", "sandboxes", "saying", "walk_webhooks"))
"""Whose texts are put for the call where they are told."""
AS_THEY_STAND = (
    "kfinstall/answers/docs.py",
    "kfinstall/answers/example.py",
    "kfinstall/answers/model.py",
    "kfinstall/answers/save.py",
    "kfinstall/cli/completion.py",
    "kfinstall/cli/parser.py",
    "kfinstall/invocation.py",
    "kfinstall/simulator/",
    "screens/review.py",
    "screens/welcome.py",
)
"""Help and files that speak of any call; what the simulator says is put where a script's hint is."""
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def texts(tree):
    """The texts of a module that are no documentation; formatted ones with {} for what is put in."""
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (documentation | inside):
            yield node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_built_and_not_written(path):
    name = str(path.relative_to(ROOT))
    written = [found for text in texts(ast.parse(path.read_text(encoding="utf-8"))) for found in commands_in(text)]
    if name in TABLES:
        assert [why for found in written for call in CALLS for why in refused(put(found, call))] == []
    elif name.startswith(AS_THEY_STAND):
        found = written if not name.startswith("kfinstall/answers/") else []  # names of commands, in running text
        assert [why for text in found for why in refused(text)] == []
    else:
        assert written == [], "build it by kfinstall.invocation: it must fit how this run was called"


def put(text, call):
    with using(call):
        return invocation.spoken(text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT / "scripts")))
def test_commands_in_the_hints_of_scripts(path):
    text = path.read_text(encoding="utf-8").replace('"', "\n").replace("\\n", "\n")
    assert refused(text) == []
    for call in CALLS:
        assert refused(put(text, call)) == []
        if call.answers:
            assert not any("--answers FILE" in found for found in commands_in(put(text, call)))


def built(tree):
    """(name, words) of every command that a module builds; FILE for a word that it finds out at run time."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if getattr(node.func.value, "id", "") != "invocation" or node.func.attr not in ("command", "only"):
            continue
        words = [word.value if isinstance(word, ast.Constant) else None for word in node.args]
        while isinstance(node.args[len(words) - 1], ast.Starred) and words[-2:-1] != ["--only"]:
            words.pop()
        if node.func.attr == "only":
            yield ("install", "--only", words[0])
        else:
            yield tuple(words)


WORDS = {"rotate": "cookie", "install": "storage", "resume": "storage"}


def test_every_command_that_is_built_is_taken():
    seen = 0
    for path in SOURCES:
        for name, *rest in built(ast.parse(path.read_text(encoding="utf-8"))):
            if name is None:  # of a record; tests of resuming take it apart
                continue
            words = [WORDS.get(name, "FILE") if word is None else word for word in rest]
            seen += 1
            for call in CALLS:
                with using(call):
                    assert trouble(invocation.command(name, *words)) == "", f"{path.name}: {name} {words}"
    assert seen > 30


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents(path):
    blocks = re.findall(r"^ {4}\S.*$|(?<=^```bash\n)[^`]*|(?<=^```sh\n)[^`]*", path.read_text(encoding="utf-8"), re.MULTILINE)
    text = re.sub(r" {2,}", " ", re.sub(r"\s#.*", "", "\n".join(blocks)))
    assert refused(text) == []
