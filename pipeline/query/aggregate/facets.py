"""The most frequent values of every field, in one pass over the blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.batch.layout import METADATA, METADATA_PREFIX
from pipeline.errors import FrameError
from pipeline.query.aggregate.count import Count
from pipeline.query.aggregate.fields import candidates
from pipeline.query.aggregate.grouping import Grouping
from pipeline.query.aggregate.hashing import NOTHING
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.tables import rank
from pipeline.query.text import Ints
from pipeline.query.view import View
from pipeline.store.reader import Header

FIELDS_MAX: Final = 200
"""Fields of a reply."""

VALUES_MAX: Final = 20_000
"""Different values of one field that are counted; a field of more has no facet."""

TOTAL_MAX: Final = 400_000
"""Different values of all fields together, of 40 bytes each."""


class Values(NamedTuple):
    """A field, how many entries have it, and its values."""

    field: str
    entries: int
    distinct: int | None
    values: list[tuple[Any, int]]


class _Field:
    """One field's values so far; none any more when there were too many."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.grouping: Grouping | None = Grouping([name], VALUES_MAX)
        self._counts = Count()

    def add(self, header: Header, view: View, rows: Ints) -> None:
        """Take these rows in; raises FrameError."""
        if self.grouping is None:
            self.count += _having(view, self.name, rows)
            return
        # without those that have no value: half of the time where fields are rare
        rows = _rows_with(view, self.name, rows)
        if not len(rows):
            return
        rows, keys = self.grouping.read(view, rows)
        self.count += _having(view, self.name, rows) if self.name != "tag" else 0
        try:
            groups = self.grouping.find(header, rows, keys)
        except FieldError:
            self.grouping = None
            return
        self._counts.add_cells(groups, None, self.grouping.groups.size)

    @property
    def size(self) -> int:
        """Values so far."""
        return 0 if self.grouping is None else self.grouping.groups.size

    def values(self, scan: Scan, n: int) -> Values:
        """The most frequent ones."""
        if self.grouping is None:
            return Values(self.name, self.count, None, [])
        groups = self.grouping.groups
        some = np.flatnonzero(groups.hashes[: groups.size] != NOTHING)
        counts = self._counts.counts(some)
        top = some[np.argsort(-counts, kind="stable")][:n]
        values = self.grouping.values(scan, top)
        pairs = [
            (value[0], count)
            for value, count in zip(values, self._counts.column(top), strict=True)
        ]
        pairs.sort(key=lambda pair: (-pair[1], rank(pair[0])))
        total = int(counts.sum())
        return Values(self.name, total, len(some), pairs)


def _rows_with(view: View, name: str, rows: Ints) -> Ints:
    """The rows that may have a value of the field."""
    found = list(candidates(view, name))
    present = view.batch.present(found[0].column) if len(found) == 1 else None
    return rows if present is None else rows[present[rows]]


def _having(view: View, name: str, rows: Ints) -> int:
    """Rows that have a value in the field's own column."""
    if name not in view.batch.columns:
        return 0
    present = view.batch.present(name)
    return len(rows) if present is None else int(np.count_nonzero(present[rows]))


class Facets:
    """All fields of what a plan matches: source, level, tag, trace_id and metadata."""

    def __init__(self) -> None:
        self.total = 0
        self.truncated = False
        self._fields: dict[str, _Field] = {
            name: _Field(name) for name in ("level", "source", "tag", "trace_id")
        }

    def run(self, scan: Scan) -> None:
        """Look at all blocks; raises CostError and CancelledError."""
        self.look(scan, scan.visit(descending=True))

    def look(self, scan: Scan, headers: Sequence[Header]) -> None:
        """Look at some blocks."""
        for header in headers:
            scan.budget.check()
            if not scan.may_match(header):
                continue
            matched = scan.match(header)
            if matched is None:
                continue
            view, mask = matched
            rows = np.flatnonzero(mask)
            try:
                self._add(header, view, rows)
            except FrameError:
                scan.damaged.add(header.id)
                continue
            self.total += len(rows)

    def _add(self, header: Header, view: View, rows: Ints) -> None:
        if not len(rows):
            return
        names = set(self._fields) | set(self._metadata(view, rows))
        for name in sorted(names):
            if name not in self._fields:
                if len(self._fields) >= FIELDS_MAX:
                    self.truncated = True
                    continue
                self._fields[name] = _Field(name)
            scan_field = self._fields[name]
            view.check()
            scan_field.add(header, view, rows)
        self._bound()

    def _bound(self) -> None:
        """Give up the fields of most values, where all together are too many."""
        kept = {name: one.size for name, one in self._fields.items() if one.size}
        total = sum(kept.values())
        for name in sorted(kept, key=kept.__getitem__, reverse=True):
            if total <= TOTAL_MAX:
                break
            total -= kept[name]
            self._fields[name].grouping = None

    def _metadata(self, view: View, rows: Ints) -> list[str]:
        mask = np.zeros(view.rows, np.bool_)
        mask[rows] = True
        names = view.batch.names_among(mask)
        found = [name for name in names if name.startswith(METADATA_PREFIX)]
        if METADATA in names:
            keys: Counter[str] = Counter()
            for _, value in view.batch.scattered(METADATA, rows):
                keys.update(list(value))  # of a map it would add up the values
            found += [METADATA_PREFIX + key for key, _ in keys.most_common(FIELDS_MAX)]
        return found

    def fields(self, scan: Scan, n: int) -> list[Values]:
        """Fields with a value, those that most entries have first after the known."""
        found = [field.values(scan, n) for field in self._fields.values()]
        known = {name: place for place, name in enumerate(("level", "source", "tag"))}
        some = [one for one in found if one.entries]
        some.sort(key=lambda one: (known.get(one.field, 9), -one.entries, one.field))
        return some
