"""One file of a spool: a head, then records; written at its end only.

A write that fails leaves no trace: what it began is cut off, or written over by the
next one, which goes to the same place.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.delivery.spool.lock import SUFFIX, is_free, open_file
from pipeline.delivery.spool.records import (
    HEAD_BYTES,
    Damage,
    Found,
    Head,
    new_marker,
    pack_head,
    walk,
)

_PAGE: Final = 4096


class Segment:
    """A file, what numbers it holds, and whether the disk has all of it."""

    def __init__(self, path: Path, head: Head, size: int, descriptor: int = -1) -> None:
        self.path = path
        self.marker = head.marker
        self.size = size
        self.first = head.first
        self.last = head.first - 1
        self.rows = 0
        self.levels: Counter[int] = Counter()
        """Of the rows that were appended; of an adopted one they are not known."""
        self.is_counted = False
        """Whether `rows` is known, and `last` exactly."""
        self.dirty = False
        self.damaged: set[int] = set()
        """Places where no record could be read: counted once, however often."""
        self._descriptor = descriptor

    @property
    def is_bare(self) -> bool:
        """Whether it has no record."""
        return self.size <= HEAD_BYTES

    def write(self, data: bytes) -> None:
        """Append all of it or nothing; raises OSError."""
        try:
            done = os.pwrite(self._descriptor, data, self.size)
            while done < len(data):  # short: the next call says why, or goes on
                more = os.pwrite(self._descriptor, data[done:], self.size + done)
                if not more:
                    raise OSError(errno.EIO, "nothing was written")  # noqa: TRY301
                done += more
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)
        self.dirty = True

    def cut(self, size: int) -> None:
        """Give up what stands behind `size`; raises OSError when the disk refuses."""
        self.size = size
        os.truncate(self.path if self._descriptor < 0 else self._descriptor, size)

    def sync(self) -> None:
        """Wait until the disk has it; raises OSError."""
        os.fdatasync(self._descriptor)
        self.dirty = False

    def duplicate(self) -> int:
        """A second descriptor, to be synced while others write and close the first."""
        return os.dup(self._descriptor)

    def walk(
        self, start: int, end: int, *, strict: bool = False
    ) -> Iterator[Found | Damage]:
        """Records between two places; raises OSError when it can't be opened.

        Pages that the disk can't give are damage, or raise OSError when `strict`.
        """
        read = _read_strict if strict else _read
        descriptor = open_file(self.path, os.O_RDONLY)
        try:
            yield from walk(
                lambda place, size: read(descriptor, place, size),
                self.marker,
                max(start, HEAD_BYTES),
                end,
            )
        finally:
            os.close(descriptor)

    def measure(self) -> int:
        """Find its last number, rows and end; bytes of the torn tail behind them.

        Raises OSError: what can't be read now may be there.
        """
        end = HEAD_BYTES
        rows = 0
        for found in self.walk(HEAD_BYTES, self.size, strict=True):
            if isinstance(found, Found):
                self.last = max(self.last, found.last)
                rows += found.rows
                end = found.end
        self.rows, self.is_counted = rows, True
        return self.size - end

    def close(self) -> None:
        """Write no more."""
        # in this order: cut short in between by a signal's handler, a second close
        # would hit whatever file has the number by then
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> bool:
        """Close and delete it, if it can be: else it is adopted later."""
        self.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def create(folder: Path, producer: bytes, first: int) -> Segment:
    """A new file with its head; raises OSError."""
    path = folder / f"{producer.hex()}.{first:020d}{SUFFIX}"
    head = Head(new_marker(), producer, first)
    path.unlink(missing_ok=True)  # begun by a call that a signal's handler cut short
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    segment = Segment(path, head, 0, descriptor)
    segment.is_counted = True
    try:
        is_free(descriptor)
        segment.write(pack_head(head))
        # All records need it: a write that was only pretended is found out at once.
        if _read_strict(descriptor, 0, HEAD_BYTES) != pack_head(head):
            raise OSError(errno.EIO, "it can't be read back")  # noqa: TRY301
    except OSError:
        segment.remove()
        raise
    return segment


def sync_folder(folder: Path) -> None:
    """Bring the names of new files, and its own, to the disk; raises OSError."""
    for path in (folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_all(copies: list[int], folder: Path | None) -> list[OSError]:
    """Sync and close descriptors, then the folder; what failed."""
    failed = []
    for copy in copies:
        try:
            os.fdatasync(copy)
        except OSError as error:
            failed.append(error)
        finally:
            os.close(copy)
    if folder is not None:
        try:
            sync_folder(folder)
        except OSError as error:
            failed.append(error)
    return failed


def _read_strict(descriptor: int, place: int, size: int) -> bytes:
    """Exactly `size` bytes; zeros behind the file's end."""
    return os.pread(descriptor, size, place).ljust(size, b"\0")


def _read(descriptor: int, place: int, size: int) -> bytes:
    """Exactly `size` bytes; pages that the disk can't give are zeros."""
    try:
        return _read_strict(descriptor, place, size)
    except OSError:
        return b"".join(
            _read_page(descriptor, at, min(_PAGE, place + size - at))
            for at in range(place, place + size, _PAGE)
        )


def _read_page(descriptor: int, place: int, size: int) -> bytes:
    try:
        return _read_strict(descriptor, place, size)
    except OSError:
        return bytes(size)
