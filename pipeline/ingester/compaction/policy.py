"""Which neighbouring blocks become one; pure.

A row is written again only when its block grows a lot by it: 16 times while new blocks
follow, 4 times for small ones that are shut in between large ones, so that a block of
one row ends in a full one after 4 to 8 writes. What is at a limit is written once more
at most: when it never was compacted, or when its neighbours save a third.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from pipeline.limits import BATCH_ROWS

GROWTH: Final = 16
GROWTH_SHUT_IN: Final = 4
"""Of blocks that can't wait for more of their size, or when nothing else is to do."""

GROWTH_AT_LIMIT: Final = 1.5
BLOCKS_MAX: Final = 256
"""Blocks of one merge: each costs the worker memory while it is open."""

FULL: Final = BATCH_ROWS * 15 // 16
ROW_BYTES: Final = 256
"""Stored bytes that weigh as much as a row: 65,536 of them are 16 MiB, which are about
64 MiB before compression."""

_SIZES: Final = tuple(4**power for power in range(9))
_IDLE_ROWS: Final = 1024
"""Fewer fresh rows than this aren't compacted alone just because it is quiet."""


class Sized(Protocol):
    """What of a block's header counts here."""

    @property
    def id(self) -> int: ...

    @property
    def rows(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def tier(self) -> int: ...


class Choice(NamedTuple):
    """Blocks `first` to `end` of the list, which is not among them."""

    first: int
    end: int


class _Window(NamedTuple):
    """Neighbours that fit one block, and whether something ends them for good."""

    first: int
    end: int
    total: int
    largest: int
    fresh: int
    is_shut: bool

    @property
    def growth(self) -> float:
        return self.total / self.largest


class _Weighed:
    """A list of headers with what each weighs, split where nothing merges."""

    def __init__(self, headers: Sequence[Sized], walls: Collection[int]) -> None:
        self.headers = headers
        self.walls = walls
        self.weights = [weight(header) for header in headers]

    def segments(self, alone: Collection[int]) -> Iterator[tuple[int, int]]:
        """Stretches between blocks that are done or must be left alone."""
        start = 0
        for place, header in enumerate(self.headers):
            is_done = header.tier > 0 and self.weights[place] >= FULL
            if is_done or header.id in alone:
                if place > start:
                    yield start, place
                start = place + 1
        if start < len(self.headers):
            yield start, len(self.headers)

    def window(self, first: int, end: int, most: int = BATCH_ROWS) -> _Window:
        """The blocks from `first` on that fit, each of at most this weight."""
        total = largest = fresh = 0
        is_shut = end < len(self.headers)
        place = first
        while place < end:
            size = self.weights[place]
            if place > first and (
                total + size > BATCH_ROWS
                or place - first == BLOCKS_MAX
                or self.headers[place - 1].id in self.walls
            ):
                is_shut = True
                break
            if size > most:
                is_shut = False
                break
            total, largest = total + size, max(largest, size)
            fresh += 0 if self.headers[place].tier else size
            place += 1
        return _Window(first, place, total, largest or 1, fresh, is_shut)


def weight(header: Sized) -> int:
    """Rows, or as many as its bytes are worth; 65,536 at most fit one block."""
    return max(1, header.rows, min(BATCH_ROWS, header.size // ROW_BYTES))


def choose(
    headers: Sequence[Sized],
    *,
    idle: bool = False,
    everything: bool = False,
    alone: Collection[int] = (),
    walls: Collection[int] = (),
) -> Choice | None:
    """The blocks to make one of next, or to compact alone; None: nothing is worth it.

    `idle`: no block has come for a while. `everything`: whatever can be merged. Blocks
    of `alone` are not touched, and those of `walls` don't fit with their right
    neighbour.
    """
    weighed = _Weighed(headers, walls)
    segments = list(weighed.segments(alone))
    for first, end in segments:
        found = _small(weighed, first, end, idle=idle)
        if found is not None:
            return found
    for first, end in segments:
        for window in _windows(weighed, first, end):
            if _is_worth_it(window, idle=idle, everything=everything):
                return Choice(window.first, window.end)
    return None


def _small(weighed: _Weighed, first: int, end: int, *, idle: bool) -> Choice | None:
    """Many small blocks in a row, the smallest first: they cost a query most."""
    if end - first < GROWTH_SHUT_IN:
        return None
    for size in _SIZES:
        for window in _runs(weighed, first, end, size):
            at_end = window.end == len(weighed.headers)
            needed = GROWTH if at_end and not idle else GROWTH_SHUT_IN
            if window.growth >= needed:
                return Choice(window.first, window.end)
    return None


def _runs(weighed: _Weighed, first: int, end: int, size: int) -> Iterator[_Window]:
    """Neighbours of at most this weight."""
    while first < end:
        window = weighed.window(first, end, size)
        if window.end > first:
            yield window
        first = max(window.end, first + 1)


def _windows(weighed: _Weighed, first: int, end: int) -> Iterator[_Window]:
    while first < end:
        window = weighed.window(first, end)
        yield window
        first = window.end


def _is_worth_it(window: _Window, *, idle: bool, everything: bool) -> bool:
    count = window.end - window.first
    if everything and (count > 1 or window.fresh):
        return True
    if window.is_shut or window.total >= FULL:
        return window.fresh > 0 or (count > 1 and window.growth >= GROWTH_AT_LIMIT)
    return idle and window.fresh >= _IDLE_ROWS and 2 * window.fresh >= window.total


def backlog(headers: Sequence[Sized]) -> tuple[int, int]:
    """Rows and blocks that were never compacted."""
    fresh = [header.rows for header in headers if not header.tier]
    return sum(fresh), len(fresh)
