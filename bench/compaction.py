"""What compaction costs ingestion, and whether it keeps up.

    python -m bench.compaction [--rate 200000] [--seconds 60]

Encoded batches are pushed at a rate with compaction running (backlog, CPU, memory),
then flat out with and without it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.frames import Pusher, make, read
from bench.measure import cpu_of, memory_of
from bench.processes import Place, place, running
from pipeline.control import Client, ControlError, endpoint_of

Batch = tuple[int, int, bytes]


class Watch:
    """Backlog and worker of an ingester, looked at while batches go by."""

    def __init__(self, where: Place) -> None:
        self._client = Client(endpoint_of("", str(where.database)))
        self._next = 0.0
        self.backlog: list[int] = []
        self.worker: int | None = None
        self.memory = 0
        self.cpu = 0.0

    def look(self) -> None:
        """At most once a second."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1
        with suppress(ControlError, OSError):
            state: dict[str, Any] = self._client.status()["compaction"]
            self.backlog.append(state.get("backlog_rows", 0))
            self.worker = state["worker_pid"]
            if self.worker:
                self.memory = max(self.memory, memory_of(self.worker))
                self.cpu = cpu_of(self.worker)


class Result(NamedTuple):
    """Of one run."""

    rows: int
    seconds: float
    ingester_cpu: float
    watch: Watch

    @property
    def line(self) -> str:
        watch, millions = self.watch, self.rows / 1e6
        return (
            f"{self.rows / self.seconds:,.0f}/s, CPU s per million: ingester"
            f" {self.ingester_cpu / millions:.2f}, worker {watch.cpu / millions:.2f};"
            f" worker at most {watch.memory / 2**20:.0f} MB; backlog of rows at most"
            f" {max(watch.backlog, default=0):,}"
        )


def _batches(file: Path, rows: int, rate: float, watch: Watch) -> Iterator[Batch]:
    """The file over and over, so many rows in all, at a rate; 0: flat out."""
    sent, start = 0, time.monotonic()
    while sent < rows:
        for batch in read(file):
            if rate and (early := start + sent / rate - time.monotonic()) > 0:
                time.sleep(early)
            watch.look()
            yield batch
            sent += batch[1]
            if sent >= rows:
                return


def run(folder: Path, file: Path, rows: int, rate: float, *, enabled: bool) -> Result:
    """One ingester, one pusher."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        where = place(Path(name))
        environ = {"PIPELINE_COMPACTION__ENABLED": str(enabled).lower()}
        with running("ingester", where, environ) as ingester:
            watch = Watch(where)
            pusher = Pusher(where.ingest, where.publish)
            pusher.greet()
            cpu, start = cpu_of(ingester.pid), time.monotonic()
            pushed = pusher.push(_batches(file, rows, rate, watch))
            seconds = time.monotonic() - start
            cpu = cpu_of(ingester.pid) - cpu
            pusher.close()
        del pushed
        return Result(rows, seconds, cpu, watch)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--entries", type=int, default=300_000, help="corpus, repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "frames"
        make(file, options.entries)
        rows = int(options.rate * options.seconds)
        paced = run(folder, file, rows, options.rate, enabled=True)
        print(f"at {options.rate:,.0f}/s for {options.seconds:g} s: {paced.line}")
        print("backlog by second:", *paced.watch.backlog)
        alone = run(folder, file, rows // 2, 0, enabled=False)
        print(f"flat out, no compaction: {alone.line}")
        beside = run(folder, file, rows // 2, 0, enabled=True)
        print(f"flat out, compaction: {beside.line}")
        ratio = (beside.rows / beside.seconds) / (alone.rows / alone.seconds)
        print(f"rate kept: {ratio:.0%}")


if __name__ == "__main__":
    main()
