"""Who owns a spool: an flock on `<producer hex>.lock`, free when its owner is dead."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.errors import DeliveryError

SUFFIX: Final = ".spool"

_OWN_FILE: Final = 0o600
_OWN_FOLDER: Final = 0o700
_CONTENT_BYTES: Final = 64


def open_file(path: Path, flags: int) -> int:
    """A descriptor that no program started later has, and never 0, 1 or 2.

    What prints goes to those, whatever file they are.
    """
    found = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, _OWN_FILE)
    if found > 2:
        return found
    try:
        return fcntl.fcntl(found, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(found)


class Lock:
    """Held as long as its descriptor is open in the process that took it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def read(self) -> bytes:
        """What its file says; raises OSError."""
        return os.pread(self._descriptor, _CONTENT_BYTES, 0)

    def write(self, data: bytes) -> None:
        """Have its file say this, whole or not at all; raises OSError."""
        os.pwrite(self._descriptor, data, 0)

    def release(self, *, remove: bool) -> None:
        """Let others have it; a file that guards nothing is removed."""
        if remove:
            with suppress(OSError):
                self._path.unlink()
        self.forget()

    def forget(self) -> None:
        """Close it in this process; one that it was forked from still holds it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def maybe_lock(folder: Path, producer: bytes) -> Lock | None:
    """The lock, or None when somebody has it; raises OSError."""
    path = folder / f"{producer.hex()}.lock"
    while True:
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return Lock(path, descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last owner has removed it meanwhile


def take_lock(folder: Path, producer: bytes) -> Lock:
    """The lock of a producer of this process; makes the folder.

    Raises OSError, and DeliveryError when another process has it or has left records.
    """
    folder.mkdir(_OWN_FOLDER, parents=True, exist_ok=True)
    lock = maybe_lock(folder, producer)
    if lock is None:
        raise DeliveryError(folder, f"another process owns {producer.hex()}")
    if any(folder.glob(f"{producer.hex()}.*{SUFFIX}")):
        lock.release(remove=False)
        raise DeliveryError(folder, f"{producer.hex()} has records: they must be sent")
    return lock


def is_free(descriptor: int) -> bool:
    """Take an flock on a file of records, too; False when another process has it.

    So that nobody adopts a spool in use whose lock file somebody has deleted.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
