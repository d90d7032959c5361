"""ClickHouse by PyPI's `chdb`: one MergeTree table, fed by Arrow.

Measured at 300,000 entries on 2 cores (rows/s, CPU seconds a million):
`Python(table)` 182,000 at 6.1; ArrowStream file 862,000 at 2.1, Arrow file 851,000 at
2.1, Parquet file 696,000 at 2.3 (lz4 752,000 at 2.1).  All four are about 500,000 at
2.1 with default block sizes, which make one block of it and so one thread.
`python -m bench.rivals.chdb_table` repeats this.
Metadata as Map(LowCardinality(String), String): a JSON column takes 6 % less room and
loads ten times slower.  ORDER BY (source, timestamp) takes 4 % less room than timestamp
and makes the newest entries a search; ZSTD(3) takes 7 % less and 20 % longer.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from chdb import session
from pyarrow import parquet

from bench.corpus import PIECE, pieces
from bench.measure import Load, Stopwatch, median, memory_of
from bench.rivals import AROUND, LIMIT, PATTERNS, Cells, Counts, Row, both_ways
from pipeline.entry import Entry

_TABLE: Final = """
CREATE TABLE bench.logs (
    timestamp DateTime64(9) CODEC(Delta, ZSTD({level})),
    source LowCardinality(String) CODEC(ZSTD({level})),
    level UInt8 CODEC(ZSTD({level})),
    message String CODEC(ZSTD({level})),
    metadata Map(LowCardinality(String), String) CODEC(ZSTD({level})),
    tags Array(LowCardinality(String)) CODEC(ZSTD({level})),
    trace_id FixedString(16) CODEC(ZSTD({level})),
    INDEX words message TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1,
    INDEX traces trace_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = MergeTree ORDER BY timestamp
"""
_INSERT: Final = """
INSERT INTO bench.logs
SELECT timestamp, source, level, message, metadata, tags, unhex(trace_id) FROM {}{}
SETTINGS max_insert_threads = 4,
    max_insert_block_size = 131072, min_insert_block_size_rows = 131072
"""
_NEWEST: Final = """
SELECT toUnixTimestamp64Nano(timestamp) AS at, source, level, message,
    metadata, tags, hex(trace_id) AS trace
FROM bench.logs WHERE {} ORDER BY timestamp {} LIMIT {}
"""
_SCHEMA: Final = pa.schema(
    {
        "timestamp": pa.timestamp("ns", "UTC"),
        "source": pa.string(),
        "level": pa.uint8(),
        "message": pa.string(),
        "metadata": pa.map_(pa.string(), pa.string()),
        "tags": pa.list_(pa.string()),
        "trace_id": pa.string(),
    }
)


class ChdbTable:
    """A table in a session of its own; only one session can be open in a process."""

    def __init__(self, folder: Path, level: int = 1) -> None:
        self._arrow = folder / "corpus.arrows"
        self._data = folder / "data"
        self._level = level
        self._session: Any = None

    @property
    def session(self) -> Any:
        """Opened when first used, so that preparing needs none."""
        if self._session is None:
            self._session = session.Session(  # type: ignore[no-untyped-call]
                str(self._data)
            )
        return self._session

    def prepare(self, pieces: Iterable[list[Entry]]) -> None:
        """One uncompressed Arrow stream; metadata values as text, for the Map."""
        with (
            pa.OSFile(str(self._arrow), "wb") as file,
            pa.ipc.new_stream(file, _SCHEMA) as writer,
        ):
            for piece in pieces:
                writer.write_batch(arrow_batch(piece))

    def ingest(self) -> Load:
        """Insert the Arrow stream in one statement, then merge into one part."""
        source = f"file('{self._arrow}', ArrowStream)"
        self.warm(source)
        watch, settle = Stopwatch(), Stopwatch()
        with watch.running():
            self.run(_INSERT.format(source, ""))
        with settle.running():
            self.run("OPTIMIZE TABLE bench.logs FINAL")
        return Load(
            self.rows(),
            watch.seconds,
            watch.cpu_seconds,
            memory_of(os.getpid()),
            self.size(),
            settle.seconds,
            settle.cpu_seconds,
        )

    def warm(self, source: str) -> None:
        """Insert a little and leave an empty table.

        The first statements of a process start threads and allocate: 0.5 s of CPU,
        which a server that runs already has behind it.
        """
        self.create()
        self.run(_INSERT.format(source, " LIMIT 10000"))
        self.create()

    def create(self) -> None:
        """An empty table."""
        self.run("CREATE DATABASE IF NOT EXISTS bench")
        self.run("DROP TABLE IF EXISTS bench.logs SYNC")
        self.run(_TABLE.format(level=self._level))

    def rows(self) -> int:
        """Rows in the table."""
        return int(self.run("SELECT count() AS n FROM bench.logs")[0]["n"])

    def size(self) -> int:
        """Bytes on disk of the parts in use."""
        query = "SELECT sum(bytes_on_disk) AS n FROM system.parts"
        return int(self.run(f"{query} WHERE active AND table = 'logs'")[0]["n"])

    def trace(self, trace_id: str) -> list[Row]:
        """All entries of a trace, by the Bloom filter of its granules."""
        return self._select(f"trace_id = unhex('{trace_id}')")

    def word(self, word: str) -> list[Row]:
        """The newest entries whose message has this word, by the token filter."""
        return self._select(f"hasToken(message, '{word}')")

    def phrase(self, phrase: str) -> list[Row]:
        """Token filter for each word, then the text itself."""
        words = "".join(f"hasToken(message, '{word}') AND " for word in phrase.split())
        return self._select(f"{words}message LIKE '%{phrase}%'")

    def newest(self, level: int, source: str) -> list[Row]:
        """The newest entries of one level and source."""
        return self._select(f"level = {level} AND source = '{source}'")

    def counts(self) -> Counts:
        """Grouped by a scan of two small columns."""
        query = "SELECT level, source, count() AS n FROM bench.logs GROUP BY 1, 2"
        return both_ways(
            (row["level"], row["source"], row["n"]) for row in self.run(query)
        )

    def substring(self, text: str) -> int:
        """A scan of all messages."""
        query = f"SELECT countIf(position(message, '{text}') > 0) AS n FROM bench.logs"
        return int(self.run(query)[0]["n"])

    def minutes(self) -> Cells:
        """Grouped by a scan of two columns."""
        query = (
            "SELECT intDiv(toUnixTimestamp(timestamp), 60) AS minute, level,"
            " count() AS n FROM bench.logs GROUP BY 1, 2"
        )
        return {(r["minute"], r["level"]): r["n"] for r in self.run(query)}

    def slow(self, source: str, milliseconds: int) -> list[Row]:
        """The map's value as a number."""
        duration = "toFloat64OrZero(metadata['duration_ms'])"
        return self._select(f"source = '{source}' AND {duration} > {milliseconds}")

    def matching(self, pattern: str) -> int:
        """re2 over all messages."""
        escaped = pattern.replace("\\", "\\\\")
        query = f"SELECT countIf(match(message, '{escaped}')) AS n FROM bench.logs"
        return int(self.run(query)[0]["n"])

    def percentiles(self, key: str) -> dict[str, float]:
        """Its default estimate, from a sample of each group."""
        duration = "toFloat64OrNull(metadata['duration_ms'])"
        query = (
            f"SELECT metadata['{key}'] AS key, quantile(0.95)({duration}) AS p"
            f" FROM bench.logs WHERE mapContains(metadata, '{key}')"
            f" AND isNotNull({duration}) GROUP BY 1"
            f" ORDER BY count() DESC, key LIMIT {PATTERNS}"
        )
        return {row["key"]: row["p"] for row in self.run(query)}

    def patterns(self) -> list[int]:
        """Words with a digit taken out of every message, then grouped."""
        word = "[0-9A-Za-z_]*[0-9][0-9A-Za-z_]*"
        query = (
            f"SELECT replaceRegexpAll(message, '{word}', '*') AS pattern, count() AS n"
            f" FROM bench.logs GROUP BY 1 ORDER BY n DESC LIMIT {PATTERNS}"
        )
        return [row["n"] for row in self.run(query)]

    def around(self, hit: Row) -> list[Row]:
        """One search for each side."""
        at, source, *_ = hit
        side = f"source = '{source}' AND toUnixTimestamp64Nano(timestamp)"
        before = self._select(f"{side} <= {at}", AROUND + 1)
        after = self._select(f"{side} > {at}", AROUND, "ASC")
        return [*reversed(before), *after]

    def run(self, query: str) -> list[dict[str, Any]]:
        """Rows of one statement, as Python values."""
        reply = self.session.query(query, "ArrowStream").bytes()
        if not reply:
            return []
        rows: list[dict[str, Any]] = pa.ipc.open_stream(reply).read_all().to_pylist()
        return rows

    def close(self) -> None:
        """Close the session; the data stay in the folder."""
        if self._session is not None:
            self._session.close()

    def _select(
        self, condition: str, limit: int = LIMIT, order: str = "DESC"
    ) -> list[Row]:
        found = self.run(_NEWEST.format(condition, order, limit))
        return [
            (row["at"], row["source"], row["level"], row["message"]) for row in found
        ]


def arrow_batch(entries: list[Entry]) -> Any:
    """Entries as one Arrow record batch."""
    times, sources, levels, messages, metadata, tags, traces = zip(
        *entries, strict=True
    )
    columns = [
        times,
        sources,
        levels,
        messages,
        [[(key, _text(value)) for key, value in m.items()] for m in metadata],
        tags,
        [trace or "" for trace in traces],
    ]
    arrays = [
        pa.array(column, kind)
        for column, kind in zip(columns, _SCHEMA.types, strict=True)
    ]
    return pa.record_batch(arrays, schema=_SCHEMA)


def _text(value: object) -> str:
    if type(value) is str:
        return value
    return json.dumps(value, ensure_ascii=False)


def open_store(folder: Path, _address: str) -> ChdbTable:
    """The store in this folder."""
    return ChdbTable(folder)


def _paths(folder: Path, entries: int) -> Iterator[tuple[str, str]]:
    """Each way in: its name and ClickHouse's table expression."""
    table = pa.Table.from_batches([arrow_batch(piece) for piece in pieces(entries)])
    formats: list[tuple[str, Callable[[Any, Any], Any]]] = [
        ("Arrow", pa.ipc.new_file),
        ("ArrowStream", pa.ipc.new_stream),
    ]
    for name, make in formats:
        path = folder / name
        with pa.OSFile(str(path), "wb") as file, make(file, _SCHEMA) as writer:
            writer.write_table(table, max_chunksize=PIECE)
        yield f"{name} file", f"file('{path}', {name})"
    for compression in ("none", "lz4"):
        path = folder / f"{compression}.parquet"
        parquet.write_table(table, path, compression=compression)
        yield f"Parquet file, {compression}", f"file('{path}', Parquet)"


def compare(entries: int, runs: int) -> None:
    """Print rate and CPU of each way in, medians."""
    with tempfile.TemporaryDirectory() as folder:
        store = ChdbTable(Path(folder))
        for name, source in _paths(Path(folder), entries):
            store.warm(source)
            watches = [Stopwatch() for _ in range(runs)]
            for watch in watches:
                store.create()
                with watch.running():
                    store.run(_INSERT.format(source, ""))
            rate = entries / median([watch.seconds for watch in watches])
            cpu = median([watch.cpu_seconds for watch in watches]) / entries * 1e6
            print(f"{name:20} {rate:10,.0f} rows/s {cpu:6.2f} CPU s/million")
        store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=compare.__doc__)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    compare(arguments.entries, arguments.runs)
