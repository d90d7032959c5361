"""The column `variables`: what differs between messages of one template.

A slot is one variable of one template; its values stand together, in the order of rows,
slots in the order of templates (g slots in all).  Data::

    slots u32 | text_bytes u32 | bases_bytes u32
    g x form u8      0 text, 1 decimal, 2 decimal of a fixed number of digits
    g x width u8     bytes of each number, 0 where all are the base; text: 0
    g x digits u8    form 2: digits of each number; else 0
    bases            INT64 data, one of each slot with numbers
    for width 1, 2, 4, 8: the numbers less their slot's base, of all slots of that
                     width, as byte planes, lowest first
    texts            each value of a text slot, and \\n (no variable has one inside)
    the messages without a template, as TEXT data

A slot is decimal where every value reads the same when written as a number: digits
only, at most 18, no leading zero; fixed, where all have the same number of digits.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.read import UNSIGNED, Ints, Texts, bad, read_integers, read_texts
from pipeline.batch.seal import integers
from pipeline.compression import Bytes
from pipeline.store.digits import (
    DIGITS_MAX,
    Unsigned,
    padded,
    parse_numbers,
    write_numbers,
)

_HEAD: Final = struct.Struct(
    "<"
    "I"  # slots => u32
    "I"  # text_bytes => u32
    "I"  # bases_bytes => u32
)
TEXT, DECIMAL, FIXED = 0, 1, 2
_WIDTHS: Final = (1, 2, 4, 8)
_SPANS: Final = np.array([0, 0xFF, 0xFFFF, 0xFFFFFFFF], np.uint64)
_WIDTH_OF: Final = np.array([0, *_WIDTHS])
_NEWLINE: Final = 0x0A

U8 = npt.NDArray[np.uint8]


class Variables(NamedTuple):
    """Places of values in the data, slot by slot, and how many each slot has."""

    starts: Ints
    sizes: Ints
    digits: Ints
    counts: Ints


def pack_slots(data: bytes, values: Variables, rest: bytes) -> bytes:
    """The column; `rest` are the messages without a template as TEXT data."""
    forms, digits = _forms(data, values)
    numeric = np.repeat(forms != TEXT, values.counts)
    numbers, bases, widths = _numbers(data, values, forms, numeric)
    texts = gather(data, values.starts[~numeric], values.sizes[~numeric])
    parts = [form.astype(np.uint8).tobytes() for form in (forms, widths, digits)]
    head = _HEAD.pack(len(forms), len(texts), len(bases))
    return b"".join([head, *parts, bases, *numbers, texts, rest])


def _forms(data: bytes, values: Variables) -> tuple[Ints, Ints]:
    """Form and fixed digits of each slot."""
    if not len(values.counts):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, sizes, digits, counts = values
    firsts = np.cumsum(counts) - counts
    number = (digits == sizes) & (sizes <= DIGITS_MAX)
    leading = np.frombuffer(data, np.uint8)[values.starts] == ord("0")
    plain = number & ~(leading & (sizes > 1))
    decimal = np.logical_and.reduceat(plain, firsts)
    longest = np.maximum.reduceat(sizes, firsts)
    fixed = np.logical_and.reduceat(number, firsts)
    fixed &= longest == np.minimum.reduceat(sizes, firsts)
    forms = np.where(decimal, DECIMAL, np.where(fixed, FIXED, TEXT))
    return forms, np.where(forms == FIXED, longest, 0)


def _numbers(
    data: bytes, values: Variables, forms: Ints, numeric: npt.NDArray[np.bool_]
) -> tuple[list[bytes], bytes, Ints]:
    """Byte planes of each width, the bases, and the width of each slot."""
    widths = np.zeros(len(forms), np.int64)
    counts = values.counts[forms != TEXT]
    if not len(counts):
        return [], b"", widths
    starts, sizes = values.starts[numeric], values.sizes[numeric]
    numbers = parse_numbers(padded(data), starts, sizes)
    firsts = np.cumsum(counts) - counts
    low = np.minimum.reduceat(numbers, firsts)
    spans = np.maximum.reduceat(numbers, firsts) - low
    width = _WIDTH_OF[np.searchsorted(_SPANS, spans)]
    widths[forms != TEXT] = width
    numbers -= np.repeat(low, counts)
    wide = np.repeat(width, counts)
    planes = [_planes(numbers[wide == size], size) for size in _WIDTHS]
    return planes, integers(low.view(np.int64)), widths


def _planes(numbers: Unsigned, width: int) -> bytes:
    narrow = numbers.astype(UNSIGNED[width])
    return narrow.view(np.uint8).reshape(len(numbers), width).T.tobytes()


def gather(data: bytes, starts: Ints, sizes: Ints) -> bytes:
    """Values from anywhere in the data, each with a newline behind it."""
    ends = np.cumsum(sizes + 1)
    places = np.repeat(starts - (ends - sizes - 1), sizes + 1)
    places += np.arange(len(places))
    found = np.frombuffer(data, np.uint8)[places]
    found[ends - 1] = _NEWLINE
    return bytes(found)


class Values(NamedTuple):
    """Where the text of each value stands in `data`."""

    data: U8
    starts: Ints
    sizes: Ints


class Slots:
    """The column opened: any of its values as text, and the other messages."""

    def __init__(self, data: Bytes, counts: Ints, others: int) -> None:
        """`counts`: values of each slot; `others`: messages without a template."""
        view = memoryview(data)
        if len(view) < _HEAD.size:
            raise bad("variables are cut off")
        slots, text_bytes, bases_bytes = _HEAD.unpack_from(view)
        at = _HEAD.size + 3 * slots
        if slots != len(counts) or len(view) < at + bases_bytes:
            raise bad(f"variables of {slots} slots; the templates have {len(counts)}")
        heads = np.frombuffer(view[_HEAD.size : at], np.uint8).reshape(3, slots)
        self._forms, self._widths, self._digits = heads.astype(np.int64)
        self._check()
        self._bases = np.zeros(slots, np.uint64)
        numeric = self._forms != TEXT
        if numeric.any():
            bases = read_integers(view[at : at + bases_bytes], int(numeric.sum()))
            self._bases[numeric] = bases.view(np.uint64)
        elif bases_bytes:
            raise bad("bases without a slot of numbers")
        at += bases_bytes
        self._firsts = np.zeros(slots, np.int64)
        self._planes: dict[int, U8] = {}
        for width in _WIDTHS:
            chosen = self._widths == width
            total = self._place(chosen, counts)
            if len(view) < at + width * total:
                raise bad("numbers of variables are cut off")
            planes = np.frombuffer(view[at : at + width * total], np.uint8)
            self._planes[width] = planes.reshape(width, total)
            at += width * total
        self._read_texts(view[at : at + text_bytes], text_bytes, counts)
        self.others = _others(view[at + text_bytes :], others)

    def _check(self) -> None:
        text = self._forms == TEXT
        wrong = (self._forms > FIXED) | (self._digits > DIGITS_MAX)
        wrong |= ~np.isin(self._widths, _WIDTH_OF) | (text & (self._widths > 0))
        if wrong.any():
            raise bad("variables of an unknown form")

    def _place(self, chosen: npt.NDArray[np.bool_], counts: Ints) -> int:
        """Where each of these slots begins among them; the values of all."""
        ends = np.cumsum(counts[chosen])
        self._firsts[chosen] = ends - counts[chosen]
        return int(ends[-1]) if len(ends) else 0

    def _read_texts(self, view: memoryview, size: int, counts: Ints) -> None:
        if len(view) != size:
            raise bad("texts of variables are cut off")
        self._text = np.frombuffer(view, np.uint8)
        self._ends = np.flatnonzero(self._text == _NEWLINE)
        total = self._place(self._forms == TEXT, counts)
        last = int(self._ends[-1]) + 1 if len(self._ends) else 0
        if len(self._ends) != total or last != size:
            raise bad(f"{len(self._ends)} texts of variables; there are {total}")

    def values(self, slots: Ints, ranks: Ints) -> Values:
        """The text of some values: the rank-th of each slot."""
        starts = np.empty(len(slots), np.int64)
        sizes = np.empty(len(slots), np.int64)
        text = self._forms[slots] == TEXT
        places = self._firsts[slots[text]] + ranks[text]
        ends = self._ends[places]
        # before the first text stands, as if it were a newline, place -1
        starts[text] = np.where(places > 0, self._ends[places - 1], -1) + 1
        sizes[text] = ends - starts[text]
        numeric = ~text
        numbers = self._numbers(slots[numeric], ranks[numeric])
        written = write_numbers(numbers, self._digits[slots[numeric]])
        starts[numeric] = written.starts + len(self._text)
        sizes[numeric] = written.sizes
        return Values(np.concatenate([self._text, written.data]), starts, sizes)

    def _numbers(self, slots: Ints, ranks: Ints) -> Unsigned:
        numbers = self._bases[slots]
        widths = self._widths[slots]
        for width, planes in self._planes.items():
            chosen = np.flatnonzero(widths == width)
            places = self._firsts[slots[chosen]] + ranks[chosen]
            for level, plane in enumerate(planes):
                part = plane[places].astype(np.uint64) << np.uint64(8 * level)
                numbers[chosen] += part
        return numbers


def _others(view: memoryview, count: int) -> Texts:
    if count:
        return read_texts(view, count, terminated=True)
    if len(view):
        raise bad(f"{len(view)} bytes behind the variables")
    return Texts(np.empty(0, np.int64), b"")
