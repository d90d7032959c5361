"""Memory: of an ingester that gets more than it can store, of a service without one.

Taken is VmHWM, the most that the kernel ever counted as resident for the process,
shared libraries included; of a service, what it grew by since before its first entry.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.accounts import compare
from tests.faults.oracle import check
from tests.faults.processes import Ingester, Producer, started
from tests.faults.producer import write_corpus
from tests.faults.report import Figures
from tests.faults.site import Site

MB = 1 << 20
INGESTER_MB = 100
PRODUCERS = 8
FLOOD_SECONDS = 60.0
FLOOD_ENTRIES = 30_000
"""Of each producer."""


BOUND_MB = 16
"""The collector's `memory_bytes`, which is its default."""

SLACK_MB = 20
AWAY_SECONDS = 600.0
AWAY_SHORTLY = 5.0
SHORT_SPOOL_MB = 24
"""Both are full within it, flat out."""


def flooded_ingester(folder: Path, *, long: bool) -> Figures:
    """Eight services log flat out."""
    corpus = folder / "corpus"
    write_corpus(corpus)
    until = ("--seconds", FLOOD_SECONDS) if long else ("--entries", FLOOD_ENTRIES)
    options = ("--corpus", str(corpus), *map(str, until))
    site = Site(Ingester(folder), *options, producers=PRODUCERS)
    with site.running():
        for producer in site.producers:
            producer.finish()
        site.note_memory()
        site.ingester.stop()
    return site.verdict().figures(
        "ingester, 8 producers flat out",
        1,
        peak_mb=site.peak_bytes / MB,
        limit_mb=float(INGESTER_MB),
    )


def collector_alone(folder: Path, *, long: bool) -> Figures:
    """A service logs flat out without an ingester, then there is one.

    What its policy drops is lost, and must be what it and the ledger have counted: of
    each level as many entries as are not stored.
    """
    corpus = folder / "corpus"
    write_corpus(corpus)
    ingester = Ingester(folder)
    options = ["--corpus", str(corpus), "--memory-bytes", str(BOUND_MB * MB)]
    options += ["--policy", ""]  # the collector's own
    if not long:
        options += ["--spool-bytes", str(SHORT_SPOOL_MB * MB)]
    producer = Producer(ingester, "p0", *options)
    with started(producer):
        time.sleep(AWAY_SECONDS if long else AWAY_SHORTLY)
        with started(ingester):
            producer.ask_to_stop()
            report = producer.finish(drops=True)
            ingester.stop()
    verdict = check(ingester.database, producer.oracles)
    found = compare(ingester.database, [producer])
    return verdict._replace(
        lost=max(found.wrong, abs(verdict.lost - found.given_up)),
        unknown=verdict.unknown + found.unsettled,
    ).figures(
        "collector without an ingester",
        1,
        peak_mb=report["grown_bytes"] / MB,
        limit_mb=float(BOUND_MB + SLACK_MB),
        note=f"{found.given_up:,} given up{found.said}",
    )


FAULTS = {"flooded-ingester": flooded_ingester, "collector-alone": collector_alone}
