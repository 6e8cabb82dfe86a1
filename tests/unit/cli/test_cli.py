"""The command line as a contract: grammar, exit codes, completion, nothing that asks."""

import argparse
import json
import os
import shutil
import subprocess
import sys

import pytest

from kfinstall import errors
from kfinstall.cli import runs
from kfinstall.cli.completion import script
from kfinstall.cli.parser import PHASE_NAMES, Once, build_parser, normalise
from kfinstall.errors import UsageError
from kfinstall.workflows import installation


def run(*words, stdin=subprocess.DEVNULL, **environ):
    base = {"PATH": os.environ["PATH"], "HOME": environ.pop("HOME", os.environ.get("HOME", "/")), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-m", "kfinstall", *words],
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=base | environ,
    )


def test_exit_codes_are_the_documented_ones():
    expected = {
        "DONE": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "PREFLIGHT": 3,
        "PREFLIGHT_WARNING": 4,
        "COMMAND": 10,
        "CHANGES": 11,
        "SSH": 13,
        "SUDO": 14,
        "ANSWERS": 15,
        "TIMEOUT": 16,
        "SET_ASIDE": 20,
        "PROOF": 30,
        "LOCKED": 75,
        "INTERRUPTED": 130,
    }
    assert {code.name: code.value for code in errors.ExitCode} == expected


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], "wizard"),
        (["--answers", "f"], "install"),
        (["--json", "--answers=f"], "install"),
        (["install", "--answers", "f"], "install"),
        (["check", "--answers", "f"], "check"),
        (["plan", "--answers", "f", "--export", "r.md", "--detailed-exitcode"], "plan"),
        (["resume"], "resume"),
        (["resume", "run-1", "--yes"], "resume"),
        (["status"], "status"),
        (["doctor", "--answers", "f", "--only", "storage"], "doctor"),
        (["answers", "new"], "answers"),
        (["demo", "--headless", "--nodes", "5", "--fault", "ssh-drop:worker1", "--fault", "reboot:worker2"], "demo"),
        (["completion", "fish"], "completion"),
    ],
)
def test_grammar(words, command):
    assert build_parser().parse_args(normalise(words)).command == command


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["install"],
        ["demo", "--nodes", "0"],
        ["demo", "--pace", "x"],
        ["plan", "--answers", "f", "--only", "nope"],
        ["answers"],
    ],
)
def test_wrong_words_are_usage_errors(words):
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_phases_in_the_grammar_are_the_engine_s():
    assert installation.names() == PHASE_NAMES


def test_without_arguments_it_points_to_answers():
    done = run()
    assert done.returncode == 2
    assert "--answers" in done.stderr


def test_version_and_help():
    assert run("--version").stdout.startswith("kfinstall 0.")
    text = run("--help").stdout
    assert "exit codes" in text
    assert "130 interrupted" in text


def test_a_missing_answers_file_is_exit_15_and_names_it(tmp_path):
    done = run("--answers", str(tmp_path / "none.yaml"), "--state-dir", str(tmp_path))
    assert done.returncode == 15
    assert "none.yaml" in done.stderr


def test_status_without_a_run_says_what_to_do(tmp_path):
    done = run("status", "--state-dir", str(tmp_path))
    assert done.returncode == 2
    assert "kfinstall --answers" in done.stderr


def test_answers_new_is_never_overwritten(tmp_path):
    path = tmp_path / "a.yaml"
    assert run("answers", "new", str(path)).returncode == 0
    before = path.read_text()
    assert run("answers", "new", str(path)).returncode == 2
    assert path.read_text() == before
    assert run("answers", "check", str(path)).returncode == 0


def test_the_schema_is_json():
    assert json.loads(run("answers", "schema").stdout)["type"] == "object"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_long_option(shell):
    text = script(shell)
    for word in ("install", "check", "plan", "resume", "status", "doctor", "answers", "demo", "completion"):
        assert word in text
    for option in ("answers", "state-dir", "accept-new-host-keys", "detailed-exitcode"):
        assert option in text


def _bash_completes(line):
    words = line.split(" ")
    program = (
        script("bash")
        + "\n"
        + (
            f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; _shtab_kfinstall; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    )
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_bash_completion_works_in_bash():
    assert "resume" in _bash_completes("kfinstall re")
    assert _bash_completes("kfinstall plan --only sto") == ["storage"]
    assert "check" in _bash_completes("kfinstall answers ch")
    assert "--fault" in _bash_completes("kfinstall demo --f")


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_bash_completes_values_files_and_the_short_form_of_install(tmp_path, monkeypatch):
    (tmp_path / "answers.yaml").touch()
    (tmp_path / "answers-of-old").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _bash_completes("kfinstall demo --nodes 3 --fault reb") == ["reboot:worker1"]
    assert _bash_completes("kfinstall rotate --only katib-database pip") == ["pipelines-database"]
    assert _bash_completes("kfinstall --acc") == ["--accept-new-host-keys"]
    assert sorted(_bash_completes("kfinstall --answers ans")) == ["answers-of-old", "answers.yaml"]
    assert sorted(_bash_completes("kfinstall answers check ans")) == ["answers-of-old", "answers.yaml"]
    assert _bash_completes("kfinstall plan --state-dir ans") == ["answers-of-old"]
    assert _bash_completes("kfinstall bundle --cache ans") == ["answers-of-old"]


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
def test_fish_completion_works_in_fish(tmp_path):
    path = tmp_path / "kfinstall.fish"
    path.write_text(script("fish"))

    def completes(line):
        command = ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"]
        found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        return [text.split("\t")[0] for text in found.splitlines()]

    assert completes("kfinstall plan --only sto") == ["storage"]
    assert completes("kfinstall answers ch") == ["check"]
    assert completes("kfinstall --acc") == ["--accept-new-host-keys"]
    assert completes("kfinstall demo --fault reb") == ["reboot:worker1"]
    assert completes("kfinstall --answers kf") == ["kfinstall.fish"]


def test_zsh_takes_the_script_by_eval_by_source_and_from_its_path():
    assert "[[ $zsh_eval_context[-1] != loadautofunc ]]" in script("zsh")


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
@pytest.mark.parametrize("load", ["source {path}", 'eval "$(<{path})"'])
def test_zsh_registers_the_completion(tmp_path, load):
    path = tmp_path / "_kfinstall"
    path.write_text(script("zsh"))
    program = f"autoload -Uz compinit && compinit -u -D; {load.format(path=path)}; print -r -- $_comps[kfinstall]"
    found = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["_shtab_kfinstall"]
    assert found.stderr == ""


def test_help_is_printed_in_any_encoding():
    done = run("--help", PYTHONUTF8="0", PYTHONIOENCODING="cp932")
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit codes" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["answers schema", "completion bash"])
def test_output_that_has_no_room_is_no_trouble_of_the_state_directory(words):
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m kfinstall {words} > /dev/full"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "can't be written" in done.stderr
    assert "state directory" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes it")
@pytest.mark.parametrize(("closed", "code"), [("answers schema >&-", 0), ("answers schema 2>&-", 0), ("nothing 2>&- >&- <&-", 2)])
def test_streams_that_are_closed_are_no_defect(closed, code):
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m kfinstall {closed}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")


QUESTION = (
    "import os, sys; from kfinstall.cli.terminal import Terminal; "
    "os.write(1, b'ready'); os.read(int(sys.argv[1]), 1); "
    "print(Terminal.detect(os.environ).confirm('is it right? [y/N] '), flush=True)"
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
@pytest.mark.parametrize(("answer", "expected"), [(b"n\n", "False"), (b"y\n", "True")])
def test_what_was_typed_before_a_question_is_no_answer_to_it(answer, expected):
    import pty

    ours, theirs = pty.openpty()
    go, tell = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", QUESTION, str(go)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=(go,),
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""

    def until(words):
        nonlocal shown
        while words not in shown:
            shown += os.read(ours, 1000)

    until(b"ready")
    os.write(ours, b"y\n")
    until(b"y\r\n")
    os.write(tell, b"1")
    until(b"[y/N] ")
    os.write(ours, answer)
    until(b"e\r\n")
    assert process.wait(30) == 0
    assert expected in shown.decode().rpartition("[y/N]")[2]


def taken(*words):
    return build_parser().parse_args(normalise(words))


def test_a_second_phase_is_taken_too():
    """Reported: the second took the place of the first, without a word."""
    options = taken("--answers", "a.yaml", "--only", "prepare", "--only=cluster", "--only", "prepare")
    assert runs.only_phases(options) == ("prepare", "cluster")
    assert runs.only_phases(taken("--answers", "a.yaml")) is None
    assert taken("rotate", "--answers", "a.yaml", "--only", "cookie", "--only", "oidc-client").rotating == ["cookie", "oidc-client"]


@pytest.mark.parametrize(
    "words",
    [
        ("--answers", "a.yaml", "--answers", "b.yaml"),
        ("--answers", "a.yaml", "--from", "prepare", "--from", "cluster"),
        ("check", "--answers", "a.yaml", "--junit", "a.xml", "--junit=b.xml"),
        ("plan", "--answers", "a.yaml", "--export", "a", "--export", "b"),
        ("status", "--state-dir", "/a", "--state-dir", "/b"),
        ("demo", "--nodes", "3", "--nodes", "4"),
        ("demo", "--pace", "0", "--pace", "1"),
        ("bundle", "--out", "a", "--components", "mini", "--components", "full"),
        ("answers", "import", "hosts", "-o", "a.yaml", "--output", "b.yaml"),
    ],
    ids=" ".join,
)
def test_a_second_value_where_one_is_taken_is_refused_and_the_same_one_again_is_not(words):
    """Reported: the first was lost without a word."""
    with pytest.raises(UsageError, match="given twice"):
        taken(*words)
    first = words[:-1] if "=" in words[-1] else words[:-2]
    assert taken(*first, *first[-2:])


def test_each_call_of_the_parser_begins_anew():
    known = build_parser()
    assert known.parse_args(["check", "--answers", "a.yaml"]).answers == "a.yaml"
    assert known.parse_args(["check", "--answers", "b.yaml"]).answers == "b.yaml"


def test_every_option_of_the_grammar_is_a_switch_or_takes_all_of_its_values_or_refuses_a_second():
    """No option may lose what was given to it first."""

    def actions(of):
        for action in of._actions:
            yield action
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    yield from actions(below)

    kinds = {
        type(action)
        for action in actions(build_parser())
        if action.option_strings and action.nargs != 0 and not isinstance(action, argparse._AppendAction)
    }
    assert kinds == {Once}
