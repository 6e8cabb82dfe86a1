"""The journal: written ahead, torn tails, newer versions, full disks."""

import errno
import os

import pytest

from kfinstall.engine.journal import Entry, Journal
from kfinstall.errors import StateError


def entry(event="started", step="prepare.swap-off", target="n1", **more):
    return Entry(event, "run1", step, target, "abc", **more)


def test_what_was_recorded_is_found_again(tmp_path):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.record(entry())
        journal.record(entry("finished", outcome="changed", evidence="no swap"))
    with Journal(path) as journal:
        last = journal.last("prepare.swap-off", "n1")
        assert (last.event, last.outcome, last.evidence) == ("finished", "changed", "no swap")
        assert journal.in_doubt() == []


def test_started_without_finished_is_in_doubt(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.record(entry())
        journal.record(entry(target="n2"))
        journal.record(entry("finished", target="n2", outcome="failed"))
    with Journal(tmp_path / "j") as journal:
        assert [(doubt.step, doubt.target) for doubt in journal.in_doubt()] == [("prepare.swap-off", "n1")]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_tail_is_ignored_and_the_next_line_is_whole(tmp_path, cut):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.record(entry())
        journal.record(entry(target="n2"))
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path) as journal:
        assert journal.last("prepare.swap-off", "n1") is not None
        assert journal.last("prepare.swap-off", "n2") is None or cut == 1
        journal.record(entry(target="n3"))
    with Journal(path) as journal:
        assert journal.last("prepare.swap-off", "n3") is not None


def test_garbage_in_the_middle_is_counted_and_skipped(tmp_path):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.record(entry())
    path.write_bytes(b"\x00\xff\n[1]\n{}\n" + path.read_bytes())
    with Journal(path) as journal:
        assert journal.torn_lines == 3
        assert journal.last("prepare.swap-off", "n1") is not None


def test_a_newer_version_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "j").write_text('{"version": 99}\n')
    with pytest.raises(StateError, match="newer kfinstall") as raised:
        Journal(tmp_path / "j")
    assert "upgrade" in raised.value.hint


def test_a_full_disk_is_told_before_anything_changes(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.close()
    journal._file = os.open("/dev/full", os.O_WRONLY) if os.path.exists("/dev/full") else -1
    with pytest.raises(StateError, match="nothing was changed") as raised:
        journal.record(entry())
    assert "df -h" in raised.value.hint
    assert os.strerror(errno.ENOSPC) in raised.value.why or os.strerror(errno.EBADF) in raised.value.why
    assert journal.last("prepare.swap-off", "n1") is None
    journal.close()


def test_only_the_owner_can_read_it(tmp_path):
    Journal(tmp_path / "j").close()
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o600
