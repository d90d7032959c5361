"""Templates: what messages of one kind have in common, and where they differ.

A token is a run of [0-9A-Za-z_\\x80-\\xff].  One that holds an ASCII digit is a
variable; a message's template is the message with the byte 0xFF in the place of each
variable.  UTF-8 has no such byte; in text that is no UTF-8 a token with 0xFE or 0xFF is
a variable too, so that a template never holds another 0xFF, and 0xFE can end each of a
column.

A template's id is stored, and the same for ever and everywhere: BLAKE2b of 8 bytes
(digest_size=8) over the template, as a little-endian number, 1 if that is 0.  0 stands
for rows without a template.

Strategy: classes of bytes by `bytes.translate`, borders of tokens where the class
changes, digits of tokens by prefix sums, all in pieces that stay in the cache; then the
templates of a piece are split into Python bytes and told apart by a dict, which
compares bytes and so can't take one for another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count, pairwise
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column
from pipeline.batch.read import Ints, Texts
from pipeline.store.stretches import copy_segments

Ids = npt.NDArray[np.uint64]

VARIABLE: Final = b"\xff"
"""Stands for a variable in a template."""

VARIABLES_MAX: Final = 1 << 21
"""Variables of a block that are found: encoding takes 150 bytes of memory for each, and
64 MiB of nothing but numbers would have 32 million."""

_BORDER: Final = 0xFE
_PIECE: Final = 1 << 17
"""Bytes looked at together: arrays of one number a byte stay in the L2 cache."""

_NO_DIGITS: Final = 127
"""Weight of 0xFE and 0xFF: no number has so many digits."""


def _classes() -> bytes:
    """Of each byte: 0 outside tokens, else 1 + 2 x its weight as a digit."""
    table = bytearray(256)
    for byte in range(256):
        if chr(byte).isalnum() or byte >= 0x80 or byte == ord("_"):
            table[byte] = 1
        if ord("0") <= byte <= ord("9"):
            table[byte] = 3
    table[0xFE] = table[0xFF] = 1 + 2 * _NO_DIGITS
    return bytes(table)


CLASSES: Final = _classes()


class Found(NamedTuple):
    """The templates of a column of messages, and where its variables stand."""

    codes: Ints
    """Of each row: its place in `templates`."""
    templates: list[bytes]
    starts: Ints
    """Where each variable begins in the data, in the order of the data."""
    sizes: Ints
    digits: Ints
    """ASCII digits of each variable; as many as its size where it is all digits."""
    firsts: Ints
    """The first variable of each row, and behind the last row their number; empty, as
    are the places, where there are more than VARIABLES_MAX variables."""


class _Piece(NamedTuple):
    templates: list[bytes]
    starts: Ints
    ends: Ints
    digits: Ints
    counts: Ints
    """Variables of each row."""


def find_templates(data: bytes, lengths: Ints) -> Found:
    """The templates of values that stand one after another, each before a newline."""
    table: defaultdict[bytes, int] = defaultdict(count().__next__)
    codes: list[int] = []
    parts = []
    total = 0
    for piece in _pieces(data, lengths):
        codes += map(table.__getitem__, piece.templates)
        total += len(piece.starts)
        if total <= VARIABLES_MAX:
            parts.append(piece._replace(templates=[]))
    if total > VARIABLES_MAX:
        none = np.empty(0, np.int64)
        return Found(np.array(codes, np.int64), list(table), none, none, none, none)
    starts = _joined([part.starts for part in parts])
    ends = _joined([part.ends for part in parts])
    counts = _joined([part.counts for part in parts])
    digits = _joined([part.digits for part in parts])
    return Found(
        np.array(codes, np.int64),
        list(table),
        starts,
        ends - starts,
        digits,
        np.concatenate([[0], np.cumsum(counts)]),
    )


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _pieces(data: bytes, lengths: Ints) -> Iterator[_Piece]:
    """Whole rows, about _PIECE bytes at a time."""
    ends = np.cumsum(lengths + 1)
    starts = ends - lengths - 1
    borders = np.flatnonzero(np.diff(starts // _PIECE)) + 1
    rows = [0, *borders.tolist(), len(lengths)]
    for first, last in pairwise(rows):
        if first < last:
            start, end = int(starts[first]), int(ends[last - 1])
            yield _piece(data[start:end], ends[first:last] - 1 - start, start)


class Tokens(NamedTuple):
    """Where tokens begin and end, and how many ASCII digits each has."""

    starts: Ints
    ends: Ints
    digits: Ints


def find_tokens(data: bytes) -> Tokens:
    """All tokens of the data, of some 100 KB at most: it takes 15 times their size."""
    classes = np.frombuffer(data.translate(CLASSES), np.uint8)
    inside = np.zeros(len(data) + 2, np.uint8)
    np.bitwise_and(classes, 1, out=inside[1:-1])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    before = np.zeros(len(data) + 1, np.int32)
    np.cumsum(classes >> 1, dtype=np.int32, out=before[1:])
    at = before[edges]
    return Tokens(edges[::2], edges[1::2], (at[1::2] - at[::2]).astype(np.int64))


def _piece(data: bytes, newlines: Ints, offset: int) -> _Piece:
    tokens = find_tokens(data)
    chosen = np.flatnonzero(tokens.digits)
    starts, ends, digits = (column[chosen] for column in tokens)
    templates = _templates(data, starts, ends, newlines)
    counts = np.diff(np.searchsorted(starts, newlines), prepend=0)
    return _Piece(templates, starts + offset, ends + offset, digits, counts)


def _templates(data: bytes, starts: Ints, ends: Ints, newlines: Ints) -> list[bytes]:
    """Each row's template: of a variable only the first byte stays, as 0xFF.

    0.22 us an entry with 5.5 variables; a mask over all bytes takes 0.41, a second
    translation that deletes bytes 0.27, slices of Python 0.70.
    """
    marked = np.frombuffer(bytearray(data), np.uint8)
    marked[starts] = VARIABLE[0]
    marked[newlines] = _BORDER
    begins = np.concatenate([[0], ends])
    stops = np.concatenate([starts + 1, [len(data)]])
    kept = copy_segments(marked, begins, stops - begins)
    return kept.split(bytes([_BORDER]))[:-1]


def pattern_id(template: bytes) -> int:
    """A template's id, never 0."""
    digest = blake2b(template, digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def ids_of(templates: list[bytes]) -> Ids:
    """The id of each template."""
    return np.fromiter(map(pattern_id, templates), np.uint64, len(templates))


def text_ids(texts: Texts) -> Ids:
    """The id of each text's template."""
    found = find_templates(texts.data, texts.lengths)
    return ids_of(found.templates)[found.codes]


@runtime_checkable
class Identified(Protocol):
    """A message column that knows its templates."""

    def row_ids(self) -> Ids:
        """The template's id of each row."""
        ...


def pattern_ids(column: Column) -> Ids:
    """The template's id of each row of a message column, with or without codes."""
    if isinstance(column, Identified):
        return column.row_ids()
    return text_ids(column.texts)


def show(template: bytes) -> str:
    """A template as text: `<*>` for each variable."""
    return template.replace(VARIABLE, b"<*>").decode(errors="replace")
