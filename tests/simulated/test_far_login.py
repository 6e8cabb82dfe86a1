"""What stands between a login and our program on real machines: startup files, login shells, sudo in all its forms. Debian 13's own programs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kfinstall.secrets import Secret
from kfinstall.transport.base import Host, Program
from tests.fakes import far as machine
from tests.fakes.far import FREE_SUDO, PASSWORD, PASSWORD_SUDO, SUDO_RS, far

pytestmark = [
    pytest.mark.skipif(bool(machine.lacking()), reason=f"a machine of Debian's own programs {machine.lacking()}"),
    # The first of them makes the machine's files.
    pytest.mark.timeout(600),
]


def ask(text: str, stdin: str | None = None, **parameters: str) -> Program:
    return Program("ask", "test", text, parameters, None if stdin is None else Secret(stdin))


async def works(host: Host) -> None:
    """A question with a secret, and a detached step."""
    try:
        program = ask('printf %s "$KF_TEXT"; echo; cat; id -u; echo told >&2', "geheim\n", TEXT="ü 'x'\n$y")
        done = await host.ask(program, timeout_seconds=30)
        assert (done.status, done.lines) == (0, ("ü 'x'", "$y", "geheim", "0"))
        failed = await host.ask(ask("echo out; echo told >&2; exit 7"), timeout_seconds=30)
        assert (failed.status, failed.lines) == (7, ("out", "told"))
        lines: list[str] = []
        step = Program("step", "far-test", "cat; locale 2>/dev/null | grep -c tr_TR; umask; exit 3", {}, Secret("a\nb\n"))
        done = await host.run(step, timeout_seconds=60, on_line=lines.append)
        assert (done.status, lines) == (3, ["a", "b", "0", *lines[3:]])
    finally:
        await host.close()


def bashrc(text: str) -> str:
    return f"printf '%s\\n' {shlex.quote(text)} >/home/ada/.bashrc.new; cat /home/ada/.bashrc >>/home/ada/.bashrc.new; mv /home/ada/.bashrc.new /home/ada/.bashrc"


STARTUP = {
    "greeting": 'echo "Welcome to $(hostname)"',
    "on standard error": 'echo "Welcome" >&2',
    "no line end": "printf 'Welcome> '; printf 'there> ' >&2",
    "colours": r"printf '\033[31mred\033[0m\n\033]0;title\007'",
    "a megabyte": "head -c 1000000 /dev/zero | tr '\\0' w; head -c 100000 /dev/zero | tr '\\0' e >&2",
    "words of sudo": "echo 'sudo: a password is required'; echo 'you are not allowed to be here, ada is not in the sudoers file' >&2",
    "words of kfinstall": "echo '@0123 begin'; echo 'kf-error: x'",
    "traces": "set -xv",
    "errors end it": "set -u; trap 'echo bye' EXIT",
    "no path": "PATH=/nowhere",
    "variables": "export BASH_ENV=/etc/shells ENV=/etc/shells POSIXLY_CORRECT=1 SHELLOPTS CDPATH=/tmp IFS=abc GREP_OPTIONS=-v; declare -rx TMOUT=1",
    "a locale": "export LC_ALL=tr_TR.UTF-8 LANG=de_DE.UTF-8 LANGUAGE=de",
    "umask": "umask 0777",
    "functions and aliases": "shopt -s expand_aliases; alias bash='echo no' env='echo no' sudo='echo no'; sudo() { echo no; }; env() { echo no; }; export -f sudo env",
    "prompt": "PROMPT_COMMAND='echo prompt'; PS1='$(echo no) '; stty -echo; mesg n",
}


@pytest.mark.parametrize("sudo", ["free", "password", "sudo-rs"])
@pytest.mark.parametrize("text", STARTUP.values(), ids=STARTUP)
async def test_what_a_startup_file_says_and_sets_is_not_in_the_way(tmp_path: Path, text: str, sudo: str) -> None:
    """Red before with a password: 'the facts of the node can't be read | sudo: a password is required | look at its disk'."""
    setup = {"free": [FREE_SUDO], "password": [PASSWORD_SUDO], "sudo-rs": [PASSWORD_SUDO, SUDO_RS]}[sudo]
    async with far(tmp_path, *setup, bashrc(text)) as node:
        await works(await node.connect(sudo_password=PASSWORD if sudo != "free" else ""))


SHELLS = {
    "fish": (
        "/usr/bin/fish",
        "mkdir -p /home/ada/.config/fish; echo 'echo hello from fish' >/home/ada/.config/fish/config.fish; chown -R ada: /home/ada/.config",
    ),
    "dash": ("/bin/dash", "echo 'echo hello from profile' >/home/ada/.profile"),
    "zsh": ("/usr/bin/zsh", "echo 'echo hello from zshenv; alias env=false bash=false' >/home/ada/.zshenv"),
    "tcsh": ("/usr/bin/tcsh", "echo 'echo hello from tcshrc' >/home/ada/.tcshrc"),
    "rbash": ("/bin/rbash", bashrc("echo hello from rbash")),
    "bash, set -eu for all": ("/bin/bash", "printf 'set -eu\\necho hello\\n' >>/etc/profile; sed -i '1i set -eu' /etc/bash.bashrc"),
}


@pytest.mark.parametrize("sudo", ["free", "password"])
@pytest.mark.parametrize(("shell", "more"), SHELLS.values(), ids=SHELLS)
async def test_every_login_shell_will_do(tmp_path: Path, shell: str, more: str, sudo: str) -> None:
    setup = (FREE_SUDO if sudo == "free" else PASSWORD_SUDO, f"usermod -s {shell} ada", more)
    async with far(tmp_path, *setup) as node:
        await works(await node.connect(sudo_password=PASSWORD if sudo != "free" else ""))
