"""Lines of an export as a Parquet file; needs pyarrow, the extra `parquet`.

Columns are those of CSV: the time in nanoseconds (UTC), tags as a list, metadata as
JSON, since its keys have other kinds from entry to entry. A row group is made of as
many lines as a bounded amount of memory takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipeline.errors import PipelineError
from pipeline.query.exports import CSV_FIELDS
from pipeline.timestamp import parse_timestamp

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES: Final = 8 << 20
"""JSON of one row group: some 30,000 entries."""

_METADATA: Final = "metadata."


def write_parquet(
    pieces: Iterable[bytes],
    write: Callable[[bytes], object],
    fields: Iterable[str],
) -> None:
    """Write the lines of NDJSON that the pieces have; raises PipelineError.

    `fields` are the columns; without any all of them. Where the pieces end by an error,
    the file has no footer: nobody reads it as a whole one.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        problem = "Parquet needs pyarrow: pip install 'recursive-log-pipeline[parquet]'"
        raise PipelineError(problem) from None
    names = list(fields) or list(CSV_FIELDS)
    schema = arrow.schema([(name, _type(arrow, name)) for name in names])
    target = _Sink(write)
    sink = arrow.PythonFile(target, mode="w")
    with parquet.ParquetWriter(sink, schema, compression="zstd") as file:
        try:
            for lines in _groups(pieces):
                columns = map(arrow.array, _values(lines, names), schema.types)
                file.write_table(arrow.Table.from_arrays([*columns], schema=schema))
        except BaseException:
            target.ends = True
            raise


class _Sink:
    """What pyarrow takes for a file."""

    closed = False

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.ends = False
        """Nothing is written from now on: a writer that is closed adds the footer."""

    def write(self, data: bytes) -> int:
        """All of it."""
        if not self.ends:
            self._write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Whose file it is does that."""

    def close(self) -> None:
        """And that."""


def _groups(pieces: Iterable[bytes]) -> Iterable[list[bytes]]:
    """Lines of whole pieces; at least one piece each."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting += piece.splitlines()
        size += len(piece)
        if size >= GROUP_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _values(lines: Iterable[bytes], names: list[str]) -> list[list[object]]:
    """The column of each name."""
    values: list[list[object]] = [[] for _ in names]
    for row in map(msgspec.json.decode, lines):
        for name, column in zip(names, values, strict=True):
            column.append(_value(row, name))
    return values


def _type(arrow: Any, name: str) -> pa.DataType:
    if name == "timestamp":
        return arrow.timestamp("ns", "UTC")
    return arrow.list_(arrow.string()) if name == "tags" else arrow.string()


def _value(row: Mapping[str, Any], name: str) -> object:
    if name.startswith(_METADATA):
        value = _found(row.get("metadata") or {}, name.removeprefix(_METADATA))
        return value if value is None or isinstance(value, str) else _json(value)
    value = row.get(name)
    if name == "timestamp":
        return parse_timestamp(value, 0)
    return _json(value) if name == "metadata" else value


def _found(metadata: Mapping[str, Any], name: str) -> object:
    """A key, which may have dots itself, or one within maps."""
    if name in metadata:
        return metadata[name]
    head, dot, rest = name.partition(".")
    inner = metadata.get(head)
    return _found(inner, rest) if dot and isinstance(inner, Mapping) else None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
