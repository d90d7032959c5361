"""Method and parameters in, reply as JSON out: all of a worker but its pipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import ColumnError, StoreError
from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context, Limits
from pipeline.query.methods.table import METHODS
from pipeline.query.scan import Headers
from pipeline.store.reader import Reader

__all__ = ["METHODS", "Engine", "Limits"]


class Engine:
    """Answers questions about one database, which may not exist yet."""

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float]) -> None:
        self._context = Context(Headers(Reader(path)), limits, clock)
        self._encode = msgspec.json.Encoder().encode

    def budget(
        self, timeout: float | None = None, cancelled: Callable[[], bool] = bool
    ) -> Budget:
        """The budget of a question that begins now."""
        limits, clock = self._context.limits, self._context.clock
        seconds = min(timeout or limits.seconds, limits.seconds)
        return Budget(
            clock,
            clock() + seconds,
            limits.rows_scanned,
            cancelled,
            limits.bytes_scanned,
            lambda: self._context.headers.reader.fetched,
        )

    def rest(self) -> None:
        """Let go of the blocks that are kept for the next question."""
        self._context.headers.opened.clear()

    def has(self, method: str) -> bool:
        """Whether there is a method of that name."""
        return method in METHODS

    def answer(
        self, method: str, params: Mapping[str, Any], now: int, budget: Budget
    ) -> bytes:
        """The reply as JSON; raises QueryError of any kind, and StoreError.

        A block of which a part can't be read is left out by answering anew without it:
        nothing of it may have been counted by half.
        """
        headers = self._context.headers
        lost: set[int] = set()
        while True:
            headers.damaged = set(lost)
            try:
                found = METHODS[method].answer(self._context, params, now, budget)
                return self._encode(found)
            except (ColumnError, StoreError) as error:
                budget.check()
                unread = headers.damaged - lost
                if isinstance(error, ColumnError):
                    unread |= {error.block} - lost
                if not unread:
                    raise
                headers.refresh()
                # one that compaction has taken away has its entries elsewhere by now
                live = {header.id for header in headers.reader.headers}
                lost |= unread & live
