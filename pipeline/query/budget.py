"""What one question may cost, and whether it is still wanted.

Checked between blocks and between columns, which take milliseconds each, so a question
ends at most some tens of milliseconds after its time is up or its asker has gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import QueryError


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
    rows: int = 0
    blocks: int = 0
    blocks_planned: int = 0

    def check(self) -> None:
        """Raise CostError after the deadline, and CancelledError when it is."""
        if self.cancelled():
            raise CancelledError("the question was cancelled")
        if self.clock() >= self.deadline:
            raise CostError("query took too long", hint=self._hint())

    def open_block(self, rows: int) -> None:
        """Count a block that is about to be read; raises as `check` does."""
        self.check()
        if self.rows + rows > self.rows_max:
            problem = f"query looks at more than {self.rows_max:,} entries"
            raise CostError(problem, hint=self._hint())
        self.rows += rows
        self.blocks += 1

    def progress(self) -> dict[str, int]:
        """How far the question came."""
        return {
            "rows_scanned": self.rows,
            "blocks_scanned": self.blocks,
            "blocks_planned": self.blocks_planned,
        }

    def _hint(self) -> str:
        return "narrow the time range, name sources or levels, or ask without a count"
