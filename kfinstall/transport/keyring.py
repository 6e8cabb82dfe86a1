"""The private keys of one run: read and decrypted once, however many nodes they open."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from kfinstall.answers.model import SecretRef
from kfinstall.errors import LoginError
from kfinstall.secrets import Secret
from kfinstall.text import shell
from kfinstall.transport import limits
from kfinstall.transport.turns import Turns
from kfinstall.transport.unknown_keys import UnknownKeys

if TYPE_CHECKING:
    from asyncssh import SSHCertificate, SSHKeyPair

_OPENSSH_MAGIC: Final = b"openssh-key-v1\0"
_DEFAULT_NAMES: Final = ("id_ed25519", "id_ecdsa", "id_rsa")


class SecretSource(Protocol):
    """Resolves references of the answers."""

    async def resolve(self, ref: SecretRef, purpose: str) -> Secret:
        """The secret; `purpose` is the answers' key it stands at.

        Raises:
            AnswersError: it can't be had.
        """


@dataclass(frozen=True, slots=True)
class Identity:
    """A key file. `pair` is None where only the agent can use the key: the file has a passphrase that nobody gave, or is no private key."""

    path: Path
    pair: SSHKeyPair | None
    public: bytes
    """Public key in SSH's binary form, from the .pub file if the key itself is closed; empty if unknown."""
    certificates: tuple[SSHCertificate, ...] = ()
    """Those that stand beside it or in it, and are for this key."""
    trouble: str = ""
    """Why there is no pair; empty where there is one."""


class KeyRing:
    """Loads keys once per run, and bounds how many logins go on at once (sshd and jump hosts shed more than ten)."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where keys are looked for if the answers name none: ~/.ssh."""
        self._folder = folder
        self._identities: dict[Path, Identity] = {}
        self._loading = asyncio.Lock()
        self.gate = asyncio.Semaphore(limits.SSH_LOGINS_AT_ONCE)
        self.turns = Turns()
        self.unknown = UnknownKeys()
        self.asking = asyncio.Lock()
        """Held while an unknown host key is remembered, so that one of a jump host which all nodes share is remembered once."""

    async def identities(
        self, keys: Sequence[str], passphrase: SecretRef | None, secrets: SecretSource, node: str, key: str = "ssh.keys"
    ) -> list[Identity]:
        """The keys that the answers name; `key` is where in the answers they are named.

        Raises:
            LoginError: one can't be read, or its passphrase is wrong.
        """
        paths = _paths(keys)
        async with self._loading:
            for path in paths:
                if path not in self._identities:
                    self._identities[path] = await self._load(path, passphrase, secrets, node, key)
        return [self._identities[path] for path in paths]

    async def found(self, paths: Sequence[Path], passphrase: SecretRef | None, secrets: SecretSource) -> list[Identity]:
        """Those of some key files that are there, as ssh takes them: what can't be used is told when the login fails."""
        async with self._loading:
            for path in paths:
                if path not in self._identities and (there := await self._find(path, passphrase, secrets)) is not None:
                    self._identities[path] = there
        return [self._identities[path] for path in paths if path in self._identities]

    def usual(self) -> list[Path]:
        """Where keys are looked for if nothing names any."""
        folder = self._folder or Path.home() / ".ssh"
        return [path for name in _DEFAULT_NAMES if (path := folder / name).exists()]

    async def publics(self, keys: Sequence[str]) -> frozenset[bytes]:
        """The public parts of key files, in SSH's binary form, as far as they can be read without a passphrase."""
        return frozenset([public for key in keys if (public := await asyncio.to_thread(_public, Path(key)))])

    async def _find(self, path: Path, passphrase: SecretRef | None, secrets: SecretSource) -> Identity | None:
        try:
            if open_to := await asyncio.to_thread(_open_to_others, path):
                return Identity(path, None, await asyncio.to_thread(_public, path), trouble=open_to)
            return await self._load(path, passphrase, secrets, "", "")
        except LoginError as error:
            if not await asyncio.to_thread(os.path.lexists, path):
                return None
            return Identity(path, None, await asyncio.to_thread(_public, path), trouble=error.why or error.message)

    async def _load(self, path: Path, passphrase: SecretRef | None, secrets: SecretSource, node: str, key: str) -> Identity:
        from asyncssh import KeyEncryptionError, KeyImportError

        try:
            return await asyncio.to_thread(_read, path, None)
        except (KeyImportError, KeyEncryptionError) as error:
            if "assphrase" not in str(error):
                hint = f"check {key}; ssh-keygen -yf {path} should print its public part"
                raise LoginError(f"{path} is not a private key", node=node, why=str(error), hint=hint) from error
        except OSError as error:
            raise LoginError(
                f"the private key {path} can't be read", node=node, why=error.strerror or str(error), hint=f"check {key}"
            ) from error
        if passphrase is None:
            public = await asyncio.to_thread(_public, path)
            certificates = await asyncio.to_thread(_certificates, path, public)
            return Identity(path, None, public, certificates, "it has a passphrase, and the answers give none")
        value = (await secrets.resolve(passphrase, "ssh.passphrase")).reveal()
        try:
            return await asyncio.to_thread(_read, path, value)
        except (KeyImportError, KeyEncryptionError) as error:
            raise LoginError(
                f"the passphrase does not open the private key {path}", node=node, hint="check ssh.passphrase"
            ) from error


def _paths(keys: Sequence[str]) -> list[Path]:
    return [Path(key).expanduser() for key in keys]


def certificates_of(path: Path) -> list[SSHCertificate]:
    """The certificates of a file; none where it can't be read, or holds none."""
    import asyncssh

    try:
        return [one for one in asyncssh.load_certificates(str(path)) if not one.is_x509]
    except (OSError, ValueError):
        return []


def _certificates(path: Path, public: bytes) -> tuple[SSHCertificate, ...]:
    beside = [*certificates_of(Path(f"{path}-cert.pub")), *certificates_of(path)]
    if path.suffix == ".pub":
        beside += certificates_of(path.with_name(f"{path.stem}-cert.pub"))
    return tuple(one for one in beside if one.key.public_data == public)


def _open_to_others(path: Path) -> str:
    """Why ssh would not use a private key: others than its owner may read it. Empty where it would; as ssh, only one's own files count."""
    if os.name != "posix" or not path.is_file() or _public_of(path):
        return ""
    status = path.stat()
    if status.st_uid != os.getuid() or not status.st_mode & 0o077:
        return ""
    return (
        f"others may read it (mode {status.st_mode & 0o777:04o}), and ssh does not use it; run: {shell('chmod', '600', str(path))}"
    )


def _read(path: Path, passphrase: str | None) -> Identity:
    import asyncssh
    from asyncssh.sk import sk_available

    if not path.is_file():
        # What only the agent or a token holds: the public part is the name that ssh knows it by.
        if public := _public_of(Path(f"{path}.pub")):
            return Identity(
                path, None, public, _certificates(path, public), f"only {path}.pub is there: the agent has to hold the key"
            )
        raise FileNotFoundError(2, "No such file")
    if public := _public_of(path):
        private = path.with_suffix("")
        if path.suffix == ".pub" and private.is_file():
            with suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError):
                opened = _read(private, passphrase)
                return Identity(path, opened.pair, public, opened.certificates, opened.trouble)
        return Identity(
            path, None, public, _certificates(path, public), "it is a public key: the agent has to hold the private one"
        )
    key = asyncssh.read_private_key(str(path), passphrase)
    certificates = _certificates(path, key.public_data)
    if key.get_algorithm().startswith("sk-") and not sk_available:
        return Identity(
            path,
            None,
            key.public_data,
            certificates,
            f"it is a security key's (FIDO): the agent has to hold it; run: ssh-add {path}",
        )
    return Identity(path, next(iter(asyncssh.load_keypairs(key))), key.public_data, certificates)


def _public_of(path: Path) -> bytes:
    """The key of a file with a public key or a certificate; empty for all others."""
    import asyncssh

    try:
        data = path.read_bytes()
        # The library finds a public part in a private key's file, too.
        return b"" if b"PRIVATE KEY" in data else asyncssh.import_public_key(data).public_data
    except (OSError, ValueError):
        return next((one.key.public_data for one in certificates_of(path)), b"")


def _public(path: Path) -> bytes:
    import asyncssh

    try:
        path = path.expanduser()
    except RuntimeError:  # ~user without a home
        return b""
    if public := _public_of(Path(f"{path}.pub")) or _public_of(path):
        return public
    try:
        return _read(path, None).public
    except OSError:
        return b""
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return _public_inside(path)


def _public_inside(path: Path) -> bytes:
    """The public part that stands in clear in OpenSSH's files of encrypted keys (PROTOCOL.key); empty for other forms."""
    try:
        lines = path.read_text("ascii").splitlines()
        data = base64.b64decode("".join(line for line in lines if not line.startswith("-----")))
    except (OSError, ValueError):
        return b""
    if not data.startswith(_OPENSSH_MAGIC):
        return b""
    rest = data[len(_OPENSSH_MAGIC) :]
    for _cipher_kdf_options in range(3):
        rest = rest[4 + int.from_bytes(rest[:4]) :]
    rest = rest[4:]  # how many keys follow
    return rest[4 : 4 + int.from_bytes(rest[:4])]
