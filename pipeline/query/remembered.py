"""What questions found out about blocks, for those that come after them.

People and screens ask the same again: a view that refreshes, the next page, the hits
of a moment ago within another window.  A block never changes, so which of its rows
match a filter stays true, and so does a row as it was written for a reply.  Both are
bounded by their bytes; what was not asked for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.query.cursor import Key
from pipeline.query.text import Ints, Mask
from pipeline.store.reader import Header

Value = TypeVar("Value")


class Row(NamedTuple):
    """One entry of a reply, encoded, with what orders and places it."""

    key: Key
    source: str
    block: int
    place: int
    json: bytes


MATCHES_BYTES: Final = 2 << 20
"""Of matches: 200 bytes a block of few, 8 KB of many."""

WRITTEN_BYTES: Final = 2 << 20
"""Of rows as they were written: some 3,000 entries of usual length."""

_ITEM_BYTES: Final = 200
"""Of a key, a header and what holds the value."""


class Bounded(Generic[Value]):
    """Values by key, up to so many bytes."""

    def __init__(self, most_bytes: int, largest: int) -> None:
        self._most, self._largest = most_bytes, largest
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._total = 0

    def get(self, key: Hashable) -> Value | None:
        """The value, or None when it is not here."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep a value of so many bytes, unless it is too large."""
        size += _ITEM_BYTES
        if size > self._largest or key in self._values:
            return
        self._values[key] = value, size
        self._total += size
        while self._total > self._most:
            _, (_, gone) = self._values.popitem(last=False)
            self._total -= gone


class Matches:
    """Which rows of which block match which filter: the shorter of places and bits."""

    def __init__(self, most_bytes: int = MATCHES_BYTES) -> None:
        self._kept: Bounded[npt.NDArray[np.generic]] = Bounded(
            most_bytes, most_bytes >> 4
        )

    def get(self, question: Hashable, header: Header) -> Ints | None:
        """The places of the rows that match, if that is known."""
        found = self._kept.get((question, header))
        if found is None:
            return None
        if found.dtype == np.uint8:
            bits = np.unpackbits(found.view(np.uint8), count=header.rows)
            return np.flatnonzero(bits)
        return found.astype(np.int64)

    def put(self, question: Hashable, header: Header, mask: Mask) -> None:
        """Remember them."""
        places = np.flatnonzero(mask)
        kept: npt.NDArray[np.generic] = places.astype(np.uint32)
        if kept.nbytes * 8 > header.rows:
            kept = np.packbits(mask)
        self._kept.put((question, header), kept, kept.nbytes)


class Written:
    """Rows as they were written for a reply, by block, place and form.

    A form is whatever else makes the row what it is: its fields and flags.
    """

    def __init__(self, most_bytes: int = WRITTEN_BYTES) -> None:
        self._kept: Bounded[Row] = Bounded(most_bytes, most_bytes >> 4)

    def get(self, header: Header, place: int, form: Hashable) -> Row | None:
        """The row, if it is here."""
        return self._kept.get((header, place, form))

    def put(self, header: Header, form: Hashable, row: Row) -> None:
        """Keep it."""
        self._kept.put((header, row.place, form), row, len(row.json) + _ITEM_BYTES)
