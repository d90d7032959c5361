"""kill -9 under load: of the ingester, of services that log, of both at once.

The control is the same ingester under the same blows, with senders that push and
forget: what a PUSH socket has accepted is gone with the process that was to read it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.oracle import Verdict
from tests.faults.processes import (
    Ingester,
    Process,
    Producer,
    finish,
    started,
    wait_for,
)
from tests.faults.report import Figures
from tests.faults.site import (
    FLAT_OUT,
    PRODUCERS,
    PROGRESS_SECONDS,
    Site,
    Size,
    folder_of,
)

RATE = 100_000
"""Entries a second that the producers share, where they don't log flat out."""

SPEEDS = {"paced": ("--rate", str(RATE / PRODUCERS)), "flat": FLAT_OUT}
"""Options of the producers."""

QUICK_RATE = 20_000
"""Of each service, where what piles up in spools takes time to be sent."""

THREADS = 4
"""Of each service that has a spool for all of its entries."""

FULL_BYTES = 4 << 20
"""Of a spool that is full soon."""

SETTLED_SECONDS = 0.5
STANDSTILL_SECONDS = 3.0
KEEPS_PACE = ("--spool", "overflow", "--rate", "100")
"""No spool of its own while the ingester is there."""


def ingester_kills(folder: Path, *, long: bool) -> Figures:
    """The ingester is killed and started again; every producer flushes at the end."""
    size = Size(40, 10_500_000) if long else Size(3, 300_000)
    found, resent, peak = [], 0, 0
    for name, options in SPEEDS.items():
        site = Site(Ingester(folder_of(folder, name)), *options)
        with site.running():
            site.spread(size, site.kill_ingester)
            finish(site.producers)
            site.note_memory()
            site.ingester.stop()
        found.append(site.verdict())
        resent += sum(p.report["resent_batches"] for p in site.producers)
        peak = max(peak, site.peak_bytes)
    return _sum(found).figures(
        "ingester kill -9",
        size.blows * len(found),
        peak_mb=peak / 2**20,
        note=f"{resent:,} batches sent again",
    )


def ingester_kills_control(folder: Path, *, long: bool) -> Figures:
    """The same blows to senders that don't wait to hear what became of it."""
    size = Size(40, 4_000_000) if long else Size(3, 200_000)
    pace = () if long else SPEEDS["paced"]
    site = Site(Ingester(folder_of(folder, "plain")), "--plain", *pace)
    with site.running():
        site.spread(size, site.kill_ingester)
        finish(site.producers)
        _settle(site.ingester.database)
        site.ingester.stop()
    verdict = site.verdict()
    share = verdict.lost / sum(p.oracle.accepted for p in site.producers)
    return verdict.figures(
        "  control: plain PUSH",
        size.blows,
        note=f"{share:.1%} lost",
        is_control=True,
    )


def _settle(database: Path) -> None:
    """Wait until the ingester has stored all that reached it."""
    last = -1
    while (rows := _stored(database)) != last:
        last = rows
        time.sleep(SETTLED_SECONDS)


def _stored(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT sum(rows) FROM blocks").fetchone()[0])
    finally:
        connection.close()


def _sum(verdicts: list[Verdict]) -> Verdict:
    counts = [sum(column) for column in zip(*(v[:5] for v in verdicts), strict=True)]
    return Verdict(*counts, "; ".join(filter(None, (v.examples for v in verdicts))))


def collector_kills(folder: Path, *, long: bool) -> Figures:
    """A service that logs is killed; now and then the ingester as well, later."""
    size = Size(30, 6_000_000) if long else Size(3, 60_000)
    site = _spooled(folder, long=long)

    def strike(number: int) -> None:
        _kill_and_restart(site.producers[number % PRODUCERS])
        if number % 3 == 0:
            site.kill_ingester()

    return _with_spool("collector kill -9", site, size, strike)


def kills_of_both(folder: Path, *, long: bool) -> Figures:
    """Services and ingester die at the same moment; services come back first."""
    size = Size(20, 4_000_000) if long else Size(1, 20_000)
    site = _spooled(folder, long=long)

    def strike(_: int) -> None:
        for process in (*site.producers, site.ingester):
            process.kill()
        for process in (*site.producers, site.ingester):
            process.start()

    return _with_spool("both kill -9", site, size, strike)


def kills_of_families(folder: Path, *, long: bool) -> Figures:
    """A service is killed together with the children that it has forked."""
    size = Size(20, 4_000_000) if long else Size(2, 30_000)
    site = _spooled(folder, "--children", "2", long=long)

    def strike(number: int) -> None:
        _kill_and_restart(site.producers[number % PRODUCERS])

    found = _with_spool("service and children kill -9", site, size, strike)
    assert all(oracle.accepted for oracle in site.oracles), "some have not logged"
    return found


def kills_of_the_full(folder: Path, *, long: bool) -> Figures:
    """Services whose spool is full, so that all of their threads wait, are killed.

    What a call has returned for is on disk, also when it came while another waited.
    """
    size = Size(10, 1_000_000) if long else Size(1, 20_000)
    site = _spooled(folder, "--spool-bytes", str(FULL_BYTES), long=True)

    def strike(_: int) -> None:
        site.ingester.freeze()
        _await_standstill(site)
        for process in site.producers:
            process.kill()
        site.ingester.thaw()
        for process in site.producers:
            process.start()

    return _with_spool("kill -9 with a full spool", site, size, strike)


def _await_standstill(site: Site) -> None:
    """Until nothing is accepted any more, or for a while if that does not come."""
    last, end = -1, time.monotonic() + STANDSTILL_SECONDS
    while time.monotonic() < end:
        accepted = sum(oracle.accepted for oracle in site.oracles)
        if accepted == last:
            return
        last = accepted
        time.sleep(SETTLED_SECONDS)


def _spooled(folder: Path, *options: str, long: bool) -> Site:
    """Services that write each entry to a spool; its folder they have in common."""
    rate = () if long else ("--rate", str(QUICK_RATE))
    options = ("--spool", "always", "--threads", str(THREADS), *options)
    return Site(Ingester(folder), *options, *rate)


def _kill_and_restart(process: Process) -> None:
    process.kill()
    process.start()


def _with_spool(
    name: str, site: Site, size: Size, strike: Callable[[int], None]
) -> Figures:
    with site.running():
        site.spread(size, strike)
        finish(site.producers)
        heir = Producer(site.ingester, "p0", *KEEPS_PACE)
        inherit(heir, site.ingester.folder / "spool")
        assert site.ingester.stop() == 0
    return site.verdict().figures(name, size.blows)


def inherit(heir: Producer, spools: Path) -> None:
    """One more life, until all that the dead have left on disk is stored."""
    with started(heir):
        wait_for(
            "the dead's spools are sent",
            lambda: not list(spools.rglob("*.spool")),
            PROGRESS_SECONDS,
        )
        finish([heir])


FAULTS = {
    "ingester-kills": ingester_kills,
    "ingester-kills-control": ingester_kills_control,
    "collector-kills": collector_kills,
    "kills-of-both": kills_of_both,
    "kills-of-families": kills_of_families,
    "kills-of-the-full": kills_of_the_full,
}
