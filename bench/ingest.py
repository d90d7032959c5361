"""How fast entries become durable, beside rivals on the same corpus in the same run.

    python -m bench.ingest --entries 5000000 --runs 3 --rivals

Three ways in: `frames` (batches of single services, encoded beforehand), `mixed` (the
same of all services together) and `live` (producers that call `Collector.log()`).
Each run begins with an empty store; printed is the run with the middle rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.measure import Load, cpu_of, median_load, memory_of
from bench.processes import Asker, Feeder, Place, place, running
from bench.rivals import LOCAL, NAMES

LIVE_SOURCES: Final = ("api-gateway", "database", "payments", "queue-worker")
"""One service a producer, in turn."""

Report = dict[str, Any]


@dataclass(slots=True)
class Options:
    """What to run, and how much of it."""

    entries: int = 5_000_000
    live_entries: int = 2_000_000
    runs: int = 3
    senders: int = 1
    producers: int = 2
    ways: Sequence[str] = ("frames", "mixed", "live")
    rivals: Sequence[str] = ()
    victorialogs: str = ""
    folder: Path | None = None


@dataclass(slots=True)
class Results:
    """Loads of each way and rival, and what only live producers have."""

    loads: dict[str, list[Load]] = field(default_factory=dict)
    call_us: dict[str, float] = field(default_factory=dict)
    """Microseconds of the caller's thread a log() call, calm and flat out."""

    def add(self, name: str, load: Load) -> None:
        """One more run; told at once, because the next may take minutes."""
        self.loads.setdefault(name, []).append(load)
        print(line(name, load), flush=True)

    def medians(self) -> dict[str, Load]:
        """The middle run of each."""
        return {name: median_load(loads) for name, loads in self.loads.items()}


def measure(options: Options) -> Results:
    """Run everything; in turns, so that a busy minute hits all alike."""
    results = Results()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
        folder = Path(name)
        files = {way: folder / f"{way}.batches" for way in options.ways}
        for way in options.ways:
            if way != "live":
                _make(files[way], options.entries, mixed=way == "mixed")
        for rival in options.rivals:
            rival_step(rival, "prepare", folder, options)
        for _ in range(options.runs):
            for way in options.ways:
                _run_way(way, files[way], folder, options, results)
            for rival in options.rivals:
                report = json.loads(rival_step(rival, "ingest", folder, options))
                results.add(rival, Load(**report))
    return results


def fill(folder: Path, entries: int) -> Place:
    """A store with this much of the corpus, its ingester stopped again."""
    where = place(folder)
    file = folder / "frames.batches"
    _make(file, entries, mixed=False)
    feed(where, frame_feeders(where, file, Options(entries)))
    file.unlink()
    return where


def _make(path: Path, entries: int, *, mixed: bool) -> None:
    arguments = ["make", "--file", str(path), "--entries", str(entries)]
    if mixed:
        arguments.append("--mixed")
    _module("bench.frames", *arguments)


def rival_step(name: str, step: str, folder: Path, options: Options) -> str:
    """One step of a rival in its own process; what it printed."""
    arguments = [name, step, "--folder", str(folder / name)]
    arguments += ["--entries", str(options.entries)]
    return _module("bench.rivals", *arguments, "--address", options.victorialogs)


def _module(name: str, *arguments: str) -> str:
    command = [sys.executable, "-m", name, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _run_way(
    way: str, file: Path, folder: Path, options: Options, results: Results
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        where = place(Path(name))
        if way == "live":
            load, reports = feed(where, live_feeders(where, options))
            _note_calls(reports, results)
        else:
            load, _ = feed(where, frame_feeders(where, file, options))
        results.add(way, load)


def frame_feeders(where: Place, file: Path, options: Options) -> list[list[str]]:
    """Commands of the senders of encoded batches."""
    return [
        [
            *("bench.frames", "push", "--file", str(file)),
            *("--ingest", where.ingest, "--publish", where.publish),
            *("--part", str(part), "--parts", str(options.senders)),
        ]
        for part in range(options.senders)
    ]


def live_feeders(where: Place, options: Options, rate: float = 0.0) -> list[list[str]]:
    """Commands of the producers, flat out or at a rate that they share."""
    each = options.live_entries // options.producers
    return [
        [
            *("bench.live", "--ingest", where.ingest, "--publish", where.publish),
            *("--entries", str(each), "--seed", str(number + 1)),
            *("--source", LIVE_SOURCES[number % len(LIVE_SOURCES)]),
            *("--rate", str(rate / options.producers)),
        ]
        for number in range(options.producers)
    ]


def feed(where: Place, commands: Sequence[list[str]]) -> tuple[Load, list[Report]]:
    """Start an ingester and feeders, let go, wait until all is durable."""
    with running("ingester", where) as ingester, started(commands) as feeders:
        cpu, start = cpu_of(ingester.pid), time.perf_counter()
        for feeder in feeders:
            feeder.go()
        reports = [feeder.report() for feeder in feeders]
        # a clock of the whole machine, so that the feeders' own ends don't count
        seconds = max(report["ended"] for report in reports) - start
        cpu, peak = cpu_of(ingester.pid) - cpu, memory_of(ingester.pid)
    rows = sum(report["rows"] for report in reports)
    warm = sum(report.get("warm_rows", 0) for report in reports)
    disk = where.disk() * rows // (rows + warm)
    _check(where, rows + warm)
    feeding = sum(report["cpu_seconds"] for report in reports)
    load = Load(rows, seconds, cpu, peak, disk, feeder_cpu_seconds=feeding)
    return load, reports


@contextmanager
def started(commands: Sequence[list[str]]) -> Iterator[list[Feeder]]:
    """Feeders that wait for go; ended at the end, whatever happens."""
    with ExitStack() as stack:
        feeders = []
        for module, *arguments in commands:
            feeder = Feeder(module, arguments)
            stack.callback(feeder.end)
            feeders.append(feeder)
        yield feeders


def _check(where: Place, rows: int) -> None:
    """What went in must come out: counted by a query, exactly."""
    with Asker(where) as worker:
        counted = worker.ask("query", {"limit": 1, "count": "exact"})["count"]
    if counted != rows:
        raise RuntimeError(f"{rows:,} rows were sent, a query counts {counted:,}")


def _note_calls(reports: Sequence[Report], results: Results) -> None:
    calls: dict[str, Callable[[Report], float]] = {
        "calm": lambda report: float(report["calm_call_seconds"]),
        "flat out": lambda report: report["thread_seconds"] / report["rows"],
    }
    for name, seconds in calls.items():
        found = max(map(seconds, reports)) * 1e6
        results.call_us[name] = max(found, results.call_us.get(name, 0.0))


def line(name: str, load: Load) -> str:
    """One load in one line."""
    return (
        f"{name:14} {load.rate:10,.0f} rows/s {load.cpu_per_million:6.2f} CPU s/million"
        f" (feeding {load.feeder_cpu_seconds / load.rows * 1e6:5.2f},"
        f" settling {load.settle_cpu_seconds / load.rows * 1e6:5.2f})"
        f" {load.peak_rss / 2**20:6.0f} MB peak {load.bytes_per_row:6.1f} B/entry"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench, which the report has too."""
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--live-entries", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument(
        "--ways", nargs="*", default=["frames", "mixed", "live"], metavar="WAY"
    )
    parser.add_argument(
        "--rivals", nargs="*", choices=NAMES, help="without names: all local ones"
    )
    parser.add_argument("--victorialogs", default="", metavar="URL")
    parser.add_argument("--folder", type=Path, help="where the data go (default: /tmp)")


def options_of(arguments: argparse.Namespace) -> Options:
    """The parsed options."""
    given = {key: value for key, value in vars(arguments).items() if value is not None}
    if given.get("rivals") == []:
        given["rivals"] = LOCAL + NAMES[len(LOCAL) :] * bool(arguments.victorialogs)
    return Options(**given)


def main() -> None:
    """Measure and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    results = measure(options_of(parser.parse_args()))
    print("\nmedians")
    for name, load in results.medians().items():
        print(line(name, load))
    for name, microseconds in results.call_us.items():
        print(f"log() {name}: {microseconds:.2f} us of the caller's thread")


if __name__ == "__main__":
    main()
