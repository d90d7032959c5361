"""Counts by source, level and time; from the headers alone wherever these tell.

A block is opened only when the window cuts it, when the filter looks at more than
source and level, or when the buckets are narrower than the minutes of its counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from pipeline.batch.layout import LEVEL, SOURCE
from pipeline.level import LEVEL_NAMES, Level
from pipeline.query.cells import CellStore
from pipeline.query.requests import BUCKETS_MAX, FieldError
from pipeline.query.scan import Scan
from pipeline.query.text import Ints, Mask
from pipeline.query.view import View
from pipeline.store.block import MINUTE
from pipeline.timestamp import SECOND

_UNITS: Final = {"minute": MINUTE, "hour": 60 * MINUTE, "day": 1440 * MINUTE}
_SECONDS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000),
    *(315_360_000, 3_153_600_000),
)
"""Widths of buckets: a person reads 09:15, not 09:13:47."""


_COARSER: Final = 4
"""So many times fewer buckets than wanted are enough, if they are minutes."""


class Buckets(NamedTuple):
    """`size` buckets of `width` ns; the first begins at `first * width`."""

    width: int
    first: int
    size: int

    def start(self, index: int) -> int:
        """Where a bucket begins, in ns."""
        return (self.first + index) * self.width


@dataclass(slots=True)
class Tally:
    """What was counted; errors are entries of ERROR and above."""

    buckets: Buckets
    counts: Ints
    errors: Ints
    sources: Counter[str] = field(default_factory=Counter)
    source_errors: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        times: Ints,
        names: list[str],
        codes: Ints,
        levels: Ints,
        weights: Ints | None = None,
    ) -> None:
        """Count rows, or cells that stand for as many rows as they weigh."""
        bad = levels >= Level.ERROR
        places = times // self.buckets.width - self.buckets.first
        self.counts += _sums(places, weights, self.buckets.size)
        self.errors += _sums(places, weights, self.buckets.size, bad)
        for counter, only in ((self.sources, None), (self.source_errors, bad)):
            sums = _sums(codes, weights, len(names), only)
            found = np.flatnonzero(sums)
            own: dict[str, int] = {}  # a sender's dictionary may name a source twice
            for place, count in zip(found.tolist(), sums[found].tolist(), strict=True):
                own[names[place]] = own.get(names[place], 0) + count
            counter.update(own)
        for number, count in enumerate(_sums(levels, weights, 256).tolist()):
            if count:
                self.levels[LEVEL_NAMES.get(number, str(number))] += count


def tally(scan: Scan, cells: CellStore, buckets: int, unit: str | None) -> Tally:
    """Count what the plan matches; raises CostError and CancelledError."""
    grid = choose_buckets(extent(scan), buckets, unit)
    counted = Tally(grid, np.zeros(grid.size, np.int64), np.zeros(grid.size, np.int64))
    found, rest = cells.gather(scan, scan.visit(descending=True), grid.width)
    counts = found.counts
    counted.add(
        *(found.times, counts.sources, counts.source_codes, counts.levels),
        counts.counts,
    )
    for header in rest:
        scan.budget.check()
        if scan.may_match(header):
            matched = scan.match(header)
            if matched is not None:
                _from_rows(*matched, counted)
    return counted


def choose_buckets(
    extent: tuple[int, int] | None, wanted: int, unit: str | None
) -> Buckets:
    """Buckets over the times from first to last, both included.

    About as many as wanted and of a round width, or of the unit; raises FieldError
    when these would be too many.
    """
    if extent is None:
        return Buckets(SECOND, 0, 0)
    low, high = extent
    if unit in _UNITS:
        width = _UNITS[unit]
    else:
        widths = [seconds * SECOND for seconds in _SECONDS]
        fits = (w for w in widths if high // w - low // w < wanted)
        width = next(fits, widths[-1])
        # headers count by minute: minutes open no block where seconds open them all
        if width < MINUTE and (high - low) // MINUTE * _COARSER >= wanted:
            width = MINUTE
    first = low // width
    size = high // width - first + 1
    if size > BUCKETS_MAX:
        problem = f"{size:,} buckets; mustn't exceed {BUCKETS_MAX:,}"
        raise FieldError("group_by", problem, hint="narrow the time range")
    return Buckets(width, first, size)


def extent(scan: Scan) -> tuple[int, int] | None:
    """First and last ns of the window; where it is open, of what is stored in it."""
    plan = scan.plan
    places = scan.headers.select(plan.low, plan.high, plan.mark)
    stored = scan.headers.extent(places)
    if plan.low is not None and plan.high is not None:
        return (plan.low, plan.high - 1) if plan.low < plan.high else None
    if stored is None:
        return None
    low = stored[0] if plan.low is None else plan.low
    high = stored[1] if plan.high is None else plan.high - 1
    return low, high


def _from_rows(view: View, mask: Mask, counted: Tally) -> None:
    source = view.batch.columns[SOURCE]
    levels = view.batch.columns[LEVEL].numbers
    counted.add(
        view.timestamps()[mask],
        source.dictionary,
        source.codes[mask],
        levels[mask],
    )


def _sums(
    places: Ints, weights: Ints | None, size: int, only: Mask | None = None
) -> Ints:
    """Rows at each place; weights are whole, so sums in floats are exact to 2^53."""
    if only is not None:
        places = places[only]
        weights = None if weights is None else weights[only]
    if not len(places):
        return np.zeros(size, np.int64)
    return np.bincount(places, weights, size).astype(np.int64)
