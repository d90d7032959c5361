"""One producer's spool: segments that rows and batches are appended to and sent from.

    spool = Spool(folder, producer, limit_bytes=256 << 20, fsync="interval")
    spool.append_row(1, row)           # on disk, as the kernel sees it, when it returns
    spool.read(1, rows=2000, size=512 << 10)
    spool.release(durable)             # whole segments below are deleted

Threads: any may append and drop (the caller gives numbers in order), one reads,
releases and syncs.  One lock guards what is here and is held for writes; reading and
`sync` do their I/O outside of it, on descriptors of their own, so that a slow disk
keeps no caller waiting (with fsync="always" a caller waits for its own row).  In the
middle of an append a signal's handler is refused: who numbers rows must defer its own.

Forks: the child's copy is dead from the start; the files stay with the parent.
"""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from pipeline.batch.encode import Row
from pipeline.batch.levels import levels_in
from pipeline.delivery.spool.forks import close_in_children
from pipeline.delivery.spool.holding import Holding
from pipeline.delivery.spool.lock import Lock, take_lock
from pipeline.delivery.spool.records import (
    BATCH,
    BODY_BYTES,
    HEAD_BYTES,
    RECORD_BYTES,
    ROW,
    Batch,
    RowPacker,
    pack_batch,
    pack_record,
)
from pipeline.delivery.spool.segment import Segment, create, sync_all, sync_folder
from pipeline.errors import DeliveryError, EntryError, SpoolFullError

Fsync = Literal["none", "interval", "always"]

SYNC_SECONDS: Final = 1.0
"""fsync="interval": a power cut costs at most about so much."""

SEGMENT_BYTES: Final = 4 << 20
SEGMENTS_LEAST: Final = 8
"""A segment has at most this share of the limit: space comes back in such steps."""

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class Spool(Holding):
    """What one producer has numbered and the ingester has not acknowledged.

    Folder (0700) and files (0600) are made by the first append. A spool that is adopted
    (`orphans`) is only read: its limit is 0.
    """

    def __init__(
        self,
        folder: Path,
        producer: bytes,
        *,
        limit_bytes: int,
        fsync: Fsync = "none",
        lock: Lock | None = None,
        segments: Sequence[Segment] = (),
    ) -> None:
        segment_bytes = min(SEGMENT_BYTES, limit_bytes // SEGMENTS_LEAST)
        super().__init__(folder, producer, segment_bytes, lock, segments)
        self.limit_bytes = limit_bytes
        self.torn_bytes = 0
        """Cut off at its end when it was adopted: no append had returned from there."""
        self.unsafe = 0
        """Segments whose fsync failed."""
        self._fsync = fsync
        self._synced = 0.0
        self._new_files = False
        self._packer = RowPacker()
        self._busy = False
        self._closed = ""
        close_in_children(self)

    def append_row(self, number: int, row: Row) -> None:
        """Append one row; `number` is higher than any before.

        Raises EntryError for a row that msgpack can't hold, SpoolFullError, and
        DeliveryError when it can't be written; nothing of it is there then.
        """
        with self._lock:
            if self._busy:
                raise self._reentered()
            self._busy = True
            try:
                body = self._packer.pack(row)
                segment = self._room(number, RECORD_BYTES + len(body))
                place = segment.size
                data = pack_record(segment.marker, ROW, number, body, place)
                self._write(segment, data, number, 1)
                segment.levels[row[2]] += 1
            finally:
                self._busy = False

    def append_rows(self, number: int, rows: Sequence[Row]) -> None:
        """Append rows with consecutive numbers, all or nothing; as `append_row`."""
        if rows:
            with self._lock, self._appending():
                bodies = [self._packer.pack(row) for row in rows]
                numbers = range(number, number + len(rows))
                levels = Counter(row[2] for row in rows)
                self._append(ROW, numbers, bodies, numbers[-1], levels)

    def append_batch(
        self, sequence: int, span: int, count: int, codec: int, payload: bytes
    ) -> None:
        """Append an encoded batch; raises as `append_row`."""
        body = pack_batch(Batch(sequence, span, count, codec, payload))
        if len(body) > BODY_BYTES:
            raise EntryError("batch", f"{len(body):,} bytes", f"at most {BODY_BYTES:,}")
        levels = levels_in(payload, count)
        with self._lock, self._appending():
            self._append(BATCH, [sequence], [body], sequence + span - 1, levels)

    def sync(self, now: float) -> None:
        """With fsync="interval": bring to the disk what is a second old.

        `now` in seconds. Raises DeliveryError when the disk has failed: what came since
        the last time may be gone after a power cut; it goes on in a new segment.
        """
        if self._fsync != "interval" or now - self._synced < SYNC_SECONDS:
            return
        self._synced = now
        with self._lock:
            if self._closed:
                return
            due = [segment for segment in self._segments if segment.dirty]
            copies = []
            for segment in due:
                copies.append(segment.duplicate())
                segment.dirty = False
            new_files, self._new_files = self._new_files, False
        failed = sync_all(copies, self.folder if new_files else None)
        with self._lock:
            if failed:
                self.unsafe += len(failed)
                self._end_segment()
            for segment in due:
                if segment is not self._active and not segment.dirty:
                    segment.close()
        if failed:
            raise self._error("fsync failed", failed[0])

    def close(self, *, remove: bool = False) -> bool:
        """Let go of it; files stay for an adopter unless they are empty or `remove`.

        Whether all of them are gone.
        """
        with self._lock:
            if self._closed:
                return False
            self._closed = "it is closed"
            remove = remove or self.is_empty
            gone = remove
            for segment in self._segments:
                if remove:
                    gone &= segment.remove()
                    continue
                if segment.dirty and self._fsync != "none":
                    with suppress(OSError):
                        segment.sync()
                segment.close()
            if self._own is not None:
                self._own.release(remove=gone)
            self._segments, self._active = [], None
            self.bytes = 0
            return gone

    def disown(self) -> None:
        """In a forked child: close without a trace, whatever other threads held."""
        self._lock = threading.RLock()
        self._closed = "it belongs to the process that this one was forked from"
        for segment in self._segments:
            segment.close()
        if self._own is not None:
            self._own.forget()
        self._segments, self._active = [], None
        self._last = self.bytes = 0

    @contextmanager
    def _appending(self) -> Iterator[None]:
        """Under the lock, what `append_row` does without a call."""
        if self._busy:
            raise self._reentered()
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _append(
        self,
        kind: int,
        numbers: Sequence[int],
        bodies: Sequence[bytes],
        last: int,
        levels: Counter[int],
    ) -> None:
        size = sum(map(len, bodies)) + len(bodies) * RECORD_BYTES
        segment = self._room(numbers[0], size)
        place = segment.size
        records = []
        for number, body in zip(numbers, bodies, strict=True):
            records.append(pack_record(segment.marker, kind, number, body, place))
            place += RECORD_BYTES + len(body)
        self._write(segment, b"".join(records), last, levels.total())
        segment.levels.update(levels)

    def _room(self, number: int, size: int) -> Segment:
        """The segment to append so many bytes to."""
        if self._closed:
            raise DeliveryError(self.folder, self._closed)
        if number <= self._last:
            raise ValueError(f"number {number}: it must be above {self._last}")
        if self.bytes + size + HEAD_BYTES > self.limit_bytes and self.is_empty:
            while self._segments:
                self._take_out().remove()
        segment = self._active
        if segment is not None and not segment.is_bare:
            fits = segment.size + size <= self._segment_bytes
            segment = segment if fits else None
        needed = size if segment is not None else size + HEAD_BYTES
        if self.bytes + needed > self.limit_bytes:
            used = f"{self.bytes:,} of {self.limit_bytes:,} bytes are used"
            raise SpoolFullError(self.folder, used)
        return segment or self._begin(number)

    def _write(self, segment: Segment, data: bytes, last: int, count: int) -> None:
        before = (self.bytes, segment.size, segment.rows)
        try:
            segment.write(data)
            if self._fsync == "always":
                self._sync_written(segment, len(data))
            self.bytes += len(data)
            segment.rows += count
            segment.last = self._last = last
        except OSError as error:
            if error.errno not in _NO_SPACE:  # another file may be spared
                self._end_segment()
            raise self._error("it can't be written", error) from error
        except BaseException:  # a signal's handler has raised: it is not there
            self.bytes, size, segment.rows = before
            with suppress(OSError):
                segment.cut(size)
            raise

    def _sync_written(self, segment: Segment, size: int) -> None:
        """Bring a write to the disk; what it refuses is not there."""
        try:
            segment.sync()
            if self._new_files:
                sync_folder(self.folder)
                self._new_files = False
        except OSError:
            self.unsafe += 1
            with suppress(OSError):
                segment.cut(segment.size - size)
            self._end_segment()
            raise

    def _begin(self, number: int) -> Segment:
        """A new segment, and with the first one the folder and its lock."""
        self._end_segment()
        try:
            if self._own is None:
                self._own = take_lock(self.folder, self.producer)
            segment = create(self.folder, self.producer, number)
        except OSError as error:
            raise self._error("no file can be made", error) from error
        self._new_files = True
        self._segments.append(segment)
        self._active = segment
        self.bytes += segment.size
        return segment

    def _end_segment(self) -> None:
        """Append no more to the segment; `sync` closes it when it is not on disk."""
        segment, self._active = self._active, None
        if segment is None:
            return
        if segment.is_bare:
            self._segments.remove(segment)
            self.bytes -= segment.size
            segment.remove()
        elif not (segment.dirty and self._fsync == "interval"):
            segment.close()

    def _reentered(self) -> DeliveryError:
        return DeliveryError(self.folder, "it is in the middle of an append")
