"""The messages of a compacted block, rebuilt when asked for: of all rows or of some.

A `MessageColumn` does whatever a TEXT column does, and knows its templates besides, so
that a question about text can be asked of a few templates instead of many messages.

Strategy: a text is pieces of its template and values, alternately; where each begins
and how long it is follows from codes and slots, and one gather copies all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column, Field
from pipeline.batch.distinct import distinct
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
from pipeline.store.codes import ranks_of, read_codes
from pipeline.store.pieces import Templates, parse_templates
from pipeline.store.slots import Held, Mask, Slots
from pipeline.store.stretches import U8, copy_long, copy_segments, places_of
from pipeline.store.templates import Ids, ids_of, text_ids

_ROWS: Final = 4096
"""Rows rebuilt together: their arrays stay in the cache, and memory is bounded."""

_FEW: Final = 512
"""Rows of which the ranks are found, and the pieces put together, without those of all
others: of some 3,000 templates that took 1 ms more."""

_ROOM: Final = 1 << 16
"""Bytes for the text of numbers, enough for a page of rows."""

_LENGTH: Final = 4
"""Bytes of a length in the TEXT data of rebuilt messages."""


class Source(Protocol):
    """A stored column that gives its data when asked."""

    @property
    def data(self) -> Bytes:
        """Decompressed."""
        ...

    def read_ahead(self) -> None:
        """Decompress in another thread what `data` will give."""

    def drop_ahead(self) -> bool:
        """Let go of that; whether nobody had asked for it."""
        ...


class _Opened:
    """What rebuilding needs: pieces and slots, and the bytes of both."""

    def __init__(self, templates: Templates, slots: Slots, codes: Ints) -> None:
        """To rebuild messages of these codes, in increasing order."""
        self.slots = slots
        self.slots_of = templates.slots
        self.first_slots = templates.first_slots
        self.first_pieces = templates.first_pieces
        self.piece_starts = templates.starts.copy()
        self.piece_sizes = templates.sizes.copy()
        pieces = templates.texts.data + self._add_affixes(templates, slots, codes)
        self.text_at = len(pieces)
        self._fixed = len(pieces) + len(slots.text)
        room = np.empty(_ROOM, np.uint8)
        static = np.frombuffer(pieces, np.uint8)
        self._source = np.concatenate([static, slots.text, room])

    def _add_affixes(self, templates: Templates, slots: Slots, codes: Ints) -> bytes:
        """Pieces with the suffix of the slot before or the prefix of that behind.

        They stand behind the templates; most pieces stay where they are, in these.
        """
        both = slots.prefixes + slots.suffixes
        of_codes = templates.slots[codes]
        with_any, _ = places_of(self.first_slots[codes], of_codes)
        before = with_any + np.repeat(codes, of_codes)
        affixed = both[with_any] > 0
        with_any, before = with_any[affixed], before[affixed]
        changed = np.zeros(len(self.piece_starts), np.bool_)
        changed[before] = changed[before + 1] = True
        chosen = np.flatnonzero(changed)
        data = templates.texts.data
        at = (np.cumsum(both) - both)[with_any] + len(data)
        starts, sizes = np.zeros((2, len(chosen), 3), np.int64)
        starts[:, 1], sizes[:, 1] = self.piece_starts[chosen], self.piece_sizes[chosen]
        place = np.searchsorted(chosen, before)
        starts[place, 2], sizes[place, 2] = at, slots.prefixes[with_any]
        place = np.searchsorted(chosen, before + 1)
        starts[place, 0] = at + slots.prefixes[with_any]
        sizes[place, 0] = slots.suffixes[with_any]
        self.piece_sizes[chosen] = total = sizes.sum(1)
        self.piece_starts[chosen] = np.cumsum(total) - total + len(data)
        source = np.concatenate([np.frombuffer(data, np.uint8), slots.affixes])
        return copy_segments(source, starts.reshape(-1), sizes.reshape(-1))

    @property
    def held_bytes(self) -> int:
        """Memory that it takes without the slots, about."""
        return self._source.nbytes + 2 * self.piece_starts.nbytes

    def source(self, digits: U8) -> U8:
        """All bytes, with these at the end; valid until it is called again."""
        end = self._fixed + len(digits)
        if end > len(self._source):
            self._source = np.concatenate([self._source[: self._fixed], digits])
        self._source[self._fixed : end] = digits
        return self._source


class MessageColumn(Column):
    """Messages as codes, templates and variables."""

    __slots__ = (
        "_codes",
        "_declared",
        "_ids",
        "_opened",
        "_others",
        "_parsed",
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
        unstructured: Source | None,
        template_count: int | None = None,
    ) -> None:
        """`templates` is None where no message has one, `unstructured` where all.

        `template_count` is what the directory says: few questions read them then.
        """
        self._declared = 0 if templates is None else template_count
        super().__init__(Field(MESSAGE, Kind.TEXT, Codec.PLAIN, rows, 0, 0), b"")
        self._sources = codes, variables, templates, unstructured
        self._forget()

    def _forget(self) -> None:
        self._codes: npt.NDArray[np.uint16] | None = None
        self._ranks: Ints | None = None
        self._templates: list[bytes] | None = None
        self._parsed: Templates | None = None
        self._slots: Slots | None = None
        self._opened: _Opened | None = None
        self._others: Texts | None = None
        self._ids: Ids | None = None

    @property
    def held_bytes(self) -> int:
        """Memory that codes, ranks and what rebuilding needs take, about."""
        total = super().held_bytes
        for numbers in (self._codes, self._ranks):
            total += 0 if numbers is None else numbers.nbytes
        for texts in (self._others, self._parsed and self._parsed.texts):
            total += 0 if texts is None else texts.lengths.nbytes + len(texts.data)
        if self._parsed is not None:
            total += 2 * self._parsed.starts.nbytes
        for parts in (self._slots, self._opened):
            total += 0 if parts is None else parts.held_bytes
        return total

    @property
    def parts_read(self) -> list[int]:
        """Which of the sources were read."""
        parts = self._codes, self._slots, self._parsed, self._others
        return [at for at, part in enumerate(parts) if part is not None]

    def read_ahead(self, parts: Sequence[int]) -> None:
        """Have these sources decompressed while something else is done."""
        for part in parts:
            source = self._sources[part]
            if source is not None:
                source.read_ahead()

    def drop_ahead(self) -> bool:
        """Let go of what was read ahead in vain, which `held_bytes` does not count."""
        dropped = [source.drop_ahead() for source in self._sources if source]
        return any(dropped)

    def forget(self) -> None:
        """Drop what can be read again."""
        super().forget()
        self._forget()

    @property
    def codes(self) -> npt.NDArray[Any]:
        """Of each row: 0 without a template, k with template k - 1."""
        if self._codes is None:
            codes = read_codes(self._sources[0].data, self.count)
            if int(codes.max()) > self.template_count:
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
    def template_count(self) -> int:
        """How many `templates` there are, which need not be taken apart for it."""
        if self._declared is not None:
            return self._declared
        return len(self._read_templates().texts.lengths)

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
        plain, others = self.codes == 0, text_ids(self._read_others())
        if len(others) != np.count_nonzero(plain):
            raise bad(f"{len(others)} messages where their lengths say otherwise")
        ids[plain] = others
        return ids

    def rows_of(self, codes: Ints) -> Ints:
        """The rows, in order, that have one of the codes."""
        wanted = np.zeros(self.template_count + 1, np.bool_)
        wanted[codes] = True
        return np.flatnonzero(wanted[self.codes])

    def lacking(self, run: bytes) -> Mask:
        """Slots of texts of which none has a folded run."""
        return self._read_slots().lacking(run)

    def held(self) -> Held:
        """What the variables of each slot may have; worth keeping."""
        return self._read_slots().held()

    @property
    def first_slots(self) -> Ints:
        """The first slot of each of `templates`."""
        return self._read_templates().first_slots[1:]

    def unstructured(self) -> Texts:
        """The messages of the rows with code 0, in their order."""
        return self._read_others()

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

    def _read_templates(self) -> Templates:
        if self._parsed is None:
            source = self._sources[2]
            parsed = parse_templates(None if source is None else source.data)
            count = len(parsed.texts.lengths)
            if self._declared not in (None, count):
                raise bad(f"{count} templates; the directory has {self._declared}")
            self._parsed = parsed
        return self._parsed

    def _open(self, codes: Ints) -> _Opened:
        """For the rows of these codes; for those of all codes it is kept."""
        if self._opened is None:
            templates, slots = self._read_templates(), self._read_slots()
            if len(codes) <= _FEW:
                return _Opened(templates, slots, distinct(codes))
            every = np.arange(len(templates.slots))
            self._opened = _Opened(templates, slots, every)
        return self._opened

    def _read_slots(self) -> Slots:
        if self._slots is None:
            templates = self._read_templates()
            counts = np.bincount(self.codes, minlength=len(templates.slots))
            of_slots = np.repeat(counts, templates.slots)
            self._slots = Slots(self._sources[1].data, of_slots)
        return self._slots

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
        """The how-manieth row of its code each row is; of few, only their codes are
        looked at."""
        if self._ranks is None and len(rows) <= _FEW:
            among = self.rows_of(self.codes[rows])
            return ranks_of(self.codes[among])[np.searchsorted(among, rows)]
        if self._ranks is None:
            self._ranks = ranks_of(self.codes)
        return self._ranks[rows]

    def _rebuild(self, rows: Ints) -> Texts:
        """Of rows with a template."""
        codes, ranks = self.codes[rows].astype(np.int64), self._ranked(rows)
        opened = self._open(codes)
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
            lengths, copy_segments(opened.source(values.digits), starts, sizes)
        )
