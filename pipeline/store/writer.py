"""The one writer: a block, its producers' marks and the dead letters in a transaction.

What `commit` has returned from is on disk (durability "disk"); what it raised from is
not there at all, and may be tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from pipeline import clock
from pipeline.delivery.stream import Stream
from pipeline.errors import DamageError, StoreError
from pipeline.limits import DEAD_LETTER_BYTES
from pipeline.store.block import Sealed, place_checksum
from pipeline.store.chain import COMPACTION, DELETION
from pipeline.store.chaining import Chaining
from pipeline.store.compacted import Compacted
from pipeline.store.database import (
    DatabaseError,
    Lock,
    is_damage,
    open_writer,
    size_on_disk,
    sync,
)
from pipeline.store.producers import (
    FORGOTTEN_QUERY,
    PAGE_QUERY,
    Question,
    forget,
    values_of,
)
from pipeline.store.replacing import Range, Replacing
from pipeline.store.rows import sealed_row
from pipeline.store.salvage import Say, heal, suspect
from pipeline.store.schema import FORGOTTEN, PAGE_BYTES

DEAD_LETTERS_MAX: Final = 10_000
"""Rows kept: the counters go on, and 40 MB of copies tell what went wrong."""

_CHECKPOINT_BYTES: Final = 4 << 20
"""WAL size from which each commit moves pages to the database: a checkpoint then costs
a few milliseconds."""

_RESTART_BYTES: Final = 64 << 20
"""WAL size from which readers are waited for (20 ms), so that it starts anew."""


class DeadLetter(NamedTuple):
    """Something that could not be stored."""

    time: int
    reason: str
    detail: str
    producer: bytes | None
    size: int
    body: bytes


class Stock(NamedTuple):
    """What is stored, the oldest first, and what it takes; bytes."""

    blocks: Sequence[Range]
    file_bytes: int
    free_bytes: int
    """Of pages in the file that nothing uses."""

    wal_bytes: int
    dropped_bytes: int
    """Of blocks that count no more, until nobody reads them any more."""

    replaced_bytes: int
    """Of these and of those that others have taken the place of."""


class Writer:
    """Holds the lock and the read-write connection until `close`.

    A damaged database is salvaged first; `say` hears of it.
    """

    def __init__(
        self, path: Path, durability: str = "disk", say: Say = lambda _: None
    ) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent} can't be made: {error}") from None
        self.path = path
        self._unsynced = durability == "process"
        """Whether commits return before they are on disk."""
        self._changed = False
        self._lock = Lock(path)
        with ExitStack() as failed:
            failed.callback(self._lock.release)
            try:
                self._open(durability, say)
            except DamageError:  # in what `heal` doesn't read; it is suspect now
                self._open(durability, say)
            failed.pop_all()

    def _open(self, durability: str, say: Say) -> None:
        heal(self.path, clock.now_ns(), say, synced=durability == "disk")
        self._connection = open_writer(self.path, durability)
        with ExitStack() as failed:
            failed.callback(self._connection.close)
            # a number is never given twice, even if its block was lost
            (last,) = self._connection.execute(
                "SELECT max(coalesce((SELECT max(id) FROM blocks), 0),"
                " coalesce((SELECT max(block) FROM producers), 0))"
            ).fetchone()
            self._replacing = Replacing(self._connection)
            self._chain = Chaining(self._connection)
            with self._transaction():
                self._chain.begin(self._replacing.live, clock.now_ns())
            failed.pop_all()
        self._chain.written()
        self.last_block: int = max(last, self._replacing.last_commit())

    @property
    def last_compacted(self) -> int:
        """The number of the newest compacted block."""
        return self._replacing.last_compacted

    def streams(self) -> list[Stream]:
        """All producers that the database knows, the longest idle first."""
        found = self._connection.execute(
            "SELECT id, durable, durable, stored, lost, duplicates, rejected, dropped,"
            " seen, finished, kind, tail, reasons, source, began FROM producers"
            " WHERE kind != 'plain' ORDER BY seen"
        )
        streams = []
        for *marks, reasons, source, began in found:
            stream = Stream(*marks)
            stream.reasons = msgpack.unpackb(reasons)
            stream.source, stream.began = source, began
            streams.append(stream)
        return streams

    def commit(
        self,
        blocks: Sequence[Sealed],
        marks: Iterable[Stream],
        letters: Sequence[DeadLetter],
        forgotten: Iterable[bytes],
        now: int,
    ) -> int:
        """Commit all of it or nothing; the number of the newest block.

        Raises StoreError when the disk or the database refuses, DamageError when to
        try again is of no use.
        """
        with self._transaction():
            for number, block in enumerate(blocks, self.last_block + 1):
                self._insert_block(number, block, now)
            # Before the marks: who was forgotten may have come back since.
            self._forget(forgotten)
            self._insert_marks(marks, self.last_block + len(blocks))
            self._insert_letters(letters)
            self._chain.commit(now)
        self._chain.written()
        numbers = range(self.last_block + 1, self.last_block + len(blocks) + 1)
        self._replacing.note(numbers, blocks, now)
        for number, block in zip(numbers, blocks, strict=True):
            self._chain.add(number, block, now)
        self.last_block += len(blocks)
        self._changed = self._unsynced
        return self.last_block

    def swap(self, block: Compacted, gone: int | None = None, reason: str = "") -> int:
        """Commit a block in the place of those it replaces; its id.

        `gone` is how many of their rows it must be without; None: any. `reason` is why
        they go, for the chain. Raises StoreError when they are not the live blocks of
        its commits any more, and as `commit`.
        """
        fewer = self._replacing.check(block, gone)
        reason = reason or (DELETION if fewer else COMPACTION)
        with self._transaction():
            number = self._replacing.insert(block)
            self._chain.swap(number, block, reason, clock.now_ns())
        self._chain.written()
        self._replacing.inserted(number, block)
        self._changed = self._unsynced
        return number

    def drop(self, first: int, last: int, now: int, reason: str = "") -> int:
        """Make the blocks of these commits vanish; the id of what stands for them.

        Raises StoreError when a block has other commits too, and as `commit`.
        """
        return self.swap(self._replacing.tombstone(first, last, now), reason=reason)

    def purge(self, up_to: int, limit: int, *, is_short: bool = False) -> int:
        """Delete at most `limit` rows that blocks up to this id have replaced.

        The caller says by `up_to` (an id that `swap` gave) which nobody reads any more;
        what is returned is how many rows there were. Many builds of SQLite write zeros
        over all that goes, which takes that room in the WAL: not if `is_short`.
        """
        with self._transaction(), self._without_zeros(wanted=is_short):
            count = self._replacing.purge(up_to, limit)
        self._replacing.purged(count)
        return count

    def stock(self) -> Stock:
        """What is stored, and what it takes on disk. Raises StoreError."""
        try:
            ((pages,),) = self._connection.execute("PRAGMA page_count")
            ((free,),) = self._connection.execute("PRAGMA freelist_count")
        except DatabaseError as error:
            raise StoreError(f"{self.path} can't be read: {error}") from None
        wal = size_on_disk(self.path.with_name(self.path.name + "-wal"))
        return Stock(
            blocks=self._replacing.live,
            file_bytes=pages * PAGE_BYTES,
            free_bytes=free * PAGE_BYTES,
            wal_bytes=wal,
            dropped_bytes=self._replacing.dropped_bytes,
            replaced_bytes=self._replacing.replaced_bytes,
        )

    def note(self, key: str) -> str | None:
        """What `keep_note` has kept under a key of `meta`."""
        return self._replacing.text(key)

    def chain_up(self) -> None:
        """Put all blocks into the chain; raises as `commit`."""
        with self._transaction():
            self._chain.flush(clock.now_ns())
        self._chain.written()

    def keep_note(self, key: str, text: str) -> None:
        """Keep a text in `meta`; raises as `commit`."""
        with self._transaction():
            self._replacing.set_text(key, text)

    def vacuum(self, pages: int) -> int:
        """Give at most so many free pages back to the disk; how many are left."""
        try:
            # one step a page: without columns, `execute` takes but the first
            self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
            ((left,),) = self._connection.execute("PRAGMA freelist_count")
        except DatabaseError as error:
            raise StoreError(f"{self.path}: vacuum failed: {error}") from None
        return int(left)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except DatabaseError as error:
            self._roll_back()
            if is_damage(error):
                suspect(self.path, str(error))
                text = f"{self.path} is damaged: {error}; the next start salvages it"
                raise DamageError(text) from None
            raise StoreError(f"{self.path} can't be written: {error}") from None
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def _without_zeros(self, *, wanted: bool) -> Iterator[None]:
        ((before,),) = self._connection.execute("PRAGMA secure_delete")
        if wanted:
            self._connection.execute("PRAGMA secure_delete = 0").fetchone()
        try:
            yield
        finally:
            if wanted:
                again = f"PRAGMA secure_delete = {before}"
                self._connection.execute(again).fetchone()

    @property
    def needs_sync(self) -> bool:
        """Whether a commit has ended that a power cut would take."""
        return self._changed

    def sync(self) -> None:
        """Bring ended commits to the disk; raises StoreError when it refuses."""
        self._changed = False
        wal = self.path.with_name(self.path.name + "-wal")
        try:
            sync(wal)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{wal} can't be synced: {error.strerror}") from None

    def checkpoint(self, *, at_once: bool = False) -> None:
        """Move what the WAL holds to the database, when it is worth it.

        `at_once`: whatever it holds, and give its room back.
        """
        wal = size_on_disk(self.path.with_name(self.path.name + "-wal"))
        if wal < (1 if at_once else _CHECKPOINT_BYTES):
            return
        mode = "RESTART" if wal > _RESTART_BYTES else "PASSIVE"
        mode = "TRUNCATE" if at_once else mode
        try:
            self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except DatabaseError as error:
            raise StoreError(f"{self.path}: checkpoint failed: {error}") from None

    def close(self) -> None:
        """Close the database, which empties the WAL, and let go of the lock."""
        with suppress(StoreError):  # the next start does it
            self.chain_up()
        self._connection.close()
        self._lock.release()

    def _roll_back(self) -> None:
        # Fails too when the disk does; the next BEGIN then tells of it.
        with suppress(DatabaseError):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _insert_block(self, number: int, block: Sealed, now: int) -> None:
        self._connection.execute(
            "INSERT INTO blocks VALUES (?, ?, 0, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)",
            (
                number,
                now,
                block.rows,
                len(block.data),
                block.minimum,
                block.maximum,
                place_checksum(number, now, 0, len(block.data), block.header_crc),
                block.data_crc,
                block.counts,
                block.runs,
                block.data,
            ),
        )

    def _forget(self, producers: Iterable[bytes]) -> None:
        """Delete their rows; the sums stay, so that no loss goes unseen."""
        rows: list[Any] = []
        for key in producers:
            rows += self._connection.execute(PAGE_QUERY, values_of(Question(1, key)))
        if rows:
            value = self._connection.execute(FORGOTTEN_QUERY).fetchall()
            self._connection.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                (FORGOTTEN, forget(value, rows)),
            )
            self._connection.executemany(
                "DELETE FROM producers WHERE id = ?", ((row[0],) for row in rows)
            )

    def _insert_marks(self, marks: Iterable[Stream], block: int) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO producers VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sealed_row(
                    stream.producer,
                    stream.kind,
                    stream.accepted,
                    stream.stored,
                    stream.lost,
                    stream.duplicates,
                    stream.rejected,
                    stream.dropped,
                    stream.seen,
                    int(stream.finished),
                    stream.tail,
                    msgpack.packb(stream.reasons),
                    block,
                    stream.source,
                    stream.began,
                )
                for stream in marks
            ),
        )

    def _insert_letters(self, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        self._connection.executemany(
            "INSERT INTO dead_letters VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            (
                (*letter[:5], letter.body[:DEAD_LETTER_BYTES])
                for letter in letters[-DEAD_LETTERS_MAX:]
            ),
        )
        self._connection.execute(
            "DELETE FROM dead_letters WHERE id <="
            " (SELECT max(id) FROM dead_letters) - ?",
            (DEAD_LETTERS_MAX,),
        )
