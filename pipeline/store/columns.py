"""The columns of a compacted block: each compressed by itself, and a directory of them.

Version 3 of a block's data. The directory is::

    version u8 | reserved u8 | columns u16 | rows u32
    columns x (kind u8 | codec u8 | name_bytes u16 | count u32 | raw u32 | stored u32
               | crc u32)
    names, UTF-8, one after another

The columns' bytes stand elsewhere (`cuts`), one column after another; they are
fetched when a query asks for the column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.batch.column import KINDS, Column, Field
from pipeline.batch.decode import Batch
from pipeline.batch.layout import HEAD, MESSAGE, REQUIRED, Codec, Kind
from pipeline.batch.read import bad
from pipeline.compression import FAST_LEVEL, Bytes, compress, decompress
from pipeline.errors import ColumnError, FrameError
from pipeline.limits import BATCH_ROWS, BLOCK_BYTES, BLOCK_COLUMNS, METADATA_KEY_BYTES
from pipeline.store.message_column import MessageColumn
from pipeline.store.messages import (
    TEMPLATED,
    TEMPLATES,
    TEMPLATES_NAME,
    UNSTRUCTURED,
    UNSTRUCTURED_NAME,
    VARIABLES,
    VARIABLES_NAME,
)

COLUMNS_VERSION: Final = 3
STORE_KINDS: Final = frozenset({TEMPLATED, VARIABLES, TEMPLATES, UNSTRUCTURED})
"""Kinds of columns that are never on the wire."""

RESERVED: Final = 16
"""Columns of a block beyond its metadata."""

_PLACE: Final = struct.Struct(
    "<"
    "B"  # kind => u8
    "B"  # codec => u8
    "H"  # name_bytes => u16
    "I"  # count => u32
    "I"  # raw => u32
    "I"  # stored => u32
    "I"  # crc => u32
)
_COMPRESS_FROM: Final = 64
_SAMPLE_BYTES: Final = 1 << 13
_RANDOM: Final = 1 / 3
"""Of a sample, that is left at the first level: digits alone take a half."""

_NAME_BYTES_MAX: Final = METADATA_KEY_BYTES + 16

Raw = tuple[str, int, int, bytes]
"""name, kind, values, data"""

Fetch = Callable[[int, int], bytes]
"""(offset, bytes) in all columns => these; raises FrameError when they aren't there."""


class Stored(NamedTuple):
    """A row of the directory: a field and the checksum of its blob."""

    field: Field
    crc: int


Directory = tuple[int, list[Stored]]
"""Rows and columns of a block."""


class Packed(NamedTuple):
    """The blobs of all columns, in the directory's order."""

    directory: bytes
    blobs: list[bytes]


def pack_columns(rows: int, columns: Iterable[Raw], level: int) -> Packed:
    """Each column compressed by itself (`level` is zstd's), and the directory."""
    places, names, blobs = [], [], []
    for name, kind, present, data in columns:
        codec, blob = _compressed(data, _level_of(kind, data, level))
        sizes = (len(name.encode()), present, len(data), len(blob))
        places.append(_PLACE.pack(kind, codec, *sizes, crc32(blob)))
        names.append(name.encode())
        blobs.append(blob)
    if len(blobs) > BLOCK_COLUMNS + RESERVED:
        most = BLOCK_COLUMNS + RESERVED
        raise bad(f"{len(blobs)} columns; mustn't exceed {most}")
    head = HEAD.pack(COLUMNS_VERSION, len(blobs), rows)
    return Packed(b"".join([head, *places, *names]), blobs)


def _level_of(kind: int, data: bytes, level: int) -> int:
    """Of random ids no level finds more than their digits, and the first does it best.

    Of 60,000 corpus entries' columns level 3 makes 41.77 bytes an entry in 0.40 us,
    level 9 40.38 in 1.87; with this 40.91 in 0.39 and 39.75 in 1.31.
    """
    if kind != Kind.TEXT or len(data) < _SAMPLE_BYTES:
        return level
    sample = data[-_SAMPLE_BYTES:]
    is_random = len(compress(sample)) > len(sample) * _RANDOM
    return FAST_LEVEL if is_random else level


def _compressed(data: bytes, level: int) -> tuple[Codec, bytes]:
    if len(data) >= _COMPRESS_FROM:
        smaller = compress(data, level)
        if len(smaller) < len(data):
            return Codec.ZSTD, smaller
    return Codec.PLAIN, data


def parse_directory(data: Bytes) -> Directory:
    """Rows and columns; raises FrameError when a size is beyond its limit."""
    view = memoryview(data)
    if len(view) < HEAD.size:
        raise bad(f"{len(view)} bytes are too few for a directory")
    version, count, rows = HEAD.unpack_from(view)
    if version != COLUMNS_VERSION:
        text = f"version {version} of a directory; known: {COLUMNS_VERSION}"
        raise FrameError("bad_version", text)
    at = HEAD.size + count * _PLACE.size
    if not 0 < rows <= BATCH_ROWS or count > BLOCK_COLUMNS + RESERVED or at > len(view):
        raise bad(f"a directory of {rows} rows and {count} columns is cut off")
    found = []
    for place in _PLACE.iter_unpack(view[HEAD.size : at]):
        kind, codec, name_bytes, present, raw, stored, crc = place
        name = _name(view[at : at + name_bytes], name_bytes)
        at += name_bytes
        found.append(Stored(Field(name, kind, codec, present, raw, stored), crc))
    if at != len(view) or sum(each.field.raw for each in found) > BLOCK_BYTES:
        raise bad("a directory's names or sizes don't add up")
    return rows, found


def _name(text: memoryview, size: int) -> str:
    if size > _NAME_BYTES_MAX or len(text) != size:
        raise bad(f"a column's name has {size} bytes")
    try:
        return bytes(text).decode()
    except UnicodeDecodeError:
        raise bad("a column's name is not UTF-8") from None


class StoredColumn(Column):
    """A column whose blob is fetched, and its checksum compared, when it is asked."""

    __slots__ = ("_fetch",)

    def __init__(self, field: Field, fetch: Callable[[], bytes]) -> None:
        super().__init__(field, b"")
        self._fetch = fetch

    @property
    def data(self) -> Bytes:
        """The column's bytes, decompressed."""
        if self._data is None:
            self._data = inflate(self._fetch(), self.codec, self._raw, self.name)
        return self._data


class StoredBlob:
    """A column that only the store has: its bytes are fetched each time."""

    def __init__(self, field: Field, fetch: Callable[[], bytes]) -> None:
        self._field = field
        self._fetch = fetch
        self._coming: Future[Bytes] | None = None

    def read_ahead(self) -> None:
        """Fetch the bytes, and decompress them in another thread, for one `data`."""
        field = self._field
        self._coming = _other_thread().submit(
            inflate, self._fetch(), field.codec, field.raw, field.name
        )

    def drop_ahead(self) -> bool:
        """Let go of what was read ahead, if nobody has asked for it: whether so."""
        coming, self._coming = self._coming, None
        return coming is not None

    @property
    def count(self) -> int:
        """How many values the directory says there are."""
        return self._field.present

    @property
    def data(self) -> Bytes:
        """Decompressed."""
        coming, self._coming = self._coming, None
        if coming is not None:
            return coming.result()
        field = self._field
        return inflate(self._fetch(), field.codec, field.raw, field.name)


@cache
def _other_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "decompress")


def inflate(blob: bytes, codec: int, raw: int, name: str) -> Bytes:
    """A blob's content, which has `raw` bytes; raises FrameError."""
    content = decompress(blob, raw) if codec == Codec.ZSTD else blob
    if len(content) != raw:
        raise bad(f"{name}: {len(content)} bytes; declared {raw}")
    return content


def open_columns(
    rows: int, directory: Sequence[Stored], fetch: Fetch, block: int = 0
) -> Batch:
    """A batch that fetches what it is asked for; raises FrameError.

    A column that is damaged is a ColumnError with the number of the block.
    """
    columns: dict[str, Column] = {}
    blobs: dict[str, StoredBlob] = {}
    offset = 0
    for field, crc in directory:
        _check_field(field, rows)
        read = partial(_fetched, block, fetch, offset, field, crc)
        offset += field.stored
        if field.kind not in STORE_KINDS:
            columns[field.name] = StoredColumn(field, read)
            continue
        blobs[field.name] = StoredBlob(field, read)
        if field.kind == TEMPLATED:  # shapes count places: it keeps its own
            columns[field.name] = StoredColumn(field._replace(kind=Kind.TEXT), read)
    if MESSAGE in blobs:
        columns[MESSAGE] = _messages(rows, blobs)
    if tuple(columns)[: len(REQUIRED)] != REQUIRED:
        raise bad(f"the first columns must be {', '.join(REQUIRED)}")
    size = sum(stored.field.raw for stored in directory)
    return Batch(rows, columns, size, b"")


def _messages(rows: int, blobs: dict[str, StoredBlob]) -> MessageColumn:
    if VARIABLES_NAME not in blobs:
        raise bad(f"{MESSAGE} without the column {VARIABLES_NAME}")
    codes, variables = blobs[MESSAGE], blobs[VARIABLES_NAME]
    templates, others = blobs.get(TEMPLATES_NAME), blobs.get(UNSTRUCTURED_NAME)
    count = None if templates is None else templates.count
    return MessageColumn(rows, codes, variables, templates, others, count)


def _check_field(field: Field, rows: int) -> None:
    known = field.kind in KINDS or field.kind in STORE_KINDS
    if not known or field.codec not in _CODECS:
        text = f"{field.name}: unknown kind {field.kind} or codec {field.codec}"
        raise bad(text)
    if field.kind in KINDS and not 0 < field.present <= rows:
        raise bad(f"{field.name}: {field.present} values in {rows} rows")


def _fetched(block: int, fetch: Fetch, offset: int, field: Field, crc: int) -> bytes:
    blob = fetch(offset, field.stored) if field.stored else b""
    if len(blob) != field.stored or crc32(blob) != crc:
        raise ColumnError(block, f"{field.name}: its checksum is wrong")
    return blob


_CODECS: Final = frozenset(Codec)
