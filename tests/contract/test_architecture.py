"""docs/architecture.md and CONTRIBUTING.md are true: what they name is there, and the rooms are as the table has them."""

import re
import runpy

import pytest

from kfinstall import resources

ROOT = resources.root()
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("docs/architecture.md", "CONTRIBUTING.md")}
ARCHITECTURE = TEXTS["docs/architecture.md"]
FOLDERS = ("kfinstall/", "screens/", "scripts/", "assets/", "tests/", "docs/", "examples/")
OTHERS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / name for name in (*TEXTS, "CHANGELOG.md")})
WALKS = re.findall(r"^\| \d+ \| `([^`]+)` \| (.+?) \|", ARCHITECTURE, re.MULTILINE)


def named_in(text):
    """Every path in backticks; what stands in for a name (<part>, *) is any name."""
    found = re.findall(r"`([\w./<>*-]+)`", text)
    return sorted(
        {re.sub(r"<\w+>", "*", path) for path in found if path.startswith(FOLDERS) or path in ("pyproject.toml", "CHANGELOG.md")}
    )


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_is_there(name):
    paths = named_in(TEXTS[name])
    assert len(paths) > 10
    assert [path for path in paths if not any(ROOT.glob(path.rstrip("/")))] == []


# Elsewhere `kfinstall/kubeflow-inventory` may be an object in the cluster: only what can be nothing but a file is looked for.
@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_another_document_names_is_there(path):
    files = [name for name in named_in(path.read_text(encoding="utf-8")) if re.search(r"\.\w+$|/$", name)]
    assert [name for name in files if not any(ROOT.glob(name.rstrip("/")))] == []


# In Python a name is one where it is defined; elsewhere where it stands.
@pytest.mark.parametrize(("path", "names"), WALKS, ids=[f"{number}-{path}" for number, (path, _names) in enumerate(WALKS)])
def test_every_name_of_a_walk_is_in_its_file(path, names):
    text = (ROOT / path).read_text(encoding="utf-8")
    for name in re.findall(r"`([^`]+)`", names):
        pattern = rf"^\s*(async def|def|class) {name}\b|^{name}\b.*=" if path.endswith(".py") else re.escape(name)
        assert re.search(pattern, text, re.MULTILINE), name


def test_both_walks_are_read_to_their_end():
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \| ", ARCHITECTURE, re.MULTILINE)]
    begin = [at for at, number in enumerate(numbers) if number == 1]
    assert numbers == [*range(1, begin[1] + 1), *range(1, len(numbers) - begin[1] + 1)]
    assert len(WALKS) == len(numbers) > 30


@pytest.mark.parametrize(
    "what", ["a preflight check", "a storage kind", "a Kubeflow component", "a workflow", "a column in the run screen"]
)
def test_where_to_add_it_is_said(what):
    (row,) = re.findall(rf"^\| {what} \| (.+)$", ARCHITECTURE, re.MULTILINE)
    assert len(named_in(row)) >= 2


# Numbers may lag behind by a tenth: not each commit has to write the document anew.
def test_the_table_of_rooms_is_true():
    rooms = runpy.run_path(str(ROOT / "docs" / "generate.py"))["rooms"]
    rows = re.findall(r"^\| `([\w/]+)/` \| (.+) \| (\d+) \| (\d+) \|$", ARCHITECTURE, re.MULTILINE)
    now = list(rooms())
    assert [(name, what) for name, what, *_counts in rows] == [(name, what) for name, what, *_counts in now], "run: make docs"
    for (name, _what, *numbers), (_name, _summary, modules, lines) in zip(rows, now, strict=True):
        assert int(numbers[0]) == pytest.approx(modules, rel=0.1, abs=2), f"{name}: run: make docs"
        assert int(numbers[1]) == pytest.approx(lines, rel=0.1, abs=100), f"{name}: run: make docs"
