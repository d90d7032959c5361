"""Hashes of tokens, for the filter that says which blocks a word can't be in.

A token is a run of [0-9A-Za-z_\\x80-\\xff], taken with A-Z as a-z.  Its hash is stored,
and the same for ever; all in 64 bits, without carry::

    h = length x 0x9E3779B97F4A7C15
    for each eight bytes of the first 64, little-endian, the last ones with zeros:
        h = (h ^ word) x 0xBF58476D1CE4E5B9;  h = h ^ (h >> 32)
    h = h x 0x94D049BB133111EB;  h = h ^ (h >> 31);  1 if that is 0

Some tokens are left out of filters, and have the hash 0: numbers of up to DIGITS
digits, which nearly every block has, and those with a byte from 0x80 on, which nobody
looks up: a word outside ASCII is looked for as a substring.  Every block may hold a
token of hash 0, so that whoever looks one up reads on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.decode import Batch
from pipeline.batch.layout import REQUIRED, SHAPE, Kind
from pipeline.batch.read import Ints
from pipeline.store.digits import load, padded
from pipeline.store.templates import CLASSES, Ids

DIGITS: Final = 4
"""Numbers of at most so many digits are in no filter."""

_PIECE: Final = 1 << 17
_BYTES: Final = 64
_SEED: Final = 0x9E3779B97F4A7C15
_STEP: Final = 0xBF58476D1CE4E5B9
_LAST: Final = 0x94D049BB133111EB
_MASK: Final = (1 << 64) - 1
_KEEP: Final = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
"""The bits of the first bytes of a word."""


def hash_token(folded: bytes) -> int:
    """The hash of one token, folded; 0 when it is left out of filters."""
    if not folded.isascii() or (len(folded) <= DIGITS and folded.isdigit()):
        return 0
    result = len(folded) * _SEED & _MASK
    for at in range(0, min(len(folded), _BYTES), 8):
        word = int.from_bytes(folded[at : min(at + 8, _BYTES)], "little")
        result = (result ^ word) * _STEP & _MASK
        result ^= result >> 32
    result = result * _LAST & _MASK
    return result ^ result >> 31 or 1


def hash_tokens(data: bytes) -> Ids:
    """The distinct hashes, ascending, of all tokens that are not left out.

    Texts in the data must have something between them that belongs to no token.
    """
    pieces = [_hash_piece(piece) for piece in _pieces(data.lower())]
    return np.unique(np.concatenate(pieces)) if pieces else np.empty(0, np.uint64)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Pieces that end with a line; a longer line is one piece."""
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + _PIECE) + 1
        if not end:
            end = data.find(b"\n", at + _PIECE) + 1 or len(data)
        yield data[at:end]
        at = end


def _hash_piece(data: bytes) -> Ids:
    classes = np.frombuffer(data.translate(CLASSES), np.uint8)
    inside = np.zeros(len(data) + 2, np.uint8)
    np.bitwise_and(classes, 1, out=inside[1:-1])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    before = np.zeros(len(data) + 1, np.int32)
    np.cumsum(classes >> 1, dtype=np.int32, out=before[1:])
    at = before[edges]
    starts, sizes = edges[::2], edges[1::2] - edges[::2]
    kept = (at[1::2] - at[::2] != sizes) | (sizes > DIGITS)
    wide = np.frombuffer(data, np.uint8) >= 0x80
    if wide.any():
        np.cumsum(wide, dtype=np.int32, out=before[1:])
        at = before[edges]
        kept &= at[1::2] == at[::2]
    return _hash_spans(padded(data), starts[kept], sizes[kept])


def _hash_spans(data: bytes, starts: Ints, sizes: Ints) -> Ids:
    """Of the tokens at these places of `padded` data."""
    hashes = sizes.astype(np.uint64) * np.uint64(_SEED)
    ends = np.minimum(sizes, _BYTES)
    chosen: Any = slice(None)
    at = 0
    while len(starts):
        rest = np.minimum(ends - at, 8)
        words = load(data, starts + at) & _KEEP[rest]
        mixed = (hashes[chosen] ^ words) * np.uint64(_STEP)
        hashes[chosen] = mixed ^ (mixed >> np.uint64(32))
        at += 8
        longer = np.flatnonzero(ends > at)
        chosen = longer if isinstance(chosen, slice) else chosen[longer]
        starts, ends = starts[longer], ends[longer]
    hashes *= np.uint64(_LAST)
    hashes ^= hashes >> np.uint64(31)
    hashes[hashes == 0] = 1
    return hashes


def block_tokens(batch: Batch, text: bytes) -> Ids:
    """The distinct hashes of a block's tokens that static text does not hold.

    `text` are variables and messages without a template, as encode_messages gives
    them; the others come from tags, trace ids and texts of the metadata.
    """
    parts = [hash_tokens(text)]
    for name, column in batch.columns.items():
        if name not in REQUIRED and name != SHAPE:
            parts.append(hash_tokens(_column_text(column)))
    return np.unique(np.concatenate(parts))


def _column_text(column: Column) -> bytes:
    """What can be searched of a column, each value with a newline behind it."""
    if column.kind is Kind.TEXT:
        return column.text
    if column.kind is Kind.BYTES16:
        return column.raw.tobytes().hex("\n", 16).encode()
    if column.kind is Kind.DICT:
        _, kind, texts = column.dictionary_parts
        return texts.data if kind == Kind.TEXT else _leaves(column.dictionary)
    return _leaves(column.values()) if column.kind is Kind.PACKED else b""


def _leaves(values: Iterable[Any]) -> bytes:
    return b"".join(text.encode() + b"\n" for text in _texts(values))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """The texts in values, and in their lists and maps; keys are names, not text."""
    for value in values:
        if type(value) is str:
            yield value
        elif type(value) is dict:
            yield from _texts(value.values())
        elif type(value) is list:
            yield from _texts(value)
