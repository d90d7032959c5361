"""The messages of a compacted block, rebuilt when asked for: of all rows or of some.

A `MessageColumn` does whatever a TEXT column does, and knows its templates besides, so
that a question about text can be asked of a few templates instead of many messages.

Strategy: a text is pieces of its template and values, alternately; where each begins
and how long it is follows from codes and slots, and one gather copies all of them.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column, Field
from pipeline.batch.layout import MESSAGE, Codec, Kind
from pipeline.batch.read import (
    Ints,
    Texts,
    bad,
    decode_values,
    ends_of,
    read_texts,
    slices,
)
from pipeline.compression import Bytes
from pipeline.store.slots import Slots
from pipeline.store.templates import VARIABLE, Ids, ids_of, text_ids

_ROWS: Final = 8192
"""Rows rebuilt together: their arrays stay in the cache, and memory is bounded."""

_LENGTH: Final = 4
"""Bytes of a length in the TEXT data of rebuilt messages."""

COUNT: Final = struct.Struct("<I")
"""Templates, before their TEXT data."""

U8 = npt.NDArray[np.uint8]


class Source(Protocol):
    """A stored column that gives its data when asked."""

    @property
    def data(self) -> Bytes:
        """Decompressed."""
        ...


class _Pieces(NamedTuple):
    """The static parts of all templates, the last part of each with a newline."""

    data: U8
    starts: Ints
    sizes: Ints
    firsts: Ints
    """By code: its first piece."""
    slots: Ints
    """By code: its variables, one less than its pieces; of code 0 none."""
    first_slots: Ints
    """By code: its first slot."""


class MessageColumn(Column):
    """Messages as codes, templates and variables."""

    __slots__ = (
        "_codes",
        "_ids",
        "_pieces",
        "_ranks",
        "_slots",
        "_sources",
        "_templates",
    )

    def __init__(
        self,
        rows: int,
        codes: Source,
        variables: Source,
        templates: Source | None,
        ids: Ids | None = None,
    ) -> None:
        """`templates` is None where no message has one; `ids` are theirs if known."""
        super().__init__(Field(MESSAGE, Kind.TEXT, Codec.PLAIN, rows, 0, 0), b"")
        self._sources = codes, variables, templates
        self._ids = ids
        self._forget()

    def _forget(self) -> None:
        self._codes: npt.NDArray[np.uint16] | None = None
        self._ranks: Ints | None = None
        self._templates: list[bytes] | None = None
        self._pieces: _Pieces | None = None
        self._slots: Slots | None = None

    def forget(self) -> None:
        """Drop what can be read again."""
        super().forget()
        self._forget()

    @property
    def codes(self) -> npt.NDArray[Any]:
        """Of each row: 0 without a template, k with template k - 1."""
        if self._codes is None:
            codes = read_codes(self._sources[0].data, self.count)
            if int(codes.max()) > len(self.templates):
                raise bad(f"a code is beyond the {len(self.templates)} templates")
            self._codes = codes
        return self._codes

    @property
    def templates(self) -> list[bytes]:
        """The block's templates, the most frequent first."""
        if self._templates is None:
            source = self._sources[2]
            self._templates = [] if source is None else _read_templates(source.data)
        return self._templates

    @property
    def pattern_ids(self) -> Ids:
        """The ids of `templates`."""
        if self._ids is None:
            self._ids = ids_of(self.templates)
        return self._ids

    def row_ids(self) -> Ids:
        """The template's id of each row, those of rows without a code included."""
        ids: Ids = np.concatenate([np.zeros(1, np.uint64), self.pattern_ids])
        ids = np.take(ids, self.codes)
        ids[self.codes == 0] = text_ids(self._opened().others)
        return ids

    def rows_of(self, codes: Ints) -> Ints:
        """The rows, in order, that have one of the codes."""
        wanted = np.zeros(len(self.templates) + 1, np.bool_)
        wanted[codes] = True
        return np.flatnonzero(wanted[self.codes])

    def texts_of(self, rows: Ints) -> Texts:
        """Lengths and bytes of the rows' messages, each with a newline behind it."""
        parts = [
            self._rebuild(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)
        ]
        if not parts:
            return Texts(np.empty(0, np.int64), b"")
        lengths = np.concatenate([part.lengths for part in parts])
        return Texts(lengths, b"".join([part.data for part in parts]))

    @property
    def texts(self) -> Texts:
        """Lengths and bytes of all messages."""
        if self._texts is None:
            self._texts = self.texts_of(np.arange(self.count))
        return self._texts

    @property
    def data(self) -> Bytes:
        """All messages as TEXT data."""
        lengths, data = self.texts
        return b"".join([bytes([_LENGTH]), lengths.astype("<u4").tobytes(), data])

    def values(self, indices: Ints | None = None) -> list[Any]:
        """The messages of all rows or of the given ones."""
        few = self._texts is None and indices is not None
        if not few:
            return super().values(indices)
        assert indices is not None
        return decode_values(Kind.TEXT, self.texts_of(np.asarray(indices)))

    def _opened(self) -> Slots:
        if self._slots is None:
            pieces = self._split()
            counts = np.bincount(self.codes, minlength=len(pieces.slots))
            of_slots = np.repeat(counts, pieces.slots)
            data = self._sources[1].data
            self._slots = Slots(data, of_slots, int(counts[0]))
        return self._slots

    def _split(self) -> _Pieces:
        if self._pieces is None:
            self._pieces = _split(self.templates)
        return self._pieces

    def _rebuild(self, rows: Ints) -> Texts:
        opened, pieces = self._opened(), self._split()
        if self._ranks is None:
            self._ranks = ranks_of(self.codes)
        codes, ranks = self.codes[rows].astype(np.int64), self._ranks[rows]
        slots = pieces.slots[codes]
        ends = np.cumsum(2 * slots + 1)
        firsts = ends - 2 * slots - 1
        owners = np.repeat(np.arange(len(rows)), slots + 1)
        places = np.arange(len(owners)) - np.repeat(
            np.cumsum(slots + 1) - slots - 1, slots + 1
        )
        starts = np.empty(int(ends[-1]), np.int64)
        sizes = np.empty(len(starts), np.int64)
        # pieces stand at the even places of each row
        at = firsts[owners] + 2 * places
        which = pieces.firsts[codes[owners]] + places
        starts[at], sizes[at] = pieces.starts[which], pieces.sizes[which]
        # values at the odd ones
        inner = np.flatnonzero(places < slots[owners])
        owners, places, at = owners[inner], places[inner], at[inner] + 1
        of_slots = pieces.first_slots[codes[owners]] + places
        values = opened.values(of_slots, ranks[owners])
        starts[at], sizes[at] = values.starts + len(pieces.data), values.sizes
        # a row without a template is one piece
        plain = np.flatnonzero(codes == 0)
        others = opened.others
        place = ranks[plain]
        offset = len(pieces.data) + len(values.data)
        begins = ends_of(others.lengths, 1) - others.lengths
        starts[firsts[plain]] = begins[place] + offset
        sizes[firsts[plain]] = others.lengths[place] + 1
        rest = np.frombuffer(others.data, np.uint8)
        source = np.concatenate([pieces.data, values.data, rest])
        lengths = np.add.reduceat(sizes, firsts) - 1
        return Texts(lengths, copy_segments(source, starts, sizes))


def copy_segments(source: U8, starts: Ints, sizes: Ints) -> bytes:
    """Bytes from anywhere in the source, one after another."""
    ends = np.cumsum(sizes)
    places = np.repeat(starts - (ends - sizes), sizes)
    places += np.arange(len(places))
    return bytes(source[places])


def _read_templates(data: Bytes) -> list[bytes]:
    if len(data) < COUNT.size:
        raise bad("templates are cut off")
    (count,) = COUNT.unpack_from(data)
    texts = read_texts(memoryview(data)[COUNT.size :], count, terminated=True)
    return slices(texts, 1)


def _split(templates: list[bytes]) -> _Pieces:
    parts = [piece for text in templates for piece in (text + b"\n").split(VARIABLE)]
    sizes = np.fromiter(map(len, [b"", *parts]), np.int64, len(parts) + 1)
    slots = np.concatenate([[0], slots_of(templates)])
    return _Pieces(
        np.frombuffer(b"".join(parts), np.uint8),
        np.cumsum(sizes) - sizes,
        sizes,
        np.cumsum(slots + 1) - slots - 1,
        slots,
        np.cumsum(slots) - slots,
    )


def slots_of(templates: list[bytes]) -> Ints:
    """Variables of each template."""
    return np.fromiter(
        (text.count(VARIABLE) for text in templates), np.int64, len(templates)
    )


def ranks_of(codes: Ints) -> Ints:
    """The how-manieth row of its code each row is."""
    narrow = codes.astype(np.uint16)
    order = np.argsort(narrow, kind="stable")
    counts = np.bincount(codes)
    ranks = np.empty(len(codes), np.int64)
    ranks[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def read_codes(data: Bytes, rows: int) -> npt.NDArray[np.uint16]:
    """The code of each row."""
    width = data[0] if len(data) else 0
    if width not in (1, 2) or len(data) != 1 + width * rows:
        raise bad(f"codes of {rows} messages in {len(data)} bytes")
    planes = np.frombuffer(data, np.uint8)[1:].reshape(width, rows)
    codes: npt.NDArray[np.uint16] = planes[0].astype(np.uint16)
    if width == 2:
        codes += planes[1].astype(np.uint16) << np.uint16(8)
    return codes
