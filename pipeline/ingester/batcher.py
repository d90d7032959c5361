"""When a commit is due: by rows, bytes, age or because a sender waits.

A commit holds one block; a second one begins only when rows, columns or bytes would
not fit.
Pure; times are nanoseconds and come as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.batch.decode import COLUMNS_MAX
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS, PAYLOAD_BYTES
from pipeline.store.block import Part


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of a block and of the waiting; see the `ingest` settings."""

    rows: int = BATCH_ROWS
    bytes: int = 8 << 20
    """Of memory: twice that much is taken, one block being written."""

    age: int = 50_000_000
    flush_age: int = 5_000_000
    interval: int = 10_000_000
    """Between two commits that a FLUSH asked for: at most 100 a second."""


@dataclass(slots=True)
class Batcher:
    """Parts waiting to be committed together."""

    policy: Policy
    rows: int = 0
    bytes: int = 0
    _blocks: list[list[Part]] = field(default_factory=list)
    _block_rows: int = 0
    _block_bytes: int = 0
    _part_rows: int = 0
    _deadline: int | None = None
    _names: set[str] = field(default_factory=set)
    _last_cut: int = 0

    def add(self, part: Part, now: int) -> None:
        """Add a part."""
        if not self._blocks or not self._fits(part):
            self._blocks.append([])
            self._block_rows = self._block_bytes = 0
            self._names = set()
        self._blocks[-1].append(part)
        self._names |= part.batch.columns.keys()
        self._part_rows = part.batch.rows
        self._block_rows += part.batch.rows
        self._block_bytes += part.batch.size
        self.rows += part.batch.rows
        self.bytes += part.batch.held_bytes
        self.hasten(now + self.policy.age)

    def _fits(self, part: Part) -> bool:
        if self._block_rows + part.batch.rows > BATCH_ROWS:
            return False
        if self._block_bytes + part.batch.size > PAYLOAD_BYTES:
            return False
        if len(self._names) + COLUMNS_MAX <= BLOCK_COLUMNS:
            return True
        return len(self._names | part.batch.columns.keys()) <= BLOCK_COLUMNS

    def flush(self, now: int) -> None:
        """Somebody waits for what is here."""
        soon = max(now + self.policy.flush_age, self._last_cut + self.policy.interval)
        self.hasten(soon)

    def hasten(self, deadline: int) -> None:
        """Cut at this time at the latest."""
        if self._deadline is None or deadline < self._deadline:
            self._deadline = deadline

    def full(self) -> bool:
        """Whether one more part like the last may be too much."""
        rows = self.rows + self._part_rows
        return rows > self.policy.rows or self.bytes >= self.policy.bytes

    def deadline(self) -> int | None:
        """When the commit is due; None when nothing waits."""
        return self._deadline

    def cut(self, now: int) -> list[list[Part]]:
        """The blocks' parts; nothing waits after it."""
        blocks, self._blocks = self._blocks, []
        self.rows = self.bytes = 0
        self._block_rows = self._block_bytes = self._part_rows = 0
        self._deadline = None
        self._last_cut = now
        return blocks
