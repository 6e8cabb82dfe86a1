"""SHA-256 of a sparse file's content, without reading its holes; the same for a copy whose holes are elsewhere."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Iterator

BLOCK_BYTES = 2**20


def blocks(file: int, size: int) -> Iterator[int]:
    """Offsets of the blocks that hold data."""
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(file, offset, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        yield offset
        offset += BLOCK_BYTES


def content_sum(path: str) -> str:
    """Hex digest over size, and offset and content of every block that is not all zeros."""
    digest, zeros = hashlib.sha256(), bytes(BLOCK_BYTES)
    file = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        digest.update(str(size).encode())
        for offset in blocks(file, size):
            data = os.pread(file, BLOCK_BYTES, offset)
            if data != zeros[: len(data)]:
                digest.update(offset.to_bytes(8, "big") + data)
    finally:
        os.close(file)
    return digest.hexdigest()


if __name__ == "__main__":
    print(content_sum(sys.argv[1]))
