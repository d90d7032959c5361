"""Disks that fail or lie under the ingester's database.

Errors are put into the calls of the ingester on the database and its WAL by strace.
What the disk admits to have refused is written again; what it lied about has to be
noticed, and counted as lost.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.capabilities import need
from tests.faults.oracle import Verdict, check
from tests.faults.processes import (
    Ingester,
    Process,
    finish,
    started,
    wait_for,
)
from tests.faults.producer import write_corpus
from tests.faults.report import Figures
from tests.faults.site import Site, folder_of

RATE = ("--rate", "2000")
LARGE_BLOCKS = ("--rate", "8000", "--corpus")
"""Blocks of several pages, so that a page that was not written costs one."""

MEGABYTES = 48
REFUSED = "can't be written"
SETTLED_SECONDS = 0.5
LATER = 20_000
"""Entries that are several commits."""


def fill(ballast: Path) -> None:
    """To the last page."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


class Failure(NamedTuple):
    """What the kernel is made to say."""

    name: str
    inject: str


FAILURES = (
    Failure("EIO on write", "pwrite64:error=EIO:when=20..900+40"),
    Failure("ENOSPC on write", "pwrite64:error=ENOSPC:when=20..900+40"),
    Failure("EIO on sync", "fdatasync:error=EIO:when=3..60+6"),
)

LIES = (
    Failure("a page that was not written", "pwrite64:retval=16384:when=20..110+41"),
    Failure("a page of which a part was", "pwrite64:retval=4096:when=20..110+41"),
)


class Tampered:
    """A site whose ingester's calls on its database fail, once that is ready."""

    def __init__(
        self, folder: Path, failure: Failure, options: tuple[str, ...] = RATE
    ) -> None:
        need("strace")
        self.ingester = Ingester(folder)
        self.site = Site(self.ingester, *options)
        self.failure = failure
        self._log = folder / "calls"

    @contextmanager
    def running(self) -> Iterator[None]:
        """From when entries are stored and strace is at work."""
        with self.site.running():
            self.site.wait_for_entries(1)
            with started(self._tracer()):
                yield

    def _tracer(self) -> Process:
        database = self.ingester.database
        words = ["strace", "-f", "-p", str(self.ingester.pid), "-o", str(self._log)]
        words += ["-P", str(database), "-P", f"{database}-wal"]
        words += ["-e", "trace=pwrite64,fdatasync"]
        words += ["-e", f"inject={self.failure.inject}"]
        return Process(words, self.ingester.folder / "strace", "attached")

    @property
    def injected(self) -> int:
        """Calls that were tampered with so far."""
        return self._log.read_text(errors="replace").count("(INJECTED)")

    def wait(self, count: int) -> None:
        """Until so many were."""
        wait_for(self.failure.name, lambda: self.injected >= count)

    def finish(self) -> None:
        """Let the services hand over everything."""
        finish(self.site.producers)


def failing_disk(
    folder: Path, failures: Sequence[Failure] = FAILURES, *, long: bool
) -> Figures:
    """Errors of write and sync, which the next try makes good."""
    rounds = 3 if long else 1
    found, injected = [], 0
    for number, failure in enumerate([*failures] * rounds):
        tampered = Tampered(folder_of(folder, f"f{number}"), failure)
        with tampered.running():
            tampered.wait(3 if long else 1)
            tampered.finish()
            assert tampered.ingester.stop() == 0, tampered.ingester.text
        assert REFUSED in tampered.ingester.text
        injected += tampered.injected
        found.append(tampered.site.verdict())
    sums = [sum(column) for column in zip(*(v[:5] for v in found), strict=True)]
    return Figures("EIO, ENOSPC, failing sync", len(found), *sums[:4])._replace(
        unknown=sums[4], note=f"{injected} calls failed"
    )


def unsynced_disk(folder: Path, *, long: bool) -> Figures:
    """Every sync fails from some moment on: nothing is acknowledged any more."""
    seconds = 5.0 if long else 0.7
    failure = Failure("EIO on each sync", "fdatasync:error=EIO:when=3+")
    tampered = Tampered(folder, failure)
    site, ingester = tampered.site, tampered.ingester
    with tampered.running():
        wait_for("refusal", lambda: REFUSED in ingester.text)
        time.sleep(SETTLED_SECONDS)  # what was acknowledged before may be on its way
        before = site.progress
        time.sleep(seconds)
        assert site.progress == before, "acknowledged without a sync"
        site.kill_ingester()  # the next one is not tampered with
        tampered.finish()
        assert ingester.stop() == 0, ingester.text
    return site.verdict().figures("no sync succeeds", 1)


def lying_disk(folder: Path, *, long: bool) -> Figures:
    """Writes that never happened: noticed at the next start, and counted.

    `lost` is what the oracle misses and nobody has counted, or the other way round.
    """
    rounds = 3 if long else 1
    corpus = folder / "corpus"
    write_corpus(corpus)
    found = [
        _lie(folder_of(folder, f"l{number}"), failure, corpus)
        for number, failure in enumerate(LIES * rounds)
    ]
    noticed = sum(lie.is_noticed for lie in found)
    assert noticed, "each lie was made good before anybody has noticed it"
    verdicts = [lie.verdict for lie in found]
    return Figures(
        "writes that lie",
        len(found),
        sum(verdict.entries for verdict in verdicts),
        sum(abs(lie.verdict.lost - lie.counted) for lie in found),
        sum(verdict.doubled for verdict in verdicts),
        sum(verdict.disordered for verdict in verdicts),
        note=f"{sum(lie.counted for lie in found):,} entries counted as lost;"
        f" {noticed} of {len(found)} noticed",
        unknown=sum(verdict.unknown for verdict in verdicts)
        + sum(lie.counted > 0 and not lie.is_noticed for lie in found),
    )


class Lie(NamedTuple):
    """What came of a disk that lied."""

    verdict: Verdict
    """Of the blocks that can be read."""

    counted: int
    is_noticed: bool
    """Not if later writes of the same pages have made it good."""


def _lie(folder: Path, failure: Failure, corpus: Path) -> Lie:
    tampered = Tampered(folder, failure, (*LARGE_BLOCKS, str(corpus)))
    site, ingester = tampered.site, tampered.ingester
    with tampered.running():
        tampered.wait(3)
        # later commits prove that this was not the end, where a kill may break one
        site.wait_for_entries(site.progress + LATER)
        tampered.finish()
        ingester.kill()
        ingester.start()
        assert ingester.stop() == 0, ingester.text
    verdict = check(ingester.database, site.oracles, skip_damaged=True)
    counted = verdict.damaged + _lost(ingester.database)
    is_noticed = "is damaged" in ingester.text or verdict.damaged > 0
    return Lie(verdict, counted, is_noticed)


def _lost(database: Path) -> int:
    """Of services only: what the ingester said of itself may be lost, and is counted,
    but has no oracle."""
    services = "SELECT sum(lost) FROM producers WHERE kind = 'session'"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(services).fetchone()[0])


FAULTS: dict[str, Callable[..., Figures]] = {
    "failing-disk": failing_disk,
    "unsynced-disk": unsynced_disk,
    "lying-disk": lying_disk,
}
