"""Values as 64-bit numbers that tell them apart, the same for one value in any column.

7 and 7.0 are one value; 7, "7" and true are three. Two values of a million share a
number once in 40 million questions. `NOTHING` stands for null and for no value at all.

Strategy: eight bytes of every text at once, so that a column takes as many passes as
its longest text has words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.entry import json_value
from pipeline.query.text import Ints

Hashes = npt.NDArray[np.uint64]

NOTHING: Final = np.uint64(1)
_NAN: Final = np.uint64(2)
_TRUE: Final = np.uint64(3)
_FALSE: Final = np.uint64(4)

_INTEGER: Final = np.uint64(0x9E3779B97F4A7C15)
_FLOAT: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_TEXT: Final = np.uint64(0x165667B19E3779F9)
_BYTES: Final = np.uint64(0x27D4EB2F165667C5)
_NESTED: Final = np.uint64(0x85EBCA77C2B2AE63)

_FIRST: Final = np.uint64(0xFF51AFD7ED558CCD)
_SECOND: Final = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT: Final = np.uint64(33)
_WORD: Final = 8
_WORDS_MAX: Final = 32
"""Longer texts are hashed one by one: a pass for one text alone is dear."""

_MASKS: Final = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_INT64: Final = 1 << 63
_LOW: Final = (1 << 64) - 1


def mix(numbers: Hashes) -> Hashes:
    """Numbers in which every bit depends on every bit (the end of MurmurHash3)."""
    mixed = (numbers ^ (numbers >> _SHIFT)) * _FIRST
    mixed = (mixed ^ (mixed >> _SHIFT)) * _SECOND
    mixed ^= mixed >> _SHIFT
    return mixed


def join(left: Hashes, right: Hashes) -> Hashes:
    """Of pairs; their order counts."""
    return mix(left * _INTEGER + right)


def hash_integers(values: Ints) -> Hashes:
    """Of int64."""
    return mix(values.astype(np.int64, copy=False).view(np.uint64) ^ _INTEGER)


def hash_floats(values: npt.NDArray[np.float64]) -> Hashes:
    """Of float64; whole ones are as integers."""
    hashes = mix(values.view(np.uint64) ^ _FLOAT)
    whole = (np.trunc(values) == values) & (np.abs(values) < _INT64)
    hashes[whole] = hash_integers(values[whole].astype(np.int64))
    hashes[np.isnan(values)] = _NAN
    return hashes


def hash_booleans(values: npt.NDArray[Any]) -> Hashes:
    """Of bool."""
    return np.where(values, _TRUE, _FALSE)


def hash_texts(starts: Ints, lengths: Ints, data: bytes) -> Hashes:
    """Of the texts that begin there in the data."""
    hashes = lengths.astype(np.uint64) ^ _TEXT
    padded = np.frombuffer(data + b"\0" * _WORD, np.uint8)
    words = np.ndarray((len(padded) - _WORD + 1,), "<u8", padded, 0, (1,))
    todo = np.arange(len(starts))
    at = 0
    while at < _WORDS_MAX * _WORD:
        todo = todo[lengths[todo] > at]
        if not len(todo):
            break
        left = np.minimum(lengths[todo] - at, _WORD)
        word = words[starts[todo] + at] & _MASKS[left]
        hashes[todo] = mix(hashes[todo] * _INTEGER + word)
        at += _WORD
    for place in todo[lengths[todo] > at].tolist():
        start = int(starts[place])
        hashes[place] = _hash_long(data[start : start + int(lengths[place])])
    return mix(hashes)


def _hash_long(text: bytes) -> np.uint64:
    """All its words at once, each with a number that depends on its place."""
    words = np.frombuffer(text + b"\0" * (-len(text) % _WORD), "<u8")
    places = mix(np.arange(len(words), dtype=np.uint64) ^ np.uint64(len(text)))
    total: np.uint64 = np.bitwise_xor.reduce(mix(mix(words + places) + places))
    return total


def hash_list(texts: Sequence[bytes]) -> Hashes:
    """Of texts as bytes."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return hash_texts(np.cumsum(lengths) - lengths, lengths, b"".join(texts))


def hash_hex(raw: npt.NDArray[np.uint8]) -> Hashes:
    """Of texts that are stored as 16 bytes: their 32 digits."""
    digits = np.empty((len(raw), 32), np.uint8)
    digits[:, 0::2] = _HEX[raw >> 4]
    digits[:, 1::2] = _HEX[raw & 15]
    lengths = np.full(len(raw), 32, np.int64)
    return hash_texts(np.arange(len(raw)) * 32, lengths, digits.tobytes())


def hash_values(values: Sequence[Any]) -> Hashes:
    """Of Python values of any kind; lists and maps are told apart by their JSON."""
    texts = [_text(value) for value in values]
    hashes = hash_list([text for text, _ in texts])
    hashes ^= np.array([salt for _, salt in texts], np.uint64)
    whole = [at for at, value in enumerate(values) if type(value) is int]
    hashes[whole] = [_hash_whole(values[at]) for at in whole]
    floats = [at for at, value in enumerate(values) if type(value) is float]
    hashes[floats] = hash_floats(np.array([values[at] for at in floats], np.float64))
    for fixed, number in ((None, NOTHING), (True, _TRUE), (False, _FALSE)):
        hashes[[at for at, value in enumerate(values) if value is fixed]] = number
    return hashes


def _text(value: Any) -> tuple[bytes, np.uint64]:
    """What a value is hashed by, and what tells its kind from others."""
    if type(value) is str:
        return value.encode(), np.uint64(0)
    if type(value) is bytes:
        return value, _BYTES
    if type(value) in (list, tuple, dict):
        return msgspec.json.encode(json_value(value), order="sorted"), _NESTED
    return b"", np.uint64(0)


def _hash_whole(value: int) -> np.uint64:
    if -_INT64 <= value < _INT64:
        return np.uint64(hash_integers(np.array([value], np.int64))[0])
    near = np.uint64(hash_floats(np.array([value], np.float64))[0])
    return near if float(value) == value else near ^ np.uint64(value & _LOW)
