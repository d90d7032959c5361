"""What questions found out about blocks, for those that come after them.

People and screens ask the same again: a view that refreshes, the next page, the hits
of a moment ago within another window.  A block never changes, so which of its rows
match a filter stays true, and so does a row as it was written for a reply.  Both are
bounded by their bytes; what was not asked for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Set
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.query.cursor import Key
from pipeline.query.text import Ints
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

_QUESTION_BYTES: Final = 800
"""Of what is kept for each; its key is a digest, however long the question."""

_HEADER_BYTES: Final = 64
"""Of a header in a set; the reader has it anyway."""

_PLACE_BITS: Final = 32
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


class _Asked:
    """What is known of one question's blocks."""

    def __init__(self) -> None:
        self.without: set[Header] = set()
        self.places: dict[Header, npt.NDArray[np.generic]] = {}
        self.size = _QUESTION_BYTES


class Matches:
    """Which rows of which block match which filter: the shorter of places and bits."""

    def __init__(self, most_bytes: int = MATCHES_BYTES) -> None:
        self._most = most_bytes
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()
        self._total = 0

    def without(self, question: Hashable) -> Collection[Header]:
        """The blocks in which nothing matches."""
        asked = self._find(question)
        return asked.without if asked else ()

    def get(self, question: Hashable, header: Header) -> Ints | None:
        """The places of the rows that match, if that is known."""
        asked = self._find(question)
        if asked is None:
            return None
        found = asked.places.get(header)
        if found is None:
            return np.empty(0, np.int64) if header in asked.without else None
        if found.dtype == np.uint8:
            bits = np.unpackbits(found.view(np.uint8), count=header.rows)
            return np.flatnonzero(bits)
        return found.astype(np.int64)

    def put(self, question: Hashable, header: Header, places: Ints) -> None:
        """Remember them; of a question too large for all memory, nothing more."""
        asked = self._find(question)
        if asked is None:
            asked = self._asked[question] = _Asked()
            self._total += asked.size
        if header in asked.without or header in asked.places:
            return
        kept = _pack(places, header.rows)
        size = kept.nbytes + _ITEM_BYTES if len(places) else _HEADER_BYTES
        if asked.size + size > self._most:
            return
        asked.size += size
        self._total += size
        if len(places):
            asked.places[header] = kept
        else:
            asked.without.add(header)
        while self._total > self._most:
            _, gone = self._asked.popitem(last=False)
            self._total -= gone.size

    def keep(self, live: Set[Header]) -> None:
        """Forget all other blocks: compaction put others in their place."""
        self._total = 0
        for asked in self._asked.values():
            asked.without &= live
            for header in asked.places.keys() - live:
                del asked.places[header]
            asked.size = _QUESTION_BYTES + _HEADER_BYTES * len(asked.without)
            asked.size += sum(
                kept.nbytes + _ITEM_BYTES for kept in asked.places.values()
            )
            self._total += asked.size

    def _find(self, question: Hashable) -> _Asked | None:
        asked = self._asked.get(question)
        if asked is not None:
            self._asked.move_to_end(question)
        return asked


def _pack(places: Ints, rows: int) -> npt.NDArray[np.generic]:
    if places.nbytes * _PLACE_BITS > rows * places.itemsize:
        bits = np.zeros(rows, np.bool_)
        bits[places] = True
        return np.packbits(bits)
    return places.astype(np.uint32)


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
