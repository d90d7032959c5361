"""Error spikes: too many errors within a sliding window; pure, `now` is an argument.

The window slides by the time of arrival. An entry counts at its own second, so that a
late batch falls where it belongs, with two exceptions: a second after `now` counts as
now (a clock that is ahead neither hides errors nor keeps them longer), and one before
the window is not counted (replayed old logs say nothing of the present).

A source alone has an alert when its errors reach the threshold, and `EVERYWHERE` has
one when those of all sources without an alert of their own do: an error belongs to
one alert at most.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.level import Level

EVERYWHERE: Final = ""
"""The name, which no source has, under which all together have an alert."""

IGNORED: Final = frozenset({"alerts", "pipeline"})
"""Sources that an alert itself writes to: counting them would keep it open."""

BUCKETS: Final = 300
"""Steps that a window slides by: 300 s slide by the second, an hour by twelve."""

SOURCES: Final = 2_000
"""Sources with a window of their own, 2.5 KB each; the others count together."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An alert that opened or closed; `count` errors are in the window now."""

    source: str
    opened: bool
    count: int
    threshold: int
    window: int

    def __str__(self) -> str:
        where = "all sources" if self.source == EVERYWHERE else self.source
        state = "error spike" if self.opened else "error spike over"
        rule = f"threshold {self.threshold}"
        return f"{state}: {self.count} errors of {where} in {self.window} s ({rule})"


class SlidingCount:
    """A ring of counts, one for each step of the window, and their sum."""

    def __init__(self, steps: int, head: int) -> None:
        self.total = 0
        self._counts = array("Q", bytes(8 * steps))
        self._head = head

    def advance(self, head: int) -> None:
        """Let the window end at this step; what it leaves behind is forgotten."""
        steps = len(self._counts)
        for step in range(max(self._head, head - steps) + 1, head + 1):
            self.total -= self._counts[step % steps]
            self._counts[step % steps] = 0
        self._head = max(self._head, head)

    def add(self, step: int, count: int) -> None:
        """Count at a step, unless the window is past it."""
        steps = len(self._counts)
        if self._head - steps < step <= self._head:
            self._counts[step % steps] += count
            self.total += count


class SpikeDetector:
    """Opens an alert at `threshold` errors in `window` seconds, and closes it below.

    `untracked` counts the errors of sources beyond the limit; they count only in the
    alert of all sources.
    """

    def __init__(self, threshold: int, window: int) -> None:
        self.untracked = 0
        self._threshold = threshold
        self._window = window
        self._width = -(-window // BUCKETS)
        self._steps = -(-window // self._width)
        self._now = self._clock = 0
        self._sources: dict[str, SlidingCount] = {}
        self._others = SlidingCount(self._steps, 0)
        self._open: set[str] = set()

    @property
    def open(self) -> frozenset[str]:
        """The sources that have an alert."""
        return frozenset(self._open)

    def observe(self, counts: Iterable[Sequence[int | str]], now: int) -> None:
        """Take in rows of (second, source, level, count), which arrived at `now`."""
        self._advance(now)
        for second, source, level, count in counts:
            if int(level) < Level.ERROR or source in IGNORED:
                continue
            age = max(0, now - int(second))
            # beyond the window nothing is made for it
            if age < self._window:
                step = (self._clock - age) // self._width
                self._count_of(str(source), int(count)).add(step, int(count))

    def evaluate(self, now: int) -> list[Finding]:
        """What has opened and closed since the last time."""
        self._advance(now)
        findings: list[Finding] = []
        together = self._others.total
        for source, errors in list(self._sources.items()):
            self._judge(source, errors.total, findings)
            if source not in self._open:
                together += errors.total
                if not errors.total:
                    del self._sources[source]
        self._judge(EVERYWHERE, together, findings)
        return findings

    def _judge(self, source: str, count: int, findings: list[Finding]) -> None:
        spike = count >= self._threshold
        if spike == (source in self._open):
            return
        (self._open.add if spike else self._open.discard)(source)
        findings.append(Finding(source, spike, count, self._threshold, self._window))

    def _count_of(self, source: str, count: int) -> SlidingCount:
        found = self._sources.get(source)
        if found is not None:
            return found
        if len(self._sources) >= SOURCES:
            self.untracked += count
            return self._others
        found = SlidingCount(self._steps, self._clock // self._width)
        self._sources[source] = found
        return found

    def _advance(self, now: int) -> None:
        # a clock that is set back must not stop the window for as long
        self._clock += max(0, now - self._now)
        self._now = now
        head = self._clock // self._width
        self._others.advance(head)
        for errors in self._sources.values():
            errors.advance(head)
