"""The private keys of one run: read and decrypted once, however many nodes they open."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from kfinstall.answers.model import SecretRef
from kfinstall.errors import LoginError
from kfinstall.secrets import Secret
from kfinstall.transport import limits
from kfinstall.transport.turns import Turns
from kfinstall.transport.unknown_keys import UnknownKeys

if TYPE_CHECKING:
    from asyncssh import SSHKeyPair

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
    """A key file. `pair` is None where it has a passphrase that the answers don't give; the agent may hold it."""

    path: Path
    pair: SSHKeyPair | None
    public: bytes
    """Public key in SSH's binary form, from the .pub file if the key itself is closed; empty if unknown."""


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
        """The named keys, or the usual ones of ~/.ssh that exist; `key` is where in the answers they are named.

        Raises:
            LoginError: a named key can't be read, or its passphrase is wrong.
        """
        paths = _paths(keys, self._folder)
        async with self._loading:
            for path in paths:
                if path not in self._identities:
                    self._identities[path] = await self._load(path, passphrase, secrets, node, key)
        return [self._identities[path] for path in paths]

    async def publics(self, keys: Sequence[str]) -> frozenset[bytes]:
        """The public parts of key files, in SSH's binary form, as far as they can be read without a passphrase."""
        return frozenset([public for key in keys if (public := await asyncio.to_thread(_public, Path(key)))])

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
            return Identity(path, None, await asyncio.to_thread(_public, path))
        value = (await secrets.resolve(passphrase, "ssh.passphrase")).reveal()
        try:
            return await asyncio.to_thread(_read, path, value)
        except (KeyImportError, KeyEncryptionError) as error:
            raise LoginError(
                f"the passphrase does not open the private key {path}", node=node, hint="check ssh.passphrase"
            ) from error


def _paths(keys: Sequence[str], folder: Path | None) -> list[Path]:
    if keys:
        return [Path(key).expanduser() for key in keys]
    folder = folder or Path.home() / ".ssh"
    return [path for name in _DEFAULT_NAMES if (path := folder / name).exists()]


def _read(path: Path, passphrase: str | None) -> Identity:
    import asyncssh

    if not path.is_file():
        raise FileNotFoundError(2, "No such file")
    pair = next(iter(asyncssh.load_keypairs(str(path), passphrase)))
    return Identity(path, pair, pair.public_data)


def _public(path: Path) -> bytes:
    import asyncssh

    try:
        return asyncssh.read_public_key(f"{path.expanduser()}.pub").public_data
    except (OSError, RuntimeError, asyncssh.KeyImportError):  # RuntimeError: ~user without a home
        pass
    try:
        return _read(path.expanduser(), None).public
    except (OSError, RuntimeError):
        return b""
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return _public_inside(path.expanduser())


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
