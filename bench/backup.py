"""Whether backups during ingestion are exact, and what they cost it.

    python -m bench.backup [--rate 100000] [--seconds 60] [--runs 3]

Encoded batches are pushed at a rate (0: as fast as it goes), in turns without a backup
and with one after another.  Then each backup is restored and verified, and its entries
are compared with those that the live store has up to the commit that it names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.frames import Pusher, make, read
from bench.measure import cpu_of
from bench.processes import Place, place, running
from pipeline.backup.restore import restore
from pipeline.control import Client, endpoint_of
from pipeline.store.reader import Reader
from pipeline.store.verify import verify_store

MB = 1_000_000
Batch = tuple[int, int, bytes]


@dataclass(slots=True)
class Flow:
    """Batches at a rate, and how many rows had gone when."""

    file: Path
    rate: float
    sent: int = 0
    is_over: bool = False
    marks: list[tuple[float, int]] = field(default_factory=list)

    def batches(self) -> Iterator[Batch]:
        """Until it is over."""
        start = time.monotonic()
        while not self.is_over:
            for batch in read(self.file):
                if self.rate:
                    early = start + self.sent / self.rate - time.monotonic()
                    if early > 0:
                        time.sleep(early)
                    elif early < -1:  # what was late is not made up for
                        start = time.monotonic() - self.sent / self.rate
                yield batch
                self.sent += batch[1]
                if self.is_over:
                    return


def rows_up_to(database: Path, commit: int) -> int:
    """Entries of the live store as it was after a commit."""
    rows = 0
    with closing(Reader(database)) as reader:
        reader.refresh()
        for header in reader.headers:
            if header.last <= commit:
                rows += header.rows
            elif header.first <= commit:
                low, high = reader.load(header).rows_between(0, commit)
                rows += high - low
    return rows


def back_up(where: Place, folder: Path, client: Client) -> dict[str, Any]:
    """One backup by the command line, and how many pins were seen meanwhile."""
    words = ["backup", str(folder), "--db", str(where.database), "--json"]
    start = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words],
        env=where.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    pins = 0
    while child.poll() is None:
        time.sleep(0.1)
        pins = max(pins, client.status()["compaction"]["pins"])
    out, _ = child.communicate()
    assert child.returncode == 0, out
    told: dict[str, Any] = json.loads(out)
    return told | {"seconds": time.monotonic() - start, "pins": pins}


def turns(
    options: argparse.Namespace, where: Place, flow: Flow, folder: Path, pid: int
) -> tuple[list[list[float]], list[list[float]], list[dict[str, Any]]]:
    """Rates, CPU seconds a million entries (each without and with), and backups."""
    client = Client(endpoint_of("", str(where.database)))
    rates: list[list[float]] = [[], []]
    cpu: list[list[float]] = [[], []]
    made: list[dict[str, Any]] = []
    time.sleep(5)  # caches, worker
    for _ in range(options.runs):
        for with_backup in (0, 1):
            sent, start, used = flow.sent, time.monotonic(), cpu_of(pid)
            end = start + options.seconds / options.runs / 2
            while time.monotonic() < end:
                if with_backup:
                    made.append(back_up(where, folder, client))
                else:
                    time.sleep(0.1)
            rows = flow.sent - sent
            rates[with_backup].append(rows / (time.monotonic() - start))
            cpu[with_backup].append((cpu_of(pid) - used) / rows * 1e6)
    return rates, cpu, made


def main() -> None:
    """Print what was measured; 1 when a backup is not what the store was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--entries", type=int, default=300_000, help="corpus, repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "frames"
        make(file, options.entries)
        where = place(folder)
        with running("ingester", where) as ingester:
            flow = Flow(file, options.rate)
            pusher = Pusher(where.ingest, where.publish)
            pusher.greet()
            thread = threading.Thread(target=lambda: pusher.push(flow.batches()))
            thread.start()
            found = turns(options, where, flow, folder / "backups", ingester.pid)
            flow.is_over = True
            thread.join()
            pusher.close()
            wrong = tell(*found, where, folder)
    sys.exit(1 if wrong else 0)


def tell(
    rates: list[list[float]],
    cpu: list[list[float]],
    made: list[dict[str, Any]],
    where: Place,
    folder: Path,
) -> int:
    """Print it; how many backups are not what the store was."""
    plain, busy = map(median, rates)
    print(f"entries/s: {plain:,.0f} without, {busy:,.0f} with: {busy / plain:.3f}")
    plain, busy = map(median, cpu)
    print(f"ingester's CPU s per million: {plain:.2f} without, {busy:.2f} with")
    wrong = 0
    for backup in made:
        database = folder / f"{backup['name']}.db"
        restore(folder / "backups", database, backup["name"])
        verdict = verify_store(database)
        live = rows_up_to(where.database, backup["commit"])
        is_equal = verdict.is_sound and verdict.rows == live == backup["entries"]
        wrong += not is_equal
        database.unlink()
        print(
            f"{backup['name']}: {backup['entries']:,} entries,"
            f" {backup['copied_blocks']} of {backup['blocks']} blocks copied,"
            f" {backup['copied_bytes'] / MB:.1f} MB in {backup['seconds']:.1f} s,"
            f" {backup['pins']} pins, {len(verdict.notes)} notes:"
            f" {'equal' if is_equal else f'NOT EQUAL: {live:,} {verdict.flaws}'}"
        )
    return wrong


if __name__ == "__main__":
    main()
