"""Spikes against a source's own baseline: more entries of a level than chance explains.

Counts of the last 10 s to an hour are held against what is usual at this time of day,
and against how busy their source is: a deployment or a rush brings more of all levels.
A finding needs all of: `minimum` entries, `factor` times the usual, and a chance below
`probability` by a negative binomial of the rate and its own spread. Windows that slide
by a step of theirs are looked at as often as ten seconds, but seldom anew: a scan of
them has fewer false alarms, which they may use. A source that keeps on having findings
of a moment has to be ever more unusual for the next one.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pipeline.analyzer.detectors.baseline import SLOT, slot_of
from pipeline.analyzer.detectors.chance import seldom, surprise
from pipeline.analyzer.detectors.queries import of_source
from pipeline.analyzer.detectors.rate_series import (
    FINE,
    MINUTE,
    SHORT,
    STEP,
    WINDOWS,
    RateSeries,
    covered,
)
from pipeline.analyzer.detectors.sliding import JUMP, Ticker
from pipeline.analyzer.findings import IGNORED, Counts, Event, Finding, State
from pipeline.level import LEVEL_NAMES, Level

SERIES: Final = 2_000
"""Series with a baseline, 3 KB each; the others are counted as untracked. As many
sources have one of how busy they are."""

WARM_UP: Final = 3_600
"""Seconds that a source must have been seen before it is judged."""

ACCEPT: Final = 6 * 3_600
"""After so many seconds what is unusual is the new usual."""

FORGET: Final = 3 * 86_400
"""Seconds after which a series without an entry is given up."""

_CALM_WINDOW: Final = FINE
_CALM: Final = 1 / 3
"""Over when nothing was more unusual than this share of the limit for CALM_SECONDS."""
CALM_SECONDS: Final = 300

_MOMENT: Final = 120
"""What was unusual no longer was chance, or what a start of a service makes."""
_TIRED: Final = 0.5
_REST: Final = math.exp(-MINUTE / 86_400)
_GROWTH: Final = 2

_BUSIEST: Final = 4.0
"""More of everything explains so much at most."""

SETTLE: Final = 60
"""Seconds after a clock was set in which nothing opens."""

Key = tuple[str, int]
_BUSY: Final = 0
"""In the place of a level: all entries below the level that is watched."""


@dataclass(slots=True)
class _Open:
    """A finding that goes on."""

    window: int
    told: float
    since: int
    begun: int
    seen: int
    """When it was unusual last, in watched seconds."""
    lasted: int
    """When the window that found it, or a shorter one, still was."""


class AdaptiveSpikes:
    """One finding for each source and level that is far above its usual rate."""

    name = "adaptive_spike"

    def __init__(
        self,
        factor: float = 2.0,
        minimum: int = 10,
        probability: float = 3e-7,
        level: int = Level.WARN,
    ) -> None:
        self.untracked = 0
        self._ticker = Ticker()
        self._series: dict[Key, RateSeries] = {}
        self._busy: dict[Key, RateSeries] = {}
        """Of each source what is below the level that is watched."""
        self._seen: dict[str, int] = {}
        """When each source was first seen, by the ticker."""
        self._fresh: set[Key] = set()
        self._open: dict[Key, _Open] = {}
        self._tired: dict[Key, float] = {}
        self._minute = 0
        self._settled = 0
        """Until then, by the ticker, a set clock may have put two steps into one."""
        self.configure(factor, minimum, probability, level)

    def configure(
        self, factor: float, minimum: int, probability: float, level: int
    ) -> None:
        """Other thresholds from now on; what was learnt stays."""
        self._factor = factor
        self._minimum = minimum
        self._limit = -math.log(probability)
        self._level = level

    def restore(self, rows: Counts, now: int, width: int = MINUTE) -> None:
        """Learn from the past: rows of (second, source, level, count), each the sum of
        `width` seconds from `second` on.

        Half hours count that are whole, and in which any source has an entry. What the
        current windows hold comes by `observe_counts`.
        """
        sums: dict[Key, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        first: dict[str, int] = {}
        end = 0
        for second, name, level, count in rows:
            if name not in IGNORED:
                slot, source = int(second) // SLOT, str(name)
                first[source] = min(first.get(source, slot), slot)
                sums[self._key(source, int(level))][slot] += int(count)
                end = max(end, int(second) + width)
        alive = sorted({slot for one in sums.values() for slot in one})
        whole = [slot for slot in alive if (slot + 1) * SLOT <= min(end, now)]
        for source, slot in first.items():
            self._see(source, now - slot * SLOT)
        for key in self._series.keys() | self._busy.keys() | sums.keys():
            series = self._series_of(key)
            if series is None or key[0] not in first:
                continue
            for slot in whole:
                # a source's own first one is not a whole one
                if slot > first[key[0]]:
                    total = sums[key].get(slot, 0.0)
                    series.base.learn(slot_of(slot * SLOT), total / SLOT)
        if width <= MINUTE:
            self._restore_spread(rows)

    def _see(self, source: str, age: int) -> None:
        """It was there so many seconds ago."""
        first = self._ticker.elapsed - age
        if source in self._seen or len(self._seen) < SERIES:
            self._seen[source] = min(first, self._seen.get(source, first))

    def _restore_spread(self, rows: Counts) -> None:
        """Of each window by what whole ones of its length had."""
        if not rows:
            return
        first = min(int(row[0]) for row in rows) // MINUTE * MINUTE
        size = (max(int(row[0]) for row in rows) - first) // MINUTE + 1
        minutes: dict[Key, array[int]] = {}
        for second, source, level, count in rows:
            key = self._key(str(source), int(level))
            if key not in minutes:
                minutes[key] = array("Q", bytes(8 * size))
            minutes[key][(int(second) - first) // MINUTE] += int(count)
        for key, counts in minutes.items():
            series = self._series_of(key)
            if series is not None and series.base.known:
                series.restore_spreads(counts, first)

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Take in rows of (second, source, level, count), which arrived at `now`."""
        self._advance(now)
        elapsed = self._ticker.elapsed
        head = elapsed // STEP
        for second, source, level, count in counts:
            if source in IGNORED:
                continue
            if source not in self._seen:
                self._see(str(source), 0)
            key = self._key(str(source), int(level))
            series = self._series_of(key)
            if series is None:
                self.untracked += int(count) if key[1] != _BUSY else 0
                continue
            age = max(0, now - int(second))
            series.add((elapsed - age) // STEP, int(count))
            series.last = head
            if key[1] != _BUSY:
                self._fresh.add(key)

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Nothing: summaries have all that counts."""

    def evaluate(self, now: int) -> list[Finding]:
        """What has opened and closed since the last time, or doubled."""
        self._advance(now)
        findings: list[Finding] = []
        for key in self._fresh.union(self._open):
            series = self._series.get(key)
            if series is None:
                continue
            held = self._open.get(key)
            found = (
                self._judge(key, series, now)
                if held is None
                else self._look(key, series, held, now)
            )
            if found is not None:
                findings.append(found)
        self._fresh.clear()
        return findings

    def _judge(self, key: Key, series: RateSeries, now: int) -> Finding | None:
        if series.total < self._minimum or not self._warm(key[0], series):
            return None
        if self._ticker.elapsed < self._settled:
            return None
        limit = self._limit * (1 + _TIRED * self._tired.get(key, 0.0))
        # below ERROR a minute of noise is what every start of a service makes
        first = 0 if key[1] >= Level.ERROR else _CALM_WINDOW
        for window in range(first, len(WINDOWS)):
            if self._ticker.watched - series.calm < WINDOWS[window]:
                break
            count, expected, much = self._measure(key[0], series, window, now)
            if (
                not much
                or much + seldom(WINDOWS[window] // STEP, count, expected) < limit
            ):
                continue
            since = now - covered(window, self._ticker.elapsed)
            watched = self._ticker.watched
            held = _Open(window, count, since, watched, watched, watched)
            self._open[key] = held
            return self._finding(key, State.OPEN, held, count, expected, now)
        return None

    def _look(
        self, key: Key, series: RateSeries, held: _Open, now: int
    ) -> Finding | None:
        """Whether an open one is over, or twice what was said."""
        watched = self._ticker.watched
        last = max(held.window, _CALM_WINDOW)
        for window in range(last + 1):
            count, expected, much = self._measure(key[0], series, window, now)
            if much >= self._limit * _CALM:
                held.seen = watched
                if window <= held.window:
                    held.lasted = watched
        accepted = watched - held.begun >= ACCEPT
        if accepted:
            series.accept(max(0.1, count / expected))
        if accepted or watched - held.seen >= CALM_SECONDS:
            del self._open[key]
            series.calm = watched
            if held.lasted - held.begun < _MOMENT:
                self._tired[key] = self._tired.get(key, 0.0) + 1
            return self._finding(
                key, State.CLOSED, held, count, expected, now, accepted=accepted
            )
        count, expected, _ = self._measure(key[0], series, held.window, now)
        if count < _GROWTH * held.told:
            return None
        held.told = count
        return self._finding(key, State.OPEN, held, count, expected, now)

    def _measure(
        self, source: str, series: RateSeries, window: int, now: int
    ) -> tuple[int, float, float]:
        """Count, what is usual, and how surprising it is: 0 below the other limits."""
        count = series.count(window)
        usual = series.usual(window, now)
        expected = usual * covered(window, self._ticker.elapsed)
        if count < self._minimum or count < self._factor * expected:
            return count, expected, 0.0
        lately = series.lately(usual) if window <= SHORT else 1.0
        expected *= max(lately, self._busier(source, window, now))
        if count < self._factor * expected:
            return count, expected, 0.0
        return count, expected, surprise(count, expected, series.spread(window))

    def _busier(self, source: str, window: int, now: int) -> float:
        """How many times more than usual the source surely has of what is no error."""
        series = self._busy.get((source, _BUSY))
        if series is None or not series.base.known:
            return 1.0
        count = series.count(window)
        seconds = covered(window, self._ticker.elapsed)
        expected = series.usual(window, now) * seconds
        return min(_BUSIEST, max(1.0, (count - math.sqrt(count)) / expected))

    def _warm(self, source: str, series: RateSeries) -> bool:
        seen = self._seen.get(source, self._ticker.elapsed)
        return series.base.known and self._ticker.elapsed - seen >= WARM_UP

    def _finding(
        self,
        key: Key,
        state: State,
        held: _Open,
        count: int,
        expected: float,
        now: int,
        *,
        accepted: bool = False,
    ) -> Finding:
        source, level = key
        window = held.window
        if state is State.CLOSED:
            window = max(window, _CALM_WINDOW)
        seconds = WINDOWS[window]
        usual = f"usual at this time: {expected:.3g}"
        text = f"{count} {LEVEL_NAMES[level]} of {source} in {seconds} s, {usual}"
        if accepted:
            text = f"taken as usual from now on: {text}"
        elif state is State.CLOSED:
            text = f"back to usual: {text}"
        elif count >= 2 * expected:
            text = f"{count / expected:.3g} times the usual: {text}"
        return Finding(
            detector=self.name,
            source=source,
            key=LEVEL_NAMES[level],
            state=state,
            at=now,
            since=held.since if state is State.OPEN else now,
            value=count,
            baseline=round(expected, 3),
            threshold=round(max(self._minimum, self._factor * expected), 3),
            window=seconds,
            text=text,
            query=of_source(source, level, only=True),
            level=level,
        )

    def _key(self, source: str, level: int) -> Key:
        return source, _step(level) if level >= self._level else _BUSY

    def _series_of(self, key: Key) -> RateSeries | None:
        """The series, new if need be; None beyond the limit."""
        held = self._series if key[1] != _BUSY else self._busy
        found = held.get(key)
        if found is None and len(held) < SERIES and key[0] not in IGNORED:
            found = held[key] = RateSeries(self._ticker.elapsed // STEP)
            seen = self._seen.get(key[0], self._ticker.elapsed)
            if self._ticker.elapsed - seen >= WARM_UP:
                # the source was there and this level was not: usual is none
                found.base.learn(0, 0.0)
        return found

    def _advance(self, now: int) -> None:
        passed = self._ticker.advance(now)
        if not 0 <= passed <= JUMP:
            self._settled = self._ticker.elapsed + SETTLE
        head = self._ticker.elapsed // STEP
        if head == self._ticker_head(passed):
            return
        for series in chain(self._series.values(), self._busy.values()):
            series.advance(head)
        minute = self._ticker.elapsed // MINUTE
        if minute != self._minute:
            self._minute = minute
            self._learn(now, minute, watched=0 <= passed <= JUMP)

    def _ticker_head(self, passed: int) -> int:
        """The step before the clock went on."""
        return (self._ticker.elapsed - max(0, passed)) // STEP

    def _learn(self, now: int, minute: int, *, watched: bool) -> None:
        for key, tired in list(self._tired.items()):
            self._tired[key] = tired * _REST
            if tired < 0.01:
                del self._tired[key]
        oldest = self._ticker.elapsed // STEP - FORGET // STEP
        for held in (self._series, self._busy):
            for key, series in list(held.items()):
                if series.last < oldest and key not in self._open:
                    del held[key]
                elif watched:
                    series.learn(now, minute, calm=key not in self._open)
                else:
                    series.skip()


def _step(level: int) -> int:
    """The name's own number: the steps between count as it."""
    return 1 + (min(max(level, 1), 24) - 1) // 4 * 4
