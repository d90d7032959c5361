"""What blocks tell of themselves: their sources from headers, fields from directories.

No column of a compacted block is read for that, but one of repeated values for each
field: only they tell whether those are texts. Fresh blocks are read whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import (
    LEVEL,
    METADATA,
    METADATA_PREFIX,
    SOURCE,
    TAGS,
    TRACE_ID,
    Kind,
)
from pipeline.errors import FrameError, StoreError
from pipeline.level import LEVEL_NAMES
from pipeline.query.scan import Scan
from pipeline.store.block import MINUTE, Counts
from pipeline.store.reader import Header
from pipeline.store.schema import COMPACTED

FRESH_BYTES: Final = 32 << 20
"""Of fresh blocks whose fields are counted: 0.1 s."""

_KINDS: Final = {
    Kind.INT64: "integer",
    Kind.FLOAT64: "number",
    Kind.BOOL: "boolean",
    Kind.TEXT: "text",
    Kind.BYTES16: "text",
    Kind.PACKED: "mixed",
}
_TEXTS: Final = (LEVEL, SOURCE, "tag", TRACE_ID)


@dataclass(slots=True)
class SourceSeen:
    """A source's entries, and times that they are between, in ns."""

    count: int
    first: int
    last: int


class SourceCount:
    """Sources and levels of all blocks."""

    def __init__(self) -> None:
        self.sources: dict[str, SourceSeen] = {}
        self.levels: Counter[str] = Counter()

    def run(self, scan: Scan, headers: Sequence[Header]) -> None:
        """Read the headers' counts; raises CostError and CancelledError."""
        for header in headers:
            counts = scan.maybe_counts(header)
            if counts is not None:
                self._add(header, counts)

    def _add(self, header: Header, counts: Counts) -> None:
        levels = np.bincount(counts.levels, counts.counts)
        for number in np.flatnonzero(levels).tolist():
            self.levels[LEVEL_NAMES.get(number, str(number))] += int(levels[number])
        size = len(counts.sources)
        totals = np.bincount(counts.source_codes, counts.counts, size)
        firsts = np.full(size, header.minimum)
        lasts = np.full(size, header.maximum)
        if counts.minutes is not None and size > 1:
            _narrow(header, counts, firsts, lasts)
        for name, total, first, last in zip(
            counts.sources,
            totals.tolist(),
            firsts.tolist(),
            lasts.tolist(),
            strict=True,
        ):
            if not total:
                continue
            seen = self.sources.setdefault(name, SourceSeen(0, first, last))
            seen.count += int(total)
            seen.first = min(seen.first, first)
            seen.last = max(seen.last, last)


def _narrow(
    header: Header,
    counts: Counts,
    firsts: np.ndarray[tuple[int], np.dtype[np.int64]],
    lasts: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> None:
    """Times of each source by its minutes, within the block's."""
    minutes = counts.minutes
    assert minutes is not None
    low = np.full(len(minutes), header.minimum)
    high = np.full(len(minutes), header.maximum)
    # the outermost minutes of int64 reach beyond it
    later = minutes > header.minimum // MINUTE
    low[later] = minutes[later] * MINUTE
    earlier = minutes < header.maximum // MINUTE
    high[earlier] = (minutes[earlier] + 1) * MINUTE - 1
    firsts[:] = header.maximum
    lasts[:] = header.minimum
    np.minimum.at(firsts, counts.source_codes, low)
    np.maximum.at(lasts, counts.source_codes, high)


@dataclass(slots=True)
class FieldSeen:
    """A field's entries, and the kinds of its columns."""

    count: int = 0
    kinds: set[str] = field(default_factory=set)
    repeated: Header | None = None
    """The newest block where its column is one of repeated values."""


class FieldCount:
    """Fields of all blocks, by the names that queries give them."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self.fields: dict[str, FieldSeen] = {}
        self.uncounted = 0
        """Entries that may have fields that aren't counted."""

    def run(self, headers: Sequence[Header]) -> None:
        """Look at blocks, newest first; raises CostError and CancelledError."""
        room = FRESH_BYTES
        for header in headers:
            self._scan.budget.check()
            if header.id < COMPACTED:
                room -= header.size
                if room < 0:
                    self.uncounted += header.rows
                    continue
            columns = self._columns(header)
            for name, column in columns.items():
                self._add(header, name, column)
        self._name_repeated()

    def _columns(self, header: Header) -> dict[str, Column]:
        if header.id in self._scan.damaged:
            return {}
        try:
            return self._scan.headers.reader.load(header).batch.columns
        except StoreError:
            self._scan.damaged.add(header.id)
            return {}

    def _add(self, header: Header, column_name: str, column: Column) -> None:
        if column_name == METADATA:
            self.uncounted += column.count
            return
        name = "tag" if column_name == TAGS else column_name
        if name not in _TEXTS and not name.startswith(METADATA_PREFIX):
            return
        seen = self.fields.setdefault(name, FieldSeen())
        seen.count += column.count
        if name in _TEXTS:
            seen.kinds.add("text")
        elif column.kind is Kind.DICT:
            seen.repeated = seen.repeated or header
        else:
            seen.kinds.add(_KINDS[column.kind])

    def _name_repeated(self) -> None:
        """Kinds of repeated values; blocks that have several of them are read once."""
        wanted: dict[Header, list[str]] = {}
        for name, seen in self.fields.items():
            if seen.repeated is not None:
                wanted.setdefault(seen.repeated, []).append(name)
        for header, names in wanted.items():
            columns = self._columns(header)
            for name in names:
                self._scan.budget.check()
                if name not in columns:
                    continue
                try:
                    _, kind, _ = columns[name].dictionary_parts
                except FrameError:
                    self._scan.damaged.add(header.id)
                    continue
                self.fields[name].kinds.add("text" if kind == Kind.TEXT else "mixed")
