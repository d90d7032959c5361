"""Memory of each process, calm and flat out, and what an entry takes on disk.

    python -m bench.footprint --seconds 30

The whole pipeline runs as `pipeline up` starts it.  Resident memory is looked at ten
times a second; the most that was seen counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.ingest import Options, live_feeders, started
from bench.measure import children_of, memory_of
from bench.processes import Feeder, Place, place, running

CALM: Final = 1_000
_SAMPLE_S: Final = 0.1


@dataclass(slots=True)
class Footprint:
    """Bytes of each process by its name, and of an entry on disk."""

    calm: dict[str, int]
    flat_out: dict[str, int]
    rate: float
    """Entries a second when flat out."""
    bytes_per_entry: float


def measure(options: Options, seconds: float) -> Footprint:
    """Run calm for some seconds, then flat out with the options' live entries."""
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
        where = place(Path(name))
        with running("up", where) as up:
            calm, reports = _load(up.pid, where, options, CALM, seconds)
            rows = sum(report["rows"] + report["warm_rows"] for report in reports)
            busy, reports = _load(up.pid, where, options, 0, 0)
            rows += sum(report["rows"] + report["warm_rows"] for report in reports)
        seconds = max(report["seconds"] for report in reports)
        rate = sum(report["rows"] for report in reports) / seconds
        return Footprint(calm, busy, rate, where.disk() / rows)


def _load(
    pid: int, where: Place, options: Options, rate: float, seconds: float
) -> tuple[dict[str, int], list[dict[str, float]]]:
    """Memory while producers log: at a rate for some seconds, or flat out."""
    if rate:
        options = replace(options, live_entries=100_000)
    with started(live_feeders(where, options, rate)) as feeders:
        for feeder in feeders:
            feeder.go()
        end = time.monotonic() + seconds
        most = _watch(pid, lambda: time.monotonic() < end if rate else _busy(feeders))
        if rate:
            for feeder in feeders:
                feeder.finish()
        return most, [feeder.report() for feeder in feeders]


def _busy(feeders: list[Feeder]) -> bool:
    return any(feeder.process.poll() is None for feeder in feeders)


def _watch(pid: int, goes_on: Callable[[], bool]) -> dict[str, int]:
    """The most that each process of the pipeline had resident meanwhile."""
    most: dict[str, int] = {}
    while goes_on():
        workers = 0
        for process in [pid, *children_of(pid)]:
            name = _name(process)
            if name == "query-worker":
                workers += 1
                name = f"{name} {workers}"
            most[name] = max(most.get(name, 0), memory_of(process, "VmRSS"))
        time.sleep(_SAMPLE_S)
    return most


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[words.index(b"pipeline") + 1].decode()


def lines(found: Footprint) -> list[str]:
    """A line a process."""
    rows = [f"{'MB resident, most seen':24} {'1,000/s':>9} {'flat out':>9}"]
    for name, calm in found.calm.items():
        busy = found.flat_out.get(name, 0)
        rows.append(f"{name:24} {calm / 2**20:9.1f} {busy / 2**20:9.1f}")
    rows.append(f"flat out: {found.rate:,.0f} entries/s of live producers")
    rows.append(f"{found.bytes_per_entry:.1f} bytes an entry on disk")
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--live-entries", type=int, default=2_000_000)
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    options = Options(
        live_entries=arguments.live_entries,
        producers=arguments.producers,
        folder=arguments.folder,
    )
    print("\n".join(lines(measure(options, arguments.seconds))))


if __name__ == "__main__":
    main()
