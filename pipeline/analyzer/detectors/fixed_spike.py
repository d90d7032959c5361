"""Error spikes of a fixed size: so many errors within a sliding window.

A source alone has a finding when its errors reach its threshold, and `EVERYWHERE` has
one when those of all sources without one of their own do: an error belongs to one
finding at most. Sources with a threshold of their own are left out there, since they
have it for being louder (or, with 0, for not being watched).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.analyzer.detectors.queries import of_source
from pipeline.analyzer.detectors.sliding import SlidingCount, Ticker
from pipeline.analyzer.findings import (
    EVERYWHERE,
    IGNORED,
    Counts,
    Event,
    Finding,
    State,
)
from pipeline.level import Level

BUCKETS: Final = 300
"""Steps that a window slides by: 300 s slide by the second, an hour by twelve."""

SOURCES: Final = 2_000
"""Sources with a window of their own, 2.5 KB each; the others count together."""

GROWTH: Final = 2
"""An open finding is repeated when its count is so many times what was said."""


class FixedSpikes:
    """Opens at `threshold` errors in `window` seconds, and closes below.

    `thresholds` are those of single sources and of EVERYWHERE; 0 is none. `untracked`
    counts the errors of sources beyond the limit; they count only in all sources.
    """

    name = "error_spike"

    def __init__(
        self, threshold: int, window: int, thresholds: Mapping[str, int] | None = None
    ) -> None:
        self.untracked = 0
        self._threshold = threshold
        self._thresholds = dict(thresholds or {})
        self._window = window
        self._width = -(-window // BUCKETS)
        self._steps = -(-window // self._width)
        self._ticker = Ticker()
        self._head = 0
        self._sources: dict[str, SlidingCount] = {}
        self._others = SlidingCount(self._steps, 0)
        self._open: dict[str, int] = {}
        """What was said last of each that is open."""

    def configure(
        self, threshold: int, thresholds: Mapping[str, int] | None = None
    ) -> None:
        """Other thresholds from now on; the counts of the window stay."""
        self._threshold = threshold
        self._thresholds = dict(thresholds or {})

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Take in rows of (second, source, level, count), which arrived at `now`."""
        self._advance(now)
        for second, source, level, count in counts:
            if int(level) < Level.ERROR or source in IGNORED:
                continue
            age = max(0, now - int(second))
            # beyond the window nothing is made for it
            if age < self._window and self._limit(str(source)):
                step = (self._ticker.elapsed - age) // self._width
                self._count_of(str(source), int(count)).add(step, int(count))

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Nothing: summaries have all that counts."""

    def evaluate(self, now: int) -> list[Finding]:
        """What has opened and closed since the last time, or doubled."""
        self._advance(now)
        findings: list[Finding] = []
        together = [self._others]
        for source, errors in list(self._sources.items()):
            self._judge(source, [errors], now, findings)
            if source in self._open:
                continue
            if source not in self._thresholds:
                together.append(errors)
            if not errors.total:
                del self._sources[source]
        self._judge(EVERYWHERE, together, now, findings)
        return findings

    def _judge(
        self,
        source: str,
        errors: Sequence[SlidingCount],
        now: int,
        findings: list[Finding],
    ) -> None:
        count = sum(one.total for one in errors)
        limit = self._limit(source)
        told = self._open.get(source)
        if limit and count >= limit:
            if told is None or count >= GROWTH * told:
                self._open[source] = count
                since = self._since(errors, now)
                findings.append(
                    self._finding(source, State.OPEN, count, limit, now, since)
                )
        elif told is not None:
            del self._open[source]
            findings.append(self._finding(source, State.CLOSED, count, limit, now, now))

    def _finding(
        self, source: str, state: State, count: int, limit: int, now: int, since: int
    ) -> Finding:
        where = "all sources" if source == EVERYWHERE else source
        kind = "error spike" if state is State.OPEN else "error spike over"
        rule = f"threshold {limit}" if limit else "no threshold any more"
        return Finding(
            detector=self.name,
            source=source,
            key="",
            state=state,
            at=now,
            since=since,
            value=count,
            baseline=None,
            threshold=limit or None,
            window=self._window,
            text=f"{kind}: {count} errors of {where} in {self._window} s ({rule})",
            query=of_source(source, Level.ERROR),
        )

    def _since(self, errors: Sequence[SlidingCount], now: int) -> int:
        """The second of the oldest error in the window."""
        steps = [step for one in errors if (step := one.first()) is not None]
        age = self._ticker.elapsed - min(steps, default=self._head) * self._width
        return now - min(age, self._window)

    def _limit(self, source: str) -> int:
        return self._thresholds.get(source, self._threshold)

    def _count_of(self, source: str, count: int) -> SlidingCount:
        found = self._sources.get(source)
        if found is not None:
            return found
        if len(self._sources) >= SOURCES:
            self.untracked += count
            return self._others
        found = self._sources[source] = SlidingCount(self._steps, self._head)
        return found

    def _advance(self, now: int) -> None:
        self._ticker.advance(now)
        head = self._ticker.elapsed // self._width
        if head != self._head:
            self._head = head
            self._others.advance(head)
            for errors in self._sources.values():
                errors.advance(head)
