"""The time of day is set by a year, back and forth, and stands still, under load.

libfaketime gives ingester and services the time that a file says; the monotonic clock
stays, as it does when the time of day is set.  After each change entries must go on to
be acknowledged: nothing may wait for a clock that was set back.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Final

from pipeline import Collector
from tests.capabilities import Absent, need
from tests.faults.oracle import Claim, check
from tests.faults.processes import (
    Ingester,
    Process,
    Producer,
    finish,
    started,
    wait_for,
)
from tests.faults.report import Figures
from tests.faults.site import Site

LIBRARIES: Final = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

TIMES: Final = (
    "-365d",
    "2020-02-29 23:59:59",  # without a sign: it stands still
    "+1000d",
    "+0",
    "-1s",
    "+365d",
    "-1000d",
    "+0",
)
"""As libfaketime reads them."""

RATE = 2_000
QUICK = 3
STALL_SECONDS = 30.0
WAITING_SECONDS = 0.025
"""An entry has arrived by then, and its commit is not due yet."""

# libfaketime 0.9.10 makes the absolute sleep of Python an error.
SLEEPS: Final = """
import runpy, sys, threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds)
runpy.run_module("tests.faults.producer", run_name="__main__")
"""


class Clock:
    """The time of day of some processes."""

    def __init__(self, path: Path) -> None:
        need("faketime")
        if not LIBRARIES:
            raise Absent("libfaketimeMT.so.1 is not below /usr/lib")
        self._path = path
        self.set("+0")

    def set(self, value: str) -> None:
        """From now on; never is there half of it."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{value}\n")
        fresh.rename(self._path)

    def rule(self, *processes: Process) -> None:
        """Have processes start under it."""
        for process in processes:
            process.environment = process.environment | {
                "LD_PRELOAD": str(LIBRARIES[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self._path),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            if isinstance(process, Producer):
                program = process.words.index("-m")
                process.words[program : program + 2] = ["-c", SLEEPS]


def clock_jumps(folder: Path, *, long: bool) -> Figures:
    """Every process at once; the ingester is killed after each third jump."""
    times = TIMES * 5 if long else TIMES[:QUICK]
    clock = Clock(folder / "time")
    site = Site(Ingester(folder), "--rate", str(RATE))
    clock.rule(site.ingester, *site.producers)
    slowest, jumps = 0.0, 0
    with site.running():
        for value in times:
            clock.set(value)
            jumps += 1
            if jumps % 3 == 0:
                site.kill_ingester()
            slowest = max(slowest, _goes_on(site))
        finish(site.producers)
        site.note_memory()
        assert site.ingester.stop() == 0
    return site.verdict().figures(
        "clock jumps",
        jumps,
        peak_mb=site.peak_bytes / 2**20,
        note=f"acknowledged again after {slowest:.1f} s at most",
    )


def lone_entries(folder: Path, *, long: bool) -> Figures:
    """The ingester's clock is set back while one entry waits for its commit.

    Under load the next entry would start the commit; here there is none.
    """
    count = 100 if long else 10
    clock, ingester = Clock(folder / "time"), Ingester(folder)
    clock.rule(ingester)
    with (
        started(ingester),
        Collector(
            ingester.ingest, "lone", acknowledge_endpoint=ingester.publish, linger_ms=1
        ) as collector,
    ):
        for number in range(1, count + 1):
            collector.log("INFO", "alone", {"n": number})
            time.sleep(WAITING_SECONDS)
            clock.set(f"-{number}d")
            wait_for("entry", partial(_settled, collector, number), STALL_SECONDS)
        assert ingester.stop() == 0
    verdict = check(ingester.database, [Claim("lone", count, count)])
    return verdict.figures("clock set back behind an entry", count)


def _settled(collector: Collector, number: int) -> bool:
    return bool(collector.stats()["settled"] == number)


def _goes_on(site: Site) -> float:
    start, before = time.monotonic(), site.progress
    wait_for("entries", lambda: site.progress > before + RATE // 4, STALL_SECONDS)
    return time.monotonic() - start


FAULTS = {"clock-jumps": clock_jumps, "lone-entries": lone_entries}
"""By name."""
