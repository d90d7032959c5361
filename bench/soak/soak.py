"""One soak from its first entry to its account."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.ingest import started
from bench.processes import Place, place, running
from bench.soak.account import Account, account
from bench.soak.strain import (
    TAILS,
    Asker,
    Schedule,
    Tail,
    backups,
    killer,
    reloader,
)
from bench.soak.watch import PROBE, Event, Lag, Probes, Sample, Watch

SOURCES: Final = ("payments", "database", "orders", "api-gateway")
ASKERS: Final = 2
SETTLE_SECONDS: Final = 3.0
"""Before the end nothing is killed any more, so that the rest is sent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how much, and what happens how often; seconds."""

    seconds: float
    rate: float
    limit_mb: int
    kill_every: float
    backup_every: float
    reload_every: float
    seed: int = 1


@dataclass(slots=True)
class Outcome:
    """What a soak has shown."""

    account: Account
    samples: list[Sample]
    lags: list[Lag]
    events: list[Event]
    answers: int
    errors: Counter[str]
    slowest: float
    tailed: list[int]
    flushed: bool
    spooled: int
    resent: int
    dropped: Counter[str]
    """By collectors, by reason."""


def soak(folder: Path, plan: Plan) -> Outcome:
    """Run it in a folder; producers outlive what is killed."""
    where = place(folder)
    environ = {
        "PIPELINE_STORAGE__MAX_SIZE_MB": str(plan.limit_mb),
        "PIPELINE_STORAGE__LOW_WATER_MB": "0",
    }
    words = ["bench.soak.producer", "--ingest", where.ingest]
    words += ["--publish", where.publish, "--spool", str(folder / "spool")]
    words += ["--rate", str(plan.rate / len(SOURCES))]
    commands = [
        [*words, "--source", source, "--seed", str(number)]
        for number, source in enumerate(SOURCES)
    ]
    with running("up", where, environ) as up, started(commands) as feeders:
        start = time.monotonic()
        watch, probes = Watch(where, up.pid, start), Probes(where, start)
        askers = [Asker(where, number) for number in range(ASKERS)]
        tails = [Tail(where, words, number) for number, words in enumerate(TAILS)]
        for feeder in feeders:
            feeder.go()
        probes.begin()
        with _at_work(watch, *askers), ExitStack() as stack:
            for tail in tails:
                stack.callback(tail.close)
            events = _strain(where, plan, up.pid, start, tails)
            for feeder in feeders:
                feeder.finish()
            reports = [feeder.report() for feeder in feeders]
            flushed = probes.finish()
    produced = sum(report["rows"] for report in reports) + len(probes.sent)
    dropped = sum((Counter(report["dropped"]) for report in reports), probes.dropped)
    return Outcome(
        account(where.database, produced, dropped.total(), {*SOURCES, PROBE}),
        watch.samples,
        probes.lags,
        events,
        sum(asker.answers for asker in askers),
        sum((asker.errors for asker in askers), Counter()),
        max(asker.slowest for asker in askers),
        [tail.shown for tail in tails],
        flushed and all(report["flushed"] for report in reports),
        sum(report["spooled"] for report in reports),
        sum(report["resent"] for report in reports),
        dropped,
    )


def _strain(
    where: Place, plan: Plan, supervisor: int, start: float, tails: list[Tail]
) -> list[Event]:
    """Do to it what is planned, until it is time."""
    back_up = backups(where, where.folder / "backup")
    kills = Schedule(plan.kill_every, start, killer(supervisor, plan.seed))
    schedules = [kills, Schedule(plan.reload_every, start, reloader(where))]
    if back_up is not None:
        schedules.append(Schedule(plan.backup_every, start, back_up))
    with _at_work(*schedules):
        while (left := start + plan.seconds - time.monotonic()) > 0:
            for tail in tails:
                tail.keep_up()
            if left < SETTLE_SECONDS:
                kills.end.set()
            time.sleep(min(1.0, left))
    return sorted(event for schedule in schedules for event in schedule.events)


@contextmanager
def _at_work(*threads: Any) -> Iterator[None]:
    """Run threads that have an `end` meanwhile."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.end.set()
        for thread in threads:
            thread.join()
