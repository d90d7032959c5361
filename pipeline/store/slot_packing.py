"""The column `variables` written: what `slots` reads, a few slots at a time.

Each step takes some thousand values, so that its arrays stay in the cache; what is
packed of them is a tenth as large.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.read import UNSIGNED, Ints
from pipeline.batch.seal import integers
from pipeline.store.digits import POWERS, Words, parse_numbers
from pipeline.store.forms import (
    DECIMAL,
    HEX,
    MARKED,
    TEXT,
    Shapes,
    Variables,
    shapes_of,
)
from pipeline.store.slots import HEAD, WIDTHS
from pipeline.store.stretches import copy_segments, gather, places_of

_SPANS: Final = np.array([0, 0xFF, 0xFFFF, 0xFFFFFFFF], np.uint64)
_WIDTH_OF: Final = np.array([0, *WIDTHS])
_ZERO: Final = ord("0")


class _Packed(NamedTuple):
    """Some slots, in the sections of the column."""

    heads: Ints
    """Form, width, prefix and suffix of each."""
    bases: Ints
    affixes: bytes
    numbers: list[npt.NDArray[np.unsignedinteger[Any]]]
    """Of each width."""
    hexes: bytes
    texts: bytes


def pack_slots(data: bytes, words: Words, values: Iterable[Variables]) -> bytes:
    """The column of these values, of some slots after others."""
    parts = [_pack(data, words, part) for part in values]
    if not parts:
        return HEAD.pack(0, 0, 0, 0, 0)
    heads, bases, affixes, numbers, hexes, texts = zip(*parts, strict=True)
    head = np.concatenate(heads, axis=1)
    low = np.concatenate(bases)
    sections = [integers(low) if len(low) else b""]
    sections += [b"".join(each) for each in (affixes, hexes, texts)]
    planes = map(_planes, map(np.concatenate, zip(*numbers, strict=True)))
    return b"".join(
        [
            HEAD.pack(head.shape[1], *map(len, sections)),
            head.astype(np.uint8).tobytes(),
            *sections[:2],
            *planes,
            *sections[2:],
        ]
    )


def _pack(data: bytes, words: Words, values: Variables) -> _Packed:
    shapes = shapes_of(data, words, values)
    numbers, bases, widths = _numbers(words, values, shapes)
    widths += shapes.hex_digits
    affixes = _affixes(data, values, shapes)
    text = np.repeat(shapes.forms == TEXT, values.counts)
    texts = gather(data, shapes.starts[text], shapes.sizes[text])
    digits = np.repeat(shapes.forms == HEX, values.counts)
    hexes = _hex(data, shapes.starts[digits], shapes.sizes[digits])
    heads = np.stack([shapes.forms, widths, shapes.prefixes, shapes.suffixes])
    return _Packed(heads, bases, affixes, numbers, hexes, texts)


def _numbers(
    words: Words, values: Variables, shapes: Shapes
) -> tuple[list[npt.NDArray[np.unsignedinteger[Any]]], Ints, Ints]:
    """The numbers of each width, the bases, and the width of each slot."""
    widths = np.zeros(len(values.counts), np.int64)
    numeric = (shapes.forms == DECIMAL) | (shapes.forms == MARKED)
    counts = values.counts[numeric]
    if not len(counts):
        none = [np.empty(0, UNSIGNED[width]) for width in WIDTHS]
        return none, np.empty(0, np.int64), widths
    chosen = np.flatnonzero(np.repeat(numeric, values.counts))
    sizes = shapes.sizes[chosen]
    numbers = parse_numbers(words, shapes.starts[chosen], sizes)
    marked = np.flatnonzero(np.repeat(shapes.forms[numeric] == MARKED, counts))
    numbers[marked] += POWERS[sizes[marked]]
    firsts = np.cumsum(counts) - counts
    low = np.minimum.reduceat(numbers, firsts)
    spans = np.maximum.reduceat(numbers, firsts) - low
    width = _WIDTH_OF[np.searchsorted(_SPANS, spans)]
    widths[numeric] = width
    numbers -= np.repeat(low, counts)
    wide = np.repeat(width, counts)
    narrow = [numbers[wide == size].astype(UNSIGNED[size]) for size in WIDTHS]
    return narrow, low.view(np.int64), widths


def _planes(numbers: npt.NDArray[np.unsignedinteger[Any]]) -> bytes:
    width = numbers.dtype.itemsize
    return numbers.view(np.uint8).reshape(len(numbers), width).T.tobytes()


def _affixes(data: bytes, values: Variables, shapes: Shapes) -> bytes:
    """Prefix and suffix of each slot, as its first value has them."""
    first = np.cumsum(values.counts) - values.counts
    begins, ends = values.starts[first], values.starts[first] + values.sizes[first]
    starts = np.column_stack([begins, ends - shapes.suffixes]).reshape(-1)
    sizes = np.column_stack([shapes.prefixes, shapes.suffixes]).reshape(-1)
    return copy_segments(np.frombuffer(data, np.uint8), starts, sizes)


def _hex(data: bytes, starts: Ints, sizes: Ints) -> bytes:
    """Two digits a byte."""
    odd = sizes & 1
    places, begins = places_of(starts - odd, sizes + odd)
    digits = np.frombuffer(data, np.uint8)[places]
    digits[begins[odd > 0]] = _ZERO
    return bytes.fromhex(digits.tobytes().decode())
