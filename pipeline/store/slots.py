"""The column `variables`: what differs between messages of one template.

A slot is one variable of one template; its values stand together, in the order of rows,
slots in the order of templates (g slots in all), written as `forms` says.  Data::

    slots u32 | bases_bytes u32 | affix_bytes u32 | hex_bytes u32 | text_bytes u32
    g x form u8      0 TEXT, 1 DECIMAL, 2 MARKED, 3 HEX
    g x width u8     bytes of each number, 0 where all are the base; HEX: digits
    g x prefix u8    bytes that all values of the slot begin with
    g x suffix u8    bytes that they end with
    bases            INT64 data, one of each DECIMAL or MARKED slot
    affixes          prefix and suffix of each slot
    for width 1, 2, 4, 8: the numbers less their slot's base, of all slots of that
                     width, as byte planes, lowest first
    hex              two digits a byte; an odd number of them has a zero in front
    texts            each value of a TEXT slot, and \\n (no variable has one inside)
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.read import Ints, bad, read_integers
from pipeline.compression import Bytes
from pipeline.store.digits import Unsigned, write_numbers
from pipeline.store.forms import (
    DECIMAL,
    HEX,
    MARKED,
    TEXT,
)
from pipeline.store.stretches import U8, places_of

HEAD: Final = struct.Struct(
    "<"
    "I"  # slots => u32
    "I"  # bases_bytes => u32
    "I"  # affix_bytes => u32
    "I"  # hex_bytes => u32
    "I"  # text_bytes => u32
)
WIDTHS: Final = (1, 2, 4, 8)
_NUMBERS: Final = 5
_SECTIONS: Final = np.zeros(256, np.int64)
"""Section of a slot's numbers by width: none when they are all the base."""
_SECTIONS[[0, *WIDTHS]] = range(_NUMBERS - 1, _NUMBERS + len(WIDTHS))
_SECTION_COUNT: Final = _NUMBERS + len(WIDTHS)
_NEWLINE: Final = 0x0A

_ARRAYS: Final = 7
"""Numbers of 8 bytes that are kept of each slot."""

_PIECE: Final = 1 << 17
"""Bytes looked at together."""


def _bit_table() -> npt.NDArray[np.uint64]:
    """A bit for each digit and letter, whatever its case, and one for other bytes."""
    table = np.full(256, 1 << 36, np.uint64)
    for place, byte in enumerate(b"0123456789abcdefghijklmnopqrstuvwxyz"):
        table[[byte, ord(chr(byte).upper())]] = 1 << place
    table[_NEWLINE] = 0
    return table


_BITS: Final = _bit_table()
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 by the golden ratio: Knuth's multiplicative hash (TAOCP 3, 6.4)."""

_SIZE_SHIFT: Final = np.uint64(40)
_DIGITS: Final = np.uint64((1 << 10) - 1)
_HEX_DIGITS: Final = np.uint64((1 << 16) - 1)

Mask = npt.NDArray[np.bool_]


class Values(NamedTuple):
    """Where the text of each value stands: in `Slots.text`, or behind in `digits`."""

    starts: Ints
    sizes: Ints
    digits: U8


class _Reader:
    """The sections of the column, one after another."""

    def __init__(self, data: Bytes) -> None:
        self._view = memoryview(data)

    def take(self, size: int) -> memoryview:
        """The next bytes; raises FrameError."""
        if len(self._view) < size:
            raise bad("variables are cut off")
        taken, self._view = self._view[:size], self._view[size:]
        return taken

    def end(self) -> None:
        """Nothing may be left."""
        if len(self._view):
            raise bad(f"{len(self._view)} bytes behind the variables")


class Held(NamedTuple):
    """What the values of each slot may have, without the values: two bytes a slot."""

    kinds: npt.NDArray[np.uint64]
    """Distinct ones: a bit of `_BITS` for each byte that a value may have, and above
    them how long all values are, 0 where that isn't known."""
    of_slots: npt.NDArray[np.unsignedinteger[Any]]
    """The kind of each slot."""

    def may_hold(self, run: bytes, whole: bool) -> Mask:
        """Slots of which a value may have a folded run, or be it."""
        wanted = np.bitwise_or.reduce(_BITS[np.frombuffer(run, np.uint8)])
        found: Mask = (self.kinds & wanted) == wanted
        if whole:
            sizes = self.kinds >> _SIZE_SHIFT
            found &= (sizes == 0) | (sizes == len(run))
        of_slots: Mask = found[self.of_slots]
        return of_slots


class Slots:
    """The column opened: any of its values as text."""

    def __init__(self, data: Bytes, counts: Ints) -> None:
        """`counts`: values of each slot."""
        reader = _Reader(data)
        self._size = len(data)
        slots, bases, affixes, hexes, texts = HEAD.unpack(reader.take(HEAD.size))
        if slots != len(counts):
            raise bad(f"variables of {slots} slots; the templates have {len(counts)}")
        heads = np.frombuffer(reader.take(4 * slots), np.uint8).reshape(4, slots)
        forms, widths, self.prefixes, self.suffixes = heads.astype(np.int64)
        self._forms, self._widths, self._counts = forms, widths, counts
        self._numeric = (forms == DECIMAL) | (forms == MARKED)
        self._check()
        self._bases = self._read_bases(reader.take(bases))
        self.affixes = np.frombuffer(reader.take(affixes), np.uint8)
        if len(self.affixes) != int((self.prefixes + self.suffixes).sum()):
            raise bad("affixes of variables don't add up")
        totals = self._place()
        self._planes = {
            width: _read_planes(reader, width, int(total))
            for width, total in zip(WIDTHS, totals[_NUMBERS:], strict=True)
        }
        self._hexes = np.frombuffer(reader.take(hexes), np.uint8)
        self.text = np.frombuffer(reader.take(texts), np.uint8)
        self._ends = _read_ends(self.text, int(totals[TEXT]))
        reader.end()
        if len(self._hexes) != int(totals[HEX]):
            raise bad("digits of variables don't add up")

    @property
    def held_bytes(self) -> int:
        """Memory that it takes, about."""
        return self._size + self._ends.nbytes + _ARRAYS * self._firsts.nbytes

    def _check(self) -> None:
        wrong = self._forms > HEX
        wrong |= self._numeric & (_SECTIONS[self._widths] == 0)
        wrong |= (self._forms == TEXT) & (self._widths > 0)
        if wrong.any():
            raise bad("variables of an unknown form")

    def _read_bases(self, view: memoryview) -> Unsigned:
        bases = np.zeros(len(self._forms), np.uint64)
        count = int(self._numeric.sum())
        if count:
            bases[self._numeric] = read_integers(view, count).view(np.uint64)
        elif len(view):
            raise bad("bases without a slot of numbers")
        return bases

    def _place(self) -> Ints:
        """Where each slot begins in its section: texts, hex, none, numbers by width.

        The sizes of the sections: of texts and numbers how many, of hex bytes.
        """
        section = np.where(self._numeric, _SECTIONS[self._widths], self._forms)
        bytes_each = np.where(self._forms == HEX, (self._widths + 1) // 2, 1)
        order = np.argsort(section.astype(np.uint8), kind="stable")
        sizes = (bytes_each * self._counts)[order]
        totals = np.bincount(section, bytes_each * self._counts, _SECTION_COUNT)
        totals = totals.astype(np.int64)
        begins = np.cumsum(totals) - totals
        self._firsts = np.empty(len(order), np.int64)
        self._firsts[order] = np.cumsum(sizes) - sizes - begins[section[order]]
        return totals

    def held(self) -> Held:
        """What the values may have, for questions that come later."""
        size = self.prefixes + self.suffixes
        ends = np.cumsum(size)
        bits = np.zeros(len(size), np.uint64)
        bits[self._numeric] = _DIGITS
        bits[self._forms == HEX] = _HEX_DIGITS
        fixed = np.flatnonzero(size)
        bits[fixed] |= _union(self.affixes, (ends - size)[fixed])
        text = np.flatnonzero((self._forms == TEXT) & (self._counts > 0))
        bits[text] |= _union(self.text, self._ends[self._firsts[text]] + 1)
        sizes = np.where(self._forms == HEX, size + self._widths, 0)
        bits |= sizes.astype(np.uint64) << _SIZE_SHIFT
        return _shared(bits)

    def lacking(self, run: bytes) -> Mask:
        """Slots of texts without affixes, if none of all texts has a folded run."""
        mask: Mask = (self._forms == TEXT) & (self.prefixes + self.suffixes == 0)
        if run in self.text.tobytes().lower():
            mask[:] = False
        return mask

    def values(self, slots: Ints, ranks: Ints) -> Values:
        """The text of some values, without affixes: the rank-th of each slot."""
        starts = np.empty(len(slots), np.int64)
        sizes = np.empty(len(slots), np.int64)
        forms = self._forms[slots]
        text = np.flatnonzero(forms == TEXT)
        places = self._firsts[slots[text]] + ranks[text]
        starts[text] = self._ends[places] + 1
        sizes[text] = self._ends[places + 1] - starts[text]
        numeric = np.flatnonzero((forms == DECIMAL) | (forms == MARKED))
        written = write_numbers(self._read_numbers(slots[numeric], ranks[numeric]))
        mark = forms[numeric] == MARKED
        starts[numeric] = written.starts + len(self.text) + mark
        sizes[numeric] = written.sizes - mark
        digits = np.flatnonzero(forms == HEX)
        hexes, begins, of_hex = self._read_hex(slots[digits], ranks[digits])
        starts[digits] = begins + len(self.text) + len(written.data)
        sizes[digits] = of_hex
        return Values(starts, sizes, np.concatenate([written.data, hexes]))

    def _read_hex(self, slots: Ints, ranks: Ints) -> tuple[U8, Ints, Ints]:
        """Digits of values, where each one's begin, and how many they are."""
        sizes = self._widths[slots]
        held = (sizes + 1) // 2
        places, begins = places_of(self._firsts[slots] + held * ranks, held)
        digits = self._hexes[places].tobytes().hex().encode()
        return np.frombuffer(digits, np.uint8), 2 * begins + (sizes & 1), sizes

    def _read_numbers(self, slots: Ints, ranks: Ints) -> Unsigned:
        numbers = self._bases[slots]
        widths = self._widths[slots]
        for width, planes in self._planes.items():
            chosen = np.flatnonzero(widths == width)
            places = self._firsts[slots[chosen]] + ranks[chosen]
            for level, plane in enumerate(planes):
                part = plane[places].astype(np.uint64) << np.uint64(8 * level)
                numbers[chosen] += part
        return numbers


def _shared(bits: npt.NDArray[np.uint64]) -> Held:
    """Equal bits of slots stand once, or nearly: two that have the same hash may
    alternate. Sorting 16 bits takes a tenth of what sorting 64 does."""
    hashes = (bits * _SPREAD >> np.uint64(48)).astype(np.uint16)
    order = np.argsort(hashes, kind="stable")
    ordered = bits[order]
    is_new = np.ones(len(order), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    kinds = ordered[is_new]
    of_slots = np.empty(len(order), np.int64)
    of_slots[order] = np.cumsum(is_new) - 1
    narrow = np.uint16 if len(kinds) < 1 << 16 else np.uint32
    return Held(kinds, of_slots.astype(narrow))


def _union(data: U8, starts: Ints) -> npt.NDArray[np.uint64]:
    """The bits of the bytes from each start to the next one."""
    found = np.zeros(len(starts), np.uint64)
    for at in range(0, len(data), _PIECE):
        piece = _BITS[data[at : at + _PIECE]]
        first = int(np.searchsorted(starts, at, "right")) - 1
        last = int(np.searchsorted(starts, at + len(piece)))
        cuts = np.maximum(starts[first:last] - at, 0)
        found[first:last] |= np.bitwise_or.reduceat(piece, cuts)
    return found


def _read_planes(reader: _Reader, width: int, total: int) -> U8:
    planes = np.frombuffer(reader.take(width * total), np.uint8)
    return planes.reshape(width, total)


def _read_ends(text: U8, total: int) -> Ints:
    """Where each text ends, and before the first one -1."""
    ends = np.flatnonzero(text == _NEWLINE)
    last = int(ends[-1]) + 1 if len(ends) else 0
    if len(ends) != total or last != len(text):
        raise bad(f"{len(ends)} texts of variables; there are {total}")
    return np.concatenate([[-1], ends])
