"""`count_uniq`: exact up to KEPT values in all groups, then an estimate.

Beyond the bound the groups with most values keep one of two, of four, and so on: those
whose hash begins with so many zero bits. What is kept of a group, times what each of
them stands for, is how many it has.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.query.aggregate.groups import grown
from pipeline.query.aggregate.hashing import NOTHING, Hashes, join
from pipeline.query.aggregate.operator import Part
from pipeline.query.requests import FieldError
from pipeline.query.text import Ints

KEPT: Final = 3 << 18
"""12 bytes each, and three times that when they are put together."""

_WAITING: Final = 1 << 17
_FEWEST: Final = 256
"""A group is never thinned below it: 19 of 20 estimates are then within 12 %."""

_BITS: Final = np.uint64(64)


class Distinct:
    """Different values of a field; null is none."""

    group_bytes = 9

    def __init__(self, field: str) -> None:
        self._field = field
        self.share = 1
        """So many columns of a table share what may be kept."""
        self._kept: Hashes = np.empty(0, np.uint64)
        self._owners: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._levels: npt.NDArray[np.uint8] = np.zeros(1, np.uint8)
        """Of each group: it keeps one of 2 ** level values."""
        self._new: list[tuple[Hashes, npt.NDArray[np.int32]]] = []
        self._waiting = 0
        self._size = 1

    def read(self, part: Part) -> None:
        """The field's values."""
        part.hashes(self._field)

    def add(self, part: Part) -> None:
        """Take these values in."""
        self._size = max(self._size, part.size)
        self._levels = grown(self._levels, self._size)
        groups, hashes = part.owners(self._field), part.hashes(self._field)
        some = hashes != NOTHING
        groups, hashes = groups[some], hashes[some]
        pairs, firsts = np.unique(
            join(groups.astype(np.uint64), hashes), return_index=True
        )
        self._new.append((pairs, groups[firsts].astype(np.int32)))
        self._waiting += len(pairs)
        if self._waiting > _WAITING // self.share:
            self._merge()

    def column(self, groups: Ints) -> list[Any]:
        """How many there are, or nearly."""
        self._merge()
        counts = np.bincount(self._owners, minlength=self._size)
        return list((counts[groups] << self._levels[groups].astype(np.int64)).tolist())

    @property
    def error(self) -> float | None:
        """Two standard errors of the least sure estimate; None when exact."""
        self._merge()
        thinned = np.flatnonzero(self._levels)
        if not len(thinned):
            return None
        counts = np.bincount(self._owners, minlength=self._size)[thinned]
        return float(2 / np.sqrt(max(int(counts.min()), 1)))

    def _merge(self) -> None:
        if not self._new:
            return
        hashes = np.concatenate([self._kept, *(pairs for pairs, _ in self._new)])
        owners = np.concatenate([self._owners, *(groups for _, groups in self._new)])
        self._new, self._waiting = [], 0
        self._kept, firsts = np.unique(hashes, return_index=True)
        self._owners = owners[firsts]
        self._thin(np.flatnonzero(self._levels))
        while len(self._kept) > KEPT // self.share:
            counts = np.bincount(self._owners, minlength=self._size)
            # a thinned group keeps about half
            most = max(KEPT // self.share // self._size, 2 * _FEWEST)
            large = np.flatnonzero(counts > most)
            if not len(large):
                problem = f"more than {KEPT:,} values of {self._field} to count"
                raise FieldError("q", problem, hint="narrow the time range")
            self._levels[large] += 1
            self._thin(large)

    def _thin(self, groups: Ints) -> None:
        """Drop what the groups' levels no longer keep."""
        if not len(groups):
            return
        levels = self._levels[self._owners].astype(np.uint64)
        # shifting by all 64 bits is not defined
        keep = (levels == 0) | (self._kept >> (_BITS - np.maximum(levels, 1)) == 0)
        self._kept, self._owners = self._kept[keep], self._owners[keep]
