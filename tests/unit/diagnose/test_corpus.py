"""What a cluster says, in the forms of Kubernetes 1.34 to 1.37: no wrong cause, few that are not known."""

from __future__ import annotations

import pytest

from tests.unit.diagnose.corpus import UNKNOWN, Entry, entries, play

ENTRIES = entries()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["id"] for entry in ENTRIES])
def test_the_cause_is_the_right_one(entry: Entry):
    outcome = play(entry)
    assert outcome.found is not None
    assert outcome.cause == entry["cause"], outcome.found.waiting
    if outcome.cause == UNKNOWN:
        assert "not known" in outcome.found.waiting.reason
    if outcome.cause.endswith("-passing"):
        assert outcome.found.vague


def test_the_corpus_is_large_and_names_its_sources():
    assert len(ENTRIES) >= 120
    assert len({entry["id"] for entry in ENTRIES}) == len(ENTRIES)
    assert all(entry["source"] for entry in ENTRIES)
    assert sum(bool(entry.get("held")) for entry in ENTRIES) * 3 >= len(ENTRIES)


def test_no_cause_is_wrong_and_one_in_ten_at_most_is_not_known():
    outcomes = [play(entry) for entry in ENTRIES]
    assert [outcome.entry["id"] for outcome in outcomes if outcome.wrong] == []
    assert sum(outcome.cause == UNKNOWN for outcome in outcomes) <= len(outcomes) // 10
