"""Planted secrets are searched for in everything that a run leaves behind, in every usual spelling."""

import base64
import io
import json
import shlex
from urllib.parse import quote

import pytest

from kfinstall.answers.model import Answers
from kfinstall.engine import runbook
from kfinstall.engine.reporters.jsonl import JsonLines
from kfinstall.engine.reporters.plain import Plain
from kfinstall.errors import KfError
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import card
from tests.simulated.engine import place, run

PLANTED = {
    "SUDO": "sudo-pl4nted;$(id) \"q'1",
    "LOGIN": "login-pl4nted-é-2",
    "REGISTRY": "registry/pl4nted+word=3",
    "KUBEFLOW": "kubeflow pl4nted&word 4",
}


def spellings(value):
    encoded = base64.b64encode(value.encode()).decode()
    forms = {value, encoded, encoded.rstrip("="), quote(value, safe=""), quote(value), json.dumps(value)[1:-1], shlex.quote(value)}
    return forms | {base64.b64encode(f"kfinstall:{value}".encode()).decode()}


def leaks(texts):
    """(where, which secret) of everything found."""
    return [
        (where, name)
        for where, text in texts.items()
        for name, value in PLANTED.items()
        if any(s in text for s in spellings(value))
    ]


def left_behind(folder, streams):
    """Every file of the state directory, and what was shown; of the simulated machines everything but the API's own store."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file() and path.name != "cluster.jsonl"}
    return {name: path.read_bytes().decode("utf-8", "replace") for name, path in files.items()} | streams


def planted(fleet):
    data = fleet.answers().model_dump(by_alias=True)
    data["ssh"] |= {"password": {"env": "LOGIN"}, "sudoPassword": {"env": "SUDO"}}
    data["registry"] |= {"password": {"env": "REGISTRY"}}
    data["kubeflow"] |= {"user": {"email": "user@example.com", "password": {"env": "KUBEFLOW"}}}
    return Answers.model_validate(data)


def watched():
    shown, lines = io.StringIO(), io.StringIO()
    return {"terminal": shown, "json": lines}, (Plain(shown, verbose=True), JsonLines(lines))


@pytest.mark.parametrize("fault", ["", "kubelet-fails:cp1", "hostile-output:worker1"])
async def test_nothing_that_a_run_leaves_behind_holds_a_secret(tmp_path, fault):
    streams, reporters = watched()
    options = {"faults": [fault] if fault else [], "sudo_password": PLANTED["SUDO"], "login_password": PLANTED["LOGIN"]}
    texts = {}
    async with Fleet(state_dir=place(tmp_path), pace=0.0002, **options) as fleet:
        try:
            session, _events = await run(fleet, planted(fleet), tmp_path, PLANTED, reporters)
        except KfError as error:
            assert fault.startswith("kubelet-fails")
            texts["error"] = "\n".join(error.lines())
        else:
            texts["runbook"] = runbook.markdown(session.plan(), session.situation)
            texts["card"] = "\n".join(card.proof_card(session).lines())
            assert (tmp_path / "clusters" / "demo" / "proof.html").exists()
        machines = {name: json.dumps(server.units.to_json()) for name, server in fleet.servers.items()}
    texts |= {name: stream.getvalue() for name, stream in streams.items()} | machines
    everything = left_behind(tmp_path, texts)
    assert any("journal" in name for name in everything)
    assert leaks(everything) == []


def test_the_search_finds_what_it_looks_for():
    for name, value in PLANTED.items():
        for form in spellings(value):
            assert ("x", name) in leaks({"x": f"before {form} after"}), form
