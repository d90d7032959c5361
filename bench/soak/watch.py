"""What is looked at while a soak runs: memory, files, and how late entries are."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from bench.measure import children_of, memory_of, quantile
from bench.processes import Place
from bench.soak.line import Line, NoAnswerError
from pipeline import Collector
from pipeline.control import Client, ControlError, endpoint_of
from pipeline.store.database import size_on_disk

LOOK_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 0.1
PROBE: Final = "soak-probe"
RECOVERY_SECONDS: Final = 10.0
"""After a kill an entry may be late."""

STATUS_SECONDS: Final = 0.5
MB: Final = 1_000_000


class Event(NamedTuple):
    """Something was done to the pipeline, so many seconds after the start."""

    at: float
    what: str


class Sample(NamedTuple):
    """One look."""

    at: float
    rss: dict[str, int]
    """Bytes by role, of several with one role the most; `pipeline up` is one."""

    disk: int
    spool: int
    taken: int | None
    """Entries that this ingester has taken; None: it didn't answer."""


class Lag(NamedTuple):
    """Of one entry, from the call until a query has found it; seconds."""

    at: float
    late: float


def role_of(pid: int) -> str:
    """What a process of the pipeline is for; empty: none of them, or it has ended."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"pipeline" in words:
            return words[words.index(b"pipeline") + 1].decode()
    return ""


def processes_of(supervisor: int) -> dict[int, str]:
    """Processes under `pipeline up` with their roles."""
    with suppress(OSError):
        found = {pid: role_of(pid) for pid in children_of(supervisor)}
        return {pid: role for pid, role in found.items() if role}
    return {}


class Watch(threading.Thread):
    """Looks once a second, until `end` is set."""

    def __init__(self, where: Place, supervisor: int, start: float) -> None:
        super().__init__(name="watch", daemon=True)
        self._where, self._supervisor, self._start = where, supervisor, start
        self._client = Client(endpoint_of("", str(where.database)))
        self.end = threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Look."""
        while not self.end.wait(LOOK_SECONDS):
            self.samples.append(self._look())

    def _look(self) -> Sample:
        rss: dict[str, int] = defaultdict(int)
        roles = {**processes_of(self._supervisor), self._supervisor: "up"}
        for pid, role in roles.items():
            with suppress(OSError, ValueError):
                rss[role] = max(rss[role], memory_of(pid, "VmRSS"))
        taken = None
        with suppress(ControlError):
            counters = self._client.status(STATUS_SECONDS)["counters"]
            taken = counters.get("entries", 0)
        return Sample(
            time.monotonic() - self._start,
            dict(rss),
            size_on_disk(self._where.database),
            _spool_bytes(self._where.folder / "spool"),
            taken,
        )


def _spool_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it is sent and gone
            total += path.stat().st_size
    return total


@dataclass
class Probes:
    """A service whose entries are looked for as soon as they are logged."""

    where: Place
    start: float
    sent: list[float] = field(default_factory=list)
    lags: list[Lag] = field(default_factory=list)
    failures: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Log and look from now on."""
        for work in (self._log, self._look):
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()

    def finish(self) -> bool:
        """Whether all that was logged is durable."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        return self._flushed

    def _log(self) -> None:
        with Collector(
            self.where.ingest,
            PROBE,
            acknowledge_endpoint=self.where.publish,
            spool_dir=str(self.where.folder / "spool"),
        ) as collector:
            while not self._end.wait(PROBE_SECONDS):
                self.sent.append(time.monotonic())
                collector.log("INFO", "a probe", {"n": len(self.sent)})
            collector.flush(120.0)
            stats = collector.stats()
            self._flushed = not stats["waiting"]
            for why, levels in stats["dropped"].items():
                self.dropped[why] += sum(levels.values())

    def _look(self) -> None:
        seen = 0
        params = {"sources": [PROBE], "limit": 1, "count": "none"}
        line = Line(self.where.port)
        while not self._end.wait(PROBE_SECONDS):
            try:
                found = line.ask("query", params)["logs"]
            except NoAnswerError:
                self.failures += 1
                continue
            newest = found[0]["metadata"]["n"] if found else 0
            now = time.monotonic()
            self.lags += (
                Lag(sent - self.start, now - sent) for sent in self.sent[seen:newest]
            )
            seen = max(seen, newest)
        line.close()


def outside(lags: Sequence[Lag], events: Sequence[Event]) -> list[float]:
    """How late those were that no kill had to do with."""
    kills = [event.at for event in events if event.what.startswith("kill")]
    return [
        lag.late
        for lag in lags
        if not any(
            lag.at < kill + RECOVERY_SECONDS and kill < lag.at + lag.late
            for kill in kills
        )
    ]


def p99(values: Sequence[float]) -> float:
    """Seconds; 0 of none."""
    return quantile(values, 0.99) if values else 0.0


def growth(samples: Sequence[Sample], role: str) -> tuple[float, float]:
    """MB in the middle of the first and of the last fifth of the last two thirds."""
    late = [s.rss[role] / MB for s in samples[len(samples) // 3 :] if role in s.rss]
    if not late:
        return 0.0, 0.0
    part = max(1, len(late) // 5)
    return quantile(late[:part], 0.5), quantile(late[-part:], 0.5)
