"""How soon a question stops, and what a worker holds, whatever is asked.

    python -m bench.limits --entries 1000000
    python -m bench.limits --store FOLDER

Heavy questions get a time limit, or are cancelled, at random moments; overshoot is
what passes from then to the error, seen from outside. Each hostile question is asked
of a worker of its own, whose peak of resident memory is told.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from bench.corpus import generate
from bench.ingest import fill
from bench.measure import memory_of, quantile
from bench.processes import Place, place
from pipeline.entry import Entry
from pipeline.store.block import Part, seal_block
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of

_LENGTH: Final = struct.Struct("<I")
_TIMES: Final = (0.02, 0.4)
"""Seconds until a heavy question is to stop."""

_LONG_BYTES: Final = 64 << 10
_LONG_ROWS: Final = 100
_ANYTHING: Final = "/[a-z]+[0-9]+.*[a-z]/"

Question = tuple[str, dict[str, Any]]

HEAVY: Final[Sequence[Question]] = (
    ("query", {"q": f"message:{_ANYTHING} -nothing", "limit": 1}),
    ("query", {"q": f"{_ANYTHING} {_ANYTHING[:-1]}x/ -/q.*z[0-9]{{3}}/"}),
    ("query", {"q": " OR ".join(f'*"o such {n}"*' for n in range(100))}),
    ("query", {"limit": 10_000, "order": "asc"}),
    ("query", {"q": "metadata.duration_ms:>1 OR metadata.none:5", "limit": 10_000}),
    ("search", {"query": "connection", "limit": 10_000, "context": 100}),
    ("get_stats", {"q": f"{_ANYTHING} OR e", "buckets": 10_000}),
    ("export", {"q": "-nothing", "format": "csv"}),
    ("histogram", {"q": _ANYTHING}),
    ("facets", {}),
    ("facets", {"q": _ANYTHING}),
    ("aggregate", {"q": "* | stats by (trace_id) count() p95(duration_ms)"}),
    ("aggregate", {"q": "* | stats by (message) count() count_uniq(trace_id)"}),
    ("aggregate", {"q": "* | top 1000 message"}),
    ("aggregate", {"q": "* | stats by (trace_id) p95(duration_ms) as p | sort p"}),
    ("aggregate", {"q": "* | uniq message"}),
    ("query", {"q": "* | sort message | limit 10000"}),
    ("query", {"q": "* | sort trace_id, message desc | limit 100"}),
    ("patterns", {}),
    ("describe", {}),
)
"""A method that there isn't yet is left out."""


class Stop(NamedTuple):
    """Milliseconds from the limit to the error; CPU is what another load leaves."""

    cpu: float
    wall: float
    question: str


@dataclass(slots=True)
class Findings:
    """Stops, and peaks in MiB by question."""

    late: list[Stop] = field(default_factory=list)
    cancelled: list[Stop] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)


class Worker:
    """A query worker and its pipes."""

    def __init__(self, where: Place) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "query-worker"],
            env=where.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._asked = 0

    def send(self, method: str, params: Mapping[str, Any], timeout: float) -> None:
        """Ask, and don't wait."""
        self._asked += 1
        call = {"id": self._asked, "method": method, "params": dict(params)}
        self._write(call | {"now": time.time_ns(), "timeout": timeout})

    def cancel(self) -> None:
        """Say that nobody waits for the last question."""
        self._write({"cancel": self._asked})

    def receive(self) -> dict[str, Any]:
        """The next answer."""
        assert self._process.stdout is not None
        (size,) = _LENGTH.unpack(self._process.stdout.read(_LENGTH.size))
        answer: dict[str, Any] = msgpack.unpackb(self._process.stdout.read(size))
        return answer

    def peak(self) -> float:
        """MiB resident at most so far."""
        return memory_of(self._process.pid) / (1 << 20)

    def cpu(self) -> float:
        """CPU seconds of the thread that answers."""
        text = Path(f"/proc/{self._process.pid}/schedstat").read_text()
        return int(text.split()[0]) / 1e9

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        packed = msgpack.packb(message)
        self._process.stdin.write(_LENGTH.pack(len(packed)) + packed)
        self._process.stdin.flush()


@contextmanager
def worker(where: Place) -> Iterator[Worker]:
    """One that has answered already."""
    started = Worker(where)
    try:
        started.send("query", {"limit": 1}, 60.0)
        started.receive()
        yield started
    finally:
        started.close()


def measure(folder: Path, entries: int, runs: int) -> Findings:
    """Everything, over a store of its own."""
    where = fill(folder, entries)
    add_long_entries(where, entries // 1_000)
    return measure_store(where, runs)


def measure_store(where: Place, runs: int) -> Findings:
    """Everything, over what there is."""
    found = Findings()
    known = known_methods(where)
    for method, params in known:
        found.peaks[f"{method} {json.dumps(params)[:60]}"] = peak_of(
            where, method, params
        )
    found.late = list(overshoots(where, known, runs, is_cancelled=False))
    found.cancelled = list(overshoots(where, known, runs, is_cancelled=True))
    return found


def known_methods(where: Place) -> list[Question]:
    """The questions whose method there is."""
    known = []
    with worker(where) as asked:
        for method, params in HEAVY:
            asked.send(method, params, 0.001)
            code = (asked.receive().get("error") or {}).get("code", 0)
            if code in (0, -32002):
                known.append((method, params))
            else:
                print(f"left out: {method} {params}: {code}", file=sys.stderr)
    return known


def overshoots(
    where: Place, questions: Sequence[Question], runs: int, *, is_cancelled: bool
) -> Iterator[Stop]:
    """All stops; questions that ended before are asked again."""
    chance = random.Random(7)
    with worker(where) as asked:
        stops = tries = 0
        while stops < runs and tries < 20 * runs:
            tries += 1
            method, params = questions[tries % len(questions)]
            seconds = chance.uniform(*_TIMES)
            asked.send(method, params, 600.0 if is_cancelled else seconds)
            time.sleep(seconds)
            started, cpu = time.perf_counter(), asked.cpu()
            if is_cancelled:
                asked.cancel()
            answer = asked.receive()
            if answer.get("error"):
                stops += 1
                late = (time.perf_counter() - started) * 1e3
                name = f"{method} {json.dumps(params)[:60]}"
                yield Stop((asked.cpu() - cpu) * 1e3, late, name)


def peak_of(where: Place, method: str, params: Mapping[str, Any]) -> float:
    """MiB that a worker holds at most; an export is read to its end."""
    with worker(where) as asked:
        cursor = None
        while True:
            asked.send(
                method, dict(params) | ({"cursor": cursor} if cursor else {}), 20.0
            )
            answer = asked.receive()
            if method != "export" or answer.get("error"):
                return asked.peak()
            cursor = json.loads(answer["result"])["next_cursor"]
            if cursor is None:
                return asked.peak()


def add_long_entries(where: Place, count: int) -> None:
    """Entries of 64 KiB, in commits of 100, as the newest."""
    texts = cycle(entry.message for entry in generate(20_000))
    writer = Writer(where.database, "process")
    number = 1
    while number <= count:
        rows = []
        for _ in range(min(_LONG_ROWS, count - number + 1)):
            text = ""
            while len(text) < _LONG_BYTES:
                text += next(texts) + "\n"
            rows.append(Entry(time.time_ns(), "long", 9, text, {}, [], None))
        batch = batch_of(rows).batch
        assert batch is not None
        block = seal_block([Part(batch, b"bench-long-entry", number, None)])
        writer.commit([block], [], [], [], now=time.time_ns())
        number += len(rows)
    writer.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=50, help="stops of each kind")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--store", type=Path, help="the folder of a logs.db to ask")
    given = parser.parse_args()
    if given.store is not None:
        found = measure_store(place(given.store), given.runs)
    else:
        with tempfile.TemporaryDirectory(dir=given.folder, prefix="bench-") as name:
            found = measure(Path(name), given.entries, given.runs)
    show(found)


def show(found: Findings) -> None:
    """Print stops and peaks."""
    for title, stops in (("time limit", found.late), ("cancelled", found.cancelled)):
        for what in ("cpu", "wall"):
            values = [getattr(stop, what) for stop in stops]
            if values:
                print(
                    f"{title}, {what}: {len(values)} stops,"
                    f" p50 {quantile(values, 0.5):.1f} ms,"
                    f" p95 {quantile(values, 0.95):.1f} ms, most {max(values):.1f} ms"
                )
        for stop in sorted(stops, reverse=True)[:5]:
            print(f"    {stop.cpu:8.1f} ms {stop.wall:8.1f} ms  {stop.question}")
    print("peak of a worker's memory (VmHWM)")
    for question, peak in sorted(found.peaks.items(), key=lambda item: -item[1]):
        print(f"    {peak:8.1f} MiB  {question}")


if __name__ == "__main__":
    main()
