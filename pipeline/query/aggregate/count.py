"""`count()`, `count(field)` and `rate()`: entries of each group."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.query.aggregate.groups import grown
from pipeline.query.aggregate.hashing import NOTHING
from pipeline.query.aggregate.operator import Part
from pipeline.query.text import Ints


class Count:
    """Entries, or those that have a field."""

    group_bytes = 8
    error = None

    def __init__(self, field: str | None = None) -> None:
        self._field = field
        self._counts: Ints = np.zeros(1, np.int64)

    def read(self, part: Part) -> None:
        """The field's values."""
        if self._field is not None:
            part.hashes(self._field)

    def add(self, part: Part) -> None:
        """Count these rows."""
        groups = part.groups
        if self._field is not None:
            groups = part.owners(self._field)[part.hashes(self._field) != NOTHING]
        self.add_cells(groups, None, part.size)

    def add_cells(self, groups: Ints, weights: Ints | None, size: int) -> None:
        """Count rows, or cells that stand for as many rows as they weigh."""
        self._counts = grown(self._counts, size)
        if not len(groups):
            return
        # sums in float64 are exact to 2^53
        counts = np.bincount(groups, weights)
        self._counts[: len(counts)] += counts.astype(np.int64, copy=False)

    def counts(self, groups: Ints | slice) -> Ints:
        """Of these groups."""
        return self._counts[groups]

    def column(self, groups: Ints) -> list[Any]:
        """The counts."""
        return list(self._counts[groups].tolist())


class Rate(Count):
    """Entries a second over the window."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def column(self, groups: Ints) -> list[Any]:
        """Counts over the seconds; none without a span of time."""
        counts = self.counts(groups).tolist()
        if not self._seconds:
            return [None] * len(counts)
        return [count / self._seconds for count in counts]
