"""Groups of the entries that match, and operators over them.

Where a filter and the fields need no more than sources and levels, counts come from
the headers of blocks, and nothing is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.errors import FrameError
from pipeline.query.aggregate.count import Count, Rate
from pipeline.query.aggregate.distinct import Distinct
from pipeline.query.aggregate.extreme import Extreme
from pipeline.query.aggregate.grouping import (
    CELL_FIELDS,
    MANY_GROUPS,
    Grouping,
    ValuesError,
)
from pipeline.query.aggregate.hashing import NOTHING
from pipeline.query.aggregate.operator import Operator, Part
from pipeline.query.aggregate.percentile import Percentile, Quantiles
from pipeline.query.aggregate.total import Average, Total
from pipeline.query.cells import CellStore
from pipeline.query.pipes import Call, resolve_field
from pipeline.query.scan import Scan
from pipeline.query.text import Ints
from pipeline.store.block import Counts
from pipeline.store.reader import Header

STATE_BYTES: Final = 44 << 20
"""Of all groups: with the rest of a worker's memory less than 150 MB."""

_VALUES_BYTES: Final = 10 << 20
"""For what distinct values, or percentiles, keep beside groups."""

_GROUP_BYTES: Final = 36
"""Of a group before its operators."""

_PERCENTS: Final = {"p50": 50, "p95": 95, "p99": 99}
_HEADER_CALLS: Final = frozenset({"count", "rate"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one table may have."""

    groups: int = 1_000_000
    rows: int = 10_000


class Aggregation:
    """Groups by some fields and operators over them."""

    def __init__(
        self, by: Sequence[str], calls: Sequence[Call], seconds: float, most: int
    ) -> None:
        self.calls = calls
        self.operators = make_operators(calls, seconds)
        self.entries = Count()
        self._all: list[Operator] = [self.entries, *self.operators]
        used = _GROUP_BYTES + sum(each.group_bytes for each in self._all)
        kinds = {type(each) for each in self.operators}
        room = STATE_BYTES - _VALUES_BYTES * len(kinds & {Distinct, Percentile})
        self.grouping = Grouping(by, min(most, room // used))
        self.skipped: dict[str, int] = {}
        self._by_header = CELL_FIELDS.issuperset(by) and all(
            call.function in _HEADER_CALLS and call.field is None for call in calls
        )
        if not by:
            self.grouping.begin()

    @property
    def size(self) -> int:
        """Groups so far."""
        return self.grouping.groups.size

    def run(self, scan: Scan, cells: CellStore) -> None:
        """Take in all that the plan matches; raises CostError and CancelledError."""
        blocks = scan.visit(descending=True)
        if self._by_header:
            found, blocks = cells.gather(scan, blocks, None)
            self._add_cells(found.counts)
        for header in blocks:
            scan.budget.check()
            if scan.may_match(header):
                self._from_rows(scan, header)

    def _add_cells(self, counts: Counts) -> None:
        groups = np.zeros(len(counts.counts), np.int64)
        if self.grouping.fields:
            groups = self.grouping.name_cells(counts)
        for operator in self._all:
            if isinstance(operator, Count):
                operator.add_cells(groups, counts.counts, self.size)

    def _from_rows(self, scan: Scan, header: Header) -> None:
        matched = scan.match(header)
        if matched is None:
            return
        view, mask = matched
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        try:
            rows, keys = self.grouping.read(view, rows)
            part = Part(view, rows)
            for operator in self._all:
                operator.read(part)
        except FrameError:
            scan.damaged.add(header.id)
            return
        part.groups = self.grouping.find(header, rows, keys)
        part.size = self.size
        for operator in self._all:
            operator.add(part)
        if self.size > MANY_GROUPS:
            view.batch.forget(())
        for call in self.calls:
            if call.function not in ("count", "count_uniq", "rate"):
                skipped = part.numbers(resolve_field(call.field or "")).skipped
                if skipped:
                    before = self.skipped.get(call.column, 0)
                    self.skipped[call.column] = before + skipped

    def values(
        self, scan: Scan, chosen: Ints, most: int
    ) -> tuple[Ints, list[tuple[Any, ...]]]:
        """Groups and their values: all, or where these are too long, the first `most`.

        Raises StoreError and FieldError.
        """
        try:
            return chosen, self.grouping.values(scan, chosen)
        except ValuesError:
            if len(chosen) <= most:
                raise
        return chosen[:most], self.grouping.values(scan, chosen[:most])

    def has_values(self) -> Ints:
        """Groups of one field that stand for a value, not for null."""
        return np.flatnonzero(self.grouping.groups.hashes[: self.size] != NOTHING)


def make_operators(calls: Sequence[Call], seconds: float) -> list[Operator]:
    """One operator a call; percentiles of one field share their numbers."""
    quantiles: dict[str, Quantiles] = {}
    made = [_operator(call, seconds, quantiles) for call in calls]
    distinct = [each for each in made if isinstance(each, Distinct)]
    for each in distinct:
        each.share = len(distinct)
    for numbers in quantiles.values():
        numbers.share = len(quantiles)
    return made


def _operator(call: Call, seconds: float, quantiles: dict[str, Quantiles]) -> Operator:
    if call.function == "rate":
        return Rate(seconds)
    if call.field is None:
        return Count()
    field = resolve_field(call.field)
    if call.function in _PERCENTS:
        shared = quantiles.setdefault(field, Quantiles(field))
        return Percentile(shared, _PERCENTS[call.function])
    return _OPERATORS[call.function](field)


_OPERATORS: Final[dict[str, Callable[[str], Operator]]] = {
    "count": Count,
    "count_uniq": Distinct,
    "sum": Total,
    "avg": Average,
    "min": lambda field: Extreme(field, largest=False),
    "max": lambda field: Extreme(field, largest=True),
}
