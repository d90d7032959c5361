"""What one question may cost, and whether it is still wanted.

Checked between blocks, between columns and between pieces of long work, which take
milliseconds each, so a question ends at most some tens of milliseconds after its time
is up or its asker has gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.errors import QueryError
from pipeline.timestamp import format_timestamp


class CostError(QueryError):
    """A question met one of its limits before it had its answer."""


class CancelledError(QueryError):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class Budget:
    """Limits of one question, and what it has used so far."""

    clock: Callable[[], float]
    """Seconds, monotonic."""
    deadline: float
    rows_max: int
    cancelled: Callable[[], bool]
    bytes_max: int = 1 << 62
    fetched: Callable[[], int] = int
    """Bytes that the reader has ever fetched from the store."""
    rows: int = 0
    blocks: int = 0
    blocks_planned: int = 0
    oldest: int | None = None
    newest: int | None = None
    """Times of the entries in the blocks that were opened, ns."""
    opened: set[int] = field(default_factory=set)
    """The blocks that count."""
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """What each step took."""
    _fetched_before: int = 0

    def __post_init__(self) -> None:
        self._fetched_before = self.fetched()

    @property
    def bytes(self) -> int:
        """Bytes read from the store so far, compressed as they are."""
        return self.fetched() - self._fetched_before

    def check(self) -> None:
        """Raise CostError after the deadline, and CancelledError when it is."""
        if self.cancelled():
            raise CancelledError("the question was cancelled")
        if self.clock() >= self.deadline:
            raise CostError("query took too long", hint=self._hint())
        if self.bytes > self.bytes_max:
            problem = f"query reads more than {self.bytes_max:,} bytes"
            raise CostError(problem, hint=self._hint())

    def open_block(
        self, rows: int, oldest: int | None = None, newest: int | None = None
    ) -> None:
        """Count a block that is about to be read; raises as `check` does."""
        self.check()
        if self.rows + rows > self.rows_max:
            problem = f"query looks at more than {self.rows_max:,} entries"
            raise CostError(problem, hint=self._hint())
        self.rows += rows
        self.blocks += 1
        if oldest is not None:
            self.oldest = min(oldest, oldest if self.oldest is None else self.oldest)
        if newest is not None:
            self.newest = max(newest, newest if self.newest is None else self.newest)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time of what is done inside."""
        started = self.clock()
        try:
            yield
        finally:
            self.seconds[name] += self.clock() - started

    def progress(self) -> dict[str, int | str | None]:
        """How far the question came."""
        return {
            "rows_scanned": self.rows,
            "blocks_scanned": self.blocks,
            "blocks_planned": self.blocks_planned,
            "bytes_read": self.bytes,
            "oldest_reached": _time(self.oldest),
            "newest_reached": _time(self.newest),
        }

    def _hint(self) -> str:
        return "narrow the time range, name sources or levels, or ask without a count"


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_timestamp(moment)
