"""Sources that stopped: no entry for many times their usual gap.

A gap is too long when it is longer than the floor, than `factor` times the longest gap
that is usual at this time of day, and than chance explains at this time's rate. The
clock of silence stands still while nobody watched: a set clock silences nobody.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from pipeline.analyzer.detectors.baseline import SLOT, SLOTS, Seasonal, slot_of
from pipeline.analyzer.detectors.queries import of_source
from pipeline.analyzer.detectors.sliding import Ticker
from pipeline.analyzer.findings import IGNORED, Counts, Event, Finding, State
from pipeline.level import Level

SOURCES: Final = 5_000
"""Sources that are watched, 1 KB each; entries of others are counted as untracked."""

WARM_UP: Final = 3_600
"""Seconds between a source's first and last entry before its silence says anything."""

FORGET: Final = 86_400
"""Seconds of silence after which a source is given up."""

CERTAIN: Final = 30.0
"""A Poisson process pauses for so many of its mean gaps once in 10^13; rates of real
services halve now and then, which leaves once in 3 million."""

LATE: Final = 300
"""Seconds after which an entry says nothing of its source now: old files are read, and
spools are emptied, by whoever comes back."""

_FADE: Final = 0.7
"""A longest gap is worth so much the next day, unless there is another."""

_LEARN_AT_MOST: Final = 1.5
"""Of what is usual, a silence that was told of is learnt so far: a source that begins
to pause each night is told of for some nights, not for ever."""


class _Source:
    """When it was heard, and what is usual."""

    __slots__ = (
        "count",
        "empty",
        "first",
        "heard",
        "long",
        "longest",
        "pauses",
        "rate",
        "slot",
    )

    def __init__(self, heard: int) -> None:
        self.first = self.heard = heard
        self.rate = Seasonal()
        self.pauses = array("f", bytes(4 * SLOTS))
        """The longest gap that ended in each slot of the day."""
        self.long = 0.0
        """The longest gap of more than a slot."""
        self.slot = -1
        self.longest = 0.0
        self.count = 0
        self.empty: list[int] = []
        """Slots without an entry: a rate of 0 if it comes back as it usually does."""

    def usual(self, second: int) -> float:
        """The longest gap that is usual about this time, seconds."""
        slot, pauses = slot_of(second), self.pauses
        near = max(pauses[slot - 1], pauses[slot], pauses[(slot + 1) % SLOTS])
        # of a time that is not known yet any other tells what may be
        return max(near or max(pauses), self.longest, self.long, 1.0)

    def pause(self, gap: float, *, usual: bool = True) -> None:
        """A gap is over."""
        for slot in self.empty if usual else ():
            self.rate.learn(slot, 0.0)
        self.empty.clear()
        if gap > SLOT:
            self.long = max(gap, self.long * _FADE)
        else:
            self.longest = max(self.longest, gap)

    def end_slot(self, slot: int, seconds: float | None) -> None:
        """Another slot of the day begins; the last one had so many watched seconds."""
        if self.slot >= 0 and seconds is not None:
            faded = self.pauses[self.slot] * _FADE
            self.pauses[self.slot] = max(self.longest, faded)
            if not self.count:
                self.empty = [*self.empty, self.slot][-SLOTS:]
            elif seconds >= SLOT / 2:
                self.rate.learn(self.slot, self.count / seconds)
        self.slot, self.longest, self.count = slot, 0.0, 0


class SilentSources:
    """One finding for each source that is silent, until it is heard again."""

    name = "silent_source"

    def __init__(self, factor: float = 5.0, floor: int = 30) -> None:
        self.untracked = 0
        self._ticker = Ticker()
        self._told = [0, 0]
        """When counts came last, and when before that, in watched seconds."""
        self._sources: dict[str, _Source] = {}
        self._open: dict[str, float] = {}
        self._back: list[Finding] = []
        self._slot = -1
        self._slot_begun = 0
        self.configure(factor, floor)

    def configure(self, factor: float, floor: int) -> None:
        """Other limits from now on; what was learnt stays."""
        self._factor = factor
        self._floor = floor

    def restore(self, rows: Counts, now: int, width: int = 60) -> None:
        """Learn from the past: rows of (second, source, level, count), each the sum of
        `width` seconds from `second` on.

        Gaps shorter than `width` are not in them; times at which no source has any
        entry are no gap of anybody.
        """
        heard: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for second, row_source, _, count in rows:
            if row_source not in IGNORED and int(second) <= now:
                heard[str(row_source)][int(second) // width] += int(count)
        alive = sorted({bucket for one in heard.values() for bucket in one})
        place = {bucket: number for number, bucket in enumerate(alive)}
        for name, counts in heard.items():
            source = self._source_of(name, self._ticker.watched)
            if source is not None:
                _learn(source, counts, place, width, now)
                ago = (len(alive) - 1 - place[max(counts)]) * width
                source.heard = self._ticker.watched - ago
                first = source.heard - (max(counts) - min(counts)) * width
                source.first = min(source.first, first)

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Take in rows of (second, source, level, count), which arrived at `now`."""
        self._advance(now)
        if self._ticker.watched > self._told[1]:
            self._told = [self._told[1], self._ticker.watched]
        for second, name, _, count in counts:
            if name in IGNORED:
                continue
            age = max(0, now - int(second))
            if age > LATE:
                continue
            heard = self._ticker.watched - age
            source = self._source_of(str(name), heard)
            if source is None:
                self.untracked += int(count)
                continue
            source.count += int(count)
            if heard > source.heard:
                self._hear(str(name), source, heard, now)

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Nothing: summaries have all that counts."""

    def evaluate(self, now: int) -> list[Finding]:
        """Who has fallen silent and who is back since the last time."""
        self._advance(now)
        findings, self._back = self._back, []
        for name, source in list(self._sources.items()):
            silence = self._ticker.watched - source.heard
            if silence >= FORGET and silence >= self._limit(source, now):
                if name in self._open:
                    findings.append(self._closed(name, silence, now, "is given up"))
                del self._sources[name]
            elif silence >= self._floor and name not in self._open:
                limit = self._limit(source, now)
                if silence >= limit and source.heard - source.first >= WARM_UP:
                    self._open[name] = limit
                    findings.append(self._opened(name, source, silence, limit, now))
        return findings

    def _hear(self, name: str, source: _Source, heard: int, now: int) -> None:
        gap = heard - source.heard
        if heard > self._told[0] >= source.heard:
            # nothing came in between of anybody: of that time it was not silent
            gap = self._told[0] - source.heard + 1
        source.heard = heard
        was_open = name in self._open
        if was_open:
            self._back.append(self._closed(name, gap, now, "is back"))
            gap = min(gap, int(_LEARN_AT_MOST * source.usual(now)) + 1)
        source.pause(gap, usual=not was_open)

    def _limit(self, source: _Source, now: int) -> float:
        """Seconds of silence that are too long now."""
        rate = source.rate.rate(now)
        # a rate below one a day is of a source that nothing can be said of
        chance = CERTAIN / rate if rate > 1e-5 else float(FORGET)
        return max(self._floor, self._factor * source.usual(now), chance)

    def _opened(
        self, name: str, source: _Source, silence: int, limit: float, now: int
    ) -> Finding:
        usual = source.usual(now)
        text = (
            f"{name} is silent for {silence} s; the longest gap that is usual at this"
            f" time: {usual:.3g} s, its usual rate: {source.rate.rate(now):.3g}/s"
        )
        return self._finding(name, State.OPEN, silence, usual, limit, now, text)

    def _closed(self, name: str, silence: int, now: int, what: str) -> Finding:
        limit = self._open.pop(name)
        text = f"{name} {what} after {silence} s of silence"
        return self._finding(name, State.CLOSED, silence, None, limit, now, text)

    def _finding(
        self,
        name: str,
        state: State,
        silence: int,
        usual: float | None,
        limit: float,
        now: int,
        text: str,
    ) -> Finding:
        return Finding(
            detector=self.name,
            source=name,
            key="",
            state=state,
            at=now,
            since=now - silence,
            value=silence,
            baseline=usual,
            threshold=round(limit, 1),
            window=int(limit),
            text=text,
            query=of_source(name),
            level=Level.ERROR,
        )

    def _source_of(self, name: str, heard: int) -> _Source | None:
        found = self._sources.get(name)
        if found is None and len(self._sources) < SOURCES:
            found = self._sources[name] = _Source(heard)
        return found

    def _advance(self, now: int) -> None:
        self._ticker.advance(now)
        slot = slot_of(now)
        if slot == self._slot:
            return
        seconds = self._ticker.watched - self._slot_begun
        for name, source in self._sources.items():
            source.end_slot(slot, None if name in self._open else seconds)
        self._slot, self._slot_begun = slot, self._ticker.watched


def _learn(
    source: _Source,
    counts: dict[int, int],
    place: dict[int, int],
    width: int,
    now: int,
) -> None:
    """Gaps and rates of one source's past, oldest first."""
    slot, before = -1, min(counts)
    for bucket in sorted(counts):
        at = bucket * width // SLOT
        while slot >= 0 and slot < at:
            source.end_slot((slot + 1) % SLOTS, SLOT)
            slot += 1
        if slot < 0:
            slot = at
            source.end_slot(at % SLOTS, None)
        missing = place[bucket] - place[before] - 1
        if missing > 0:
            source.pause((missing + 1) * width)
        before = bucket
        source.count += counts[bucket]
    source.end_slot(slot_of(now), SLOT if slot < now // SLOT else None)
