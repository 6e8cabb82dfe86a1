"""The plan as text, as data and as a runbook."""

import subprocess

import pytest
import yaml

from kfinstall import releases, resources
from kfinstall.answers.load import load
from kfinstall.engine import plan, runbook
from kfinstall.facts.model import Facts
from kfinstall.workflows import installation


@pytest.fixture(scope="module")
def made():
    answers = load(resources.root() / "examples" / "three-nodes.yaml")
    fleet = {node.name: Facts(node=node.name) for node in answers.nodes}
    situation = plan.Situation(answers, releases.load(answers.cluster.release), fleet)
    return plan.build(situation, installation.PHASES), situation


def test_the_text_marks_the_point_of_no_return_once_and_counts(made):
    lines = list(runbook.text(made[0]))
    assert [line for line in lines if "POINT OF NO RETURN" in line] == [
        "  + master: Start the first control plane  <- POINT OF NO RETURN"
    ]
    assert lines[-1].startswith(f"{len(made[0].pending)} to change")


def test_data_has_one_object_for_every_step_and_target(made):
    rows = list(runbook.data(made[0]))
    assert len(rows) == len(made[0].steps)
    assert {row["state"] for row in rows} <= {"satisfied", "needed", "conflict"}
    assert all(row["event"] == "planned" and row["version"] == 1 for row in rows)


def blocks(text):
    return [part.split("```")[0] for part in text.split("```bash\n")[1:]]


def test_every_command_of_the_runbook_is_whole(made):
    text = runbook.markdown(*made)
    commands, scripts = text.split("## Appendix: scripts")
    for name in {item.step.script for item in made[0].pending if item.step.script}:
        assert f"### {name}.sh" in scripts
    found = blocks(commands)
    assert len(found) > 20
    for block in found:
        if "<<'EOF'" in block:
            documents = list(yaml.safe_load_all(block.split("<<'EOF'\n")[1].rsplit("EOF", 1)[0]))
            assert all(document["kind"] for document in documents)
        else:
            assert block.startswith("# on ")
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (block, done.stderr)


def test_a_runbook_names_every_node_and_holds_no_secret(made):
    text = runbook.markdown(*made)
    for node in made[1].answers.nodes:
        assert f"| {node.name} | {node.address} |" in text
    assert "certificateKey" not in text
    assert "kind: Secret\n" not in text
