"""A compacted block: many blocks' rows as one, its columns stored one by one.

`compact` makes it, of blocks of any version, in a process of its own; the writer gives
it a number and commits it. Nothing here reads or writes a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final
from zlib import crc32

import msgpack
import numpy as np

from pipeline.batch.column import Column, Field
from pipeline.batch.decode import Batch, Mask
from pipeline.batch.encode import Encoded
from pipeline.batch.layout import MESSAGE, NUMBER, REQUIRED, SHAPE, TIMESTAMP, Codec
from pipeline.batch.read import Ints, read_texts
from pipeline.batch.seal import join
from pipeline.errors import StoreError
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS, PAYLOAD_BYTES
from pipeline.store import bloom
from pipeline.store.block import Block, count_cells, pack_counts
from pipeline.store.columns import Raw, pack_columns
from pipeline.store.commits import join_commits, pack_commits
from pipeline.store.messages import Messages, encode_messages
from pipeline.store.patterns import pack_patterns
from pipeline.store.runs import join_runs
from pipeline.store.select import select
from pipeline.store.template_table import Allowed
from pipeline.store.tokens import ColumnTokens

Template = tuple[int, bytes, int, int]
"""id, template, first and last seen (ns)"""

_FIXED: Final = struct.Struct("<9q")
"""id, first, last, committed, tier, rows, bytes, minimum, maximum"""

_INT64: Final = range(-1 << 63, 1 << 63)

CHECKSUMS: Final = struct.Struct("<5I")
"""crc32 of counts, patterns, directory, runs and commits"""


@dataclass(frozen=True, slots=True)
class Compacted:
    """A block ready to take others' place; without rows it is a tombstone."""

    first: int
    last: int
    """The commits it covers, both inclusive."""

    committed: int
    """When the newest of them was, in ns."""

    tier: int
    rows: int
    minimum: int
    maximum: int
    counts: bytes
    runs: bytes
    commits: bytes
    patterns: bytes
    directory: bytes
    columns: list[bytes]
    filters: list[bytes]
    templates: list[Template]
    replaces: list[int]

    @property
    def size(self) -> int:
        """Bytes of all columns."""
        return sum(map(len, self.columns))

    @property
    def checksums(self) -> bytes:
        """Of the header's blobs."""
        blobs = (self.counts, self.patterns, self.directory, self.runs, self.commits)
        return CHECKSUMS.pack(*map(crc32, blobs))

    def pack(self) -> bytes:
        """As bytes, for the way from one process to another."""
        packed: bytes = msgpack.packb(
            [getattr(self, field.name) for field in fields(self)]
        )
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> Compacted:
        """What `pack` has made in another process, which may be of another version.

        Raises StoreError when it is something else.
        """
        try:
            values: list[Any] = msgpack.unpackb(data)
            made = cls(*values)
            made.templates[:] = [(*each,) for each in values[-2]]
            made._check()
        except (TypeError, ValueError) as error:
            raise StoreError(f"what was made is no block: {error}") from None
        return made

    def _check(self) -> None:
        """Raise TypeError or ValueError unless the writer can store all of it."""
        numbers = [self.first, self.last, self.committed, self.tier, self.rows]
        numbers += [self.minimum, self.maximum, *self.replaces]
        blobs = [self.counts, self.runs, self.commits, self.patterns, self.directory]
        blobs += self.columns + self.filters
        for pattern_id, template, first, last in self.templates:
            numbers += first, last
            blobs.append(template)
            if type(pattern_id) is not int or not 0 < pattern_id < 1 << 64:
                raise ValueError(f"a template's id is {pattern_id!r}")
        if not all(type(each) is int and each in _INT64 for each in numbers):
            raise ValueError("a number that is none of 64 bits")
        if not all(type(each) is bytes for each in blobs):
            raise TypeError("a part that is no bytes")


def header_checksum(fixed: Sequence[int], checksums: bytes) -> int:
    """CRC of a compacted block's header: `fixed` are the columns of _FIXED."""
    return crc32(checksums, crc32(_FIXED.pack(*fixed)))


def tombstone(first: int, last: int, committed: int, replaces: list[int]) -> Compacted:
    """What takes the place of blocks that are dropped."""
    empty = (b"",) * 5
    return Compacted(first, last, committed, 0, 0, 0, 0, *empty, [], [], [], replaces)


def compact(
    blocks: Sequence[Block],
    level: int,
    keep: Sequence[Mask | None] | None = None,
    *,
    tier: int | None = None,
    allowed: Allowed = None,
) -> Compacted:
    """One block of all rows, or of those kept; `level` is zstd's.

    `allowed` says which templates the store has room for, see `template_table`.

    The blocks must be neighbours, in the order of their commits, and fit one block:
    limits.BATCH_ROWS, PAYLOAD_BYTES and BLOCK_COLUMNS. Raises StoreError when they
    don't, FrameError when one of them can't be read.
    """
    blocks = sorted(blocks, key=lambda block: block.first)
    masks = list(keep) if keep is not None else [None] * len(blocks)
    covered = _Covered(blocks, tier)
    batches, left = [], []
    for block, mask in zip(blocks, masks, strict=True):
        if mask is None or mask.all():
            batches.append(block.batch)
        elif mask.any():
            batches.append(select(block.batch, mask))
        left.append(mask)
    if not batches:
        ids = [block.id for block in blocks]
        return tombstone(covered.first, covered.last, covered.committed, ids)
    return _joined(blocks, left, batches, covered, level, allowed)


class _Covered:
    """What the new block's header says of the old ones."""

    def __init__(self, blocks: Sequence[Block], tier: int | None) -> None:
        self.first, self.last = blocks[0].first, blocks[-1].last
        self.committed = max(block.committed for block in blocks)
        self.tier = max(block.tier for block in blocks) + 1 if tier is None else tier


def _joined(
    blocks: Sequence[Block],
    masks: Sequence[Mask | None],
    batches: Sequence[Batch],
    covered: _Covered,
    level: int,
    allowed: Allowed,
) -> Compacted:
    rows = _checked_rows(batches)
    times = np.concatenate([batch.columns[TIMESTAMP].numbers for batch in batches])
    counts = pack_counts(count_cells(batches, times))
    columns = _Columns(batches, times, allowed)
    packed = pack_columns(rows, columns.encoded(), level)
    return Compacted(
        first=covered.first,
        last=covered.last,
        committed=covered.committed,
        tier=covered.tier,
        rows=rows,
        minimum=int(times.min()),
        maximum=int(times.max()),
        counts=counts,
        runs=join_runs([block.runs for block in blocks], masks),
        commits=pack_commits(join_commits([block.commits for block in blocks], masks)),
        patterns=pack_patterns(columns.messages.patterns, level),
        directory=packed.directory,
        columns=packed.blobs,
        filters=columns.filters(),
        templates=columns.templates(),
        replaces=[block.id for block in blocks],
    )


def _checked_rows(batches: Sequence[Batch]) -> int:
    rows = sum(batch.rows for batch in batches)
    size = sum(batch.size for batch in batches)
    names = {name for batch in batches for name in batch.columns}
    optional = len(names.difference(REQUIRED, (SHAPE, NUMBER)))
    if rows > BATCH_ROWS:
        raise StoreError(f"{rows} rows for one block; mustn't exceed {BATCH_ROWS}")
    if size > PAYLOAD_BYTES and len(batches) > 1:
        text = f"{size} bytes for one block; mustn't exceed {PAYLOAD_BYTES}"
        raise StoreError(text)
    if optional > BLOCK_COLUMNS:
        text = f"{optional} columns for one block; mustn't exceed {BLOCK_COLUMNS}"
        raise StoreError(text)
    return rows


class _Columns:
    """The columns of the new block, one after another, and what follows from them."""

    def __init__(self, batches: Sequence[Batch], times: Ints, allowed: Allowed) -> None:
        self._batches, self._times, self._allowed = batches, times, allowed
        self._tokens = ColumnTokens()
        self._messages: Messages | None = None

    def encoded(self) -> Iterator[Raw]:
        """Shapes count places, so what only the store has comes last."""
        for column in join(self._batches):
            if column.name == MESSAGE:
                yield self._encode_messages(column)
            else:
                self._hash(column)
                yield column
        yield from self.messages.columns[1:]

    def _encode_messages(self, column: Encoded) -> Raw:
        texts = read_texts(column.data, column.present, terminated=True)
        self._messages = encode_messages(texts, self._times, self._allowed)
        return self._messages.columns[0]

    def _hash(self, encoded: Encoded) -> None:
        name, kind, present, data = encoded
        size = len(data)
        column = Column(Field(name, kind, Codec.PLAIN, present, size, size), data)
        if name not in REQUIRED and name != SHAPE:
            self._tokens.add(column)

    @property
    def messages(self) -> Messages:
        """After the columns have come."""
        assert self._messages is not None
        return self._messages

    def filters(self) -> list[bytes]:
        """The pieces of the token filter."""
        hashes = [self.messages.tokens, self._tokens.hashes()]
        return bloom.build(np.concatenate(hashes))

    def templates(self) -> list[Template]:
        """For the table of all templates."""
        patterns = self.messages.patterns
        columns = (patterns.ids, patterns.first, patterns.last)
        ids, first, last = (column.tolist() for column in columns)
        return list(zip(ids, self.messages.templates, first, last, strict=True))
