"""Entries from calls to the collector, and back when they are durable.

The collector's callback comes on its own thread; it is handed to the event loop, so
everything here runs on that one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from pipeline.collectors.forwarding import AWAY, DISK_FULL
from pipeline.entry import Entry, encode_id
from pipeline.gateway.errors import RpcError, busy

RETRY_MS: Final = 1_000
"""A collector that is full needs about this long to get rid of a window."""

SUBMIT_ROWS: Final = 1_000
SUBMIT_BYTES: Final = 1 << 20
"""Handed over at a time: rows are encoded in the event loop, 1,000 in about 2 ms, and
make one frame on the wire."""

_TRY_AGAIN_SECONDS: Final = 0.02


OnDurable = Callable[[bytes, int, int], None]
"""(producer, first number, count) of entries that are on disk."""


class Submitter(Protocol):
    """The part of the collector that the gateway uses."""

    def submit(
        self, rows: Sequence[Entry], on_durable: OnDurable | None = None
    ) -> bool:
        """Send rows as one batch; False when memory is full."""


class Stored(Protocol):
    """What was handed over."""

    def identities(self) -> list[str]:
        """The ids of the rows that are on disk, in their order."""


class _Durable:
    """Runs of numbers that came back for one submit, until all rows have theirs."""

    def __init__(self, rows: list[Entry]) -> None:
        self._rows = rows
        self._loop = asyncio.get_running_loop()
        self._waiting = len(rows)
        self.runs: list[tuple[bytes, int, int]] = []
        self.done: asyncio.Future[None] = self._loop.create_future()

    def call(self, producer: bytes, first: int, count: int) -> None:
        """On the collector's thread: these numbers are on disk."""
        try:
            self._loop.call_soon_threadsafe(self._take, producer, first, count)
        except RuntimeError:
            # the loop is closed: nobody waits for the answer any more
            return

    def _take(self, producer: bytes, first: int, count: int) -> None:
        self.runs.append((producer, first, count))
        self._waiting -= count
        if self._waiting <= 0 and not self.done.done():
            self.done.set_result(None)

    def identities(self) -> list[str]:
        """The ids of the rows, in their order."""
        numbers = (
            (producer, number)
            for producer, first, count in self.runs
            for number in range(first, first + count)
        )
        return [
            encode_id(row.timestamp, producer, number)
            for row, (producer, number) in zip(self._rows, numbers, strict=False)
        ]


class _Parts(list[_Durable]):
    """Submits that belong together."""

    def identities(self) -> list[str]:
        """The ids of all their rows."""
        return [identity for part in self for identity in part.identities()]


class Intake:
    """Hands entries to the collector and says when they are stored."""

    def __init__(
        self,
        collector: Submitter,
        timeout: float,
        is_disk_full: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_disk_full` says what the ingester has said of a moment ago."""
        self._collector = collector
        self.timeout = timeout
        self._is_disk_full = is_disk_full
        self.accepted = 0
        self.rejected = 0
        self.refused_busy = 0
        self.timed_out = 0

    def counters(self) -> dict[str, int]:
        """Entries that were taken and refused since the start, by outcome."""
        return {
            "entries_accepted": self.accepted,
            "entries_rejected": self.rejected,
            "entries_busy": self.refused_busy,
            "entries_late": self.timed_out,
        }

    def receive(self, row: Entry) -> None:
        """Hand a row over without waiting; raises RpcError (-32003) when full."""
        self._check_disk()
        if not self._collector.submit([row]):
            raise self._full(stored="no")
        self.accepted += 1

    async def store(self, row: Entry) -> str:
        """The id of the row once it is on disk; raises RpcError (-32003)."""
        self._check_disk()
        durable = _Durable([row])
        if not self._collector.submit([row], durable.call):
            raise self._full(stored="no")
        await self._wait([durable.done], self.timeout)
        self.accepted += 1
        return durable.identities()[0]

    async def store_all(
        self, rows: list[Entry], sizes: list[int], *, wait: bool = True
    ) -> Stored:
        """Return once all rows are on disk, or on their way; raises RpcError (-32003).

        `sizes` are about the rows' bytes. A full collector is waited for, because the
        first rows may be on their way already.
        """
        self._check_disk()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.timeout
        waiting = _Parts()
        handed_over = 0
        for part in _parts(rows, sizes):
            durable = _Durable(part)
            while not self._collector.submit(part, durable.call):
                if not handed_over:
                    raise self._full(stored="no")
                if loop.time() > end:
                    raise self._full(stored="some", handed_over=handed_over)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            handed_over += len(part)
            waiting.append(durable)
            # others get their turn between two parts
            await asyncio.sleep(0)
        if wait:
            await self._wait([part.done for part in waiting], end - loop.time())
        self.accepted += len(rows)
        return waiting

    async def _wait(self, done: list[asyncio.Future[None]], seconds: float) -> None:
        if not done:
            return
        _, late = await asyncio.wait(done, timeout=max(0.0, seconds))
        if late:
            self.timed_out += 1
            why = DISK_FULL if self._is_disk_full() else AWAY
            raise busy(
                f"not on disk within {self.timeout:g} s: {why}",
                RETRY_MS,
                # the collector keeps the rows and goes on trying
                stored="later, unless this gateway ends first; a retry may store twice",
            )

    def _check_disk(self) -> None:
        """Raise RpcError (-32003) at once when nothing can be stored: its caller can
        hold an entry longer than this process lives."""
        if self._is_disk_full():
            self.refused_busy += 1
            raise busy(DISK_FULL, RETRY_MS, stored="no")

    def _full(self, **more: object) -> RpcError:
        self.refused_busy += 1
        return busy("the memory for entries on their way is full", RETRY_MS, **more)


def _parts(rows: list[Entry], sizes: list[int]) -> Iterator[list[Entry]]:
    """The rows in parts that fit a frame."""
    start = size = 0
    for index, more in enumerate(sizes):
        if index > start and (
            index - start >= SUBMIT_ROWS or size + more > SUBMIT_BYTES
        ):
            yield rows[start:index]
            start, size = index, 0
        size += more
    if rows:
        yield rows[start:]
