"""Splitting output into lines and following a unit: any cut of the stream gives the same lines and the same offset."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kfinstall.transport import wire
from kfinstall.transport.follow import Follower, Lines, Tail

OUTPUT = "eins\nzwei 50%\r100%\n@m end 0\n\n@m\nüber\x1b[2J\x1b]52;c;aGk=\x07\nlast".encode()
LINES = ["eins", "100%", "@m end 0", "", "@m", "über", "last"]


@given(st.lists(st.integers(0, 200)))
def test_any_chunks_give_the_same(cuts: list[int]) -> None:
    lines: list[str] = []
    follower = Follower("mark", lines.append)
    stream = b"Welcome!\n" + wire.follow_begin("mark", "r1") + OUTPUT + wire.follow_end("mark", 3)
    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    for start, end in pairwise(places):
        follower.feed(stream[start:end])
    assert lines == LINES
    assert (follower.ended, follower.status) == (True, 3)
    assert follower.offset - len(OUTPUT) in (0, 1)


@given(st.lists(st.integers(0, 150), min_size=1, max_size=5))
def test_lost_connections_lose_and_repeat_nothing(drops: list[int]) -> None:
    lines: list[str] = []
    follower = Follower("mark", lines.append)
    for drop in drops:
        follower.reopen()
        stream = wire.follow_begin("mark", "r1") + OUTPUT[follower.offset :] + wire.follow_end("mark", 0)
        follower.feed(stream[:drop])
        if follower.ended:
            break
    else:
        follower.reopen()
        follower.feed(wire.follow_begin("mark", "r1") + OUTPUT[follower.offset :] + wire.follow_end("mark", 0))
    assert lines == LINES
    assert follower.status == 0


def test_a_line_comes_when_it_is_complete() -> None:
    lines: list[str] = []
    follower = Follower("mark", lines.append)
    follower.feed(wire.follow_begin("mark", "r1") + b"one\n")
    assert lines == ["one"]
    follower.feed(b"two")
    follower.feed(b"\n")
    assert lines == ["one", "two"]


def test_a_unit_without_a_status_and_a_unit_that_is_gone() -> None:
    lost = Follower("m", lambda _line: None)
    lost.feed(wire.follow_begin("m", "r") + b"x" + wire.follow_lost("m", "oom-kill"))
    assert (lost.ended, lost.status, lost.reason) == (True, None, "oom-kill")
    none = Follower("m", lambda _line: None)
    none.feed(wire.follow_none("m"))
    assert (none.ended, none.status, none.found) == (True, None, False)
    other = Follower("m", lambda _line: None)
    other.feed(wire.follow_begin("m", "r1") + b"x\n")
    other.reopen()
    other.feed(wire.follow_begin("m", "r2") + b"y" + wire.follow_end("m", 0))
    assert (other.ended, other.status, other.found) == (True, None, False)


def test_memory_stays_small_whatever_comes() -> None:
    tail = Tail()
    lines = Lines(tail)
    follower = Follower("m", lambda _line: None)
    tracemalloc.start()
    for _turn in range(60):
        lines.feed(b"x" * 65536)  # one line of 13 MB
        follower.feed(b"y" * 65536)  # no header at all
    for _turn in range(40):
        lines.feed(b"short line\n" * 600)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lines.end()
    assert peak < 8 * 2**20
    assert len(tail.lines) == 10_000


def test_a_progress_bar_without_line_ends_shows_its_last_state() -> None:
    seen: list[str] = []
    lines = Lines(seen.append)
    for percent in range(101):
        lines.feed(b"\r" + b"#" * 1000 + b" %d%%" % percent)
    lines.end()
    assert seen == ["#" * 1000 + " 100%"]
