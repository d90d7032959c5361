"""Batches kept as they came, one after another, and read as if they were one.

A block of large batches whose columns came compressed is not worth decompressing,
joining and compressing again while entries pour in: version 2 of a block's data is
their payloads behind a directory (store/FORMAT.md).  A reader joins a column when it is
asked for it; the others stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column
from pipeline.batch.decode import Batch, parse
from pipeline.batch.encode import Encoded
from pipeline.batch.layout import HEAD, NUMBER, REQUIRED, SHAPE, VERSION, Codec, Kind
from pipeline.batch.read import Texts, bad
from pipeline.batch.seal import columns_of, join_column, join_shapes
from pipeline.compression import Bytes
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS

PARTS_VERSION: Final = 2
_SIZE: Final = struct.Struct("<I")
_CONCATENATED: Final = frozenset({Kind.INT64, Kind.FLOAT64, Kind.BOOL, Kind.U8})


def pack_parts(batches: Sequence[Batch]) -> bytes:
    """Version 2 of a block's data: head, the payloads' sizes, the payloads."""
    rows = sum(batch.rows for batch in batches)
    head = HEAD.pack(PARTS_VERSION, len(batches), rows)
    sizes = [_SIZE.pack(len(batch.payload)) for batch in batches]
    return b"".join([head, *sizes, *(batch.payload for batch in batches)])


def parse_block(data: Bytes, bytes_max: int) -> Batch:
    """A block's data of any version; raises FrameError."""
    view = memoryview(data)
    if len(view) < HEAD.size or view[0] == VERSION:
        return parse(view, BLOCK_COLUMNS, bytes_max)
    version, count, rows = HEAD.unpack_from(view)
    if version != PARTS_VERSION:
        raise bad(f"version {version} of a block; known: {VERSION}, {PARTS_VERSION}")
    start = HEAD.size + _SIZE.size * count
    if not 0 < count <= BATCH_ROWS or len(view) < start:
        raise bad(f"{count} parts in {len(view)} bytes")
    batches = []
    for (size,) in _SIZE.iter_unpack(view[HEAD.size : start]):
        batches.append(parse(view[start : start + size]))
        start += size
    if start != len(view) or sum(batch.rows for batch in batches) != rows:
        raise bad(f"parts of {start} bytes; there are {len(view)}")
    return _joined(batches, rows, view)


def _joined(batches: Sequence[Batch], rows: int, view: memoryview) -> Batch:
    names = dict.fromkeys(name for batch in batches for name in batch.columns)
    optional = [name for name in names if name not in (*REQUIRED, SHAPE, NUMBER)]
    columns: dict[str, Column] = {
        name: JoinedColumn(name, columns_of(name, batches)) for name in REQUIRED
    }
    if optional:
        columns[SHAPE] = JoinedShape(batches, optional, rows)
    for name in optional:
        columns[name] = JoinedColumn(name, columns_of(name, batches))
    return Batch(rows, columns, sum(batch.size for batch in batches), view)


class JoinedColumn(Column):
    """The columns of one name of many batches, joined when they are asked for."""

    __slots__ = ("_join", "_members")

    def __init__(self, name: str, members: Sequence[Column]) -> None:
        kinds = {member.kind for member in members}
        self._begin(name, sum(member.count for member in members))
        self._kind = kinds.pop() if len(kinds) == 1 else None
        self._members = members if self._kind is not None else ()
        self._join: Callable[[], Encoded] = lambda: join_column(name, members)

    def _begin(self, name: str, count: int) -> None:
        self.name, self.count, self.codec = name, count, Codec.PLAIN
        self._data = self._numbers = self._parts = self._dictionary = None
        self._texts = self._ends = self._starts = None

    @property
    def kind(self) -> Kind:
        """What the joined column holds; of mixed kinds only joining tells."""
        if self._kind is None:
            self._settle()
        return super().kind

    @property
    def parts(self) -> Sequence[Column]:
        """Those of one kind can be joined with others without joining them before."""
        return self._members or (self,)

    @property
    def data(self) -> Bytes:
        """The bytes of the joined column."""
        if self._data is None:
            self._settle()
        assert self._data is not None
        return self._data

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """As Column.numbers, without packing them first."""
        if self._numbers is None and self._members and self._kind in _CONCATENATED:
            self._numbers = np.concatenate([each.numbers for each in self._members])
        return super().numbers

    @property
    def texts(self) -> Texts:
        """As Column.texts, without packing the lengths first."""
        if self._texts is None and self._members:
            parts = [member.texts for member in self._members]
            lengths = np.concatenate([part.lengths for part in parts])
            self._texts = Texts(lengths, b"".join([part.data for part in parts]))
        return super().texts

    def _settle(self) -> None:
        encoded = self._join()
        self._kind, self._data = encoded.kind, encoded.data


class JoinedShape(JoinedColumn):
    """The shapes of all rows, numbered over the joined columns."""

    __slots__ = ()

    def __init__(
        self, batches: Sequence[Batch], optional: Sequence[str], rows: int
    ) -> None:
        self._begin(SHAPE, rows)
        self._kind = Kind.SHAPE
        self._members = ()
        self._join = lambda: join_shapes(batches, optional)
