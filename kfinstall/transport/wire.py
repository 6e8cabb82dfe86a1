"""The wire protocol between installer and node: pure functions that render it, and parse it for the simulator.

One exec request is one remote command, made by `root_command`, and its standard input up to end of file:

    <sudo password> LF          only where the command is the one for a sudo password; nothing more before the node has said `begin`
    <length of the program in bytes, decimal> LF
    <program>                   UTF-8, exactly that many bytes
    <payload>                   the rest: the secret that the program reads on its standard input, often empty

The remote command says `@<BEGIN> login LF` on standard error, becomes root (directly for user id 0, else through sudo or doas),
bounds the time on the node itself, says `@<BEGIN> begin LF` on standard output and on standard error, and lets bash read and run the
program, in an environment of its own (nothing of the login's: no locale, no BASH_ENV, no TMOUT). What comes before the first line is
the login shell's, what comes between the two is sudo's and PAM's; where the second never comes, the program never began. Where a
startup file has read what was meant for the program, `@<BEGIN> torn LF` follows on standard error, and nothing is run. It is the
same for every program but for BEGIN, a random word, so that nothing of a program is ever in an argument list. Its first words are
`exec` and BASH, or plain RESTRICTED_BASH where the login shell takes no paths.
`verify_command` only tries a sudo password: standard input is one line, and status 0 says that it is right.

A program is what `Program.render` gives:

    # kfinstall <kind> <name>
    export KF_<PARAMETER>=<one shell word>      one per parameter, sorted; a word in quotes may span lines
    # kfinstall body
    <bash>

Kinds `facts`, `ask` and `lock` print and end. A step (kind `step`) is never sent as it is but wrapped by `unit_start`:

    unit-start   parameters: the step's own ones, and UNIT (kf-<name>), UNIT_RUN (random id of this start), UNIT_SCRIPT (the step's text),
                 UNIT_SECONDS (limit), UNIT_STDIN (bytes of the payload; 0: none), UNIT_ATTACH (1: start nothing), UNIT_FOLDER (parent
                 of the spool folders), OFFSET, MARK. The payload is the step's standard input. It starts the unit, unless one of that
                 name runs or the last one has the id UNIT_RUN (asked again after a lost connection), and then follows it from OFFSET.
    unit-follow  parameters UNIT, UNIT_FOLDER, OFFSET, MARK: follows the unit's output from that byte on.
    unit-stop    parameters UNIT, UNIT_FOLDER: ends the unit and everything that it started.

What following prints on standard output, with status 0:

    @<MARK> unit <run id> LF    or "@<MARK> none LF" and nothing else where there is no such unit
    <the unit's output from byte OFFSET on, raw, as it comes>
    LF @<MARK> end <exit status> LF     or "LF @<MARK> end lost <reason> LF": it ended without a status (reason: timeout, signal, gone ...)

Output ends at the last mark; MARK is random, so output can't fake it. The bytes of output received are the OFFSET to go on from.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kfinstall import resources
from kfinstall.errors import UsageError
from kfinstall.secrets import Secret
from kfinstall.transport.base import Program

UNITS_FOLDER: Final = "/var/lib/kfinstall/units"
BASH: Final = "/bin/bash"
RESTRICTED_BASH: Final = "bash"
"""How a restricted login shell (rbash) takes it: no command with a slash in it."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# No head: the one of uutils reads more of a pipe than it was asked for, and the payload would be gone.
_BOOTSTRAP: Final = (
    'echo "@$1 begin" >&2; echo "@$1 begin"; IFS= read -r n && [[ $n =~ ^[0-9]+$ ]] || { echo "@$1 torn" >&2; exit 1; }; '
    'IFS= read -rN "$n" p && eval "$p"'
)
# Not by env: the sudo-rs of 0.2.5 refuses every password where the env of uutils started it.
# A startup file may have left a PATH without the system's own folders. Nothing else of the login's environment goes along.
_OWN_ENVIRONMENT: Final = f'echo "@$1 login" >&2; shift; export PATH="$PATH:{_PATH}" LC_ALL=C; set -- env -i LC_ALL=C PATH={_PATH} HOME=/root "SUDO_USER=$(id -un)" "$@"; '
_BECOME_ROOT: Final = (
    _OWN_ENVIRONMENT + '((EUID)) || exec "$@"; type -P sudo >/dev/null || ! type -P doas >/dev/null || exec doas -n "$@"; '
    'exec sudo -n -- "$@"'
)
_SUDO_PASSWORD: Final = f'{_OWN_ENVIRONMENT}exec sudo -k -S -p "kf-asked:%p:" -- "$@"'
"""-k: a password that sudo remembers would leave ours unread, and bash would take it for the length."""
# sudo puts the name of whom it wants the password of (rootpw, targetpw, runaspw).
_PROMPTED: Final = re.compile(r"kf-asked:([^:%\s]+):")
_HEADER: Final = re.compile(r"# kfinstall (?P<kind>[a-z-]+) (?P<name>[A-Za-z0-9._/-]+)\n")
_EXPORT: Final = re.compile(r"export KF_(?P<key>[A-Z_][A-Z0-9_]*)=(?P<word>(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*)\n")
_BODY: Final = "# kfinstall body\n"
_UNIT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OWN: Final = frozenset(
    ("UNIT", "UNIT_RUN", "UNIT_SCRIPT", "UNIT_SECONDS", "UNIT_STDIN", "UNIT_ATTACH", "UNIT_FOLDER", "OFFSET", "MARK")
)


@dataclass(frozen=True, slots=True)
class RootCommand:
    """A remote command of ours, parsed."""

    password: bool = False
    """Standard input begins with the sudo password."""
    timeout_seconds: float | None = None
    """After that time the node itself ends the program, with status 124."""
    verify: bool = False
    """It runs nothing and only tries the password."""
    begin: str = ""
    """The word of the line that says that the program begins."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A program as it arrived."""

    kind: str
    name: str
    parameters: Mapping[str, str]
    """Names without KF_."""
    body: str


@dataclass(frozen=True, slots=True)
class Request:
    """Standard input of an exec, taken apart."""

    password: str | None
    program: Parsed
    payload: bytes


def root_command(timeout_seconds: float, begin: str, *, password: bool, bash: str = BASH) -> tuple[str, ...]:
    """The argument list that becomes root and runs the program on its standard input; `begin`: a word that no output holds by chance."""
    limit = f"{timeout_seconds:.3f}"
    program = ("timeout", "-k", "5", limit, "/bin/bash", "--norc", "-p", "-c", _BOOTSTRAP, "kf", begin)
    if password:
        return (bash, "-p", "-c", _SUDO_PASSWORD, "kf", begin, *program)
    return (bash, "-p", "-c", _BECOME_ROOT, "kf", begin, *program)


def verify_command(begin: str, *, bash: str = BASH) -> tuple[str, ...]:
    """The argument list that tries the sudo password on its standard input; standard error tells whose it asks for (`asked_of`)."""
    return (bash, "-p", "-c", _SUDO_PASSWORD, "kf", begin, "true")


def line_of(command: Sequence[str]) -> str:
    """An argument list as the line of an exec request. A login shell that it takes the place of does nothing more afterwards (trap EXIT)."""
    return shlex.join(command) if command[0] == RESTRICTED_BASH else f"exec {shlex.join(command)}"


def prompted_user(stderr: str) -> str:
    """Whose password `verify_command` was asked for; empty where sudo does not tell."""
    found = _PROMPTED.search(stderr)
    return found[1] if found else ""


def login_line(begin: str) -> bytes:
    """What the node says on standard error once the login shell has started our command, before it becomes root."""
    return f"@{begin} login\n".encode()


def torn_line(begin: str) -> bytes:
    """What the node says on standard error where the program did not arrive as it was sent."""
    return f"@{begin} torn\n".encode()


def begin_line(begin: str) -> bytes:
    """What the node says on standard output and standard error just before it reads the program."""
    return f"@{begin} begin\n".encode()


def encode(program: Program) -> bytes:
    """The standard input of `root_command`, behind the password."""
    text = program.render().encode()
    payload = program.stdin.reveal().encode() if program.stdin is not None else b""
    return b"%d\n%b%b" % (len(text), text, payload)


def encode_password(password: Secret) -> bytes:
    """What stands before it where sudo wants a password, and all the standard input of `verify_command`."""
    return password.reveal().encode() + b"\n"


def parse_command(command: str) -> RootCommand | None:
    """What a command of an exec request asks for; None if it is none of ours."""
    try:
        words = tuple(shlex.split(command))
    except ValueError:
        return None
    words = words[1:] if words[:1] == ("exec",) else words
    bash, begin = (words[0], words[5]) if len(words) > 6 else ("", "")
    if bash not in (BASH, RESTRICTED_BASH):
        return None
    if words == verify_command(begin, bash=bash):
        return RootCommand(password=True, verify=True, begin=begin)
    for password in (False, True):
        form = root_command(0, begin, password=password, bash=bash)
        at = form.index("0.000")
        if len(words) == len(form) and words[:at] == form[:at] and words[at + 1 :] == form[at + 1 :]:
            return RootCommand(password=password, timeout_seconds=float(words[at]), begin=begin)
    return None


def parse_request(command: str, stdin: bytes) -> Request:
    """Take the standard input of an exec apart.

    Raises:
        ValueError: the command is none of ours, or the input is not what it needs.
    """
    root = parse_command(command)
    if root is None or root.verify:
        raise ValueError("not a command that runs a program")
    password: str | None = None
    if root.password:
        line, _newline, stdin = stdin.partition(b"\n")
        password = line.decode()
    head, _newline, rest = stdin.partition(b"\n")
    length = int(head)
    if len(rest) < length:
        raise ValueError("the program is cut short")
    return Request(password, parse_program(rest[:length]), rest[length:])


def parse_program(data: bytes) -> Parsed:
    """Take a rendered program apart.

    Raises:
        ValueError: it has not the form of a program.
    """
    text = data.decode()
    header = _HEADER.match(text)
    if header is None:
        raise ValueError("no header")
    position = header.end()
    parameters: dict[str, str] = {}
    while export := _EXPORT.match(text, position):
        parameters[export["key"]] = _unquoted(export["word"])
        position = export.end()
    if not text.startswith(_BODY, position):
        raise ValueError(f"no body after the parameters {', '.join(parameters)}")
    return Parsed(header["kind"], header["name"], parameters, text[position + len(_BODY) :])


def _unquoted(word: str) -> str:
    """The way back from shlex.quote; shlex.split takes seconds for what programs carry as a parameter."""
    if len(word) > 1 and word[0] == word[-1] == "'":
        text = word[1:-1].replace("'\"'\"'", "'")
        if shlex.quote(text) == word:
            return text
    return "".join(shlex.split(word))


def step_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """The step's own parameters of a unit-start program."""
    return {key: value for key, value in parameters.items() if key not in _OWN}


def unit_name(script: str) -> str:
    """The name of the unit that runs a script: kf-prepare-swap-off.

    Raises:
        UsageError: the name has characters that a unit's may not have.
    """
    if not _UNIT_NAME.fullmatch(script):
        raise UsageError(f"{script!r} can't be the name of a detached step")
    return f"kf-{script}"


def unit_start(program: Program, *, run: str, mark: str, seconds: float, attach: bool, folder: str = UNITS_FOLDER) -> Program:
    """The program that starts a step detached and follows it; `seconds` bounds it on the node.

    Raises:
        UsageError: a parameter of the step has a name that the protocol uses.
    """
    taken = _OWN & program.parameters.keys()
    if taken:
        raise UsageError(f"parameter {min(taken)} of {program.name} has a name that the transport uses")
    payload = program.stdin.reveal().encode() if program.stdin is not None else b""
    own = {
        "UNIT": unit_name(program.name),
        "UNIT_RUN": run,
        "UNIT_SCRIPT": program.text,
        "UNIT_SECONDS": f"{seconds:.0f}",
        "UNIT_STDIN": str(len(payload)),
        "UNIT_ATTACH": "1" if attach else "0",
        "UNIT_FOLDER": folder,
        "OFFSET": "0",
        "MARK": mark,
    }
    return Program("unit-start", program.name, _remote("start", "follow"), {**program.parameters, **own}, program.stdin)


def unit_follow(script: str, *, mark: str, offset: int, folder: str = UNITS_FOLDER) -> Program:
    """The program that follows a detached step from a byte of its output on."""
    parameters = {"UNIT": unit_name(script), "UNIT_FOLDER": folder, "OFFSET": str(offset), "MARK": mark}
    return Program("unit-follow", script, _remote("follow"), parameters)


def unit_stop(script: str, *, folder: str = UNITS_FOLDER) -> Program:
    """The program that ends a detached step."""
    return Program("unit-stop", script, _remote("stop"), {"UNIT": unit_name(script), "UNIT_FOLDER": folder})


def follow_begin(mark: str, run: str) -> bytes:
    """The first line of following."""
    return f"@{mark} unit {run}\n".encode()


def follow_none(mark: str) -> bytes:
    """All that following prints where there is no such unit."""
    return f"@{mark} none\n".encode()


def follow_end(mark: str, status: int) -> bytes:
    """The end of following a unit that ended with a status."""
    return f"\n@{mark} end {status}\n".encode()


def follow_lost(mark: str, reason: str) -> bytes:
    """The end of following a unit that ended without a status."""
    return f"\n@{mark} end lost {reason}\n".encode()


def _remote(*names: str) -> str:
    return "\n".join(resources.script(f"engine/unit-{name}") for name in ("lib", *names))
