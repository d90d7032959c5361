"""One series of counts: its windows, its baseline, and how far it varies; pure.

Steps are ten seconds, those of long windows minutes. What is usual is the time of day's
rate, corrected by how the last two hours compare with it, within limits: a quieter or
busier day is followed, and a slow burn isn't taken for one. A minute is learnt when it
is over by another minute, so that late batches are in it, with its count clipped, and
not while a finding is open.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from pipeline.analyzer.detectors.baseline import DAY, SLOT, Seasonal, slot_of
from pipeline.analyzer.detectors.sliding import SlidingCount

STEP: Final = 10
WINDOWS: Final = (10, 20, 40, 90, 180, 300, 600, 1800, 3600)
"""Seconds: a burst is seen by the first, a slow burn by the last."""

MINUTE: Final = 60
_LAG: Final = MINUTE // STEP + 1
"""Steps that aren't learnt yet: batches for them may come."""

FINE: Final = WINDOWS.index(300)
"""The last window of steps; those after it are of minutes."""

RING: Final = WINDOWS[FINE] // STEP + _LAG
MINUTES: Final = WINDOWS[-1] // MINUTE + 2
"""Each window is of full steps or minutes and the one that goes on."""

_FORGET_RECENT: Final = math.exp(-1 / 120)
"""A minute's: the last two hours say how this day compares."""
_RECENT_PRIOR: Final = 10.0
_RECENT_LIMITS: Final = (0.5, 1.25)
"""Beyond a quarter more it may be a slow burn."""

_PENDING: Final = 6
"""Slots of today that do not count yet: the next ones are judged by other days."""

_LATELY_MOST: Final = 1.5
SHORT: Final = WINDOWS.index(90)
"""The last window that is held against the minutes before it."""

_SPREAD: Final = 0.2
"""Expected until it is known: rates of real services vary so much about their day's
wave, beside what chance does."""
_MINUTES_OF: Final = {
    size: [n for n, one in enumerate(WINDOWS) if max(1, one // MINUTE) == size]
    for size in sorted({max(1, one // MINUTE) for one in WINDOWS})
}
"""Whole minutes of the past that tell of each window."""
_SPREAD_LIMITS: Final = (0.1, 1.5)
_SPREAD_DOUBT: Final = 1.15
"""A spread is an estimate, and a product of noises has a longer tail than one."""
_SPREAD_PRIOR: Final = 2_000.0
"""What is expected weighs as ten counts that are large enough to tell."""
_SPREAD_NOISE: Final = 0.005
"""Variance that the square of one count's relative deviation has, however large."""

_RARE: Final = 1 / 3600
"""Entries a second that may always come."""


def covered(window: int, elapsed: int) -> int:
    """Seconds that the full steps of a window and the last one have so far."""
    return WINDOWS[window] + elapsed % (STEP if window <= FINE else MINUTE)


class RateSeries:
    """Counts of one source and level."""

    __slots__ = (
        "_actual",
        "_deviation",
        "_expected",
        "_minutes",
        "_pending",
        "_ring",
        "_slot",
        "_slot_count",
        "_slot_seconds",
        "_usual",
        "_weight",
        "base",
        "calm",
        "last",
    )

    def __init__(self, head: int) -> None:
        self.base = Seasonal()
        self._ring = SlidingCount(RING, head)
        self._minutes = SlidingCount(MINUTES, head * STEP // MINUTE)
        self.last = head
        self.calm = -WINDOWS[-1]
        """Watched second at which the last finding was over: longer windows hold it."""
        self._actual = self._expected = 0.0
        self._pending: list[tuple[int, float]] = []
        self._slot = -1
        self._slot_count = self._slot_seconds = 0.0
        self._usual = array("d")
        self._deviation = array("d", bytes(8 * len(WINDOWS)))
        self._weight = array("d", bytes(8 * len(WINDOWS)))

    @property
    def total(self) -> int:
        """Entries of the longest window, or a few more."""
        return self._minutes.total

    def advance(self, head: int) -> None:
        """Let the windows end at this step."""
        self._ring.advance(head)
        self._minutes.advance(head * STEP // MINUTE)

    def add(self, step: int, count: int) -> None:
        """Count at a step, unless the windows are past it."""
        self._ring.add(step, count)
        self._minutes.add(step * STEP // MINUTE, count)

    def count(self, window: int) -> int:
        """Entries of WINDOWS[window], and of the step that goes on."""
        if window <= FINE:
            return self._ring.last(WINDOWS[window] // STEP + 1)
        return self._minutes.last(WINDOWS[window] // MINUTE + 1)

    def rate(self, second: int) -> float:
        """Usual entries a second, on a day such as this."""
        prior = _RECENT_PRIOR
        low, high = _RECENT_LIMITS
        ratio = (self._actual + prior) / (self._expected + prior)
        return self.base.rate(second) * min(high, max(low, ratio)) + _RARE

    def usual(self, window: int, now: int) -> float:
        """Of a window's middle; as it was when the last minute was learnt."""
        if not self._usual:
            near = self.rate(now)
            self._usual.extend(
                near if window <= FINE else self.rate(now - seconds // 2)
                for window, seconds in enumerate(WINDOWS)
            )
        return self._usual[window]

    def lately(self, usual: float) -> float:
        """How many times the usual rate surely was ten to one minutes ago, at least 1.

        A rate drifts within the hour: a short burst is one beside the minutes before.
        """
        count = self._minutes.last(11) - self._minutes.last(2)
        surely = (count - math.sqrt(count)) / (9 * MINUTE)
        return min(_LATELY_MOST, max(1.0, surely / usual))

    def spread(self, window: int) -> float:
        """How far the rate varies, over itself."""
        square = (self._deviation[window] + _SPREAD**2 * _SPREAD_PRIOR) / (
            self._weight[window] + _SPREAD_PRIOR
        )
        low, high = _SPREAD_LIMITS
        return _SPREAD_DOUBT * min(high, max(low, math.sqrt(max(0.0, square))))

    def learn(self, second: int, minute: int, *, calm: bool) -> None:
        """Take in the minute before the last one; `minute` numbers it."""
        del self._usual[:]
        middle = second - MINUTE - MINUTE // 2
        self._end_slot(middle)
        if not calm:
            return
        count = float(self._before(MINUTE))
        if self.base.known:
            expected = self.rate(middle) * MINUTE
            self._deviate(expected, minute)
            count = min(count, 1.5 * expected + 3 * math.sqrt(expected) + 3)
            self._actual = self._actual * _FORGET_RECENT + count
            usual = self.base.rate(middle) * MINUTE
            self._expected = self._expected * _FORGET_RECENT + usual
        self._slot_count += count
        self._slot_seconds += MINUTE

    def skip(self) -> None:
        """Nobody watched: what the slot has is not all of it."""
        del self._usual[:]
        self._slot_count = self._slot_seconds = 0.0

    def accept(self, factor: float) -> None:
        """What was unusual is usual from now on."""
        self.base.scale(factor)
        del self._usual[:]
        self._pending.clear()
        self._actual = self._expected = 0.0
        self.skip()

    def restore_spreads(self, minutes: array[int], first: int) -> None:
        """Minutes of the past from a second on: each window by whole ones of it."""
        for size, windows in _MINUTES_OF.items():
            for begin in range(0, len(minutes) - size + 1, size):
                count = sum(minutes[begin : begin + size])
                length = size * MINUTE
                expected = self.base.rate(first + begin * MINUTE) * length
                # rarer ones lack the rows of 0
                for window in windows if count and expected >= 5 else ():
                    self._add_deviation(window, count, expected, 1.0)

    def _before(self, seconds: int) -> int:
        """Entries of so many seconds before the last minute."""
        if seconds <= WINDOWS[FINE]:
            return self._ring.last(seconds // STEP + _LAG) - self._ring.last(_LAG)
        return self._minutes.last(seconds // MINUTE + 2) - self._minutes.last(2)

    def _end_slot(self, second: int) -> None:
        slot = slot_of(second)
        if slot != self._slot:
            if self._slot >= 0 and self._slot_seconds >= SLOT / 2:
                self._learn_slot(self._slot, self._slot_count / self._slot_seconds)
            self._slot = slot
            self.skip()

    def _learn_slot(self, slot: int, rate: float) -> None:
        """A slot that was never known at once, others when a slow burn is over."""
        if not self.base.has(slot):
            self.base.learn(slot, rate)
            return
        self._pending.append((slot, rate))
        if len(self._pending) > _PENDING:
            self.base.learn(*self._pending.pop(0))

    def _deviate(self, expected: float, minute: int) -> None:
        """Each window when it is a whole one later."""
        for window, seconds in enumerate(WINDOWS):
            every = max(1, seconds // MINUTE)
            if minute % every:
                continue
            count = self._before(seconds)
            share = math.exp(-every * MINUTE / DAY)
            self._add_deviation(window, count, expected * seconds / MINUTE, share)

    def _add_deviation(
        self, window: int, count: float, expected: float, keep: float
    ) -> None:
        """One count more: small ones tell little of the spread, and weigh so."""
        square = min(count - expected, 10 * expected + 10) ** 2
        noise = (1 + 2 * expected) / expected**3 + _SPREAD_NOISE
        found = (square - expected) / expected**2 / noise
        self._deviation[window] = self._deviation[window] * keep + found
        self._weight[window] = self._weight[window] * keep + 1 / noise
