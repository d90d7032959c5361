"""What acknowledgements cost: beside a sender that doesn't wait for any, and in time.

    python -m bench.delivery --entries 3000000 --pairs 5 --seconds 30

Two senders push the same encoded batches to a real ingester, in turns: one holds them
in the pipeline's `Window` until they are durable, the other has a PUSH socket alone and
forgets what it took.  Both rates run until all is durable.  Then a service logs at some
rates, and each entry's time from `log()` to its acknowledgement is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from zlib import crc32

from bench.frames import make, read
from bench.ingest import started
from bench.latency import line
from bench.live import Call, calls
from bench.measure import Load, cpu_of, median, memory_of, own_cpu
from bench.processes import Place, await_go, place, running
from pipeline import Collector, transport
from pipeline.wire.frame import PRODUCER_BYTES, Flag, Header, pack_header

RATES: Final = (1_000, 20_000)
"""Entries a second of the service whose calls are timed."""

ACKNOWLEDGED: Final = "with acknowledgements"
FORGOTTEN: Final = "plain PUSH"

ASKED_RATIO: Final = 0.9
ASKED_MS: Final = 100.0

_POLL_S: Final = 0.002
_LOOK_S: Final = 0.0005
_PATIENCE_S: Final = 120.0
_PREPARED: Final = 20_000


def forget(arguments: argparse.Namespace) -> None:
    """Push the file with a PUSH socket alone: nothing is held, no answer is heard."""
    push = transport.push(arguments.ingest)
    poller = transport.Poller()
    poller.watch(push, write=True)
    poller.wait(_PATIENCE_S)
    await_go()
    before, rows = own_cpu(), 0
    for frames, count in _frames(arguments.file):
        while not transport.send(push, frames):
            poller.wait(_PATIENCE_S)
        rows += count
    report = {"rows": rows, "cpu_seconds": own_cpu() - before}
    print(json.dumps(report), flush=True)
    push.close(int(_PATIENCE_S * 1000))
    transport.context().term()  # else what the socket still has ends with the process


def _frames(path: Path) -> Iterator[tuple[list[bytes], int]]:
    """Header and payload of each batch, and its rows; FLUSH on the last one."""
    producer, number = os.urandom(PRODUCER_BYTES), 1
    source = read(path)
    following = next(source, None)
    while following is not None:
        (codec, rows, payload), following = following, next(source, None)
        flags = Flag(0) if following else Flag.FLUSH
        header = Header(flags, codec, producer, number, number, rows, rows, 0, 0)
        yield [pack_header(header, crc32(payload)), payload], rows
        number += rows


def _command(way: str, file: Path) -> list[str]:
    words = {
        ACKNOWLEDGED: ["bench.frames", "push"],
        FORGOTTEN: ["bench.delivery", "--forget"],
    }
    return [*words[way], "--file", str(file)]


def _push(words: list[str], rows: int, folder: Path) -> Load:
    """Push all of it; the time ends when all is durable, however that is known."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        where = place(Path(name))
        command = [*words, "--ingest", where.ingest, "--publish", where.publish]
        with running("ingester", where) as ingester, started([command]) as (feeder,):
            cpu, start = cpu_of(ingester.pid), time.perf_counter()
            feeder.go()
            ended = _await_stored(where, rows)
            cpu, peak = cpu_of(ingester.pid) - cpu, memory_of(ingester.pid)
            feeding = float(feeder.report()["cpu_seconds"])
        seconds = ended - start
        return Load(rows, seconds, cpu, peak, where.disk(), feeder_cpu_seconds=feeding)


def _await_stored(where: Place, rows: int) -> float:
    """When the store has counted so many rows; the same clock for both ways."""
    end = time.perf_counter() + _PATIENCE_S
    address = f"file:{where.database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        while (now := time.perf_counter()) < end:
            question = "SELECT coalesce(sum(stored), 0) FROM producers"
            (stored,) = connection.execute(question).fetchone()
            if stored >= rows:
                return now
            time.sleep(_POLL_S)
    raise RuntimeError(f"{stored:,} of {rows:,} rows stored in {_PATIENCE_S} s")


def throughput(entries: int, pairs: int, folder: Path) -> dict[str, list[Load]]:
    """Loads of both ways; the first of each pair takes turns."""
    found: dict[str, list[Load]] = {ACKNOWLEDGED: [], FORGOTTEN: []}
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as name:
        file = Path(name) / "frames"
        make(file, entries)
        for number in range(pairs):
            for way in list(found)[:: -1 if number % 2 else 1]:
                found[way].append(_push(_command(way, file), entries, Path(name)))
                print(row(way, found[way][-1:]), flush=True)
    return found


def row(name: str, loads: Sequence[Load]) -> str:
    """Medians of the loads in one line."""
    feeding = median([load.feeder_cpu_seconds for load in loads])
    cells = [
        f"{median([load.rate for load in loads]):10,.0f} rows/s",
        f"{median([load.cpu_per_million for load in loads]):6.2f} CPU s/million",
        f"{feeding / loads[0].rows * 1e6:6.2f} feeding",
    ]
    return f"{name:22} {'  '.join(cells)}"


def ratio(found: dict[str, list[Load]]) -> float:
    """Of the median rates: what is left of the rate with acknowledgements."""
    rates = [
        median([load.rate for load in found[way]]) for way in (ACKNOWLEDGED, FORGOTTEN)
    ]
    return rates[0] / rates[1]


def durable(rate: int, seconds: float, folder: Path) -> list[float]:
    """Milliseconds from each log() until its acknowledgement, at this rate."""
    prepared = calls(_PREPARED, 7, "orders")
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as name:
        where = place(Path(name))
        with (
            running("ingester", where),
            Collector(
                where.ingest, "orders", acknowledge_endpoint=where.publish
            ) as collector,
        ):
            collector.log("INFO", "connected")
            collector.flush()
            return _timed(collector, prepared, rate, seconds)


def _timed(
    collector: Collector, prepared: Sequence[Call], rate: int, seconds: float
) -> list[float]:
    sent: list[float] = []
    times: list[float] = []
    start = time.perf_counter()
    wanted = int(seconds * rate)
    while len(times) < wanted:
        now = time.perf_counter()
        if now > start + seconds + _PATIENCE_S:
            raise RuntimeError(f"not durable: {collector.stats()}")
        for number in range(len(sent), min(wanted, int((now - start) * rate))):
            sent.append(time.perf_counter())
            collector.log(*prepared[number % len(prepared)])
        settled = int(collector.stats()["settled"]) - 1
        now = time.perf_counter()
        times += [(now - at) * 1e3 for at in sent[len(times) : settled]]
        time.sleep(_LOOK_S)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=3_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    for option in ("--ingest", "--publish"):
        parser.add_argument(option, help=argparse.SUPPRESS)
    parser.add_argument("--forget", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.forget:
        forget(arguments)
        return
    found = throughput(arguments.entries, arguments.pairs, arguments.folder)
    print("\nmedians")
    for way, loads in found.items():
        print(row(way, loads))
    print(f"ratio of the rates {ratio(found):.3f}, asked {ASKED_RATIO}\n")
    for rate in RATES:
        times = durable(rate, arguments.seconds, arguments.folder)
        print(line(f"log() to acknowledged at {rate:,}/s", times))
    print(f"asked: p99 at most {ASKED_MS:.0f} ms")


if __name__ == "__main__":
    main()
