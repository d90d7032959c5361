"""Hashes of tokens, for the filter that says which blocks a word can't be in.

A token is a run of [0-9A-Za-z_\\x80-\\xff], taken with A-Z as a-z.  Its hash is stored,
and the same for ever; all in 64 bits, without carry::

    h = length x 0x9E3779B97F4A7C15
    for each eight bytes of the first 64, little-endian, the last ones with zeros:
        h = (h ^ word) x 0xBF58476D1CE4E5B9;  h = h ^ (h >> 32)
    h = h x 0x94D049BB133111EB;  h = h ^ (h >> 31);  1 if that is 0

Some tokens are left out of filters, and have the hash 0: numbers of up to DIGITS
digits, which nearly every block has, and those with a byte from 0x80 on among the first
64, which nobody looks up: a word outside ASCII is looked for as a substring.  Every
block may hold a token of hash 0, so that whoever looks one up reads on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column
from pipeline.batch.decode import Batch
from pipeline.batch.layout import REQUIRED, SHAPE, Kind
from pipeline.batch.read import Ints
from pipeline.store.digits import Words
from pipeline.store.templates import Ids, find_tokens

DIGITS: Final = 4
"""Numbers of at most so many digits are in no filter."""

_PIECE: Final = 1 << 17
_SPANS: Final = 1 << 14
_TABLE: Final = 1 << 15
_BYTES: Final = 64
_TRACE: Final = 32
"""Digits of a trace id of 16 bytes."""

_WIDE: Final = 0x8080808080808080
_SEED: Final = 0x9E3779B97F4A7C15
_STEP: Final = 0xBF58476D1CE4E5B9
_LAST: Final = 0x94D049BB133111EB
_MASK: Final = (1 << 64) - 1
_HEX: Final = np.array([b"%02x" % byte for byte in range(256)]).view("<u2")
_KEEP: Final = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
"""The bits of the first bytes of a word."""


def hash_token(folded: bytes) -> int:
    """The hash of one token, folded; 0 when it is left out of filters."""
    short = len(folded) <= DIGITS and folded.isdigit()
    if short or not folded[:_BYTES].isascii():
        return 0
    result = len(folded) * _SEED & _MASK
    for at in range(0, min(len(folded), _BYTES), 8):
        word = int.from_bytes(folded[at : min(at + 8, _BYTES)], "little")
        result = (result ^ word) * _STEP & _MASK
        result ^= result >> 32
    result = result * _LAST & _MASK
    return result ^ result >> 31 or 1


def hash_tokens(data: bytes) -> Ids:
    """The hashes of all tokens that are not left out, in no order, some repeatedly.

    Texts in the data must have something between them that belongs to no token.
    """
    return _joined([_hash_piece(piece) for piece in _pieces(data)])


def _joined(parts: Sequence[Ids]) -> Ids:
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


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
    found = find_tokens(data)
    starts, sizes = found.starts, found.ends - found.starts
    return hash_spans(data, starts, sizes, found.digits)


def hash_spans(data: bytes, starts: Ints, sizes: Ints, digits: Ints) -> Ids:
    """Of the tokens at these ascending places of the data, without those left out."""
    kept = np.flatnonzero((digits != sizes) | (sizes > DIGITS))
    parts = [kept[at : at + _SPANS] for at in range(0, len(kept), _SPANS)]
    return _joined([_hash_spans(data, starts[part], sizes[part]) for part in parts])


def _hash_spans(data: bytes, starts: Ints, sizes: Ints) -> Ids:
    # few enough that their bytes and arrays stay in the cache
    first, last = int(starts[0]), int(starts[-1] + sizes[-1])
    words = Words(data[first:last].lower())
    starts = starts - first
    hashes = sizes.astype(np.uint64) * np.uint64(_SEED)
    ends = np.minimum(sizes, _BYTES)
    wide = np.zeros(len(starts), np.uint64)
    chosen: Any = slice(None)
    at = 0
    while len(starts):
        found = words.after(starts + at) & _KEEP[np.minimum(ends - at, 8)]
        wide[chosen] |= found
        mixed = (hashes[chosen] ^ found) * np.uint64(_STEP)
        hashes[chosen] = mixed ^ (mixed >> np.uint64(32))
        at += 8
        longer = np.flatnonzero(ends > at)
        chosen = longer if isinstance(chosen, slice) else chosen[longer]
        starts, ends = starts[longer], ends[longer]
    hashes = _finished(hashes)
    return _without_repeats(hashes[wide & np.uint64(_WIDE) == 0])


def _without_repeats(hashes: Ids) -> Ids:
    """Most of the repeated ones are dropped: each hash that has won its place in a
    table.  Sorting is left with half of them."""
    places = (hashes & np.uint64(_TABLE - 1)).astype(np.int64)
    winners = np.empty(_TABLE, np.int32)
    order = np.arange(len(hashes), dtype=np.int32)
    winners[places] = order
    winner = winners[places]
    kept: Ids = hashes[(winner == order) | (hashes[winner] != hashes)]
    return kept


class ColumnTokens:
    """The tokens of a block's columns: small columns are looked at together."""

    def __init__(self) -> None:
        self._found: list[Ids] = []
        self._texts: list[bytes] = []
        self._size = 0

    def add(self, column: Column) -> None:
        """Whatever can be searched in a column of metadata, tags or trace ids."""
        if column.kind is Kind.BYTES16:
            self._found.append(_hash_trace_ids(column.raw))
            return
        self._texts.append(_text_of(column))
        self._size += len(self._texts[-1])
        if self._size >= _PIECE:
            self._settle()

    def hashes(self) -> Ids:
        """As `hash_tokens`, of all."""
        self._settle()
        return _joined(self._found)

    def _settle(self) -> None:
        self._found.append(hash_tokens(b"".join(self._texts)))
        self._texts, self._size = [], 0


def _text_of(column: Column) -> bytes:
    """A column's texts, a newline behind each."""
    if column.kind is Kind.TEXT:
        return bytes(column.text)
    if column.kind is Kind.DICT:
        _, kind, texts = column.dictionary_parts
        return texts.data if kind == Kind.TEXT else _leaves(column.dictionary)
    return _leaves(column.values()) if column.kind is Kind.PACKED else b""


def _hash_trace_ids(raw: npt.NDArray[np.uint8]) -> Ids:
    """Of 16 bytes each, as if they were text: 32 digits are four words."""
    hashes = np.full(len(raw), _TRACE * _SEED & _MASK, np.uint64)
    for word in np.ascontiguousarray(_HEX[raw].view("<u8").T):
        hashes ^= word
        hashes *= np.uint64(_STEP)
        hashes ^= hashes >> np.uint64(32)
    return _finished(hashes)


def _finished(hashes: Ids) -> Ids:
    hashes *= np.uint64(_LAST)
    hashes ^= hashes >> np.uint64(31)
    hashes[hashes == 0] = 1
    return hashes


def block_tokens(batch: Batch, messages: Ids) -> Ids:
    """Of all a block's texts; `messages` as encode_messages gives them."""
    tokens = ColumnTokens()
    for name, column in batch.columns.items():
        if name not in REQUIRED and name != SHAPE:
            tokens.add(column)
    return _joined([messages, tokens.hashes()])


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
