"""The hook that judges commit messages, run as git runs it."""

import subprocess
import sys

import pytest
import yaml

from kfinstall import resources

HOOK = resources.root() / ".githooks" / "commit_message.py"
WHY = "\n\nBecause it was wrong.\n"


@pytest.fixture
def judged(tmp_path):
    def run(text):
        path = tmp_path / "COMMIT_EDITMSG"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, HOOK, path], capture_output=True, text=True, check=False)
        assert not done.stdout
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize(
    "text",
    [
        "a" * 72 + WHY,
        "ü" * 72 + WHY,
        f"\n# a comment of git\nOne order of states{WHY}# Changes to be committed:\n#\tmodified: {'x' * 80}\n",
        f"Short{WHY}# ------------------------ >8 ------------------------\ndiff --git a/x b/x\n{'+' * 90}\n",
        f"Merge branch '{'x' * 80}' into main\n",
        f"fixup! {'x' * 72}\n",
        "",
    ],
)
def test_what_is_as_it_should_be_is_not_talked_about(judged, text):
    assert judged(text) == (0, "")


@pytest.mark.parametrize(
    ("text", "expected"), [("a" * 73 + WHY, "73 characters"), ("Short\nand more\n", "must be empty"), ("é" * 80, "80 characters")]
)
def test_what_must_be_changed_is_refused(judged, text, expected):
    code, output = judged(text)
    assert (code, output.count("\n")) == (1, 1)
    assert expected in output


@pytest.mark.parametrize("text", ["Fix a typo\n", "Fix a typo\n\n# nothing but comments\n", "Fix a typo\n\n\n"])
def test_a_subject_alone_passes_with_a_word_about_it(judged, text):
    code, output = judged(text)
    assert code == 0
    assert "say why" in output


def test_pre_commit_runs_it_on_messages_alone():
    found = yaml.safe_load((resources.root() / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = [hook for repo in found["repos"] for hook in repo["hooks"] if hook["id"] == "commit-message"]
    assert hook["entry"].split()[-1] == ".githooks/commit_message.py"
    assert hook["stages"] == ["commit-msg"]
    assert "commit-msg" in found["default_install_hook_types"]
