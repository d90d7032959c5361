"""The groups with most entries, where there are too many groups to keep them all.

A count-min sketch of one row: entries are counted by a part of their group's hash. A
group has at most the entries of its bucket, so that one whose bucket has fewer than
the last group of the reply needn't be kept (Cormode and Muthukrishnan, 2005).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.query.aggregate.hashing import Hashes
from pipeline.query.text import Ints, Mask

BUCKETS: Final = 1 << 20
"""Of 4 bytes, up to four billion entries; ten million groups of one are ten in each."""

_WAITING: Final = 1 << 17
"""Hashes put together before they are counted: all buckets are walked for that."""

_SURE: Final = 4
"""So many times the wanted groups have their buckets above the first border."""

_FEWEST: Final = 256


class Buckets:
    """Entries by hash."""

    def __init__(self) -> None:
        self._counts: npt.NDArray[np.uint32] = np.zeros(BUCKETS, np.uint32)
        self._new: list[npt.NDArray[np.int32]] = []
        self._waiting = 0

    def add(self, hashes: Hashes) -> None:
        """One entry for each."""
        places = _places(hashes)
        self._new.append(places)
        self._waiting += len(places)
        if self._waiting > _WAITING:
            self._count()

    def add_groups(self, hashes: Hashes, counts: Ints) -> None:
        """Groups that are counted already."""
        # sums in float64 are exact to 2^53
        self._add(np.bincount(_places(hashes), counts, BUCKETS))

    def border(self, most: int) -> int:
        """Entries of a bucket that the `most` largest groups probably reach."""
        self._count()
        wanted = min(max(_SURE * most, _FEWEST), BUCKETS)
        least = int(np.partition(self._counts, BUCKETS - wanted)[BUCKETS - wanted])
        if np.count_nonzero(self._counts > least) >= most:
            least += 1  # there may be very many with just as many
        return max(least, 1)

    def reach(self, hashes: Hashes, least: int) -> Mask:
        """Which groups may have so many entries."""
        found: Mask = self._counts[_places(hashes)] >= least
        return found

    def _count(self) -> None:
        if self._new:
            self._add(np.bincount(np.concatenate(self._new), minlength=BUCKETS))
            self._new, self._waiting = [], 0

    def _add(self, found: npt.NDArray[Any]) -> None:
        np.add(self._counts, found, out=self._counts, casting="unsafe")


def _places(hashes: Hashes) -> npt.NDArray[np.int32]:
    return (hashes & np.uint64(BUCKETS - 1)).astype(np.int32)
