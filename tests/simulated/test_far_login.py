"""What stands between a login and our program on real machines: startup files, login shells, sudo in all its forms. Debian 13's own programs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kfinstall import resources
from kfinstall.errors import KfError, LoginError, StepTimeoutError, SudoError, TransportError
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.secrets import Secret
from kfinstall.transport.base import Host, Program
from tests.fakes import far as machine
from tests.fakes.far import FREE_SUDO, PASSWORD, PASSWORD_SUDO, SUDO_RS, UUTILS, far
from tests.fakes.sshd import QUICK

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
    "a question that gives up": "read -t 1 -p 'Start tmux? ' answer",
    "functions and aliases": "shopt -s expand_aliases; alias bash='echo no' env='echo no' sudo='echo no'; sudo() { echo no; }; env() { echo no; }; export -f sudo env",
    "prompt": "PROMPT_COMMAND='echo prompt'; PS1='$(echo no) '; stty -echo; mesg n",
}


# The machine itself takes the second that each of these lasts: sudo-rs wants the most of us, and stands for the others where they agree.
FORMS = {"free": (FREE_SUDO,), "password": (PASSWORD_SUDO,), "sudo-rs": (PASSWORD_SUDO, SUDO_RS)}
STARTED = [("sudo-rs", name) for name in STARTUP if "question" not in name] + [
    ("password", "greeting"),
    ("password", "words of sudo"),
    ("free", "greeting"),
    ("free", "traces"),
]


@pytest.mark.parametrize(("sudo", "name"), STARTED)
async def test_what_a_startup_file_says_and_sets_is_not_in_the_way(tmp_path: Path, sudo: str, name: str) -> None:
    """Red before with a password: 'the facts of the node can't be read | sudo: a password is required | look at its disk'."""
    async with far(tmp_path, *FORMS[sudo], bashrc(STARTUP[name])) as node:
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


@pytest.mark.parametrize(("shell", "more"), SHELLS.values(), ids=SHELLS)
async def test_every_login_shell_will_do(tmp_path: Path, shell: str, more: str) -> None:
    async with far(tmp_path, PASSWORD_SUDO, f"usermod -s {shell} ada", more) as node:
        await works(await node.connect(sudo_password=PASSWORD))


async def refused(node: machine.Far, error: type[KfError], message: str, hint: str, **more: object) -> KfError:
    """What the first question is told; no longer than a person reads."""
    host = await node.connect(**more)
    try:
        with pytest.raises(error, match=message) as caught:
            await host.ask(ask("echo never"), timeout_seconds=20)
        assert hint in caught.value.hint
        assert type(caught.value) is error
        assert not caught.value.retryable
        assert len(caught.value.lines()) < 20
        return caught.value
    finally:
        await host.close()


INSTEAD = {
    "exit": (bashrc("echo bye; exit 1"), "our command was not run", "~/.bashrc"),
    "exit 0": (bashrc("exit 0"), "our command was not run", "~/.bashrc"),
    "exec": (bashrc("exec /bin/true"), "our command was not run", "exec in ~/.bashrc"),
    "forced command": (
        "sed -i '1s/^/command=\"echo menu: 1 backup 2 restore\" /' /home/ada/.ssh/authorized_keys",
        "our command was not run",
        "command= in",
    ),
    "forced command that asks": (
        "sed -i '1s/^/command=\"read -p choose: x; echo $x\" /' /home/ada/.ssh/authorized_keys",
        "our command was not run",
        "command= in",
    ),
    "cloud image's root": (
        'sed -i \'1s/^/command="echo Please login as the user \\\\"ubuntu\\\\" rather than the user \\\\"root\\\\".;exit 142" /\' /home/ada/.ssh/authorized_keys',
        "the node wants ubuntu",
        "ssh: {user: ubuntu}",
    ),
    "nologin": ("usermod -s /usr/sbin/nologin ada", "login shell of ada runs no commands", "usermod -s /bin/bash ada"),
    "false": ("usermod -s /bin/false ada", "our command was not run", "getent passwd ada"),
    "expired password": ("chage -d 0 ada", "the password of ada has expired", "chage -d"),
    "no bash": ("usermod -s /bin/dash ada; mv /usr/bin/bash /usr/bin/hidden", "no bash", "install"),
}


@pytest.mark.parametrize(("setup", "message", "hint"), INSTEAD.values(), ids=INSTEAD)
async def test_a_login_that_runs_something_else_says_what(tmp_path: Path, setup: str, message: str, hint: str) -> None:
    """Reported: 'the facts of the node are torn', or 'can't be read ... look at its disk'."""
    async with far(tmp_path, FREE_SUDO, setup) as node:
        error = await refused(node, LoginError, message, hint)
        if "menu" in setup:
            assert "menu: 1 backup 2 restore" in error.why


async def test_a_startup_file_that_closes_standard_input_is_named(tmp_path: Path) -> None:
    async with far(tmp_path, FREE_SUDO, bashrc("exec </dev/null")) as node:
        await refused(node, LoginError, "what is sent to a command does not reach it", "~/.bashrc")


async def test_a_login_that_never_begins_says_so(tmp_path: Path) -> None:
    async with far(tmp_path, FREE_SUDO, bashrc("echo waiting; sleep 1000")) as node:
        limits = QUICK.__class__(begin_seconds=2)
        host = await node.connect(limits=limits)
        with pytest.raises(TransportError, match="no command was started within 2 s") as caught:
            await host.ask(ask("echo never"), timeout_seconds=20)
        assert "waiting" in caught.value.why
        await host.close()


SUDO = {
    "a lecture and a prompt": "printf 'Defaults lecture=always\\nDefaults passprompt_override,passprompt=\"secret of %%u: \"\\n' >>/etc/sudoers.d/ada",
    "insults and a log": "printf 'Defaults insults,logfile=/var/log/sudo.log,log_output\\n' >>/etc/sudoers.d/ada",
    "no pty, no reset": "printf 'Defaults !use_pty,!env_reset\\n' >>/etc/sudoers.d/ada",
    "a remembered password": "printf 'Defaults timestamp_timeout=-1,timestamp_type=global\\n' >>/etc/sudoers.d/ada",
    "pam speaks": "sed -i '1a auth optional pam_echo.so file=/etc/os-release' /etc/pam.d/sudo",
    "a password that expires soon": "chage -M 5 -W 7 ada; chage -d $(date -d '-3 days' +%F) ada",
    "sudo-rs": SUDO_RS,
    "sudo-rs and uutils": f"{SUDO_RS}; {UUTILS}",
}


@pytest.mark.parametrize("setup", SUDO.values(), ids=SUDO)
async def test_sudo_with_a_password_in_all_its_forms(tmp_path: Path, setup: str) -> None:
    """Red before with sudo-rs 0.2.5: it reads ahead, and 'the facts of the node are torn: section os is missing'."""
    async with far(tmp_path, PASSWORD_SUDO, setup) as node:
        await works(await node.connect(sudo_password=PASSWORD))


async def test_the_password_of_root_where_sudo_wants_that(tmp_path: Path) -> None:
    setup = "echo 'Defaults rootpw' >>/etc/sudoers.d/ada; echo 'root:other' | chpasswd"
    async with far(tmp_path, PASSWORD_SUDO, setup) as node:
        await works(await node.connect(sudo_password="other"))
        error = await refused(node, SudoError, "the password of root", "rootpw", sudo_password=PASSWORD)
        assert "kf-asked" not in "".join(error.lines())


REFUSALS = {
    "requiretty": ("echo 'Defaults requiretty' >>/etc/sudoers.d/ada", "requiretty", "!requiretty"),
    "another command": (
        "echo 'ada ALL=(root) NOPASSWD: /usr/bin/apt' >/etc/sudoers.d/ada",
        "some commands by sudo",
        "has to allow every command",
    ),
    "no sudoer": ("rm /etc/sudoers.d/ada", "may not use sudo", "usermod -aG sudo ada"),
    "no sudo": ("rm /usr/bin/sudo /usr/bin/doas", "there is no sudo", "apt-get install sudo"),
    "no setuid": ("chmod u-s /usr/bin/sudo", "can't become root itself", "4755"),
    "expired password": (
        "chage -d 0 ada; sed -i 's/^UsePAM yes/UsePAM no/' /etc/ssh/sshd_config",
        "the password of ada has expired",
        "chage -d",
    ),
    "wrong password": ("echo ada:changed | chpasswd", "refused the password of ada", "ssh.sudoPassword"),
    "wrong password, sudo-rs": (f"echo ada:changed | chpasswd; {SUDO_RS}", "refused the password of ada", "ssh.sudoPassword"),
    "no sudoer, sudo-rs": (f"rm /etc/sudoers.d/ada; {SUDO_RS}", "may not use sudo", "usermod -aG sudo ada"),
    "doas with a password": ("rm /usr/bin/sudo; echo 'permit ada' >/etc/doas.conf", "doas wants a password", "permit nopass ada"),
    "doas for others": (
        "rm /usr/bin/sudo; echo 'permit nopass bob' >/etc/doas.conf",
        "doas lets ada not become root",
        "permit nopass ada",
    ),
    "doas without rules": ("rm /usr/bin/sudo; rm -f /etc/doas.conf", "it has no /etc/doas.conf", "permit nopass ada"),
}


@pytest.mark.parametrize(("setup", "message", "hint"), REFUSALS.values(), ids=REFUSALS)
async def test_each_refusal_of_sudo_is_told_as_what_it_is(tmp_path: Path, setup: str, message: str, hint: str) -> None:
    async with far(tmp_path, PASSWORD_SUDO, setup) as node:
        await refused(node, SudoError, message, hint, sudo_password=PASSWORD)


async def test_a_password_that_nobody_gave_names_both_ways_out(tmp_path: Path) -> None:
    async with far(tmp_path, PASSWORD_SUDO) as node:
        await refused(node, SudoError, "asks ada for a password", "NOPASSWD: ALL")


async def test_doas_will_do_where_there_is_no_sudo(tmp_path: Path) -> None:
    async with far(tmp_path, "rm /usr/bin/sudo", "echo 'permit nopass ada' >/etc/doas.conf") as node:
        await works(await node.connect())


PLACES = {
    "noexec": "mount -t tmpfs -o noexec none /tmp; mount -t tmpfs -o noexec none /var/tmp",
    "full": "mount -t tmpfs -o size=4k none /tmp; cat /dev/zero >/tmp/full 2>/dev/null || true; mount -t tmpfs -o size=4k none /var/tmp; cp /tmp/full /var/tmp 2>/dev/null || true",
    "no home": "usermod -d /nowhere ada; echo 'AuthorizedKeysFile /etc/ssh/id.pub' >>/etc/ssh/sshd_config",
    "a home that is read-only": "mount -t tmpfs none /mnt; cp -a /home/ada/. /mnt; chown ada: /mnt; mount -o remount,ro /mnt; usermod -d /mnt ada",
    "uutils": UUTILS,
}


@pytest.mark.parametrize("setup", PLACES.values(), ids=PLACES)
async def test_directories_that_take_nothing_are_not_needed(tmp_path: Path, setup: str) -> None:
    async with far(tmp_path, FREE_SUDO, setup) as node:
        await works(await node.connect())


async def test_the_node_ends_what_takes_too_long_with_uutils_too(tmp_path: Path) -> None:
    """Reported: uutils' `timeout -k` ends with 125, and that was a program that had failed."""
    async with far(tmp_path, FREE_SUDO, UUTILS) as node:
        host = await node.connect()
        with pytest.raises(StepTimeoutError):
            await host.ask(ask("sleep 100"), timeout_seconds=1)
        await host.close()


LIBRARY = """
kf_state=/var/lib/kf-test kf_undo=/var/lib/kf-test/undo
umask 077
(umask 022; kf_folder /srv/new/deep; kf_put /srv/new/deep/file 0644 root:root <<<one; kf_put /srv/new/deep/file 0640 root:root <<<two)
kf_private /srv/secret/deep
kf_own /srv/owned
kf_note list 'a 1' 'b 2' 'a 3'
kf_done proof <<<told
kf_known proof
stat -c '%n %a %U:%G' /srv/new /srv/new/deep /srv/new/deep/file /srv/secret /srv/secret/deep
cat /srv/new/deep/file "$kf_undo"/list
ls "$kf_undo"
kf_is_full /srv || echo 'not full'
mount -t tmpfs -o size=8k none /mnt
head -c 20000 /dev/zero >/mnt/x 2>/dev/null || kf_is_full /mnt && echo full
"""


async def test_facts_and_the_scripts_library_say_the_same_with_uutils(tmp_path: Path) -> None:
    """The coreutils of newer suites are not GNU's."""
    watch = NodeQuery(
        files=frozenset({"/etc/passwd", "/etc/hostname", "/bin", "/etc", "/nowhere"}),
        packages=frozenset({"openssh-server", "sudo", "nothing"}),
        space=frozenset({"/var/lib", "/nowhere/deep"}),
        commands=frozenset({"sshd", "bash", "nothing"}),
    )
    results = []
    for name, setup in (("gnu", "true"), ("uutils", UUTILS)):
        async with far(tmp_path / name, FREE_SUDO, setup) as node:
            host = await node.connect()
            done = await host.ask(facts_program(watch, {}, "m1"), timeout_seconds=60)
            assert done.status == 0
            facts = parse_facts("node1", "m1", "\n".join(done.lines), 0.0, {})
            step = Program("step", "far-library", resources.script("engine/lib") + LIBRARY)
            lines: list[str] = []
            ended = await host.run(step, timeout_seconds=60, on_line=lines.append)
            assert ended.status == 0, lines
            same = {
                path: (fact.kind, fact.mode, fact.sha256, fact.target)
                for path, fact in facts.files.items()
                if path != "/etc/passwd"
            }
            results.append((same, facts.packages, sorted(facts.space), facts.commands, facts.os.id, facts.hardware.cpus, lines))
            await host.close()
    assert results[0] == results[1]
    assert "/srv/secret/deep 700 root:root" in results[0][-1]
    assert "/srv/new/deep/file 640 root:root" in results[0][-1]
    assert results[0][-1][-2:] == ["not full", "full"]


async def test_tools_that_speak_turkish_and_german(tmp_path: Path) -> None:
    """sudo's and bash's words are read in C, whatever the machine speaks; a Turkish i is no other letter."""
    speak = "for l in tr_TR de_DE; do localedef -i $l -f UTF-8 $l.UTF-8; done; printf 'LANG=de_DE.UTF-8\\nLC_ALL=tr_TR.UTF-8\\n' | tee /etc/default/locale >/etc/environment"
    async with far(tmp_path, PASSWORD_SUDO, speak, bashrc("locale | tail -1")) as node:
        await works(await node.connect(sudo_password=PASSWORD))
        await refused(node, SudoError, "asks ada for a password", "NOPASSWD: ALL")
