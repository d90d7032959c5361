"""Columns from bytes, checked: every length is compared with its limit before use.

Strategy: `parse` reads the directory and hands out `Column`s that decode when they are
first asked (a query needs few); `check` looks at everything, once, where bytes
come from outside.  What parse returns is safe to index; what check passed also holds
valid UTF-8 and msgpack and consistent shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.layout import (
    COLUMN,
    HEAD,
    METADATA_PREFIX,
    REQUIRED,
    SHAPE,
    VERSION,
    Codec,
    Kind,
)
from pipeline.batch.read import (
    Ints,
    Texts,
    bad,
    decode_values,
    ends_of,
    read_dictionary,
    read_fixed,
    read_floats,
    read_integers,
    read_texts,
    slices,
    unpack,
)
from pipeline.compression import Bytes, decompress
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.limits import BATCH_COLUMNS, BATCH_ROWS, METADATA_KEY_BYTES, PAYLOAD_BYTES

Mask = npt.NDArray[np.bool_]

COLUMNS_MAX: Final = BATCH_COLUMNS + 16
"""Columns of a batch on the wire: metadata and the reserved ones."""


class Field(NamedTuple):
    """One row of the directory."""

    name: str
    kind: int
    codec: int
    present: int
    raw: int
    stored: int


class Column:
    """The values of one column, decoded when first asked for.

    Results are kept by hand: functools.cached_property takes a lock each time, which
    was a fifth of the cost of checking a batch.
    """

    __slots__ = (
        "_data",
        "_dictionary",
        "_ends",
        "_numbers",
        "_parts",
        "_raw",
        "_starts",
        "_stored",
        "_texts",
        "codec",
        "count",
        "kind",
        "name",
    )

    def __init__(self, field: Field, stored: Bytes) -> None:
        self.name, kind, self.codec, self.count, self._raw, _ = field
        self.kind = _KINDS[kind]
        self._stored = stored
        self._data: Bytes | None = None
        self._numbers: npt.NDArray[Any] | None = None
        self._parts: tuple[npt.NDArray[Any], int, Texts] | None = None
        self._dictionary: list[Any] | None = None
        self._texts: Texts | None = None
        self._ends: Ints | None = None
        self._starts: Ints | None = None

    @property
    def data(self) -> Bytes:
        """The column's bytes, decompressed."""
        if self.codec == Codec.PLAIN:
            return self._stored
        if self._data is None:
            content = decompress(self._stored, self._raw)
            if len(content) != self._raw:
                raise bad(f"{self.name}: {len(content)} bytes; declared {self._raw}")
            self._data = content
        return self._data

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """INT64, FLOAT64, BOOL or U8 values."""
        if self._numbers is None:
            self._numbers = self._read_numbers()
        return self._numbers

    def _read_numbers(self) -> npt.NDArray[Any]:
        if self.kind is Kind.INT64:
            return read_integers(self.data, self.count)
        if self.kind is Kind.FLOAT64:
            return read_floats(self.data, self.count)
        if self.kind is Kind.BOOL:
            return read_fixed(self.data, self.count, "u1").astype(np.bool_)
        if self.kind is Kind.U8:
            return read_fixed(self.data, self.count, "u1")
        raise TypeError(f"{self.name} is {self.kind.name}, which has no numbers")

    @property
    def raw(self) -> npt.NDArray[np.uint8]:
        """BYTES16 values, an array of shape (count, 16)."""
        return read_fixed(self.data, self.count * 16, "u1").reshape(self.count, 16)

    @property
    def dictionary_parts(self) -> tuple[npt.NDArray[Any], int, Texts]:
        """DICT and SHAPE: codes, the kind of the distinct values, and these."""
        if self._parts is None:
            self._parts = read_dictionary(self.data, self.count)
        return self._parts

    @property
    def codes(self) -> npt.NDArray[Any]:
        """DICT and SHAPE: which distinct value each row has."""
        return self.dictionary_parts[0]

    @property
    def dictionary(self) -> list[Any]:
        """DICT and SHAPE: the distinct values (SHAPE: arrays of u16)."""
        if self._dictionary is None:
            _, kind, texts = self.dictionary_parts
            if self.kind is Kind.SHAPE:
                parts = slices(texts, 0)
                self._dictionary = [np.frombuffer(part, "<u2") for part in parts]
            else:
                self._dictionary = decode_values(kind, texts)
        return self._dictionary

    @property
    def texts(self) -> Texts:
        """TEXT and PACKED: lengths and bytes."""
        if self._texts is None:
            terminated = self.kind is Kind.TEXT
            self._texts = read_texts(self.data, self.count, terminated=terminated)
        return self._texts

    @property
    def text(self) -> bytes:
        """TEXT: all values, each followed by a newline."""
        return self.texts.data

    @property
    def ends(self) -> Ints:
        """TEXT: where each value's newline stands; PACKED: where each value ends."""
        if self._ends is None:
            self._ends = ends_of(self.texts.lengths, int(self.kind is Kind.TEXT))
        return self._ends

    @property
    def starts(self) -> Ints:
        """TEXT and PACKED: where each value begins."""
        if self._starts is None:
            self._starts = self.ends - self.texts.lengths
        return self._starts

    def values(self, indices: Ints | None = None) -> list[Any]:
        """Python values, of all rows that have one or of the given places."""
        if self.kind in (Kind.DICT, Kind.SHAPE):
            codes = self.codes if indices is None else self.codes[indices]
            return list(map(self.dictionary.__getitem__, codes.tolist()))
        if self.kind is Kind.BYTES16:
            raw = self.raw if indices is None else self.raw[indices]
            digits = raw.tobytes().hex()
            return [digits[at : at + 32] for at in range(0, len(digits), 32)]
        if self.kind in (Kind.TEXT, Kind.PACKED):
            return self._variable(indices)
        chosen = self.numbers if indices is None else self.numbers[indices]
        return list(chosen.tolist())

    def _variable(self, indices: Ints | None) -> list[Any]:
        if indices is None:
            return decode_values(self.kind, self.texts)
        places = zip(
            self.starts[indices].tolist(), self.ends[indices].tolist(), strict=True
        )
        data = self.texts.data
        read = bytes.decode if self.kind is Kind.TEXT else unpack
        return [read(data[start:end]) for start, end in places]


class Batch:
    """n rows as columns; see `layout`."""

    def __init__(self, rows: int, columns: dict[str, Column], size: int) -> None:
        self.rows = rows
        self.size = size
        """Bytes of all columns after decompression."""
        self.columns = columns
        self._positions = {name: place for place, name in enumerate(columns)}
        self._present: dict[str, Mask] = {}
        self._owners: tuple[Ints, Ints] | None = None
        self._codes: Ints | None = None

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

    def names_among(self, rows: Mask) -> list[str]:
        """As `names`, but only the columns that one of these rows has a value in."""
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

    def entries(self, indices: Ints) -> list[Entry]:
        """The entries of the given rows, in that order."""
        times, sources, levels, messages = (
            self.columns[name].values(indices) for name in REQUIRED
        )
        metadata: list[dict[str, Any]] = [{} for _ in range(len(indices))]
        tags: list[list[str]] = [[] for _ in range(len(indices))]
        traces: list[str | None] = [None] * len(indices)
        for name in self.names()[len(REQUIRED) :]:
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
        mask = self.present(name)
        column = self.columns[name]
        if mask is None:
            return iter(enumerate(column.values(indices)))
        places = np.flatnonzero(mask[indices])
        if not len(places):
            return iter(())
        ranks = np.cumsum(mask)[indices[places]] - 1
        return zip(places.tolist(), column.values(ranks), strict=True)


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
    return Batch(rows, columns, sum(field.raw for field in fields))


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
    if field.kind not in _KINDS or field.codec not in _CODECS:
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


_KINDS: Final = {int(kind): kind for kind in Kind}
_CODECS: Final = frozenset(Codec)
_RESERVED: Final = frozenset(
    {*REQUIRED, SHAPE, "tags", "trace_id", "metadata", "number"}
)
