"""Requests that take longer than usual: p95 of `duration_ms` by source and path.

Of each series a fading histogram of the last day says what p95 is usual. A finding
needs p95 of a window to be `factor` times that, and more durations beyond `factor`
times p95 or p75 than chance explains if all took two thirds of that step longer: a
busy hour and a deployment do. The chance is a binomial tail. So a slow request does not
make a finding where there are few, a slow tail is seen by p95, and a step of all
requests by p75, of which there are five times as many. Ten seconds alone are a pause:
without them the others still have to be slow.

A segment of a path that holds a digit is `*`, so that ids don't make series.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.analyzer.detectors.chance import surprise_of_hits
from pipeline.analyzer.detectors.histogram import GROWTH, Histogram, bucket_of
from pipeline.analyzer.detectors.queries import of_path, of_source
from pipeline.analyzer.detectors.sliding import Ticker
from pipeline.analyzer.findings import IGNORED, Counts, Event, Finding, State
from pipeline.level import Level

SERIES: Final = 500
"""Series with a baseline, 6 KB each; durations of others are counted as untracked."""

STEP: Final = 10
WINDOWS: Final = (10, 20, 40, 90, 180, 300, 600, 1800)
"""Seconds: busy paths are judged by the first, others by those that follow."""

PERIOD: Final = 300
"""Seconds after which durations become history, two periods later."""

WARM_UP: Final = 1_800
KNOWN: Final = 200
"""Durations that a baseline needs."""

ACCEPT: Final = 6 * 3_600
"""Seconds after which what was slow is the new usual."""

FORGET: Final = 2 * 86_400

_RING: Final = WINDOWS[-1] // STEP + 1
"""Full steps and the one that goes on."""
_FADE: Final = 0.5 ** (PERIOD / 43_200)
"""Of five minutes: half a day halves what was, so that a day's wave is in it."""
_LEAST_SHARE: Final = 0.01
"""Of what is usually beyond: stragglers come in clusters."""
_LIMIT: Final = 15.0
"""Nats: a chance below one in three million for each look."""
_SECOND: Final = 4.0
"""Nats that are left without the slowest step."""
_TOLERANCE: Final = 2 / 3
"""Of `factor`, as an exponent: what a load or a start may do to all requests."""
_P95, _P75 = 0.95, 0.75
_CALM_WINDOW: Final = WINDOWS.index(PERIOD)

Key = tuple[str, str]

_ID: Final = re.compile(r"[^/]*\d[^/]*")


def shape_of(path: str) -> str:
    """A path without its query, with `*` for each segment that holds a digit."""
    return _ID.sub("*", path.partition("?")[0])[:200]


class _Series:
    """Of one source and path: its past, and the steps of the longest window."""

    __slots__ = (
        "base",
        "begun",
        "calm",
        "counts",
        "edge",
        "fresh",
        "head",
        "last",
        "late",
        "late_edge",
        "late_share",
        "older",
        "opened",
        "p95",
        "recent",
        "seen",
        "slow",
        "slow_share",
        "told",
        "window",
    )

    def __init__(self, now: int) -> None:
        self.base = Histogram()
        self.recent = Histogram()
        """Of the five minutes that go on; `older` of those before."""
        self.older = Histogram()
        self.counts = array("I", [0]) * _RING
        self.slow = array("I", [0]) * _RING
        self.late = array("I", [0]) * _RING
        """Durations of each step, and how many were beyond `edge` and `late_edge`."""
        self.head = now // STEP
        self.edge = self.late_edge = -1
        self.slow_share = self.late_share = 0.0
        """What would be beyond them if all took a little longer."""
        self.p95 = 0.0
        self.begun = self.last = now
        self.calm = -WINDOWS[-1]
        """Watched second at which the last finding was over: longer windows hold it."""
        self.fresh = False
        self.opened: int | None = None
        self.seen = 0
        """When it was slow last, in watched seconds."""
        self.window = 0
        self.told = 0.0

    def advance(self, head: int) -> None:
        """Let the window end at this step."""
        for step in range(max(self.head, head - _RING) + 1, head + 1):
            place = step % _RING
            self.counts[place] = self.slow[place] = self.late[place] = 0
        self.head = max(self.head, head)

    def sums(self, window: int) -> tuple[int, int]:
        """Durations of the last steps, and how many were slow."""
        return self._sum(self.counts, window), self._sum(self.slow, window)

    def is_slow(self, window: int, count: int, slow: int) -> bool:
        """Whether so many beyond either edge are more than chance, or a pause, has."""
        late = self._sum(self.late, window)
        return self._is_beyond(self.slow, window, count, slow, self.slow_share) or (
            self._is_beyond(self.late, window, count, late, self.late_share)
        )

    def _is_beyond(
        self, hits: array[int], window: int, count: int, found: int, share: float
    ) -> bool:
        if surprise_of_hits(found, count, share) < _LIMIT:
            return False
        steps = WINDOWS[window] // STEP + 1
        worst = max(
            ((self.head - ago) % _RING for ago in range(steps)), key=hits.__getitem__
        )
        left, others = found - hits[worst], count - self.counts[worst]
        return surprise_of_hits(left, others, share) >= _SECOND

    def _sum(self, counts: array[int], window: int) -> int:
        end = self.head % _RING + 1
        begin = end - WINDOWS[window] // STEP - 1
        if begin >= 0:
            return sum(counts[begin:end])
        return sum(counts[:end]) + sum(counts[begin:])

    def now_p95(self) -> float:
        """Of the five minutes that go on, or with those before if they are young."""
        if self.recent.total >= KNOWN / 4:
            return self.recent.percentile(_P95)
        both = Histogram()
        both.merge(self.older)
        both.merge(self.recent)
        return both.percentile(_P95)


class SlowPaths:
    """One finding for each source and path that is much slower than usual."""

    name = "latency"

    def __init__(self, factor: float = 1.5, minimum: int = 20) -> None:
        self.untracked = 0
        self._ticker = Ticker()
        self._series: dict[Key, _Series] = {}
        self._period = 0
        self._step = 0
        self.configure(factor, minimum)

    def configure(self, factor: float, minimum: int) -> None:
        """Other limits: the factor for each series from its next five minutes on."""
        self._factor = factor
        self._minimum = minimum

    def restore_durations(
        self, rows: Iterable[tuple[str, str, int, float, float]], now: int
    ) -> None:
        """Learn from the past: rows of (source, path, count, p50, p95) of the last day.

        Each is taken as a lognormal distribution, and weighs as its count does.
        """
        self._ticker.advance(now)
        for source, path, count, p50, p95 in rows:
            series = self._series_of((source, shape_of(path)))
            if series is not None and source not in IGNORED and count > 0:
                series.base.add_lognormal(count, p50, p95)
                series.begun = self._ticker.elapsed - WARM_UP
                self._set_edge(series)

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Nothing: counts have no durations."""

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Take in the groups of one committed batch that arrived at `now`."""
        self._advance(now)
        for event in events:
            if not event.durations or event.source in IGNORED:
                continue
            age = max(0, now - event.second)
            if age >= WINDOWS[-1]:
                continue
            series = self._series_of((event.source, shape_of(event.path)))
            if series is None:
                self.untracked += len(event.durations)
                continue
            self._take(series, event.durations, age)

    def evaluate(self, now: int) -> list[Finding]:
        """What became slow or is as usual again since the last time."""
        self._advance(now)
        findings = []
        for key, series in self._series.items():
            if series.opened is None and not series.fresh:
                continue
            series.fresh = False
            if series.edge >= 0:
                found = self._judge(key, series, now)
                if found is not None:
                    findings.append(found)
        return findings

    def _take(self, series: _Series, durations: Sequence[float], age: int) -> None:
        buckets = [bucket_of(one) for one in durations]
        series.recent.add(buckets)
        series.last = self._ticker.elapsed
        series.fresh = True
        step = (self._ticker.elapsed - age) // STEP
        if series.head - _RING < step <= series.head and series.edge >= 0:
            series.counts[step % _RING] += len(buckets)
            series.slow[step % _RING] += sum(one > series.edge for one in buckets)
            late = series.late_edge
            series.late[step % _RING] += sum(one > late for one in buckets)

    def _judge(self, key: Key, series: _Series, now: int) -> Finding | None:
        if series.opened is not None:
            return self._look(key, series, now)
        for window in range(len(WINDOWS)):
            if self._ticker.watched - series.calm < WINDOWS[window]:
                break
            count, slow = series.sums(window)
            # by their own chance too: p95 surely is so high
            if count < self._minimum or slow - slow**0.5 <= (1 - _P95) * count:
                continue
            if series.is_slow(window, count, slow):
                series.opened = series.seen = self._ticker.watched
                series.window = window
                series.told = series.now_p95()
                return self._finding(key, series, State.OPEN, count, slow, now)
        return None

    def _look(self, key: Key, series: _Series, now: int) -> Finding | None:
        """Over when nothing was slow for five minutes, or what is slow is usual."""
        watched = self._ticker.watched
        for window in range(_CALM_WINDOW, max(_CALM_WINDOW, series.window) + 1):
            count, slow = series.sums(window)
            if slow > (1 - _P95) * count:
                series.seen = watched
        accepted = watched - (series.opened or 0) >= ACCEPT
        over = watched - series.seen >= PERIOD
        if not accepted and not over:
            return None
        found = self._finding(key, series, State.CLOSED, count, slow, now)
        series.opened, series.calm = None, watched
        if not accepted:
            # neither is what was slow history
            series.older, series.recent = Histogram(), Histogram()
        else:
            series.base = Histogram()
            series.base.merge(series.older)
            self._set_edge(series)
        return found

    def _finding(
        self, key: Key, series: _Series, state: State, count: int, slow: int, now: int
    ) -> Finding:
        source, path = key
        window = WINDOWS[
            max(series.window, _CALM_WINDOW if state is State.CLOSED else 0)
        ]
        p95 = series.now_p95()
        where = f"{source} {path}".strip()
        limit = series.p95 * self._factor
        text = (
            f"{where}: p95 is {p95:.3g} ms, usually {series.p95:.3g} ms; {slow} of"
            f" {count} requests in {window} s took more than {limit:.3g} ms"
        )
        if state is State.CLOSED:
            text = f"as fast as usual again, {text}"
        since = now - window if state is State.OPEN else now
        query = f"{of_source(source)} {of_path(path)}" if path else of_source(source)
        return Finding(
            detector=self.name,
            source=source,
            key=path,
            state=state,
            at=now,
            since=since,
            value=round(p95, 3),
            baseline=round(series.p95, 3),
            threshold=round(limit, 3),
            window=window,
            text=text,
            query=f"{query} metadata.duration_ms:>{limit:.6f}",
            level=Level.WARN,
        )

    def _set_edge(self, series: _Series) -> None:
        if series.base.total >= KNOWN:
            series.p95 = series.base.percentile(_P95)
            series.edge = bucket_of(series.p95 * self._factor)
            middle = series.base.percentile(_P75)
            series.late_edge = bucket_of(middle * self._factor)
            longer = round(math.log(self._factor) / math.log(GROWTH) * _TOLERANCE)
            above = series.base.above
            series.slow_share = max(_LEAST_SHARE, above(series.edge - longer))
            series.late_share = max(_LEAST_SHARE, above(series.late_edge - longer))

    def _series_of(self, key: Key) -> _Series | None:
        found = self._series.get(key)
        if found is None and len(self._series) < SERIES:
            found = self._series[key] = _Series(self._ticker.elapsed)
        return found

    def _advance(self, now: int) -> None:
        self._ticker.advance(now)
        step = self._ticker.elapsed // STEP
        if step == self._step:
            return
        self._step = step
        for series in self._series.values():
            series.advance(step)
        period = self._ticker.elapsed // PERIOD
        if period != self._period:
            self._period = period
            self._learn()

    def _learn(self) -> None:
        """Five minutes are over: those before them are history, if nothing is open."""
        elapsed = self._ticker.elapsed
        for key, series in list(self._series.items()):
            if elapsed - series.last >= FORGET:
                del self._series[key]
                continue
            if series.opened is None:
                series.base.fade(_FADE)
                series.base.merge(series.older)
                if elapsed - series.begun >= WARM_UP:
                    self._set_edge(series)
            series.older, series.recent = series.recent, Histogram()
