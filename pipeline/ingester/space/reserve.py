"""A file that takes room beside the database until deleting needs it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Disk(NamedTuple):
    """Bytes of the file system that a file is on."""

    total: int
    free: int
    """Without what is kept for root."""


def disk_of(folder: Path) -> Disk:
    """Of the file system of a folder; raises OSError."""
    found = os.statvfs(folder)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class Reserve:
    """The file, and whether it is there."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".reserve")
        self.size = 0
        """Bytes; 0: there is none."""

        with suppress(OSError):
            self.size = self.path.stat().st_size

    def make(self, size: int) -> bool:
        """Have it with this size; False when the disk has no room for it."""
        if self.size == size:
            return True
        self.give_up()
        if not size:
            return True
        try:
            self._fill(size)
        except OSError:
            self.give_up()
            return False
        self.size = size
        return True

    def give_up(self) -> None:
        """Let others have its room."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.size = 0

    def _fill(self, size: int) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, size)
        finally:
            os.close(file)
