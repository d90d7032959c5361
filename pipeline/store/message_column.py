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
from pipeline.store.stretches import U8, copy_long, copy_segments, places_of
from pipeline.store.templates import VARIABLE, Ids, ids_of, text_ids

_ROWS: Final = 4096
"""Rows rebuilt together: their arrays stay in the cache, and memory is bounded."""

_ROOM: Final = 1 << 16
"""Bytes for the text of numbers, enough for a page of rows."""

_LENGTH: Final = 4
"""Bytes of a length in the TEXT data of rebuilt messages."""

COUNT: Final = struct.Struct("<I")
"""Templates, before their TEXT data."""


class Source(Protocol):
    """A stored column that gives its data when asked."""

    @property
    def data(self) -> Bytes:
        """Decompressed."""
        ...


class _Templates(NamedTuple):
    """The block's templates, and where their static pieces stand, newlines included."""

    texts: Texts
    starts: Ints
    sizes: Ints
    slots: Ints
    """By code: its variables, one less than its pieces; of code 0 none."""

    @property
    def first_slots(self) -> Ints:
        """By code: its first slot."""
        return np.cumsum(self.slots) - self.slots

    @property
    def first_pieces(self) -> Ints:
        """By code: its first piece; code 0 has one that is empty."""
        return np.cumsum(self.slots + 1) - self.slots - 1


class _Opened:
    """What rebuilding needs: pieces and slots, and the bytes of both."""

    def __init__(self, templates: _Templates, slots: Slots) -> None:
        self.slots = slots
        self.slots_of = templates.slots
        self.first_slots = templates.first_slots
        self.first_pieces = templates.first_pieces
        starts, sizes = _with_affixes(templates, slots)
        static = np.frombuffer(templates.texts.data, np.uint8)
        pieces = copy_segments(np.concatenate([static, slots.affixes]), starts, sizes)
        self.piece_sizes = sizes[::3] + sizes[1::3] + sizes[2::3]
        self.piece_starts = np.cumsum(self.piece_sizes) - self.piece_sizes
        self.text_at = len(pieces)
        self._fixed = len(pieces) + len(slots.text)
        room = np.empty(_ROOM, np.uint8)
        static = np.frombuffer(pieces, np.uint8)
        self._source = np.concatenate([static, slots.text, room])

    def source(self, numbers: U8) -> U8:
        """All bytes, with these at the end; valid until it is called again."""
        end = self._fixed + len(numbers)
        if end > len(self._source):
            self._source = np.concatenate([self._source[: self._fixed], numbers])
        self._source[self._fixed : end] = numbers
        return self._source


class MessageColumn(Column):
    """Messages as codes, templates and variables."""

    __slots__ = (
        "_codes",
        "_ids",
        "_opened",
        "_others",
        "_parsed",
        "_ranks",
        "_sources",
        "_templates",
    )

    def __init__(
        self,
        rows: int,
        codes: Source,
        variables: Source,
        templates: Source | None,
        unstructured: Source | None,
    ) -> None:
        """`templates` is None where no message has one, `unstructured` where all."""
        super().__init__(Field(MESSAGE, Kind.TEXT, Codec.PLAIN, rows, 0, 0), b"")
        self._sources = codes, variables, templates, unstructured
        self._forget()

    def _forget(self) -> None:
        self._codes: npt.NDArray[np.uint16] | None = None
        self._ranks: Ints | None = None
        self._templates: list[bytes] | None = None
        self._parsed: _Templates | None = None
        self._opened: _Opened | None = None
        self._others: Texts | None = None
        self._ids: Ids | None = None

    def forget(self) -> None:
        """Drop what can be read again."""
        super().forget()
        self._forget()

    @property
    def codes(self) -> npt.NDArray[Any]:
        """Of each row: 0 without a template, k with template k - 1."""
        if self._codes is None:
            codes = read_codes(self._sources[0].data, self.count)
            if int(codes.max()) > len(self._read_templates().texts.lengths):
                raise bad("a code is beyond the templates")
            self._codes = codes
        return self._codes

    @property
    def templates(self) -> list[bytes]:
        """The block's templates, the most frequent first."""
        if self._templates is None:
            self._templates = slices(self._read_templates().texts, 1)
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
        ids[self.codes == 0] = text_ids(self._read_others())
        return ids

    def rows_of(self, codes: Ints) -> Ints:
        """The rows, in order, that have one of the codes."""
        wanted = np.zeros(len(self.templates) + 1, np.bool_)
        wanted[codes] = True
        return np.flatnonzero(wanted[self.codes])

    def marked(self, wanted: Callable[[Slots], Mask]) -> Texts:
        """The templates, with 0xFE in the place of variables that are not wanted."""
        texts = self._read_templates().texts
        keep = wanted(self._open().slots)
        data = np.frombuffer(bytearray(texts.data), np.uint8)
        data[np.flatnonzero(data == VARIABLE[0])[~keep]] = _UNWANTED
        return Texts(texts.lengths, data.tobytes())

    def texts_of(self, rows: Ints) -> Texts:
        """Lengths and bytes of the rows' messages, each with a newline behind it."""
        parts = [
            self._texts_of(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)
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

    def _read_templates(self) -> _Templates:
        if self._parsed is None:
            source = self._sources[2]
            self._parsed = _parse_templates(None if source is None else source.data)
        return self._parsed

    def _open(self) -> _Opened:
        if self._opened is None:
            templates = self._read_templates()
            counts = np.bincount(self.codes, minlength=len(templates.slots))
            of_slots = np.repeat(counts, templates.slots)
            slots = Slots(self._sources[1].data, of_slots)
            self._opened = _Opened(templates, slots)
        return self._opened

    def _read_others(self) -> Texts:
        """The messages without a template."""
        if self._others is None:
            count, source = int(np.count_nonzero(self.codes == 0)), self._sources[3]
            if (source is None) != (count == 0):
                raise bad(f"{count} messages without a template can't be read")
            self._others = Texts(np.empty(0, np.int64), b"")
            if source is not None:
                self._others = read_texts(source.data, count, terminated=True)
        return self._others

    def _texts_of(self, rows: Ints) -> Texts:
        """Of some thousand rows."""
        plain = self.codes[rows] == 0
        if plain.all():
            return self._plain(rows)
        if not plain.any():
            return self._rebuild(rows)
        both = self._plain(rows[plain]), self._rebuild(rows[~plain])
        lengths = np.empty(len(rows), np.int64)
        lengths[plain], lengths[~plain] = both[0].lengths, both[1].lengths
        sizes = lengths + 1
        starts = np.where(plain, 0, len(both[0].data))
        for chosen in (plain, ~plain):
            starts[chosen] += np.cumsum(sizes[chosen]) - sizes[chosen]
        return Texts(lengths, copy_long(both[0].data + both[1].data, starts, sizes))

    def _plain(self, rows: Ints) -> Texts:
        others, places = self._read_others(), self._ranked(rows)
        first, last = int(places[0]), int(places[-1])
        lengths = others.lengths[places]
        ends = ends_of(others.lengths, 1)
        starts = ends - others.lengths
        if last - first + 1 == len(rows) and bool((np.diff(places) == 1).all()):
            return Texts(lengths, others.data[int(starts[first]) : int(ends[last]) + 1])
        return Texts(lengths, copy_long(others.data, starts[places], lengths + 1))

    def _ranked(self, rows: Ints) -> Ints:
        if self._ranks is None:
            self._ranks = ranks_of(self.codes)
        return self._ranks[rows]

    def _rebuild(self, rows: Ints) -> Texts:
        """Of rows with a template."""
        opened = self._open()
        codes, ranks = self.codes[rows].astype(np.int64), self._ranked(rows)
        slots = opened.slots_of[codes]
        ends = np.cumsum(2 * slots + 1)
        firsts = ends - 2 * slots - 1
        starts, sizes = np.empty((2, int(ends[-1])), np.int64)
        # pieces stand at the even places of each row, values at the odd ones
        places, begins = places_of(opened.first_pieces[codes], slots + 1)
        at = 2 * np.arange(len(places)) - np.repeat(np.arange(len(rows)), slots + 1)
        starts[at], sizes[at] = opened.piece_starts[places], opened.piece_sizes[places]
        inner = np.ones(len(at), np.bool_)
        inner[begins + slots] = False
        at = at[inner] + 1
        which, _ = places_of(opened.first_slots[codes], slots)
        values = opened.slots.values(which, np.repeat(ranks, slots))
        starts[at], sizes[at] = values.starts + opened.text_at, values.sizes
        lengths = np.add.reduceat(sizes, firsts) - 1
        return Texts(
            lengths, copy_segments(opened.source(values.numbers), starts, sizes)
        )


def _with_affixes(templates: _Templates, slots: Slots) -> tuple[Ints, Ints]:
    """Three segments for each piece: the suffix before it, itself, the prefix behind.

    Affixes stand behind the templates' bytes.
    """
    starts = np.zeros((len(templates.starts), 3), np.int64)
    sizes = np.zeros_like(starts)
    starts[:, 1], sizes[:, 1] = templates.starts, templates.sizes
    code = np.repeat(np.arange(len(templates.slots)), templates.slots)
    before = np.arange(len(code)) + code
    both = slots.prefixes + slots.suffixes
    at = np.cumsum(both) - both + len(templates.texts.data)
    starts[before, 2], sizes[before, 2] = at, slots.prefixes
    starts[before + 1, 0] = at + slots.prefixes
    sizes[before + 1, 0] = slots.suffixes
    return starts.reshape(-1), sizes.reshape(-1)


def read_templates(data: Bytes) -> list[bytes]:
    """The templates of the column `templates`; raises FrameError."""
    return slices(_parse_templates(data).texts, 1)


def _parse_templates(data: Bytes | None) -> _Templates:
    none = np.zeros(1, np.int64)
    if data is None:
        return _Templates(Texts(none[:0], b""), none, none, none)
    if len(data) < COUNT.size:
        raise bad("templates are cut off")
    (count,) = COUNT.unpack_from(data)
    texts = read_texts(memoryview(data)[COUNT.size :], count, terminated=True)
    # a piece stops before a variable or with its template's newline
    borders = np.frombuffer(texts.data, np.uint8) == VARIABLE[0]
    newlines = ends_of(texts.lengths, 1)
    borders[newlines] = True
    stops = np.flatnonzero(borders)
    last = np.searchsorted(stops, newlines)
    starts = np.concatenate([none, none, stops[:-1] + 1])
    sizes = np.concatenate([none, stops]) - starts
    sizes[last + 1] += 1
    slots = np.diff(last, prepend=-1) - 1
    return _Templates(texts, starts, sizes, np.concatenate([none, slots]))


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
