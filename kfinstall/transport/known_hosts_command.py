"""KnownHostsCommand of the user's SSH configuration: a program that prints lines of known_hosts."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from kfinstall.errors import LoginError
from kfinstall.transport import limits

if TYPE_CHECKING:
    from asyncssh import SSHKey

    from kfinstall.transport.ssh_settings import Settings


async def printed(settings: Settings | None, name: str, key: SSHKey | None = None) -> str:
    """What it knows of a server by its name in known_hosts, empty where there is no such command; `key`: what the server shows, once it has.

    Raises:
        LoginError: it can't be run, or does not end.
    """
    if settings is None or not settings.known_hosts_command:
        return ""
    command = settings.known_hosts_command
    shown = key.export_public_key("openssh").decode().split()[:2] if key is not None else ["NONE", "NONE"]
    tokens = {
        # OpenSSH does the same: before the server is asked, its name without the port.
        "H": name if key is not None else settings.alias or settings.host,
        "I": "HOSTNAME" if key is not None else "ORDER",
        "t": shown[0],
        "K": shown[1],
        "f": key.get_fingerprint() if key is not None else "NONE",
    }
    where = settings.places.where("KnownHostsCommand", command)
    try:
        words = [settings.expand("KnownHostsCommand", word, tokens) for word in shlex.split(command)]
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise LoginError(f"{where} can't be run", why=f"{command}: {why}", hint="mend it there") from error
    try:
        async with asyncio.timeout(limits.SSH_CONFIG_SECONDS):
            out, _err = await process.communicate()
    except TimeoutError as error:
        why = f"no end within {limits.SSH_CONFIG_SECONDS:.0f} s"
        raise LoginError(f"{where} can't be used", why=why, hint=f"try it by hand: {shlex.join(words)}") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return out[: limits.SSH_CONFIG_BYTES].decode("utf-8", "replace")
