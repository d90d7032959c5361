"""File systems of a fault's own: a small tmpfs, and ext4 on a loop device."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: _IOR('X', 125, u32)"""

NO_LOG_FLUSH = 2
"""Not even the journal is written any more: what a power cut does."""


def run(*words: str) -> str:
    """What the command said; raises CalledProcessError."""
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory that is full soon."""
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


class Disk:
    """An image with ext4, which is mounted, loses its power and is mounted again."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.image = folder / "disk.img"
        self.folder = folder / "mounted"
        self.folder.mkdir()
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(self.image))

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """With its journal replayed."""
        device = run("losetup", "--find", "--show", str(self.image))
        try:
            run("mount", "-o", "data=ordered", device, str(self.folder))
            try:
                yield self.folder
            finally:
                _unmount(self.folder)
        finally:
            run("losetup", "--detach", device)

    def cut(self) -> None:
        """Nothing reaches the image any more; what is only in memory is gone."""
        file = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(file, SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
        finally:
            os.close(file)

    def check(self) -> None:
        """Raises CalledProcessError unless the file system is in order."""
        run("e2fsck", "-f", "-n", str(self.image))


def _unmount(folder: Path) -> None:
    with suppress(subprocess.CalledProcessError):
        run("umount", str(folder))
        return
    run("umount", "--lazy", str(folder))
