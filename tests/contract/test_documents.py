"""Documents say what the code says."""

import re
import runpy

from kfinstall import resources
from kfinstall.errors import ExitCode
from kfinstall.events import Event
from kfinstall.workflows import WORKFLOWS

ROOT = resources.root()


def test_generated_documents_are_up_to_date():
    for path, text in runpy.run_path(str(ROOT / "docs" / "generate.py"))["documents"]().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old; run: make docs"


def test_every_exit_code_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} |" in text


def test_every_event_and_field_is_documented():
    text = (ROOT / "docs" / "events.md").read_text()
    rows = {name: set(re.findall(r"`(\w+)`", rest)) for name, rest in re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)}
    for kind in Event.__subclasses__():
        fields = {key for key in _example(kind).to_json() if key not in ("version", "event", "at")}
        assert rows[kind.name] == fields, kind.name


def _example(kind):
    import dataclasses

    defaults = {"str": "", "int": 0, "float": 0.0, "bool": False}
    values = {f.name: defaults.get(str(f.type), ()) for f in dataclasses.fields(kind) if f.name != "at"}
    return kind(**values)


def test_every_kind_of_run_is_documented():
    for path in (ROOT / "docs" / "events.md", ROOT / "kfinstall" / "events.py"):
        (line,) = [line for line in path.read_text(encoding="utf-8").splitlines() if "install, resume" in line]
        assert not [kind for kind in WORKFLOWS if not re.search(rf"\b{kind}\b", line)], path


def test_every_decision_is_in_the_index_under_its_number_and_title():
    folder = ROOT / "docs" / "adr"
    listed = re.findall(
        r"^- \[(\d+)\]\(((\d{4})-[a-z0-9-]+\.md)\) (.+)$", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [name for _number, name, _digits, _title in listed] == sorted(path.name for path in folder.glob("0*.md"))
    for number, name, digits, title in listed:
        assert int(number) == int(digits)
        with (folder / name).open(encoding="utf-8") as file:
            assert re.fullmatch(rf"# (?:{number}\. )?{re.escape(title)}\n", file.readline()), name


def test_links_between_documents_lead_somewhere():
    for path in [ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "adr" / "0001-libraries.md").read_text()
    for requirement in project["dependencies"]:
        assert f"**{re.split('[<>=]', requirement)[0]}**" in reasons
