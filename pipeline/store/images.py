"""The pages of a database as they lie on disk: the file, and over it its WAL.

For a process that holds the writer's lock and has not opened the database yet: closing
a file drops the locks that SQLite has on it in the same process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.store.pages import (
    OVERFLOW_BYTES,
    POINTER,
    Cell,
    PageError,
)
from pipeline.store.schema import PAGE_BYTES
from pipeline.store.wal import Frame, Wal, scan

_SECTOR_BYTES: Final = 4096


class Images:
    """Open files; `close` them. Raises OSError when there is no database.

    `synced` as for `wal.scan`.
    """

    def __init__(self, path: Path, *, synced: bool = True) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._wal_file = -1
        with suppress(FileNotFoundError):
            wal = path.with_name(path.name + "-wal")
            self._wal_file = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
        self.in_file = os.fstat(self._file).st_size // PAGE_BYTES
        self.wal = self._scan_wal(synced=synced)
        self._newest: dict[int, list[Frame]] = {}
        for frame in self.wal.frames:
            self._newest.setdefault(frame.page, []).append(frame)
            if frame.other_page is not None:
                self._newest.setdefault(frame.other_page, []).append(frame)
        self.count = max([self.in_file, *(frame.size for frame in self.wal.frames)])

    def _scan_wal(self, *, synced: bool) -> Wal:
        if self._wal_file < 0:
            return Wal()
        unreadable: list[str] = []
        wal = scan(
            lambda at, size: self._wal_bytes(at, size, unreadable),
            os.fstat(self._wal_file).st_size,
            synced=synced,
        )
        wal.flaws += unreadable[:1]
        return wal

    def _wal_bytes(self, at: int, size: int, unreadable: list[str]) -> bytes:
        """Zeros where the disk can't read, but no more of them than need be."""
        try:
            return os.pread(self._wal_file, size, at)
        except OSError as error:
            if size <= _SECTOR_BYTES:
                unreadable.append(f"the WAL at byte {at}: {error.strerror}")
                return bytes(size)
        half = size // 2
        first = self._wal_bytes(at, half, unreadable)
        return first + self._wal_bytes(at + half, size - half, unreadable)

    @property
    def size(self) -> int:
        """Pages after the last commit."""
        frames = self.wal.frames
        return frames[-1].size if frames else self.in_file

    def close(self) -> None:
        """Close the files."""
        os.close(self._file)
        if self._wal_file >= 0:
            os.close(self._wal_file)

    def read(self, number: int) -> bytes:
        """The newest image of a page; raises PageError when it can't be read."""
        return next(self.candidates(number))

    def candidates(self, number: int) -> Iterator[bytes]:
        """Images of a page from the newest on, until one that is beyond doubt."""
        for frame in reversed(self._newest.get(number, ())):
            yield frame.mend(self._page(self._wal_file, frame.offset, number))
            if frame.is_sound and frame.page == number:
                return
        if not 0 < number <= self.in_file:
            raise PageError(f"page {number} is beyond the file's end")
        yield self._page(self._file, (number - 1) * PAGE_BYTES, number)

    def doubtful(self) -> list[int]:
        """Pages with more than one image that may be meant."""
        frames = [frame for frame in self.wal.frames if not frame.is_sound]
        pages = {frame.page for frame in frames}
        return sorted(pages | {f.other_page for f in frames if f.other_page})

    def _page(self, file: int, offset: int, number: int) -> bytes:
        try:
            data = os.pread(file, PAGE_BYTES, offset)
        except OSError as error:
            raise PageError(f"page {number}: {error.strerror}") from None
        if len(data) < PAGE_BYTES:
            raise PageError(f"page {number} is cut off")
        return data

    def payload(
        self, cell: Cell, need: int, read: Callable[[int], bytes] | None = None
    ) -> bytes:
        """The first `need` bytes of a cell's payload; raises PageError."""
        if need <= len(cell.local):
            return cell.local[:need]
        data = bytearray(cell.local)
        following = cell.overflow
        while len(data) < min(need, cell.size):
            page = (read or self.read)(following)
            data += page[POINTER.size : POINTER.size + cell.size - len(data)]
            following = POINTER.unpack_from(page)[0]
        return bytes(data[: min(need, cell.size)])

    def chain(self, cell: Cell) -> list[int]:
        """The overflow pages of a cell, as far as they can be followed."""
        pages: list[int] = []
        following = cell.overflow
        count = -(-(cell.size - len(cell.local)) // OVERFLOW_BYTES)
        with suppress(PageError):
            while len(pages) < count:
                pages.append(following)
                following = POINTER.unpack_from(self.read(following))[0]
        return pages
