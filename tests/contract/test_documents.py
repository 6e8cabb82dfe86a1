"""Documents say what the code says."""

import re
import runpy

from kfinstall import resources
from kfinstall.errors import ExitCode
from kfinstall.events import Event

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
