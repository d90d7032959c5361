"""What the analyzer takes, and how soon and how exactly it counts.

    python -m bench.analyzer [--seconds 60] [--pairs 5]

Ingester and analyzer run as `pipeline up` starts them.  Entries of 20 services come at
1,000 and at 200,000 a second, encoded beforehand; every ten seconds another
source has a burst of 20 errors, of which the alert has to tell exactly.  Then the
ingester takes batches in flat out, with the analyzer and without it, in turns.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import frames
from bench.corpus import batches
from bench.ingest import Options, frame_feeders, started
from bench.measure import cpu_of, median, memory_of
from bench.processes import Asker, Place, place, running
from pipeline import Collector, Level
from pipeline.batch.encode import encode_rows
from pipeline.compression import compress
from pipeline.control import Client, analyzer_endpoint_of
from pipeline.timestamp import parse_timestamp

RATES: Final = (1_000, 200_000)
BURST: Final = 20
BURST_SECONDS: Final = 10
BATCH: Final = 2_000
PREPARED: Final = 100_000
"""Entries that are sent again and again; their time is that of the start."""

SETTLE_SECONDS: Final = 20


@dataclass(slots=True)
class Watched:
    """One rate: what was logged, what the analyzer counted, took and told."""

    rate: float
    entries: int
    errors: int
    status: dict[str, Any]
    rss: int
    cpu_seconds: float
    seconds: float
    bursts: int
    told: list[float]
    """Values of the alerts of bursts."""
    delays: list[float]
    """Seconds from the burst until its alert was written."""


def watch(folder: Path, rate: int, seconds: float) -> Watched:
    """Log at a rate for some seconds, and see what the analyzer makes of it."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as name:
        where = place(Path(name))
        with running("ingester", where), ExitStack() as stack:
            names, batched = _prepared(rate)
            analyzer = stack.enter_context(running("analyzer", where, _settings(names)))
            control = Client(analyzer_endpoint_of(str(where.database)))
            while not control.status()["ready"]:
                time.sleep(0.1)
            cpu = cpu_of(analyzer.pid)
            load = _Load(where, batched, rate)
            rss = load.run(seconds, lambda: memory_of(analyzer.pid, "VmRSS"))
            cpu = cpu_of(analyzer.pid) - cpu
            _await(control, load)
            told = _alerts(where, load)
            extra = BURST * len(load.bursts)
            return Watched(
                load.entries / seconds,
                load.entries + extra,
                load.errors + extra,
                control.status(),
                rss,
                cpu,
                seconds,
                len(load.bursts),
                [value for value, _ in told],
                [delay for _, delay in told],
            )


def _settings(names: Sequence[str]) -> dict[str, str]:
    """Services of the load are not watched for spikes: they have them all the time."""
    thresholds = [{"source": name, "threshold": 0} for name in names]
    return {
        "PIPELINE_ALERTS__ERROR_SPIKE_THRESHOLDS": json.dumps(thresholds),
        "PIPELINE_ALERTS__GROUP_SOURCES": "1000",
    }


def _prepared(rate: int) -> tuple[list[str], list[_Encoded]]:
    """Names of services, and batches of entries that all are of this second."""
    size = min(BATCH, rate // 10)
    now = time.time_ns()
    names: set[str] = set()
    found = []
    for batch in batches(min(PREPARED, rate * 10), 1, size):
        rows = [(now, *row[1:]) for row in batch]
        names |= {row.source for row in batch}
        errors = sum(row.level >= Level.ERROR for row in batch)
        found.append(_Encoded(encode_rows(rows, compress=compress), len(rows), errors))
    return sorted(names), found


class _Encoded(NamedTuple):
    payload: bytes
    rows: int
    errors: int


class _Load:
    """Sends batches evenly on a thread, which encodes nothing; logs bursts beside."""

    def __init__(self, where: Place, prepared: list[_Encoded], rate: int) -> None:
        self.entries = self.errors = 0
        self.bursts: dict[str, float] = {}
        self._rate = rate
        self._prepared = prepared
        self._collector = Collector(
            where.ingest, acknowledge_endpoint=where.publish, spool="off"
        )
        self._pusher = frames.Pusher(where.ingest, where.publish)
        self._pusher.greet()

    def run(self, seconds: float, memory: Callable[[], int]) -> int:
        """Log for so long; the most memory that was seen meanwhile."""
        most, next_burst = 0, BURST_SECONDS / 2
        start = time.monotonic()
        paced = self._paced(start, start + seconds)
        thread = threading.Thread(target=self._pusher.push, args=(paced,))
        thread.start()
        while (passed := time.monotonic() - start) < seconds:
            time.sleep(0.1)
            if passed >= next_burst:
                next_burst += BURST_SECONDS
                self._burst()
            most = max(most, memory())
        thread.join()
        self._collector.close()
        self._pusher.close()
        return most

    def _paced(self, start: float, end: float) -> Iterator[tuple[int, int, bytes]]:
        """Each batch when it is due."""
        for batch in cycle(self._prepared):
            due = start + self.entries / self._rate
            if due >= end or time.monotonic() >= end:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            self.entries += batch.rows
            self.errors += batch.errors
            yield 0, batch.rows, batch.payload

    def _burst(self) -> None:
        source = f"burst-{len(self.bursts)}"
        self.bursts[source] = time.time()
        for _ in range(BURST):
            self._collector.log("ERROR", "burst", source=source)


def _await(control: Client, load: _Load) -> None:
    """Until everything is counted, and the last burst told; or it is late."""
    end = time.monotonic() + SETTLE_SECONDS
    logged = load.entries + BURST * len(load.bursts)
    while time.monotonic() < end:
        status = control.status()
        if status.get("entries", 0) >= logged and not status["evidence_waiting"]:
            break
        time.sleep(0.1)
    time.sleep(5)


def _alerts(where: Place, load: _Load) -> list[tuple[float, float]]:
    """Value and delay of each burst's alert."""
    with Asker(where) as worker:
        params = {"q": "source:alerts tag:opened", "limit": 1_000}
        logs = worker.ask("query", params)["logs"]
    found = []
    for log in logs:
        fields = log["metadata"]
        (source,) = fields["sources"]
        if source in load.bursts:
            at = parse_timestamp(log["timestamp"], 0) / 1e9
            found.append((fields["value"], at - load.bursts[source]))
    return found


@dataclass(slots=True)
class Pair:
    """Rows a second and the ingester's CPU seconds, without and with an analyzer."""

    rates: tuple[float, float]
    cpu: tuple[float, float]


def pairs(folder: Path, entries: int, count: int) -> list[Pair]:
    """Flat out, in turns, so that whatever else goes on meets both."""
    file = folder / "analyzer.frames"
    frames.make(file, entries)
    options = Options(entries=entries)
    found = []
    for number in range(count):
        order = (False, True) if number % 2 == 0 else (True, False)
        runs = {watched: _ingest(folder, file, options, watched) for watched in order}
        (rate, cpu), (rate_watched, cpu_watched) = runs[False], runs[True]
        found.append(Pair((rate, rate_watched), (cpu, cpu_watched)))
    file.unlink()
    return found


def _ingest(
    folder: Path, file: Path, options: Options, watched: bool
) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as name:
        where = place(Path(name))
        with ExitStack() as stack:
            ingester = stack.enter_context(running("ingester", where))
            if watched:
                stack.enter_context(running("analyzer", where))
                time.sleep(2)
            feeders = stack.enter_context(started(frame_feeders(where, file, options)))
            cpu, start = cpu_of(ingester.pid), time.perf_counter()
            for feeder in feeders:
                feeder.go()
            reports = [feeder.report() for feeder in feeders]
            seconds = max(report["ended"] for report in reports) - start
            rows = sum(report["rows"] for report in reports)
            return rows / seconds, (cpu_of(ingester.pid) - cpu) / rows * 1e6


def line(found: Watched) -> str:
    """One rate in one line."""
    status = found.status
    counted = f"{status['entries']:,} of {found.entries:,} entries"
    exact = sum(value == BURST for value in found.told)
    return (
        f"{found.rate:9,.0f}/s  {found.rss / 2**20:5.1f} MB"
        f"  {100 * found.cpu_seconds / found.seconds:5.1f} % of a core"
        f"  counted {counted}, {status['errors']:,} of {found.errors:,} errors;"
        f" missed {status.get('summaries_missed', 0)} summaries and"
        f" {status.get('batches_missed', 0)} batches;"
        f" {exact} of {found.bursts} bursts told as {BURST}, after"
        f" {median(found.delays or [float('nan')]):.2f} s"
        f" (at most {max(found.delays, default=float('nan')):.2f})"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rates", type=int, nargs="*", default=RATES)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--entries", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    for rate in given.rates:
        print(line(watch(given.folder, rate, given.seconds)), flush=True)
    if not given.pairs:
        return
    found = pairs(given.folder, given.entries, given.pairs)
    for one in found:
        told = [
            f"{rate:10,.0f}/s {cpu:5.2f} CPU s/million"
            for rate, cpu in zip(one.rates, one.cpu, strict=True)
        ]
        print(f"alone {told[0]}, watched {told[1]}", flush=True)
    slower = 1 - median([one.rates[1] / one.rates[0] for one in found])
    dearer = median([one.cpu[1] / one.cpu[0] for one in found]) - 1
    print(f"median of pairs: {slower:+.1%} slower, {dearer:+.1%} CPU of the ingester")


if __name__ == "__main__":
    main()
