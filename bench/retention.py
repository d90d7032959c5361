"""Whether the store keeps to storage.max_size_mb while entries come, and counts right.

    python -m bench.retention [--rate 50000] [--seconds 180] [--size 200]

Encoded batches are pushed at a rate; the files are measured five times a second. In the
end what was produced is what is stored and what retention counted.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.frames import Pusher, make, read
from bench.measure import cpu_of, memory_of
from bench.processes import place, running
from pipeline.control import Client, endpoint_of
from pipeline.store.database import size_on_disk
from pipeline.store.reader import Reader

Batch = tuple[int, int, bytes]
LOOK_SECONDS = 0.2
MB = 1_000_000


def _batches(file: Path, rows: int, rate: float) -> Iterator[Batch]:
    """The file over and over, so many rows in all, at a rate."""
    sent, start = 0, time.monotonic()
    while sent < rows:
        for batch in read(file):
            if (early := start + sent / rate - time.monotonic()) > 0:
                time.sleep(early)
            yield batch
            sent += batch[1]
            if sent >= rows:
                return


class Watch(threading.Thread):
    """Sizes of the files and of the process, until `end` is set."""

    def __init__(self, database: Path, pid: int) -> None:
        super().__init__(daemon=True)
        self._database, self._pid = database, pid
        self.end = threading.Event()
        self.sizes: list[int] = []
        self.memory: list[int] = []

    def run(self) -> None:
        """Look."""
        while not self.end.wait(LOOK_SECONDS):
            self.sizes.append(size_on_disk(self._database))
            self.memory.append(memory_of(self._pid))


def _stored(database: Path, dropped: Callable[[], int]) -> tuple[int, int]:
    """Rows that are stored, and that were dropped, at one moment."""
    reader = Reader(database)
    while True:
        before = dropped()
        reader.refresh()
        rows = sum(header.rows for header in reader.headers)
        if dropped() == before:
            reader.close()
            return rows, before
        time.sleep(LOOK_SECONDS)


def _dropped(status: dict[str, Any]) -> int:
    return sum(n for name, n in status.items() if name.startswith("rows_by_"))


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50_000)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--size", type=int, default=200, help="storage.max_size_mb")
    parser.add_argument("--entries", type=int, default=300_000, help="corpus, repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "frames"
        make(file, options.entries)
        where = place(folder)
        environ = {"PIPELINE_STORAGE__MAX_SIZE_MB": str(options.size)}
        with running("ingester", where, environ) as ingester:
            client = Client(endpoint_of("", str(where.database)))
            watch = Watch(where.database, ingester.pid)
            watch.start()
            pusher = Pusher(where.ingest, where.publish)
            pusher.greet()
            cpu, start = cpu_of(ingester.pid), time.monotonic()
            rows = int(options.rate * options.seconds)
            pushed = pusher.push(_batches(file, rows, options.rate))
            seconds = time.monotonic() - start
            cpu = cpu_of(ingester.pid) - cpu
            pusher.close()
            stored, dropped = _stored(
                where.database, lambda: _dropped(client.status()["retention"])
            )
            whole = client.status()
            status, taken = whole["retention"], whole["counters"]["entries"]
            watch.end.set()
            watch.join()
            produced = sum(batch[1] for batch in _batches(file, rows, float("inf")))
    del pushed
    late = watch.sizes[len(watch.sizes) // 2 :]
    print(f"{produced / seconds:,.0f} entries/s for {seconds:.0f} s, {cpu:.1f} CPU s")
    print(
        f"files: at most {max(watch.sizes) / MB:.1f} MB of {options.size}"
        f" ({max(watch.sizes) / MB / options.size:.3f}),"
        f" median of the second half {median(late) / MB:.1f}"
    )
    print(f"ingester: at most {max(watch.memory) / 2**20:.0f} MB")
    print(
        f"produced {produced:,}, and {taken - produced:,} of its own;"
        f" stored {stored:,}, dropped {dropped:,}:"
        f" {'equal' if taken == stored + dropped else 'NOT EQUAL'}"
    )
    print(status)


if __name__ == "__main__":
    main()
