"""What a damaged database still has, on its way into a fresh one.

A compacted block is kept when its header is right and the columns are there that every
entry needs; another column that can't be read is an error of the questions that ask for
it. Where a compacted block can't be kept, the blocks that it replaced count again, if
they are still there. Filters and the table of templates are indexes: what is sound of
the filters is kept, and the table is made complete from the blocks' own templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from pipeline.batch.layout import MESSAGE, REQUIRED, SHAPE
from pipeline.errors import FrameError
from pipeline.store.bound import is_sound
from pipeline.store.chain import (
    NO_HASH,
    SALVAGED,
    Held,
    State,
    compacted_head,
    digest_of,
    fresh_head,
    hash_of,
    linked,
    pack,
    restated,
    unpack,
)
from pipeline.store.columns import (
    Fetch,
    Stored,
    open_columns,
    parse_directory,
)
from pipeline.store.cuts import every_key, keys, sizes, slice_of
from pipeline.store.database import Connection
from pipeline.store.images import Images
from pipeline.store.ledger import Ledger
from pipeline.store.live import Live
from pipeline.store.message_column import MessageColumn
from pipeline.store.messages import (
    TEMPLATES_NAME,
    UNSTRUCTURED_NAME,
    VARIABLES_NAME,
)
from pipeline.store.patterns import parse_patterns
from pipeline.store.readable import (
    BlockFound,
    CompactedFound,
    EventFound,
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

_NEEDED: Final = frozenset(
    {*REQUIRED, SHAPE, VARIABLES_NAME, TEMPLATES_NAME, UNSTRUCTURED_NAME}
)
_TEXTS: Final = {
    "blocks": "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "compacted": "INSERT INTO compacted VALUES"
    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "segments": "INSERT OR IGNORE INTO segments VALUES (?, ?)",
    "filters": "INSERT OR IGNORE INTO filters VALUES (?, ?)",
    "patterns": "INSERT OR IGNORE INTO patterns VALUES (?, ?, ?, ?, ?)",
    "chain": "INSERT INTO chain VALUES (?, ?, ?)",
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
    head: bytes
    """What the chain's digest covers of its header."""


class Refill:
    """One salvage: fill, then `live` blocks for the ledger."""

    def __init__(
        self, connection: Connection, images: Images, ledger: Ledger, now: int
    ) -> None:
        self._connection = connection
        self._now = now
        self._images = images
        self._ledger = ledger
        self._fresh: list[_Range] = []
        self._compacted: dict[int, CompactedRow] = {}
        self._meta: dict[str, Any] = {}
        self._events: list[tuple[int, bytes, bytes]] = []

    def run(self) -> None:
        """Write every row that can be kept, and tell the ledger."""
        for found in readable(self._images, self._ledger.add_mark):
            self._keep(found)
        directories = self._directories()
        self._keep_complete(directories, self._keep_blobs(directories))
        live: Live[_Range] = Live()
        for block in sorted(self._fresh) + [
            _Range(
                *(row.id, row.first, row.last, row.rows, row.committed, row.runs),
                compacted_head(row[:9], row.header_crc, row.checksums),
            )
            for _, row in sorted(self._compacted.items())
        ]:
            live.add(block)
            self._ledger.add_numbers(block.last)
        for block in live.items:
            if block.rows:
                self._ledger.add_block(block.rows, block.runs, block.committed)
        self._chain([block for block in live.items if block.rows])
        self._ledger.add_numbers(self._number(LAST))
        for key, value in self._meta.items():
            if key.startswith(DELETED) and isinstance(value, int):
                with suppress(ValueError):
                    producer = bytes.fromhex(key.removeprefix(DELETED))
                    self._ledger.deleted[producer] = value

    def _chain(self, live: Sequence[_Range]) -> None:
        """What is sound of the chain, and an event of what there is now."""
        state, number, head = State(), 0, NO_HASH
        for row in linked(sorted(self._events)):
            self._insert("chain", row)
            number, head = row[:2]
            state.apply(unpack(row[2]))
        blocks = []
        for block in live:
            held = state.live.get(block.id)
            if held is None or held[1:4] != block[1:4]:
                held = Held(*block[:4], digest_of(block.head), is_whole=False)
            blocks.append(held)
        event = pack(restated(blocks, state, SALVAGED, head, self._now))
        self._insert("chain", (number + 1, hash_of(head, event), event))

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
                    _Range(
                        *(row.id, row.id, row.id, row.rows, row.committed, row.runs),
                        fresh_head(*row[:7], row.header_crc, row.data_crc),
                    )
                )
            case CompactedFound(compacted):
                self._compacted[compacted.id] = compacted
            case PatternFound(pattern):
                self._insert("patterns", pattern)
            case EventFound(event):
                self._events.append(event)
            case LetterFound(values):
                self._insert("letters", values)
            case MetaFound(key, value):
                self._insert("meta", (key, value))
                self._meta.setdefault(str(key), value)

    def _insert(self, table: str, values: Any) -> None:
        self._connection.execute(_TEXTS[table], values)

    def _directories(self) -> dict[int, list[Stored]]:
        """The columns of all compacted blocks that have rows."""
        found = {}
        for row in list(self._compacted.values()):
            if not row.rows:
                continue
            try:
                _, found[row.id] = parse_directory(row.directory)
            except FrameError:  # of a newer program, whose version 5 this is not
                del self._compacted[row.id]
        return found

    def _keep_blobs(self, directories: dict[int, list[Stored]]) -> set[int]:
        """Write segments and filters; the ids of the segments that are there."""
        wanted: dict[int, int] = {}
        for block_id, directory in directories.items():
            total = sum(stored.field.stored for stored in directory)
            wanted |= sizes(block_id - COMPACTED, total)
        there = set()
        for key, data in blobs(self._images):
            if not is_sound(key, data):
                continue
            if wanted.get(key) == len(data):
                self._insert("segments", (key, data))
                there.add(key)
            else:
                self._insert("filters", (key, data))
        return there

    def _keep_complete(
        self, directories: dict[int, list[Stored]], there: set[int]
    ) -> None:
        """Write the compacted blocks that have what every entry needs."""
        for block_id, directory in directories.items():
            if not _is_complete(block_id, directory, there):
                del self._compacted[block_id]
                self._connection.execute(
                    "DELETE FROM segments WHERE id BETWEEN ? AND ?",
                    every_key(block_id - COMPACTED),
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
        def fetch(offset: int, size: int) -> bytes:
            within = keys(block_id - COMPACTED, offset, size)
            found = self._connection.execute(
                "SELECT data FROM segments WHERE id BETWEEN ? AND ? ORDER BY id",
                (within[0], within[-1]),
            )
            return slice_of([data for (data,) in found], offset, size)

        return fetch


def _is_complete(block_id: int, directory: list[Stored], there: set[int]) -> bool:
    """Whether all that every entry needs can be read."""
    offset = 0
    for field, _ in directory:
        within = keys(block_id - COMPACTED, offset, field.stored)
        offset += field.stored
        if field.name in _NEEDED and field.stored and not there.issuperset(within):
            return False
    return True
