"""The state directory: on Linux always the same path, elsewhere the platform's own unless there is a state at the old path."""

import sys
from pathlib import Path

import pytest

from kfinstall.cli import main
from kfinstall.cli.places import default_directory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="plays the other platforms from a POSIX one")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, "{home}/.local/state/kfinstall"),
        ("", "{home}/.local/state/kfinstall"),
        ("{home}/state", "{home}/state/kfinstall"),
        ("{home}/a b/über/", "{home}/a b/über/kfinstall"),
        ("{home}//x/../y", "{home}/x/../y/kfinstall"),
        ("relative/state", "relative/state/kfinstall"),
        ("~/state", "~/state/kfinstall"),
    ],
)
def test_on_linux_the_path_is_what_it_always_was(home, monkeypatch, variable, expected, there):
    monkeypatch.chdir(home)
    if variable is not None:
        monkeypatch.setenv("XDG_STATE_HOME", variable.format(home=home))
    path = expected.format(home=home)
    if there:
        Path(path).mkdir(parents=True)
    assert str(default_directory("linux")) == path


def test_without_a_variable_for_it_the_home_of_the_account_is_taken(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_directory("linux") == Path("~/.local/state/kfinstall").expanduser()


def test_macos_has_its_own_place(home):
    assert default_directory("darwin") == home / "Library/Application Support/kfinstall"


def test_on_macos_a_state_at_the_old_path_is_used(home, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert default_directory("darwin") == home / "state/kfinstall"
    old = home / "Library/Application Support/kfinstall"
    old.mkdir(parents=True)
    assert default_directory("darwin") == old


def test_on_windows_the_shells_folder_is_asked_and_a_state_at_the_old_path_is_used(home, monkeypatch):
    # What Windows itself would answer; it need not be what LOCALAPPDATA says.
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", r"D:\Users\ann\AppData\Local")
    monkeypatch.setenv("LOCALAPPDATA", str(home / "moved"))
    assert str(default_directory("win32")).replace("/", "\\") == r"D:\Users\ann\AppData\Local\kfinstall"
    old = home / "moved" / "kfinstall"
    old.mkdir(parents=True)
    assert default_directory("win32") == old
    monkeypatch.delenv("LOCALAPPDATA")
    old = home / "AppData" / "Local" / "kfinstall"
    old.mkdir(parents=True)
    assert default_directory("win32") == old


def test_without_a_home_a_state_directory_can_be_named_and_nothing_else_needs_one(monkeypatch, tmp_path, capsys):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert main(["--version"]) == 0
    assert main(["answers", "schema"]) == 2
    assert "--state-dir DIR" in capsys.readouterr().err
    assert main(["answers", "schema", "--state-dir", str(tmp_path)]) == 0
