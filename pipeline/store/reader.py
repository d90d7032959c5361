"""Blocks for queries, over a connection that can't write.

No statement outlives its fetch: a reader that dawdles would keep the WAL from being
reset.  Headers are read once, when their block is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np

from pipeline.errors import ColumnError, FrameError, StoreError
from pipeline.store import bloom, compacted, cuts
from pipeline.store.attached import attach, open_with
from pipeline.store.block import Block, Counts, parse_counts
from pipeline.store.bound import bind
from pipeline.store.columns import Directory, parse_directory
from pipeline.store.database import Connection, DatabaseError, open_reader
from pipeline.store.fresh import CHECKED, new_headers
from pipeline.store.headers import (
    Checked,
    Header,
    check_compacted,
    check_header,
    compacted_header_of,
)
from pipeline.store.kept import Kept
from pipeline.store.live import Live
from pipeline.store.opened import CompactedBlock, Covered
from pipeline.store.patterns import BlockPatterns, no_patterns, parse_patterns
from pipeline.store.schema import COMPACTED, FILTER_BITS, PURGED
from pipeline.store.template_table import Ids, TemplateTable, read_table

__all__ = ["Header", "Reader"]

_COVERED: Final = (
    "SELECT id, first, last, committed, tier, rows, bytes, minimum, maximum,"
    " header_crc, checksums"
)
_BLOBS: Final = ("counts", "patterns", "directory", "runs", "commits")
"""Of a compacted block's header, in the order of their checksums."""

_AT_ONCE: Final = 500
"""Rows asked for in one statement: SQLite takes some thousands of variables."""

_COUNTS_KEPT: Final = 8 << 20
"""Bytes of parsed counts kept, and of directories: of some hundred compacted blocks."""

_PATTERNS_KEPT: Final = 12 << 20
"""Bytes of parsed patterns kept: 120 KB a block of the corpus, 6 million entries."""

_COLUMN_BYTES: Final = 300
"""Of a column's objects in a parsed directory."""


class Reader:
    """The headers of the live blocks in the order of their commits; what is behind."""

    is_scoped = False

    def __init__(
        self, path: Path, attached: Sequence[Path] = (), *, needs_all: bool = True
    ) -> None:
        """`attached` are archives of this store, whose blocks count as its own.

        One that can't be attached is an error, or it is left out until its file is
        another.
        """
        self.path = path
        self.attached = attached
        self._needs_all = needs_all
        self._left_out: dict[Path, tuple[int, ...]] = {}
        """Archives that could not be attached, and what their files were then."""

        self.headers: list[Header] = []
        self.generation = 0
        """Raised when a header went away; `headers` is a new list then."""

        self.newest = 0
        """The newest commit number seen."""

        self.fetched = 0
        """Bytes of blocks, columns and filters read so far."""

        self._segment: tuple[int, bytes] = (-1, b"")
        """The row of columns read last: the next column mostly stands in it too."""

        self._damaged: set[int] = set()
        """Keys of fresh blocks whose headers can't be true."""

        self._connection: Connection | None = None
        self._live: Live[Header] = Live()
        self._last_compacted = 0
        self._purged = 0
        self._has_compacted = False
        self.file = (0, 0)
        """Device and inode of the database, which another may take the place of."""

        self._counts: Kept[Counts] = Kept(_COUNTS_KEPT)
        self._patterns: Kept[BlockPatterns] = Kept(_PATTERNS_KEPT)
        self._directories: Kept[tuple[Covered, Directory]] = Kept(_COUNTS_KEPT)
        self._templates: tuple[int, TemplateTable] | None = None

    def refresh(self) -> None:
        """See what was committed since; no database yet means no blocks."""
        if not self._follow_file():
            return
        self._fetch("BEGIN")
        try:
            self._see_new()
        finally:
            # nothing was written; a row that can't be read would fail a COMMIT, too
            self._fetch("ROLLBACK")

    def _see_new(self) -> None:
        if not self._has_compacted:  # a database that no ingester has opened yet
            # the table itself: a flipped bit of user_version would hide its blocks
            found = "SELECT 1 FROM sqlite_master WHERE name = 'compacted'"
            self._has_compacted = bool(self._fetch(found))
            if not self._has_compacted and self._is_being_made():
                return
        purged = self._read_purged()
        if purged != self._purged:
            self._begin_anew()
            self._purged = purged
        headers = new_headers(self._each, self.newest, self._damaged)
        joined = self._new_compacted()
        self._add(headers + [compacted_header_of(row) for row in joined])

    def _is_being_made(self) -> bool:
        """Whether the file is there and its tables are not: no blocks, and no error."""
        ((pages,),) = self._fetch("PRAGMA page_count")
        return pages <= 1 and not self._fetch("SELECT 1 FROM sqlite_master")

    def _read_purged(self) -> int:
        found = self._fetch("SELECT value FROM meta WHERE key = ?", (PURGED,))
        return int(found[0][0]) if found else 0

    def _new_compacted(self) -> list[Any]:
        if not self._has_compacted:
            return []
        return self._fetch(
            f"{_COVERED} FROM compacted WHERE id > ? ORDER BY id",
            (self._last_compacted,),
        )

    def _add(self, new: list[Header]) -> None:
        for header in new:
            self._live.add(header)
            self.newest = max(self.newest, header.last)
            if header.id >= COMPACTED:
                self._last_compacted = header.id
        if new and new[-1].id >= COMPACTED:
            self.headers = [header for header in self._live.items if header.rows]
            self.generation += 1
            for kept in (self._counts, self._patterns, self._directories):
                kept.keep({header.id for header in self.headers})
        else:
            self.headers.extend(new)

    def _begin_anew(self) -> None:
        self.headers, self._live, self._damaged = [], Live(), set()
        self.generation += 1
        self.newest = self._last_compacted = self._purged = 0

    def _follow_file(self) -> bool:
        """Whether there is a database; one that took another's place begins anew."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            # between its renames, a damaged one can still be read
            return self._connection is not None
        is_open = self._connection is not None and not self._has_come()
        if not is_open or self.file != (found.st_dev, found.st_ino):
            self.close()
            self.file = (found.st_dev, found.st_ino)
            self._open()
            self._has_compacted = False
            self._begin_anew()
            self._counts.clear()
            self._patterns.clear()
            self._directories.clear()
            self._templates = None
            self._segment = (-1, b"")
        return True

    @property
    def unattached(self) -> int:
        """Archives whose entries are missing."""
        return len(self._left_out)

    def _has_come(self) -> bool:
        """Whether an archive that was left out may be attached by now."""
        left_out = self._left_out.items()
        return any(_stamp(path) != stamp for path, stamp in left_out)

    def _open(self) -> None:
        if self._needs_all:
            self._connection = open_reader(self.path)
            try:
                attach(self._connection, self.attached)
            except StoreError:
                self.close()
                raise
            return
        stamps = {path: _stamp(path) for path in self.attached}
        self._connection, left_out = open_with(self.path, self.attached)
        self._left_out = {path: stamps[path] for path in left_out}

    def load(self, header: Header) -> Block:
        """The block, its checksums compared; of a compacted one only the directory.

        Raises StoreError when it is damaged. A column that is damaged, or that
        compaction has taken away since, is a FrameError of who reads it.
        """
        if header.id >= COMPACTED:
            return self._load_compacted(header.id)
        found = self._fetch(f"{CHECKED}, data FROM blocks WHERE id = ?", (header.id,))
        if not found:
            raise _gone(header.id)
        *columns, data = found[0]
        head = Checked(*columns)
        check_header(head)
        if type(data) is not bytes:
            raise StoreError(f"block {header.id} is damaged: it has no data")
        self.fetched += len(data)
        if crc32(data) != head.data_crc:
            raise StoreError(f"block {header.id} is damaged: its data's CRC is wrong")
        return Block(head.id, data, head.runs, head.committed)

    def _load_compacted(self, block_id: int) -> Block:
        kept = self._directories.get(block_id)
        if kept is None:
            ((covered, blob),) = self._blobs_of([block_id], "directory")
            try:
                kept = covered, parse_directory(blob)
            except FrameError as error:
                raise StoreError(f"block {block_id} can't be read: {error}") from None
            self._directories.put(block_id, kept, _COLUMN_BYTES * len(kept[1][1]))
        return CompactedBlock(
            *kept,
            partial(self._header_blob, block_id),
            partial(self._column_bytes, block_id),
        )

    def _header_blob(self, block_id: int, name: str) -> bytes:
        try:
            ((_, blob),) = self._blobs_of([block_id], name)
        except StoreError as error:  # as a column of it, when somebody reads that
            raise ColumnError(block_id, str(error)) from None
        return blob

    def _column_bytes(self, block_id: int, offset: int, size: int) -> bytes:
        keys = cuts.keys(block_id - COMPACTED, offset, size)
        if len(keys) == 1 and keys[0] == self._segment[0]:
            return cuts.slice_of([self._segment[1]], offset, size)
        statement = "SELECT data FROM segments WHERE id BETWEEN ? AND ? ORDER BY id"
        try:
            found = self._fetch(statement, (keys[0], keys[-1]))
        except StoreError as error:
            raise ColumnError(block_id, str(error)) from None
        if len(found) != len(keys):
            raise ColumnError(block_id, f"{_gone(block_id)}, or a part of it")
        self._segment = keys[-1], found[-1][0]
        return cuts.slice_of([data for (data,) in found], offset, size)

    def _blobs_of(
        self, block_ids: Sequence[int], name: str
    ) -> list[tuple[Covered, bytes]]:
        """A blob of compacted blocks' headers, its checksums compared."""
        rows = {}
        for at in range(0, len(block_ids), _AT_ONCE):
            chunk = tuple(block_ids[at : at + _AT_ONCE])
            marks = ",".join("?" * len(chunk))
            statement = f"{_COVERED}, {name} FROM compacted WHERE id IN ({marks})"
            rows.update({row[0]: row for row in self._fetch(statement, chunk)})
        found = []
        for block_id in block_ids:
            if block_id not in rows:
                raise _gone(block_id)
            *fixed, header_crc, checksums, blob = rows[block_id]
            check_compacted(fixed, header_crc, checksums)
            crcs = compacted.CHECKSUMS.unpack(checksums)
            self.fetched += len(blob) if type(blob) is bytes else 0
            if type(blob) is not bytes or crc32(blob) != crcs[_BLOBS.index(name)]:
                raise StoreError(
                    f"block {block_id} is damaged: its {name}' CRC is wrong"
                )
            found.append((Covered(*fixed), blob))
        return found

    def counts(self, block_ids: Sequence[int]) -> list[Counts]:
        """Counts per (minute, source, level) of the blocks, from their headers."""
        unknown = [
            each
            for each in block_ids
            if each >= COMPACTED and self._counts.get(each) is None
        ]
        parsed: dict[int, Counts] = {}
        for covered, blob in self._blobs_of(unknown, "counts"):
            counts = parsed[covered.id] = parse_counts(blob)
            self._counts.put(covered.id, counts, 32 * len(counts.counts) + 500)
        found = []
        for block_id in block_ids:
            kept = parsed.get(block_id) or self._counts.get(block_id)
            found.append(kept or self._fresh_counts(block_id))
        return found

    def _fresh_counts(self, block_id: int) -> Counts:
        found = self._fetch(f"{CHECKED} FROM blocks WHERE id = ?", (block_id,))
        if not found:
            raise _gone(block_id)
        head = Checked(*found[0])
        check_header(head)
        return parse_counts(head.counts)

    def patterns(self, block_ids: Sequence[int]) -> list[BlockPatterns]:
        """How many rows of which template the blocks have; fresh ones have none."""
        found = {each: self._patterns.get(each) for each in block_ids}
        unknown = [each for each in found if each >= COMPACTED and found[each] is None]
        for covered, blob in self._blobs_of(unknown, "patterns"):
            patterns = found[covered.id] = parse_patterns(blob)
            self._patterns.put(covered.id, patterns, 32 * len(patterns.ids) + 500)
        rows = self._rows_of([each for each in found if each < COMPACTED])
        return [found[each] or no_patterns(rows[each]) for each in block_ids]

    def _rows_of(self, block_ids: Sequence[int]) -> dict[int, int]:
        rows = {header.id: header.rows for header in self.headers} if block_ids else {}
        for block_id in block_ids:
            if block_id not in rows:
                raise _gone(block_id)
        return rows

    def templates(self) -> TemplateTable:
        """All templates of the store, read again when there are new blocks."""
        if self._templates is None or self._templates[0] != self._last_compacted:
            statement = "SELECT id, template, first, last, crc FROM patterns"
            rows = self._fetch(statement) if self._has_compacted else []
            self._templates = self._last_compacted, read_table(rows)
        return self._templates[1]

    def template_ids(self) -> Ids:
        """The ids of all templates, ascending, sound or not: what the table holds."""
        statement = "SELECT id FROM patterns"
        rows = self._fetch(statement) if self._has_compacted else []
        return np.sort(np.array([row[0] for row in rows], np.int64).view(np.uint64))

    def blocks_without(self, token_hash: int) -> frozenset[int]:
        """The compacted blocks that certainly do not hold the token."""
        if not self._has_compacted or not token_hash:
            return frozenset()
        first = bloom.partition_of(token_hash) << FILTER_BITS
        found = self._fetch(
            "SELECT id, data FROM filters WHERE id BETWEEN ? AND ?",
            (first, first | COMPACTED - 1),
        )
        self.fetched += sum(len(piece) for _, piece in found)
        return frozenset(
            COMPACTED + key - first
            for key, piece in found
            if not bloom.may_hold(bind(key, piece), token_hash)
        )

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fetch(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        if self._connection is None:
            return []
        return list(self._each(statement, values))

    def _each(self, statement: str, values: tuple[Any, ...]) -> Iterator[Any]:
        """One by one: to be taken at once, all of them."""
        assert self._connection is not None
        try:
            yield from self._connection.execute(statement, values)
        except DatabaseError as error:
            raise StoreError(f"{self.path} can't be read: {error}") from None


def _stamp(path: Path) -> tuple[int, ...]:
    """What a file is; of none it is empty."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _gone(block_id: int) -> StoreError:
    return StoreError(f"block {block_id} is not there any more")
