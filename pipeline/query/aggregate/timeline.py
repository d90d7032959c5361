"""`histogram width by field`: entries by span of time and value, zeros too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.errors import FrameError
from pipeline.query.aggregate.aggregation import Bounds
from pipeline.query.aggregate.grouping import CELL_FIELDS, Grouping
from pipeline.query.cells import CellStore
from pipeline.query.pipes import Histogram, RowPipe, resolve_field
from pipeline.query.requests import BUCKETS_MAX, FieldError
from pipeline.query.scan import Scan
from pipeline.query.stats import Buckets, choose_buckets, extent
from pipeline.query.tables import Table, apply_pipes, rank
from pipeline.query.text import Ints
from pipeline.store.reader import Header
from pipeline.timestamp import format_timestamp

BUCKETS: Final = 60
"""About so many, where no width is given."""

CELLS_MAX: Final = 1_000_000
"""Spans times values."""

VALUES_MAX: Final = 10_000
"""Series of one reply: more are no picture either, and 240,000 took 11 s and 14 MB."""


class Series(NamedTuple):
    """Entries in each bucket, of one value."""

    value: Any
    counts: Ints


class Timeline:
    """Counts by group and bucket."""

    def __init__(self, grid: Buckets, by: str | None) -> None:
        self.grid = grid
        self.entries = 0
        """That match: an entry of several tags is in several series."""
        self._grouping = Grouping([] if by is None else [by], VALUES_MAX)
        self._counts = np.zeros((1, grid.size), np.int64)
        if by is None:
            self._grouping.begin()
        self._by_header = by is None or by in CELL_FIELDS

    def run(self, scan: Scan, cells: CellStore) -> list[Series]:
        """The series with most entries first; raises CostError and CancelledError."""
        blocks = scan.visit(descending=True)
        if self._by_header and self.grid.size:
            found, blocks = cells.gather(scan, blocks, self.grid.width)
            groups = np.zeros(len(found.times), np.int64)
            if self._grouping.fields:
                groups = self._grouping.name_cells(found.counts, scan.budget.check)
            self.entries += int(found.counts.counts.sum())
            self._add(groups, found.times, found.counts.counts)
        for header in blocks:
            scan.budget.check()
            if scan.may_match(header):
                self._from_rows(scan, header)
        groups = np.arange(self._grouping.groups.size)
        values = self._grouping.values(scan, groups) if self._grouping.fields else [()]
        counts = self._counts[: len(groups)]
        made = [
            Series(value[0] if value else None, row)
            for value, row in zip(values, counts, strict=True)
        ]
        made.sort(key=lambda one: (-int(one.counts.sum()), rank(one.value)))
        return made

    def _from_rows(self, scan: Scan, header: Header) -> None:
        matched = scan.match(header)
        if matched is None:
            return
        view, mask = matched
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        size = len(rows)
        try:
            view = view.at(rows, self._grouping.fields)
            rows, keys = self._grouping.read(view, rows)
            times = view.timestamps()[rows]
        except FrameError:
            scan.damaged.add(header.id)
            return
        self.entries += size
        self._add(self._grouping.find(header, rows, keys), times, None)

    def _add(self, groups: Ints, times: Ints, weights: Ints | None) -> None:
        size, width = self._grouping.groups.size, self.grid.size
        if size * width > CELLS_MAX:
            problem = f"{size:,} values in {width:,} spans of time"
            raise FieldError("q", problem, hint=f"at most {CELLS_MAX:,} in all")
        if size > len(self._counts):
            larger = np.zeros((size, width), np.int64)
            larger[: len(self._counts)] = self._counts
            self._counts = larger
        if len(groups):
            places = groups * width + times // self.grid.width - self.grid.first
            sums = np.bincount(places, weights, len(self._counts) * width)
            self._counts += sums.astype(np.int64).reshape(self._counts.shape)


def fixed_buckets(span: tuple[int, int] | None, width: int) -> Buckets:
    """Buckets of this width over the times from first to last, both included."""
    if span is None:
        return Buckets(width, 0, 0)
    first = span[0] // width
    size = span[1] // width - first + 1
    if size > BUCKETS_MAX:
        problem = f"{size:,} spans of time; mustn't exceed {BUCKETS_MAX:,}"
        raise FieldError("q", problem, hint="choose a wider one, or a shorter time")
    return Buckets(width, first, size)


def histogram_table(
    scan: Scan,
    pipe: Histogram,
    pipes: Sequence[RowPipe],
    bounds: Bounds,
    cells: CellStore,
) -> Table:
    """A row for each span of time and value, in order of time."""
    span = extent(scan)
    if pipe.width_ns is None:
        grid = choose_buckets(span, BUCKETS, None)
    else:
        grid = fixed_buckets(span, pipe.width_ns)
    by = None if pipe.by is None else resolve_field(pipe.by)
    series = Timeline(grid, by).run(scan, cells)
    starts = [format_timestamp(grid.start(index)) for index in range(grid.size)]
    columns = [(one.value, one.counts.tolist()) for one in series]
    if by is None:
        names = ["time", "count"]
        rows: list[list[Any]] = [
            [start, counts[at]]
            for _, counts in columns
            for at, start in enumerate(starts)
        ]
    else:
        names = ["time", pipe.by or "", "count"]
        rows = [
            [start, value, counts[at]]
            for at, start in enumerate(starts)
            for value, counts in columns
        ]
    table = Table(columns=names, rows=rows, truncated=False)
    return apply_pipes(table, pipes, bounds.rows)
