"""Where a fault of processes happens: an ingester, services that log, and blows."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.measure import memory_of
from tests.faults.oracle import Oracle, Verdict, check
from tests.faults.processes import Ingester, Process, Producer, started, wait_for

PRODUCERS = 2
JITTER_SECONDS = 0.2
"""A blow comes up to so long after its moment, so that none is tied to a commit."""

PROGRESS_SECONDS = 120.0

FLAT_OUT = ("--spool", "off")
"""Producers wait for room in memory; else what they log beyond the ingester's rate
would pile up on disk, and sending that would be most of the fault."""


class Size(NamedTuple):
    """Blows, and how many entries they are spread over."""

    blows: int
    entries: int


class Site:
    """Processes over one folder, and what is noted of them."""

    def __init__(
        self,
        ingester: Ingester,
        *options: str,
        producers: int = PRODUCERS,
        others: tuple[Process, ...] = (),
    ) -> None:
        self.ingester = ingester
        self.others = others
        self.producers = [
            Producer(ingester, f"p{number}", *options) for number in range(producers)
        ]
        self.peak_bytes = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """From when all are ready; the producers last, as they take the CPU."""
        with started(self.ingester, *self.others), started(*self.producers):
            yield

    def note_memory(self) -> None:
        """The most that this ingester, soon to be ended, had resident."""
        self.peak_bytes = max(self.peak_bytes, memory_of(self.ingester.pid))

    @property
    def oracles(self) -> list[Oracle]:
        """Of all threads and children of the producers."""
        return [oracle for producer in self.producers for oracle in producer.oracles]

    @property
    def progress(self) -> int:
        """Entries that are acknowledged; of plain senders, those that were sent."""
        oracles = self.oracles
        is_plain = "--plain" in self.producers[0].words
        return sum(o.accepted if is_plain else o.settled for o in oracles)

    def spread(self, size: Size, strike: Callable[[int], None]) -> None:
        """One blow each time that another part of the entries is through."""
        for number in range(1, size.blows + 1):
            self.wait_for_entries(size.entries * number // size.blows)
            time.sleep(random.Random(number).uniform(0, JITTER_SECONDS))
            strike(number)

    def wait_for_entries(self, due: int) -> None:
        """Until so many are through in all."""
        wait_for(f"{due:,} entries", lambda: self.progress >= due, PROGRESS_SECONDS)

    def kill_ingester(self, _: int = 0) -> None:
        """And start it again at once."""
        self.note_memory()
        self.ingester.kill_and_restart()

    def verdict(self) -> Verdict:
        """Once nothing writes any more."""
        return check(self.ingester.database, self.oracles)


def folder_of(folder: Path, name: str) -> Path:
    """A new folder for a part of a fault; its name is short, as sockets are in it."""
    path = folder / name
    path.mkdir()
    return path
