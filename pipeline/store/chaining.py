"""The chain as the writer keeps it: events of a transaction, written inside of it.

Fresh blocks are put into the chain some dozen at a time, so that a commit costs but
their SHA-256; older events go when a state has been kept that says what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.store import chain
from pipeline.store.block import Sealed, place_checksum
from pipeline.store.chain import Event, Held, State
from pipeline.store.compacted import Compacted, header_checksum
from pipeline.store.database import Connection
from pipeline.store.replacing import Range
from pipeline.store.schema import COMPACTED

PENDING_BLOCKS: Final = 64
PENDING_NS: Final = 5_000_000_000
"""Blocks are put into the chain when there are so many, or with the next commit so
long after the first of them."""

HISTORY_BYTES: Final = 8 << 20
"""Of events behind a state, or four times what that takes: then comes another one, and
what stands before the older one goes."""

_FRESH: Final = (
    "SELECT id, committed, tier, rows, bytes, minimum, maximum, header_crc, data_crc"
)
_COMPACTED: Final = (
    "SELECT id, first, last, committed, tier, rows, bytes, minimum, maximum,"
    " header_crc, checksums FROM compacted WHERE id = ?"
)
_INSERT: Final = "INSERT INTO chain VALUES (?, ?, ?)"


class Chaining:
    """Head and state of the chain, and the blocks that are not in it yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.state = State()
        self._head = chain.NO_HASH
        self._last = 0
        self._states: list[tuple[int, int]] = []
        """Number and bytes of the newest two states."""

        self._bytes = 0
        """Of events behind the newest state."""

        self._pending: list[Held] = []
        self._since = 0
        self._written: list[tuple[Event, bytes, bytes]] = []
        for number, head, packed in connection.execute(
            "SELECT id, hash, event FROM chain ORDER BY id"
        ):
            self._last, self._head = number, head
            self._follow(chain.unpack(packed), len(packed))

    def begin(self, live: Sequence[Range], now: int) -> None:
        """See what is there, inside a transaction: a store that has no chain begins
        one, and what was not done by a writer is an event of its own."""
        newer = chain.newer(self.state, live)
        if newer is not None:
            self._pending = [self._fresh(block_id) for block_id in newer]
            self._since = now
            return
        known = self.state.live
        reason = chain.UNEXPLAINED if self.state.is_begun else chain.BEGUN
        blocks = [known.get(block.id) or self._numbers(block) for block in live]
        self._write([chain.restated(blocks, self.state, reason, self._head, now)])

    def add(self, number: int, block: Sealed, now: int) -> None:
        """A block was committed."""
        crc = place_checksum(number, now, 0, len(block.data), block.header_crc)
        head = chain.fresh_head(
            *(number, now, 0, block.rows, len(block.data)),
            *(block.minimum, block.maximum, crc, block.data_crc),
        )
        parts = ([block.counts], [block.runs], [block.data])
        digest = chain.digest_of(head, *parts)
        if not self._pending:
            self._since = now
        self._pending.append(Held(number, number, number, block.rows, digest, True))

    def commit(self, now: int) -> None:
        """Write what is due, inside the transaction of a commit."""
        is_late = not 0 <= now - self._since < PENDING_NS
        if self._pending and (len(self._pending) >= PENDING_BLOCKS or is_late):
            self.flush(now)

    def flush(self, now: int) -> None:
        """Write the blocks that are not in the chain, inside a transaction."""
        if self._pending:
            self._write([*self._older(now), chain.added(self._pending, now)])

    def swap(self, number: int, block: Compacted, reason: str, now: int) -> None:
        """Write that a block has been put in others' place, inside its transaction."""
        fixed = (
            *(number, block.first, block.last, block.committed, block.tier),
            *(block.rows, block.size, block.minimum, block.maximum),
        )
        checksums = block.checksums
        head = chain.compacted_head(fixed, header_checksum(fixed, checksums), checksums)
        blobs = [block.counts, block.patterns, block.directory]
        blobs += [block.runs, block.commits]
        digest = chain.digest_of(head, *([blob] for blob in blobs), block.columns)
        held = Held(number, block.first, block.last, block.rows, digest, True)
        pending = [chain.added(self._pending, now)] if self._pending else []
        swap = chain.swapped(held, block.replaces, reason, now)
        self._write([*self._older(now), *pending, swap])

    def written(self) -> None:
        """The transaction has ended."""
        for event, head, packed in self._written:
            self._last, self._head = self._last + 1, head
            self._follow(event, len(packed))
            if event.kind == chain.ADDED:
                self._pending = []
        self._written = []

    def _older(self, now: int) -> list[Event]:
        """A state, when there is enough behind the last one; older events go."""
        if self._bytes <= max(HISTORY_BYTES, 4 * self._states[-1][1]):
            return []
        self._connection.execute(
            "DELETE FROM chain WHERE id < ?", (self._states[-1][0],)
        )
        return [self.state.state(chain.SUMMARY, self._head, now)]

    def _write(self, events: Sequence[Event]) -> None:
        self._written = []
        head = self._head
        for number, event in enumerate(events, self._last + 1):
            packed = chain.pack(event)
            head = chain.hash_of(head, packed)
            self._written.append((event, head, packed))
            self._connection.execute(_INSERT, (number, head, packed))

    def _follow(self, event: Event, size: int) -> None:
        self.state.apply(event)
        self._bytes += size
        if event.kind == chain.STATE:
            self._states = [*self._states[-1:], (self._last, size)]
            self._bytes = 0

    def _fresh(self, block_id: int) -> Held:
        """A block that was committed before a kill, and is not in the chain."""
        ((*numbers, counts, runs, data),) = self._connection.execute(
            f"{_FRESH}, counts, runs, data FROM blocks WHERE id = ?", (block_id,)
        )
        head = chain.fresh_head(*numbers)
        digest = chain.digest_of(head, [counts], [runs], [data or b""])
        return Held(block_id, block_id, block_id, numbers[3], digest, True)

    def _numbers(self, block: Range) -> Held:
        """A block that is older than the chain, by the numbers of its header."""
        if block.id < COMPACTED:
            (numbers,) = self._connection.execute(
                f"{_FRESH} FROM blocks WHERE id = ?", (block.id,)
            )
            head = chain.fresh_head(*numbers)
        else:
            ((*fixed, crc, checksums),) = self._connection.execute(
                _COMPACTED, (block.id,)
            )
            head = chain.compacted_head(fixed, crc, checksums)
        return Held(*block[:4], chain.digest_of(head), False)
