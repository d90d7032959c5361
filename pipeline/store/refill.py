"""What a damaged database still has, on its way into a fresh one.

A compacted block is kept when its header is right and the columns are there that every
entry needs; another column that can't be read is an error of the questions that ask for
it. Where a compacted block can't be kept, the blocks that it replaced count again, if
they are still there. Filters and the table of templates are indexes: what is sound of
the filters is kept, and the table is made complete from the blocks' own templates.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, NamedTuple
from zlib import crc32

from pipeline.batch.layout import MESSAGE, REQUIRED, SHAPE
from pipeline.errors import FrameError
from pipeline.store.columns import (
    PLACE_BITS,
    Fetch,
    Stored,
    open_columns,
    parse_directory,
)
from pipeline.store.database import Connection
from pipeline.store.filters import is_sound
from pipeline.store.images import Images
from pipeline.store.ledger import Ledger
from pipeline.store.live import Live
from pipeline.store.message_column import MessageColumn
from pipeline.store.messages import TEMPLATES_NAME, VARIABLES_NAME
from pipeline.store.patterns import parse_patterns
from pipeline.store.readable import (
    BlockFound,
    CompactedFound,
    LetterFound,
    MetaFound,
    PatternFound,
    blobs,
    readable,
)
from pipeline.store.rows import CompactedRow
from pipeline.store.schema import (
    COMPACTED,
    DELETED,
    LAST,
    LAST_COMPACTED,
    REMOVED,
    REMOVED_COMPACTED,
)
from pipeline.store.template_table import signed, template_row

_NEEDED: Final = frozenset({*REQUIRED, SHAPE, VARIABLES_NAME, TEMPLATES_NAME})
_TEXTS: Final = {
    "blocks": "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "compacted": "INSERT INTO compacted VALUES"
    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "columns": "INSERT OR IGNORE INTO columns VALUES (?, ?)",
    "filters": "INSERT OR IGNORE INTO filters VALUES (?, ?)",
    "patterns": "INSERT OR IGNORE INTO patterns VALUES (?, ?, ?, ?, ?)",
    "letters": "INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)",
    "meta": "INSERT OR IGNORE INTO meta VALUES (?, ?)",
}


class _Range(NamedTuple):
    """A block that was kept, and what the ledger asks of it."""

    id: int
    first: int
    last: int
    rows: int
    committed: int
    runs: bytes


class Refill:
    """One salvage: fill, then `live` blocks for the ledger."""

    def __init__(self, connection: Connection, images: Images, ledger: Ledger) -> None:
        self._connection = connection
        self._images = images
        self._ledger = ledger
        self._fresh: list[_Range] = []
        self._compacted: dict[int, CompactedRow] = {}
        self._meta: dict[str, Any] = {}

    def run(self) -> None:
        """Write every row that can be kept, and tell the ledger."""
        for found in readable(self._images, self._ledger.add_mark):
            self._keep(found)
        columns = self._columns()
        self._keep_blobs(columns)
        self._keep_complete(columns)
        live: Live[_Range] = Live()
        for block in sorted(self._fresh) + [
            _Range(row.id, row.first, row.last, row.rows, row.committed, row.runs)
            for _, row in sorted(self._compacted.items())
        ]:
            live.add(block)
            self._ledger.add_numbers(block.last)
        for block in live.items:
            if block.rows:
                self._ledger.add_block(block.rows, block.runs, block.committed)
        self._ledger.add_numbers(self._number(LAST))
        for key, value in self._meta.items():
            if key.startswith(DELETED) and isinstance(value, int):
                with suppress(ValueError):
                    producer = bytes.fromhex(key.removeprefix(DELETED))
                    self._ledger.deleted[producer] = value

    def close(self, last: int) -> int:
        """Set the counters right for so many commits; how many blocks were lost."""
        absent = last - len(self._fresh)
        lost = max(0, absent - self._number(REMOVED))
        ids = [COMPACTED, self._number(LAST_COMPACTED), *self._compacted]
        absent_compacted = max(ids) - COMPACTED - len(self._compacted)
        lost += max(0, absent_compacted - self._number(REMOVED_COMPACTED))
        pairs = {
            REMOVED: absent,
            LAST_COMPACTED: max(ids),
            REMOVED_COMPACTED: absent_compacted,
        }
        self._connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", pairs.items()
        )
        return lost

    @property
    def blocks(self) -> int:
        """How many were kept."""
        return len(self._fresh) + len(self._compacted)

    def _number(self, key: str) -> int:
        value = self._meta.get(key, 0)
        return value if isinstance(value, int) else 0

    def _keep(self, found: object) -> None:
        match found:
            case BlockFound(row, data):
                self._insert("blocks", (*row, data))
                self._fresh.append(
                    _Range(row.id, row.id, row.id, row.rows, row.committed, row.runs)
                )
            case CompactedFound(compacted):
                self._compacted[compacted.id] = compacted
            case PatternFound(pattern):
                self._insert("patterns", pattern)
            case LetterFound(values):
                self._insert("letters", values)
            case MetaFound(key, value):
                self._insert("meta", (key, value))
                self._meta.setdefault(str(key), value)

    def _insert(self, table: str, values: Any) -> None:
        self._connection.execute(_TEXTS[table], values)

    def _columns(self) -> dict[int, Stored]:
        """The columns of all compacted blocks, by their ids."""
        found = {}
        for row in list(self._compacted.values()):
            if not row.rows:
                continue
            try:
                _, directory = parse_directory(row.directory)
            except FrameError:  # of a newer program, whose version 5 this is not
                del self._compacted[row.id]
                continue
            for place, stored in enumerate(directory):
                found[(row.id - COMPACTED) << PLACE_BITS | place] = stored
        return found

    def _keep_blobs(self, columns: dict[int, Stored]) -> None:
        sizes = {key: stored.field.stored for key, stored in columns.items()}
        for key, data in blobs(self._images, sizes):
            column = columns.get(key)
            if (
                column is not None
                and column.field.stored == len(data)
                and column.crc == crc32(data)
            ):
                self._insert("columns", (key, data))
            elif is_sound(key, data):
                self._insert("filters", (key, data))

    def _keep_complete(self, columns: dict[int, Stored]) -> None:
        """Write the compacted blocks that have what every entry needs."""
        there = {key for (key,) in self._connection.execute("SELECT id FROM columns")}
        incomplete = {
            COMPACTED + (key >> PLACE_BITS)
            for key, stored in columns.items()
            if key not in there and stored.field.name in _NEEDED
        }
        for block_id in incomplete:
            del self._compacted[block_id]
            first = (block_id - COMPACTED) << PLACE_BITS
            self._connection.execute(
                "DELETE FROM columns WHERE id BETWEEN ? AND ?",
                (first, first + (1 << PLACE_BITS) - 1),
            )
        for row in self._compacted.values():
            self._insert("compacted", row)
            self._complete_patterns(row)

    def _complete_patterns(self, row: CompactedRow) -> None:
        """Whatever the table has lost, the block knows."""
        if not row.rows:
            return
        with suppress(FrameError):
            batch = open_columns(*parse_directory(row.directory), self._fetch(row.id))
            messages = batch.columns[MESSAGE]
            if not isinstance(messages, MessageColumn):
                return
            patterns = parse_patterns(row.patterns)
            numbers = (patterns.ids, patterns.first, patterns.last)
            ids, first, last = (column.tolist() for column in numbers)
            for values in zip(ids, messages.templates, first, last, strict=True):
                pattern_id, template, oldest, newest = values
                whole = template_row(signed(pattern_id), template, oldest, newest)
                self._insert("patterns", whole)

    def _fetch(self, block_id: int) -> Fetch:
        def fetch(place: int) -> bytes:
            key = (block_id - COMPACTED) << PLACE_BITS | place
            ((blob,),) = self._connection.execute(
                "SELECT data FROM columns WHERE id = ?", (key,)
            )
            return bytes(blob)

        return fetch
