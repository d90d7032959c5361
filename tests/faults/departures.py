"""Services that log and end while the ingester is away, with room for a part of it.

A later session sends what they have left on disk.  What their policy gave up is stored
nowhere; it must be what they counted, and the ledger must have it, too.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path

from tests.faults.accounts import compare
from tests.faults.kills import KEEPS_PACE, inherit
from tests.faults.oracle import check
from tests.faults.processes import Ingester, Producer, started
from tests.faults.producer import write_corpus
from tests.faults.report import Figures

SPOOLS = ("overflow", "always")
POLICIES = ("drop_oldest", "drop_newest")
HEIR = "heir"
ROOM = ("--memory-bytes", str(1 << 20), "--spool-bytes", str(1 << 20))
ROOM += ("--threads", "4", "--close-seconds", "1")
"""Memory and spool are full within a second, flat out."""

GROWTH_MB = 32.0
"""Of a service: its memory, what its spool needs, and what the allocator keeps."""

ENTRIES = 40_000
"""More than there is room for, however slow the machine is."""

LONG_SECONDS = 10.0


def departures(folder: Path, spool: str, policy: str, *, long: bool) -> Figures:
    """One service after another logs and ends, then there are an ingester and an heir.

    `lost` are entries that are neither stored nor counted, `unknown` those that nobody
    logged, and what the ledger has otherwise.
    """
    corpus = folder / "corpus"
    write_corpus(corpus)
    options = ["--corpus", str(corpus), "--spool", spool, "--policy", policy, *ROOM]
    options += ["--seconds", str(LONG_SECONDS)] if long else ["--entries", str(ENTRIES)]
    ingester = Ingester(folder)
    producers = [
        Producer(ingester, f"p{number}", *options) for number in range(5 if long else 1)
    ]
    for producer in producers:
        with started(producer):
            producer.finish(drops=True)
    heir = Producer(ingester, HEIR, *KEEPS_PACE)
    with started(ingester):
        inherit(heir, folder / "spool")
        assert ingester.stop() == 0, ingester.text
    claims = [oracle for each in (*producers, heir) for oracle in each.oracles]
    verdict = check(ingester.database, claims)
    found = compare(ingester.database, producers, but=HEIR)
    return verdict._replace(
        lost=max(found.wrong, abs(verdict.lost - found.given_up)),
        unknown=verdict.unknown + found.unsettled,
    ).figures(
        f"ended without an ingester: {spool}, {policy}",
        len(producers),
        peak_mb=max(each.report["grown_bytes"] for each in producers) / (1 << 20),
        limit_mb=GROWTH_MB,
        note=f"{found.given_up:,} given up{found.said}",
    )


FAULTS = {
    f"departures-{spool}-{policy}": partial(departures, spool=spool, policy=policy)
    for spool, policy in product(SPOOLS, POLICIES)
}
"""By name."""
