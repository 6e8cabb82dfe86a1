"""Remote text is cleaned; secrets are masked in every form."""

import base64
import copy
import json
import pickle
import shlex
from pathlib import Path

import pytest

from kfinstall.events import EventBus, Notice, OutputLine
from kfinstall.secrets import MASK, Redactor, Secret, generate
from kfinstall.text import clean, from_home


@pytest.mark.parametrize(
    ("raw", "visible"),
    [
        ("plain", "plain"),
        ("\x1b]52;c;cm0gLXJm\x07safe", "safe"),
        ("\x1b]0;title\x1b\\safe", "safe"),
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("10%\r50%\r100%", "100%"),
        ("bell\x07", "bell"),
        ("a\tb", "a\tb"),
        ("日本語", "日本語"),
        ("\u202egnp.exe", "gnp.exe"),
        ("[/red] markup stays text", "[/red] markup stays text"),
    ],
)
def test_clean(raw, visible):
    assert clean(raw) == visible


def test_a_giant_line_is_cut():
    assert len(clean("x" * 10**6)) < 5000


def test_a_secret_never_shows_itself():
    secret = Secret("hunter2hunter2")
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>20}", f"{secret!r}", json.dumps([repr(secret)])):
        assert "hunter2" not in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_the_redactor_knows_the_usual_encodings():
    value = "p@ss \"w'rd/1"
    redact = Redactor()
    redact.register(Secret(value))
    for form in (value, base64.b64encode(value.encode()).decode(), shlex.quote(value), json.dumps(value), "p%40ss%20%22w%27rd%2F1"):
        assert MASK in redact(f"x {form} y"), form


def test_a_secret_inside_of_another_leaves_nothing_of_either():
    redact = Redactor()
    redact.register(Secret("inner-secret"))
    redact.register(Secret("outer inner-secret outer"))
    assert redact("a outer inner-secret outer b") == f"a {MASK} b"
    assert redact("a inner-secret b") == f"a {MASK} b"
    clean = "nothing of either"
    assert redact(clean) is clean


def test_generated_secrets_differ():
    assert generate() != generate()


def test_the_bus_redacts_and_drops_a_broken_listener():
    redact = Redactor()
    redact.register(Secret("topsecret"))
    bus, seen = EventBus(redact), []

    def broken(event):
        raise RuntimeError("topsecret inside")

    bus.subscribe(broken)
    bus.subscribe(seen.append)
    bus.emit(OutputLine(step="s", target="t", text="echo topsecret"))
    bus.emit(Notice(level="info", text="second"))
    assert seen[0].text == f"echo {MASK}"
    assert len(seen) == 2
    assert bus.broken == [f"RuntimeError: {MASK} inside"]


def test_events_have_a_stable_json_form():
    data = OutputLine(step="s", target="t", text="x", at=1.0).to_json()
    assert data == {"version": 1, "event": "outputLine", "at": 1.0, "step": "s", "target": "t", "text": "x"}


def test_a_path_below_the_home_directory_is_written_as_a_shell_takes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "home" / ".local" / "state"
    assert from_home(inside) == str(Path("~") / ".local" / "state")
    assert Path(from_home(inside)).expanduser() == inside
    assert from_home(tmp_path / "else") == str(tmp_path / "else")
    assert from_home(Path("here")) == str(tmp_path / "here")
