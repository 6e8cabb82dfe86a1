"""The user's SSH configuration, read by OpenSSH itself (`ssh -G`); by the library's own reader only where there is no OpenSSH."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kfinstall.answers.model import Ssh
from kfinstall.errors import LoginError
from kfinstall.text import clean_lines, shell
from kfinstall.transport import limits
from kfinstall.transport.config_places import Places
from kfinstall.transport.ssh_settings import Printed, Settings, settings

_SYSTEM: Final = Path("/etc/ssh/ssh_config")
_SHOWN: Final = 5
_USUAL: Final[dict[str, Printed]] = {}
"""By program: what it prints without any configuration."""
_NO_CAUSE: Final = ("Pseudo-terminal will not be allocated", "terminating, ")
_UNKNOWN_OPTION: Final = re.compile(r"(?i)bad configuration option: (\S+)")
_UNKNOWN_MATCH: Final = re.compile(r"(?i)unsupported match attribute (\S+)")
_MARKED: Final = re.compile(
    r"(?i)(\S[^\n]*?):? line 1: (?:bad configuration option: |no argument after keyword \"?)(\\357\\273\\277|\\377\\376|\\376\\377)"
)
_TAKE_OUT: Final = r"1s/^\xef\xbb\xbf//"
_UNSAFE: Final = re.compile(r"(?i)bad owner or permissions on (.+)")
_NOT_KNOWN_TO_SSH: Final = re.compile(r"(?i)(illegal|unknown|invalid) option -- '?G")


@dataclass(frozen=True, slots=True)
class SshConfig:
    """Which configuration is read, and by what."""

    file: Path
    """Where it is, or would be."""
    named: bool
    """Whether OpenSSH is told this file (-F), or finds it itself, and the machine's own with it."""
    program: str | None
    """OpenSSH's client; None where this machine has none."""

    async def read(self, address: str, user: str | None, port: int | None, node: str) -> Settings:
        """What ssh would use for an address as it was typed, with the user and the port that the answers give.

        Raises:
            LoginError: OpenSSH refuses the configuration, or an option of it can't be taken over; says where.
        """
        files = (self.file,) if self.named else (self.file, _SYSTEM)
        address = Places(files, address).spelled()
        places = Places(files, address)
        try:
            if self.program is not None:
                printed = await self._printed(address, user, port, places)
                if printed is not None:
                    return settings(address, printed, await self._usual(), places)
            return settings(address, self._read_here(address, user, port), {}, places)
        except LoginError as error:
            error.node = node
            raise

    @property
    def options(self) -> tuple[str, ...]:
        """What a command line of ssh needs so that it reads the same."""
        return ("-F", str(self.file) if self.file.exists() else "none") if self.named else ()

    async def _printed(self, address: str, user: str | None, port: int | None, places: Places) -> Printed | None:
        given = (*(("-l", user) if user else ()), *(("-p", str(port)) if port else ()))
        command = ("ssh", "-G", *self.options, *given, "--", address)
        status, text, words = await self._run(command[1:], places)
        if status == 0:
            return _parsed(text)
        if _NOT_KNOWN_TO_SSH.search(words):
            return None
        raise _refused(address, words, command, places)

    async def _usual(self) -> Printed:
        """What OpenSSH has where nothing is configured; the same for as long as this process lives."""
        program = str(self.program)
        if program not in _USUAL:
            status, text, _words = await self._run(("-G", "-F", "none", "--", "localhost"), None)
            _USUAL[program] = _parsed(text) if status == 0 else {}
        return _USUAL[program]

    async def _run(self, arguments: Sequence[str], places: Places | None) -> tuple[int, str, str]:
        """Status, output and errors of OpenSSH, which asks nobody anything: it has no terminal."""
        process = await asyncio.create_subprocess_exec(
            str(self.program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(limits.SSH_CONFIG_SECONDS):
                out, err = await process.communicate()
        except TimeoutError as error:
            cause = places.where("Match exec") if places and _executes(places) else "Match exec, or name servers that do not answer"
            raise LoginError(
                f"reading {self.file} took longer than {limits.SSH_CONFIG_SECONDS:.0f} s",
                why=f"{cause} may be what it waits for",
                hint=f"try: {shell('ssh', *arguments)}",
            ) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    _end(process.pid)
                await process.wait()
        return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _read_here(self, address: str, user: str | None, port: int | None) -> Printed:
        import asyncssh

        given: dict[str, Any] = {}
        if user:
            given["username"] = user
        if port:
            given["port"] = port
        files = [str(path) for path in ((self.file,) if self.named else (self.file, _SYSTEM)) if path.exists()]
        try:
            read = asyncssh.SSHClientConnectionOptions(
                config=files, host=address, known_hosts=None, client_keys=None, agent_path=None, **given
            )
        except (ValueError, OSError) as error:  # ConfigParseError is a ValueError
            raise LoginError(
                f"the SSH configuration can't be used for {address}",
                why=f"{error}\nthis computer has no OpenSSH, which could read it",
                hint="mend it, install OpenSSH's client, or write ssh: {useSshConfig: false} and the login into the answers",
            ) from error
        printed: dict[str, list[str]] = {}
        for option in _READ_HERE:
            value = read.config.get(option)
            if value is not None:
                texts = [str(item) for item in value] if isinstance(value, list) else [_text(value)]
                together = option.endswith("KnownHostsFile")
                printed[option.lower()] = [" ".join(texts)] if together else texts
        return printed | {"hostname": [str(read.host)], "user": [str(read.username)], "port": [str(read.port)]}


_READ_HERE: Final = (
    *("IdentityFile", "CertificateFile", "IdentitiesOnly", "IdentityAgent", "HostKeyAlias", "UserKnownHostsFile"),
    *("GlobalKnownHostsFile", "ProxyJump", "ProxyCommand", "ConnectTimeout", "BindAddress", "PubkeyAuthentication"),
    *("PasswordAuthentication", "KbdInteractiveAuthentication", "PreferredAuthentications", "GSSAPIAuthentication"),
    *("HostbasedAuthentication", "PKCS11Provider"),
)
"""What the library's reader understands of what is taken over."""


def configuration(ssh: Ssh, file: Path | None, *, elsewhere: bool) -> SshConfig | None:
    """The configuration that counts for a run; None where it is not used.

    `file` is another one than ~/.ssh/config. Where the answers say nothing it counts if it is there; not for servers that are
    `elsewhere`, as the simulated ones: their addresses mean nothing on this computer.
    """
    own = Path.home() / ".ssh" / "config"
    path = file or own
    wanted = ssh.use_ssh_config if ssh.use_ssh_config is not None else path.exists() and not elsewhere
    if not wanted:
        return None
    # OpenSSH goes by the password database, whatever HOME says.
    return SshConfig(path, file is not None or own != _home() / ".ssh" / "config", shutil.which("ssh"))


def _home() -> Path:
    try:
        import pwd
    except ImportError:  # Windows
        return Path.home()
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path.home()


def _parsed(text: str) -> dict[str, list[str]]:
    printed: dict[str, list[str]] = {}
    for line in text.splitlines():
        option, _space, value = line.partition(" ")
        printed.setdefault(option.lower(), []).append(value.rstrip("\r"))
    return printed


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _executes(places: Places) -> bool:
    return any(place.option == "match" and "exec" in place.value.lower().split() for place in places.lines())


def _end(pid: int) -> None:
    if hasattr(os, "killpg"):
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGTERM)


def _refused(address: str, words: str, command: Sequence[str], places: Places) -> LoginError:
    """The error for a configuration that OpenSSH itself does not take, in its own words: they name file and line."""
    shown = [line for line in clean_lines(words) if line.strip() and not any(words in line for words in _NO_CAUSE)]
    hints = []
    if marked := _MARKED.search(words):
        name = marked[1]
        if marked[2].startswith(r"\357"):
            hints.append(f"the file begins with a byte order mark; take it out: {shell('sed', '-i.old', _TAKE_OUT, name)}")
        else:
            hints.append(f"the file is UTF-16, as its byte order mark says; save it as UTF-8 without one: {name}")
    elif unknown := _UNKNOWN_OPTION.search(words):
        hints.append(f"take that line out, or write above it: IgnoreUnknown {unknown[1]}")
    elif _UNKNOWN_MATCH.search(words):
        hints.append("take that condition out; a newer OpenSSH than this one (ssh -V) may know it")
    elif unsafe := _UNSAFE.search(words):
        name = unsafe[1].strip()
        hints.append(f"it must be yours and writable for nobody else: {shell('chmod', '600', name)}")
    elif "jumphost loop" in words:
        hints.append(
            f"{places.where('ProxyJump')} leads back to where it begins; write 'ProxyJump none' for the jump host before it"
        )
    hints.append(f"mend it until this prints settings: {shell(*command)}")
    hints.append("or write ssh: {useSshConfig: false} and the login into the answers")
    return LoginError(
        f"ssh does not take its own configuration for {address}",
        why="\n".join(shown[-_SHOWN:]) or "ssh -G failed and said nothing",
        hint="\n".join(hints),
    )
