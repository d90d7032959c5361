"""How each slot's values are best written: numbers, hexadecimal digits or text.

What all values of a slot begin and end with (`ord_` of `ord_123`, `ms` of `12ms`) is
cut off and stands once; then a slot is

    DECIMAL  where each value reads the same when written as a number: digits only, at
             most 18, no leading zero
    MARKED   where all are digits, at most 17, some with leading zeros: numbers with a
             1 put in front, which is not shown
    HEX      where all are lower-case hexadecimal of one length, 4 to 255 digits
    TEXT     where nothing else goes
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.read import Ints
from pipeline.store.digits import DIGITS_MAX, Unsigned, Words
from pipeline.store.stretches import places_of

Mask = npt.NDArray[np.bool_]

TEXT, DECIMAL, MARKED, HEX = range(4)
AFFIX_MAX: Final = 8
"""Bytes that are looked at on either side."""

HEX_MIN: Final = 4
HEX_MAX: Final = 255

_KEEP: Final = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
_IS_HEX: Final = np.zeros(256, np.bool_)
_IS_HEX[list(b"0123456789abcdef")] = True


class Variables(NamedTuple):
    """Places of values in the data, slot by slot, and how many each slot has."""

    starts: Ints
    sizes: Ints
    digits: Ints
    counts: Ints


class Shapes(NamedTuple):
    """What is known of each slot, and its values without what all have in common."""

    forms: Ints
    prefixes: Ints
    """Bytes that all values begin with."""
    suffixes: Ints
    hex_digits: Ints
    """Of each value of a HEX slot; else 0."""
    starts: Ints
    """Of each value without prefix and suffix."""
    sizes: Ints


def shapes_of(data: bytes, words: Words, values: Variables) -> Shapes:
    """The form of each slot."""
    starts, sizes, digits, counts = values
    firsts = np.cumsum(counts) - counts
    prefixes, suffixes, inner = _affixes(words, values, firsts)
    starts = starts + np.repeat(prefixes, counts)
    sizes = sizes - np.repeat(prefixes + suffixes, counts)
    number = digits - np.repeat(inner, counts) == sizes
    forms = _numeric(data, starts, sizes, number, firsts)
    hex_digits = np.zeros(len(counts), np.int64)
    candidates = np.flatnonzero(forms == TEXT)
    if len(candidates):
        hex_digits[candidates] = _hex_digits(
            data, starts, sizes, firsts[candidates], counts[candidates]
        )
    forms[hex_digits > 0] = HEX
    return Shapes(forms, prefixes, suffixes, hex_digits, starts, sizes)


def _numeric(
    data: bytes, starts: Ints, sizes: Ints, number: Mask, firsts: Ints
) -> Ints:
    leading = np.frombuffer(data, np.uint8)[starts] == ord("0")
    plain = number & ~(leading & (sizes > 1)) & (sizes <= DIGITS_MAX)
    decimal = np.logical_and.reduceat(plain, firsts)
    marked = np.logical_and.reduceat(number & (sizes < DIGITS_MAX), firsts)
    return np.where(decimal, DECIMAL, np.where(marked, MARKED, TEXT))


def _affixes(words: Words, values: Variables, firsts: Ints) -> tuple[Ints, Ints, Ints]:
    """Bytes that all values of a slot begin and end with, and the digits in them.

    A prefix does not end with a digit, a suffix does not begin with one: what two
    numbers happen to share belongs to the numbers.
    """
    starts, sizes, digits, counts = values
    prefixes, suffixes, inside = np.zeros((3, len(counts)), np.int64)
    chosen = np.flatnonzero(~np.logical_and.reduceat(digits == sizes, firsts))
    if not len(chosen):
        return prefixes, suffixes, inside
    places, owners = places_of(firsts[chosen], counts[chosen])
    shortest = np.minimum.reduceat(sizes[places], owners)
    room = np.minimum(shortest - 1, AFFIX_MAX)
    first = words.after(starts[places])
    common = _common(first, owners, counts[chosen])
    size = np.minimum(_low_bytes(common), room)
    prefix, head = _without_digits(first[owners], size)
    room = np.minimum(shortest - 1 - prefix, AFFIX_MAX)
    last = words.before(starts[places] + sizes[places]).byteswap()
    common = _common(last, owners, counts[chosen])
    size = np.minimum(_low_bytes(common), room)
    suffix, tail = _without_digits(last[owners], size)
    prefixes[chosen], suffixes[chosen], inside[chosen] = prefix, suffix, head + tail
    return prefixes, suffixes, inside


def _common(words: Unsigned, firsts: Ints, counts: Ints) -> Unsigned:
    """Bits in which the words of a slot differ from its first."""
    return np.bitwise_or.reduceat(words ^ np.repeat(words[firsts], counts), firsts)


def _low_bytes(differing: Unsigned) -> Ints:
    """How many of the lowest bytes don't differ."""
    same = np.zeros(len(differing), np.int64)
    for size in range(1, AFFIX_MAX + 1):
        same += (differing & _KEEP[size]) == 0
    return same


def _without_digits(words: Unsigned, sizes: Ints) -> tuple[Ints, Ints]:
    """The sizes less the digits at the upper end, and how many digits are left."""
    kept = np.zeros(len(words), np.int64)
    digits = np.zeros((AFFIX_MAX + 1, len(words)), np.int64)
    for place in range(AFFIX_MAX):
        byte = (words >> np.uint64(8 * place)) & np.uint64(0xFF)
        is_digit = (byte >= ord("0")) & (byte <= ord("9"))
        digits[place + 1] = digits[place] + is_digit
        kept[~is_digit & (place < sizes)] = place + 1
    return kept, digits[kept, np.arange(len(words))]


def _hex_digits(
    data: bytes, starts: Ints, sizes: Ints, firsts: Ints, counts: Ints
) -> Ints:
    """Digits of the values of some slots that are HEX, else 0."""
    places, owners = places_of(firsts, counts)
    length = sizes[firsts]
    longest = np.maximum.reduceat(sizes[places], owners)
    shortest = np.minimum.reduceat(sizes[places], owners)
    same = (longest == shortest) & (length >= HEX_MIN) & (length <= HEX_MAX)
    chosen = np.flatnonzero(same)
    if not len(chosen):
        return np.where(same, length, 0)
    places, _ = places_of(firsts[chosen], counts[chosen])
    total = length[chosen] * counts[chosen]
    begins, _ = places_of(starts[places], sizes[places])
    right = _IS_HEX[np.frombuffer(data, np.uint8)[begins]]
    same[chosen] = np.logical_and.reduceat(right, np.cumsum(total) - total)
    return np.where(same, length, 0)
