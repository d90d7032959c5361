"""Groups of the entries that match, and operators over them.

Where a filter and the fields need no more than sources and levels, counts come from
the headers of blocks, and nothing is opened. Where only the groups with most entries
are wanted and there are very many, the blocks are read twice: to find out which groups
may be among them, and for these.
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
from pipeline.query.aggregate.fields import Keys
from pipeline.query.aggregate.frequent import Buckets
from pipeline.query.aggregate.grouping import (
    CELL_FIELDS,
    MANY_GROUPS,
    Grouping,
    ValuesError,
)
from pipeline.query.aggregate.groups import ManyGroupsError
from pipeline.query.aggregate.hashing import NOTHING
from pipeline.query.aggregate.numbers import read_numbers
from pipeline.query.aggregate.operator import Operator, Part
from pipeline.query.aggregate.percentile import Percentile, Quantiles
from pipeline.query.aggregate.total import Average, Total
from pipeline.query.cells import CellStore
from pipeline.query.matchers import Check
from pipeline.query.pipes import Call, resolve_field
from pipeline.query.scan import Scan
from pipeline.query.text import Ints
from pipeline.query.view import View
from pipeline.store.block import Counts
from pipeline.store.reader import Header

STATE_BYTES: Final = 44 << 20
"""Of all groups: with the rest of a worker's memory less than 150 MB."""

_VALUES_BYTES: Final = 10 << 20
"""For what distinct values, or percentiles, keep beside groups."""

_GROUP_BYTES: Final = 36
"""Of a group before its operators."""

TOP_FEW: Final = 1000
"""Up to so many frequent groups are looked for apart as soon as groups are many."""

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
        self._by, self._seconds, self._most = by, seconds, most
        self._names = {*by, *(call.field for call in calls if call.field is not None)}
        self._by_header = CELL_FIELDS.issuperset(by) and all(
            call.function in _HEADER_CALLS and call.field is None for call in calls
        )
        self._buckets: Buckets | None = None
        self._least = 0
        """With buckets: entries that those of a group must have, else it's left out."""
        self._begin()

    def _begin(self) -> None:
        self.entries = Count()
        self.operators = make_operators(self.calls, self._seconds, self.entries)
        others = [each for each in self.operators if each is not self.entries]
        self._all: list[Operator] = [self.entries, *others]
        used = _GROUP_BYTES + sum(each.group_bytes for each in self._all)
        kinds = {type(each) for each in self.operators}
        room = STATE_BYTES - _VALUES_BYTES * len(kinds & {Distinct, Percentile})
        self.grouping = Grouping(self._by, min(self._most, room // used))
        self.skipped: dict[str, int] = {}
        if not self._by:
            self.grouping.begin()

    @property
    def size(self) -> int:
        """Groups so far."""
        return self.grouping.groups.size

    def run(self, scan: Scan, cells: CellStore, top: int | None = None) -> None:
        """Take in all that the plan matches; raises CostError and CancelledError.

        With `top` the groups need not be all, but so many with most entries are among
        them, and all others that have as many as the last of these.
        """
        blocks = scan.visit(descending=True)
        if self._by_header:
            found, blocks = cells.gather(scan, blocks, None)
            self._add_cells(found.counts, scan.budget.check)
            top = None
        done = self._visit_all(scan, blocks, top)
        # not where the error is handled, which holds the groups that are given up
        if done is not None and top is not None:
            self._find_frequent(scan, blocks, done, top)

    def _visit_all(
        self, scan: Scan, blocks: Sequence[Header], top: int | None
    ) -> int | None:
        """None, or how many blocks are taken in when there are too many groups."""
        many = MANY_GROUPS if top is not None and top <= TOP_FEW else self._most
        for at, header in enumerate(blocks):
            try:
                self._visit(scan, header)
            except ManyGroupsError:
                if top is None:
                    raise
                return at
            if top is not None and self.size > many:
                return at + 1
        return None

    def _visit(self, scan: Scan, header: Header) -> None:
        scan.budget.check()
        if scan.may_match(header):
            self._from_rows(scan, header)

    def _find_frequent(
        self, scan: Scan, blocks: Sequence[Header], done: int, top: int
    ) -> None:
        """Begin anew with the groups that may have most entries."""
        buckets = Buckets()
        counts = self.entries.counts(slice(self.size))
        buckets.add_groups(self.grouping.groups.hashes[: len(counts)], counts)
        del counts  # a view of all of them
        self._begin()
        for header in blocks[done:]:
            scan.budget.check()
            if scan.may_match(header):
                self._add_buckets(scan, header, buckets)
        self._buckets, self._least = buckets, buckets.border(top)
        while True:
            for header in blocks:
                self._visit(scan, header)
            last = self._entries_of(top)
            if last >= self._least or self._least == 1:
                return
            # so many groups have as many: with this border they are found
            self._least = last or max(self._least // 4, 1)
            self._begin()

    def _entries_of(self, rank: int) -> int:
        """How many the group of this rank has; 0 without so many groups."""
        counts = self.entries.counts(slice(self.size))
        if len(counts) < rank:
            return 0
        return int(np.partition(counts, len(counts) - rank)[len(counts) - rank])

    def _add_buckets(self, scan: Scan, header: Header, buckets: Buckets) -> None:
        matched = scan.match(header)
        if matched is None:
            return
        view, mask = matched
        try:
            rows = np.flatnonzero(mask)
            _, keys = self.grouping.read(view.at(rows, self._by), rows)
        except FrameError:
            scan.damaged.add(header.id)
            return
        buckets.add(keys.by_row())
        view.batch.forget(())

    def _add_cells(self, counts: Counts, check: Check) -> None:
        check()
        groups = np.zeros(len(counts.counts), np.int64)
        if self.grouping.fields:
            groups = self.grouping.name_cells(counts, check)
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
            view = view.at(rows, self._names)
            rows, keys = self.grouping.read(view, rows)
            rows, keys, others = self._split(rows, keys)
            part = Part(view, rows)
            for operator in self._all:
                operator.read(part)
            skipped = self._skipped(part, view, others)
        except FrameError:
            scan.damaged.add(header.id)
            return
        part.groups = self.grouping.find(header, rows, keys)
        part.size = self.size
        for operator in self._all:
            operator.add(part)
        if self._buckets is not None or self.size > MANY_GROUPS:
            view.batch.forget(())
        for column, count in skipped.items():
            self.skipped[column] = self.skipped.get(column, 0) + count

    def _split(self, rows: Ints, keys: Keys) -> tuple[Ints, Keys, Ints]:
        """Rows whose groups are kept, their keys, and the other rows."""
        if self._buckets is None:
            return rows, keys, rows[:0]
        kept = self._buckets.reach(keys.hashes, self._least)
        if keys.codes is None:
            return rows[kept], Keys(keys.hashes[kept]), rows[~kept]
        kept = kept[keys.codes]
        return rows[kept], Keys(keys.hashes, keys.codes[kept]), rows[~kept]

    def _skipped(self, part: Part, view: View, others: Ints) -> dict[str, int]:
        """By column: values that are no numbers, of groups that aren't kept too."""
        found: dict[str, int] = {}
        for call in self.calls:
            if call.function not in ("count", "count_uniq", "rate"):
                field = resolve_field(call.field or "")
                skipped = part.numbers(field).skipped
                if len(others):
                    skipped += read_numbers(view, field, others).skipped
                if skipped:
                    found[call.column] = skipped
        return found

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


def make_operators(
    calls: Sequence[Call], seconds: float, entries: Count
) -> list[Operator]:
    """One operator a call; percentiles of one field share their numbers."""
    quantiles: dict[str, Quantiles] = {}
    made = [
        entries
        if call.function == "count" and call.field is None
        else _operator(call, seconds, quantiles)
        for call in calls
    ]
    distinct = [each for each in made if isinstance(each, Distinct)]
    for each in distinct:
        each.share = len(distinct)
    for numbers in quantiles.values():
        numbers.share = len(quantiles)
    return made


def _operator(call: Call, seconds: float, quantiles: dict[str, Quantiles]) -> Operator:
    if call.function == "rate":
        return Rate(seconds)
    assert call.field is not None
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
