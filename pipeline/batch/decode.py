"""Columns from bytes, checked: every length is compared with its limit before use.

Strategy: `parse` reads the directory and hands out `Column`s that decode when they are
first asked (a query needs few); `check` looks at everything, once, where bytes
come from outside.  What parse returns is safe to index; what check passed also holds
valid UTF-8 and msgpack and consistent shapes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import KINDS, Column, Field
from pipeline.batch.layout import (
    COLUMN,
    HEAD,
    METADATA_PREFIX,
    REQUIRED,
    SHAPE,
    VERSION,
    Codec,
)
from pipeline.batch.read import Ints, bad
from pipeline.compression import Bytes
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.limits import BATCH_COLUMNS, BATCH_ROWS, METADATA_KEY_BYTES, PAYLOAD_BYTES

Mask = npt.NDArray[np.bool_]

COLUMNS_MAX: Final = BATCH_COLUMNS + 16
"""Columns of a batch on the wire: metadata and the reserved ones."""


_FEW_ROWS: Final = 40

_COLUMN_BYTES: Final = 500
"""Of a column's objects: more than its values, in a batch of 100 rows."""


class Batch:
    """n rows as columns; see `layout`."""

    def __init__(
        self, rows: int, columns: dict[str, Column], size: int, payload: Bytes
    ) -> None:
        self.rows = rows
        self.size = size
        """Bytes of all columns after decompression."""
        self.payload = payload
        self.columns = columns
        self._positions = {name: place for place, name in enumerate(columns)}
        self._present: dict[str, Mask] = {}
        self._owners: tuple[Ints, Ints] | None = None
        self._codes: Ints | None = None
        self._few: tuple[bytes, Ints, Ints] | None = None
        """Rows that were asked for last, as `_shapes_before` has them."""

    @property
    def is_compressed(self) -> bool:
        """Whether the columns came compressed, and can be kept as they are."""
        return any(column.codec == Codec.ZSTD for column in self.columns.values())

    @property
    def held_bytes(self) -> int:
        """Memory that it takes until it is written."""
        data = len(self.payload) if self.is_compressed else self.size
        return data + _COLUMN_BYTES * len(self.columns)

    @property
    def mask_bytes(self) -> int:
        """Memory that the rows' shapes, and who has which column, take."""
        codes = 0 if self._codes is None else self._codes.nbytes
        return codes + len(self._present) * self.rows

    def forget(self, kept: Collection[str]) -> None:
        """Have all columns but `kept` decode again when they are asked again."""
        for name, column in self.columns.items():
            if name not in kept:
                column.forget()

    def names(self) -> list[str]:
        """Columns that hold fields of entries, the required ones first."""
        return [name for name in self.columns if name != SHAPE]

    def column(self, name: str) -> Column | None:
        """The column of that name, or None where no row has it."""
        return self.columns.get(name)

    def present(self, name: str) -> Mask | None:
        """Which rows have a value in this optional column; None when all have."""
        column = self.columns[name]
        if column.count == self.rows:
            return None
        mask = self._present.get(name)
        if mask is None:
            shape = self.columns[SHAPE]
            owners, places = self._members()
            has: Mask = np.zeros(len(shape.dictionary), np.bool_)
            has[owners[places == self._positions[name]]] = True
            mask = self._present[name] = has[self._shape_codes()]
        return mask

    def names_among(self, rows: Mask | Ints) -> list[str]:
        """As `names`, but only the columns that one of these rows has a value in.

        Rows are a mask, or their places.
        """
        if SHAPE not in self.columns:
            return self.names()
        used: Mask = np.zeros(len(self.columns[SHAPE].dictionary), np.bool_)
        used[self._shape_codes()[rows]] = True
        owners, places = self._members()
        held = set(places[used[owners]].tolist())
        return [
            name
            for name in self.names()
            if name in REQUIRED or self._positions[name] in held
        ]

    def _shape_codes(self) -> Ints:
        """The shape of each row; as numpy indexes by them, or it converts each time."""
        if self._codes is None:
            self._codes = self.columns[SHAPE].codes.astype(np.int64)
        return self._codes

    def _members(self) -> tuple[Ints, Ints]:
        """(shape, position of a column) of all shapes' columns.

        Looking a column up in each shape's array instead took 0.8 ms a column in a
        block with some hundred shapes: 70 of the 75 ms of reading 100 rows.
        """
        if self._owners is None:
            members = self.columns[SHAPE].dictionary
            sizes = np.fromiter(map(len, members), np.int64, len(members))
            owners = np.repeat(np.arange(len(members)), sizes)
            self._owners = owners, np.concatenate(members).astype(np.int64)
        return self._owners

    def entries(
        self, indices: Ints, optional: Sequence[str] | None = None
    ) -> list[Entry]:
        """The entries of the given rows, in that order.

        Of the optional columns all are read, or only these; the others' fields are
        empty.
        """
        times, sources, levels, messages = (
            self.columns[name].values(indices) for name in REQUIRED
        )
        metadata: list[dict[str, Any]] = [{} for _ in range(len(indices))]
        tags: list[list[str]] = [[] for _ in range(len(indices))]
        traces: list[str | None] = [None] * len(indices)
        for name in self.names()[len(REQUIRED) :] if optional is None else optional:
            for row, value in self.scattered(name, indices):
                if name.startswith(METADATA_PREFIX):
                    metadata[row][name[len(METADATA_PREFIX) :]] = value
                elif name == "metadata":
                    metadata[row].update(value)
                elif name == "tags":
                    tags[row] = list(value)
                elif name == "trace_id":
                    traces[row] = value
        return list(
            map(Entry, times, sources, levels, messages, metadata, tags, traces)
        )

    def scattered(self, name: str, indices: Ints) -> Iterator[tuple[int, Any]]:
        """(place in `indices`, value) for each of the rows that has a value."""
        places, ranks = self.ranks_at(name, indices)
        if not len(places):
            return iter(())
        return zip(places.tolist(), self.columns[name].values(ranks), strict=True)

    def ranks_at(self, name: str, rows: Ints) -> tuple[Ints, Ints]:
        """Places in `rows` of those that have a value, and where in its column."""
        if self.columns[name].count == self.rows:
            return np.arange(len(rows)), rows
        if name not in self._present and len(rows) <= _FEW_ROWS:
            return self._ranks_of_few(name, rows)
        mask = self.present(name)
        assert mask is not None
        places = np.flatnonzero(mask[rows])
        if not len(places):
            return places, places
        return places, (np.cumsum(mask) - 1)[rows[places]]

    def _ranks_of_few(self, name: str, rows: Ints) -> tuple[Ints, Ints]:
        """Without a look at who of all rows has a value, which is 90 us a column."""
        shapes, before = self._shapes_before(rows)
        owners, places = self._members()
        own = owners[places == self._positions[name]]
        has: Mask = np.zeros(before.shape[1], np.bool_)
        has[own] = True
        found = np.flatnonzero(has[shapes])
        return found, before[found][:, own].sum(1)

    def _shapes_before(self, rows: Ints) -> tuple[Ints, Ints]:
        """The shape of each of these rows, and how often each stands before it."""
        asked = rows.tobytes()
        if self._few is None or self._few[0] != asked:
            codes, count = self._shape_codes(), len(self.columns[SHAPE].dictionary)
            before = np.zeros((len(rows), count), np.int64)
            total, at = np.zeros(count, np.int64), 0
            for place in np.argsort(rows).tolist():
                row = int(rows[place])
                total += np.bincount(codes[at:row], minlength=count)
                before[place], at = total, row
            self._few = asked, codes[rows], before
        return self._few[1:]


def parse(
    payload: Bytes, columns_max: int = COLUMNS_MAX, bytes_max: int = PAYLOAD_BYTES
) -> Batch:
    """A batch over the payload's bytes; raises FrameError for a bad directory."""
    view = memoryview(payload)
    rows, fields, at = read_directory(view, columns_max, bytes_max)
    columns = {}
    for field in fields:
        columns[field.name] = Column(field, view[at : at + field.stored])
        at += field.stored
    if at != len(view):
        raise bad(f"columns have {at} bytes; the payload {len(view)}")
    return Batch(rows, columns, sum(field.raw for field in fields), payload)


def read_directory(
    view: memoryview, columns_max: int, bytes_max: int
) -> tuple[int, list[Field], int]:
    """Rows, directory and where the data begin."""
    if len(view) < HEAD.size:
        raise bad(f"{len(view)} bytes are too few for a batch")
    version, count, rows = HEAD.unpack_from(view)
    if version != VERSION:
        raise FrameError("bad_version", f"batch version {version}; known: {VERSION}")
    if not 0 < rows <= BATCH_ROWS:
        raise bad(f"{rows} rows; must be 1 to {BATCH_ROWS}")
    if not len(REQUIRED) <= count <= columns_max:
        raise bad(f"{count} columns; must be {len(REQUIRED)} to {columns_max}")
    end = HEAD.size + count * COLUMN.size
    entries = (
        list(COLUMN.iter_unpack(view[HEAD.size : end])) if end <= len(view) else []
    )
    kinds, codecs, sizes, counts, raws, stored = (
        zip(*entries, strict=True) if entries else ((),) * 6
    )
    at = end + sum(sizes)
    if not entries or at + sum(stored) > len(view):
        raise bad("the directory is longer than the payload")
    if sum(raws) > bytes_max:
        raise FrameError("too_large", f"{sum(raws)} bytes; mustn't exceed {bytes_max}")
    names = read_names(bytes(view[end:at]), sizes)
    fields = list(map(Field, names, kinds, codecs, counts, raws, stored))
    for field in fields:
        _check_field(field, rows)
    return rows, fields, at


def _check_field(field: Field, rows: int) -> None:
    if field.kind not in KINDS or field.codec not in _CODECS:
        raise bad(f"{field.name}: unknown kind {field.kind} or codec {field.codec}")
    if not 0 < field.present <= rows:
        raise bad(f"{field.name}: {field.present} values; must be 1 to {rows}")
    if field.codec == Codec.PLAIN and field.raw != field.stored:
        raise bad(f"{field.name}: {field.stored} bytes stored; declared {field.raw}")


@lru_cache(maxsize=1024)
def read_names(text: bytes, sizes: tuple[int, ...]) -> tuple[str, ...]:
    """Column names; a sender repeats them in every batch, hence the cache."""
    names = []
    at = 0
    for size in sizes:
        if size > METADATA_KEY_BYTES + len(METADATA_PREFIX):
            raise bad(f"a column's name has {size} bytes")
        try:
            names.append(text[at : at + size].decode())
        except UnicodeDecodeError:
            raise bad("a column's name is not UTF-8") from None
        at += size
    if tuple(names[: len(REQUIRED)]) != REQUIRED:
        raise bad(f"the first columns must be {', '.join(REQUIRED)}")
    if len(set(names)) != len(names):
        raise bad("two columns have one name")
    for name in names:
        if name not in _RESERVED and not name.startswith(METADATA_PREFIX):
            raise bad(f"unknown column {name!r}")
    return tuple(names)


_CODECS: Final = frozenset(Codec)
_RESERVED: Final = frozenset(
    {*REQUIRED, SHAPE, "tags", "trace_id", "metadata", "number"}
)
