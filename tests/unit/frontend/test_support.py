"""The support bundle: everything to understand a run, nothing that is a secret."""

import tarfile

import pytest

from kfinstall.engine.state import ClusterState
from kfinstall.errors import CommandError, StateError
from kfinstall.frontend import support
from kfinstall.secrets import Redactor, Secret

PLANTED = "planted-secret-4711"


@pytest.fixture
def cluster(tmp_path):
    cluster = ClusterState(tmp_path / "state", "demo")
    run = cluster.new_run("install")
    (cluster.run_directory(run.id) / "events.jsonl").write_text('{"event": "notice"}\n')
    cluster.journal_path.write_text('{"version": 1}\n')
    cluster.known_hosts.write_text("host key\n")
    (cluster.path / "simulator").mkdir()
    (cluster.path / "simulator" / "id_ed25519").write_text(PLANTED)
    return cluster


def members(path):
    with tarfile.open(path) as bundle:
        return {item.name.partition("/")[2]: bundle.extractfile(item).read().decode() for item in bundle.getmembers()}


def test_what_is_in_it(cluster, tmp_path):
    path = tmp_path / "bundle.tar.gz"
    error = CommandError("it broke", node="a", why="because", hint="mend it")
    names = support.write(cluster, path, error=error)
    found = members(path)
    assert sorted(found) == sorted(names)
    assert {"versions.json", "failure.txt", "journal.jsonl", "cluster.json"} <= set(found)
    assert any(name.endswith("events.jsonl") for name in found)
    assert "mend it" in found["failure.txt"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_key_of_a_machine_and_no_known_secret(cluster, tmp_path):
    run = cluster.runs()[0]
    (cluster.run_directory(run.id) / "events.jsonl").write_text(f'{{"text": "{PLANTED}"}}\n')
    redact = Redactor()
    redact.register(Secret(PLANTED))
    path = tmp_path / "bundle.tar.gz"
    support.write(cluster, path, redact=redact)
    assert all(PLANTED not in text for text in members(path).values())
    assert not any("known_hosts" in name or "simulator" in name for name in members(path))


def test_a_place_that_can_not_be_written(cluster, tmp_path):
    with pytest.raises(StateError, match="can't be written"):
        support.write(cluster, tmp_path / "no" / "bundle.tar.gz")
