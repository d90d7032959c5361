"""VictoriaLogs over HTTP, when the address of a running and empty one is given.

Its CPU, memory and disk come from its own /metrics, so that it can run anywhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from bench.measure import Load, own_cpu
from bench.rivals import AROUND, LIMIT, PATTERNS, Cells, Counts, Row, both_ways
from pipeline.entry import Entry, format_timestamp, parse_timestamp

_INSERT: Final = "/insert/jsonline?" + urlencode(
    {"_stream_fields": "source", "_time_field": "timestamp", "_msg_field": "message"}
)
_BODY: Final = 4 << 20
"""Bytes of a request: larger ones are not faster."""

_SETTLE_S: Final = 120
_MINUTE: Final = 60_000_000_000


class VictoriaLogs:
    """JSON lines in, LogsQL out, one kept connection."""

    def __init__(self, folder: Path, address: str) -> None:
        self._lines = folder / "corpus.jsonl"
        parts = urlsplit(address)
        self._connection = HTTPConnection(parts.hostname or "", parts.port or 9428)

    def prepare(self, pieces: Iterable[list[Entry]]) -> None:
        """One JSON object a line, as its jsonline endpoint wants them."""
        with self._lines.open("wb") as file:
            for piece in pieces:
                file.write("".join(map(json_line, piece)).encode())

    def ingest(self) -> Load:
        """Post the lines; durable and searchable after a forced flush."""
        before, feeder = self._metrics(), own_cpu()
        start, rows = time.perf_counter(), 0
        with self._lines.open("rb") as file:
            while lines := file.readlines(_BODY):
                rows += len(lines)
                self._request("POST", _INSERT, b"".join(lines))
        self._request("GET", "/internal/force_flush")
        seconds, feeder = time.perf_counter() - start, own_cpu() - feeder
        loaded = self._metrics()
        self._request("GET", "/internal/force_merge")
        settled = self._settled()
        cpu = "process_cpu_seconds_total"
        return Load(
            rows,
            seconds,
            loaded[cpu] - before[cpu],
            int(settled.get("process_resident_memory_peak_bytes", 0)),
            _disk(settled) - _disk(before),
            time.perf_counter() - start - seconds,
            settled[cpu] - loaded[cpu],
            feeder,
        )

    def trace(self, trace_id: str) -> list[Row]:
        """All entries of a trace."""
        return self._select(f'trace_id:="{trace_id}"')

    def word(self, word: str) -> list[Row]:
        """The newest entries whose message has this word."""
        return self._select(f'"{word}"')

    def phrase(self, phrase: str) -> list[Row]:
        """The newest entries whose message has these words in a row."""
        return self._select(f'"{phrase}"')

    def newest(self, level: int, source: str) -> list[Row]:
        """The newest entries of one level and source."""
        return self._select(f'{{source="{source}"}} level:={level}')

    def counts(self) -> Counts:
        """Grouped by level and source."""
        rows = self._query("* | stats by (level, source) count() n")
        return both_ways(
            (int(row["level"]), row["source"], int(row["n"])) for row in rows
        )

    def substring(self, text: str) -> int:
        """A regular expression of literal text, its form of a substring."""
        return int(self._query(f'~"{text}" | stats count() n')[0]["n"])

    def minutes(self) -> Cells:
        """Grouped by minute and level."""
        rows = self._query("* | stats by (_time:1m, level) count() n")
        return {
            (parse_timestamp(row["_time"], 0) // _MINUTE, int(row["level"])): int(
                row["n"]
            )
            for row in rows
        }

    def slow(self, source: str, milliseconds: int) -> list[Row]:
        """A comparison of numbers."""
        return self._select(
            f'{{source="{source}"}} "metadata.duration_ms":>{milliseconds}'
        )

    def matching(self, pattern: str) -> int:
        """A regular expression over all messages."""
        query = f"~{json.dumps(pattern)} | stats count() n"
        return int(self._query(query)[0]["n"])

    def percentiles(self, key: str) -> dict[str, float]:
        """Its estimate, for each of the most frequent values."""
        name = f"metadata.{key}"
        rows = self._query(
            f'"{name}":* "metadata.duration_ms":*'
            f' | stats by ("{name}") quantile(0.95, "metadata.duration_ms") p,'
            f" count() n | sort by (n desc) limit {PATTERNS}"
        )
        return {row[name]: float(row["p"]) for row in rows}

    def patterns(self) -> list[int]:
        """Numbers taken out by its own pipe, which knows other ones than ours."""
        rows = self._query(f"* | collapse_nums | top {PATTERNS} by (_msg)")
        return [int(row["hits"]) for row in rows]

    def around(self, hit: Row) -> list[Row]:
        """One search for each side."""
        at, source, *_ = hit
        time = format_timestamp(at)
        stream = f'{{source="{source}"}}'
        before = self._select(f"{stream} _time:<={time}", AROUND + 1)
        after = self._select(f"{stream} _time:>{time}", AROUND, "asc")
        return [*reversed(before), *after]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _select(
        self, condition: str, limit: int = LIMIT, order: str = "desc"
    ) -> list[Row]:
        found = self._query(f"{condition} | sort by (_time {order}) limit {limit}")
        return [
            (
                parse_timestamp(row["_time"], 0),
                row["source"],
                int(row["level"]),
                row["_msg"],
            )
            for row in found
        ]

    def _query(self, query: str) -> list[dict[str, Any]]:
        path = "/select/logsql/query?" + urlencode({"query": query})
        return [json.loads(line) for line in self._request("GET", path).splitlines()]

    def _metrics(self) -> dict[str, float]:
        lines = self._request("GET", "/metrics").decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")
        return {name: float(value) for name, value in pairs}

    def _settled(self) -> dict[str, float]:
        """Metrics once its merges have come to rest."""
        previous, deadline = -1, time.monotonic() + _SETTLE_S
        while True:
            found = self._metrics()
            if _disk(found) == previous or time.monotonic() > deadline:
                return found
            previous = _disk(found)
            time.sleep(2)

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self._connection.request(method, path, body)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status >= 300:
            raise RuntimeError(f"{path[:60]}: {reply.status} {text[:200]!r}")
        return text


def json_line(entry: Entry) -> str:
    """An entry as one line of JSON with its time as ISO 8601."""
    timestamp, source, level, message, metadata, tags, trace_id = entry
    fields: dict[str, Any] = {
        "timestamp": format_timestamp(timestamp),
        "source": source,
        "level": level,
        "message": message,
        **{f"metadata.{key}": value for key, value in (metadata or {}).items()},
    }
    if tags:
        fields["tags"] = tags
    if trace_id:
        fields["trace_id"] = trace_id
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


def _disk(metrics: dict[str, float]) -> int:
    names = [name for name in metrics if name.startswith("vl_data_size_bytes")]
    return int(sum(metrics[name] for name in names))


def open_store(folder: Path, address: str) -> VictoriaLogs:
    """The store at this address; the folder is for what is prepared."""
    return VictoriaLogs(folder, address)
