"""A machine of Debian 13's own programs on loopback: real OpenSSH 10, PAM, sudo, sudo-rs, doas, uutils and login shells.

Its files are an overlay in a mount namespace of its own, so that a test may change all of them; there is no systemd.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kfinstall.transport.base import Host
from tests.fakes.sshd import Client, Known, free_port, make_key

SUITE = "trixie"
PACKAGES = [
    "openssh-server",
    "sudo",
    "sudo-rs",
    "rust-coreutils",
    "fish",
    "zsh",
    "tcsh",
    "opendoas",
    "perl-base",
    "locales",
    "iproute2",
    "passwd",
    "libpam-modules",
    "procps",
]
MIRROR = "http://deb.debian.org/debian"
PASSWORD = "correct horse"
BUILD_SECONDS = 500


@functools.cache
def lacking() -> str:
    """Why there can be no such machine here; empty where there can."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("mmdebstrap", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    return ""


def base() -> Path:
    """The files of Debian 13, made once and kept in the lab's cache; the test is skipped where they can't be had."""
    if reason := lacking():
        pytest.skip(reason)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("KFINSTALL_LAB_CACHE") or home / "kfinstall-lab")
    recipe = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    root = cache / f"far-{SUITE}-{recipe}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "whole").exists():
            shutil.rmtree(root, ignore_errors=True)
            _make(root)
    return root


@functools.cache
def _failed() -> list[str]:
    return []


def _make(root: Path) -> None:
    if _failed():
        pytest.skip(_failed()[0])
    options = (f"--include={','.join(PACKAGES)}", '--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"')
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        *options,
        "--dpkgopt=force-unsafe-io",
        SUITE,
        str(root),
        MIRROR,
    ]
    with tempfile.TemporaryFile() as log:
        # A path of its own: the configuration of apt that this machine has is for its own packages.
        code = subprocess.run(command, stdout=log, stderr=log, check=False, timeout=BUILD_SECONDS).returncode
        log.seek(0)
        text = log.read().decode(errors="replace").strip().splitlines()[-1:]
    if code != 0:
        shutil.rmtree(root, ignore_errors=True)
        _failed().append(f"Debian {SUITE} can't be had here: {text}")
        pytest.skip(_failed()[0])
    (root / "whole").touch()


@dataclass
class Far:
    """One running machine with a user ada, who logs in with `client`'s key and has the password PASSWORD."""

    port: int
    client: Client
    process: asyncio.subprocess.Process
    folder: Path

    async def connect(self, *, user: str = "ada", sudo_password: str = "", **more: Any) -> Host:
        """Log in as the core does."""
        ssh: dict[str, Any] = {"user": user} | more.pop("ssh", {})
        if sudo_password:
            self.client.secrets.values["SUDO"] = sudo_password
            ssh["sudo_password"] = {"env": "SUDO"}
        return await self.client.connect(self.port, ssh=ssh, units_folder="/var/lib/kfinstall/units", **more)

    def run(self, script: str) -> str:
        """Run a script as root on that machine; its output."""
        inside = ("nsenter", "-t", str(self.process.pid), "-m", "chroot", f"{self.folder}/m/root", "/bin/bash", "-ec", script)
        return subprocess.run(inside, check=True, capture_output=True, text=True).stdout


_SETUP = """
set -e
mount -t tmpfs far "$FAR/m"
mkdir "$FAR/m/up" "$FAR/m/work" "$FAR/m/root"
mount -t overlay overlay -o "lowerdir=$FAR_BASE,upperdir=$FAR/m/up,workdir=$FAR/m/work" "$FAR/m/root"
mount --rbind /dev "$FAR/m/root/dev"
mount -t proc proc "$FAR/m/root/proc"
cp "$FAR/host" "$FAR/host.pub" "$FAR/sshd_config" "$FAR/id.pub" "$FAR/m/root/etc/ssh/"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$FAR/m/root" /bin/bash -ec '
useradd -m -s /bin/bash ada
echo "ada:'"$FAR_PASSWORD"'" | chpasswd
for home in /root /home/ada; do
  install -d -m 700 "$home/.ssh"
  cp /etc/ssh/id.pub "$home/.ssh/authorized_keys"
done
chown -R ada: /home/ada/.ssh
chmod 600 /etc/ssh/host
mkdir -p /run/sshd
'"$FAR_PREPARE"'
exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config'
"""
PASSWORD_SUDO = "echo 'ada ALL=(ALL) ALL' >/etc/sudoers.d/ada"
FREE_SUDO = "echo 'ada ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ada"
SUDO_RS = "ln -sf sudo-rs /usr/bin/sudo"
UUTILS = 'for tool in /usr/lib/cargo/bin/coreutils/*; do ln -sf "$tool" /usr/bin/; done'


@asynccontextmanager
async def far(folder: Path, *prepare: str, settings: tuple[str, ...] = (), user_pam: bool = True) -> AsyncIterator[Far]:
    """Run such a machine. `prepare`: what root runs there before its sshd starts; `settings`: of sshd_config, before ours."""
    root = base()
    (folder / "m").mkdir(parents=True, exist_ok=True)
    make_key(folder / "host")
    make_key(folder / "id")
    port = free_port()
    lines = (
        *settings,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        "HostKey /etc/ssh/host",
        f"UsePAM {'yes' if user_pam else 'no'}",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "LogLevel VERBOSE",
    )
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    script = "\n".join(prepare).replace("'", "'\"'\"'")
    environ = os.environ | {"FAR": str(folder), "FAR_BASE": str(root), "FAR_PASSWORD": PASSWORD}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("unshare", "-m", "--propagation", "private", "/bin/bash", "-c", _SETUP.replace("'\"$FAR_PREPARE\"'", script)),
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        waiting = asyncio.create_task(_listening(port))
        ended = asyncio.create_task(process.wait())
        await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            pytest.fail(f"the machine did not start: {(folder / 'log').read_text()[-2000:]}")
        ended.cancel()
        await waiting
        yield Far(port, Client(folder, Known()), process, folder)
    finally:
        await _end(process)


async def _listening(port: int) -> None:
    """Wait for what a test prepares, too."""
    async with asyncio.timeout(100):
        while True:
            with suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), 9)
        process.terminate()
    await process.wait()
