"""An open file, read at places; all other I/O on followed files is in `scan.py`."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Self

from pipeline.collectors.tail.identity import FINGERPRINT_BYTES, Inode
from pipeline.wire.frame import TAIL_BYTES

_SPARE: Final = 256
"""Descriptors for all else: sockets, folders, collectors of one's own."""


class Look(NamedTuple):
    """What changes when a file is written to."""

    size: int
    modified: int
    """Nanoseconds since 1970."""

    links: int
    """Names that it has; 0 when it was deleted."""


class OpenFile:
    """A regular file; whatever its name is by now, this is still the same one."""

    count: ClassVar[int] = 0
    """How many are open."""

    def __init__(self, path: Path) -> None:
        """Raises OSError; a FIFO or device is refused without waiting for it."""
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        OpenFile.count += 1
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(0, "is no regular file", str(path))
        self.inode = Inode(found.st_dev, found.st_ino)

    def look(self) -> Look:
        """How it is now."""
        found = os.fstat(self._fd)
        return Look(found.st_size, found.st_mtime_ns, found.st_nlink)

    def head(self) -> bytes:
        """Its beginning, for the fingerprint."""
        return os.pread(self._fd, FINGERPRINT_BYTES, 0)

    def read(self, start: int, length: int) -> bytes:
        """Bytes from a place on; fewer at the end."""
        return os.pread(self._fd, length, start)

    def before(self, offset: int) -> bytes:
        """The last bytes before a place, as the tail of a stream has them."""
        start = max(0, offset - TAIL_BYTES)
        return os.pread(self._fd, offset - start, start)

    def close(self) -> None:
        """Close it."""
        OpenFile.count -= 1
        os.close(self._fd)

    def __enter__(self) -> Self:
        """For a look that ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def allow(files: int) -> int:
    """Have the process allowed to open so many files beside all else.

    How many it may; fewer than asked for when the hard limit says so.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files + _SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft // 4, soft - _SPARE)
    return files
