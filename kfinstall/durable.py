"""Files and names that last through a power cut, and a lock that is waited for."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kfinstall.errors import StateError

_NOT_FOR_DIRECTORIES: Final = frozenset({errno.EINVAL, errno.EBADF, errno.EISDIR, errno.ENOTSUP, errno.ENOSYS})
_MODE_OF_TEMPORARY_FILES: Final = 0o600
_WAIT_SECONDS: Final = 0.02


def sync_directory(path: Path) -> None:
    """Make the names in a directory last through a power cut, where the system can (Windows can't).

    Raises:
        OSError: the disk refused it.
    """
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_FOR_DIRECTORIES:
            raise
    finally:
        os.close(handle)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, mode 0600, onto the disk.

    Raises:
        OSError: it is there, or can't be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes, *, mode: int = 0o600, lasting: bool = True) -> None:
    """Put a file in the place of what is there, so that a kill leaves either the old or the new content.

    `lasting`: wait until it is on the disk, name and all, so that a power cut does so too.

    Raises:
        OSError: it can't be written; what was there stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        if mode != _MODE_OF_TEMPORARY_FILES:
            Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if lasting:
        sync_directory(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a kill or a power cut leaves either the old or the new content; mode 0600.

    Raises:
        StateError: it can't be written.
    """
    try:
        replace(path, text.encode())
    except OSError as error:
        raise StateError(
            f"{path} can't be written",
            why=error.strerror or str(error),
            hint=f"free space under {path.parent} or choose another --state-dir",
        ) from error


def try_lock(handle: int) -> bool:
    """Lock an open file until it is closed or its process ends; gives whether nobody else had it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a file; wait at most that long for who holds it.

    Raises:
        StateError: it is held longer.
        OSError: the file can't be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not try_lock(handle):
            if time.monotonic() > deadline:
                raise StateError(
                    f"{path} is held by another process for more than {seconds:.0f} s",
                    why="each run of kfinstall holds it for a moment while it begins, and one of them hangs there",
                    hint=f"find it with: fuser -v {path}",
                )
            time.sleep(_WAIT_SECONDS)
        yield
    finally:
        os.close(handle)
