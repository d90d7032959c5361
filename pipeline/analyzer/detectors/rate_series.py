"""One series of counts: its windows, its baseline, and how far it varies; pure.

Steps are ten seconds. What is usual is the time of day's rate, corrected by how the
last two hours compare with it, within limits: a quieter or busier day is followed, and
a slow burn isn't taken for one. A minute is learnt when it is over by another minute,
so that late batches are in it, with its count clipped, and not while a finding is open.
"""

from __future__ import annotations

import math
from typing import Final

from pipeline.analyzer.detectors.baseline import DAY, SLOT, Seasonal, slot_of
from pipeline.analyzer.detectors.sliding import SlidingCount

STEP: Final = 10
WINDOWS: Final = (10, 30, 90, 300, 1800)
"""Seconds: a burst is seen by the first, a slow burn by the last."""

MINUTE: Final = 60
_LAG: Final = MINUTE // STEP + 1
"""Steps that aren't learnt yet: batches for them may come."""

RING: Final = WINDOWS[-1] // STEP + _LAG
"""Steps: each window is of full ones and the one that goes on."""

_FORGET_RECENT: Final = math.exp(-1 / 120)
"""A minute's: the last two hours say how this day compares."""
_RECENT_PRIOR: Final = 10.0
_RECENT_LIMITS: Final = (0.5, 1.25)
"""Beyond a quarter more it may be a slow burn."""

_SPREAD: Final = 0.2
"""Expected until it is known: rates of real services vary so much about their day's
wave, beside what chance does."""
_SPREAD_LIMITS: Final = (0.1, 1.5)
_SPREAD_PRIOR: Final = 2_000.0
"""What is expected weighs as ten counts that are large enough to tell."""
_SPREAD_NOISE: Final = 0.005
"""Variance that the square of one count's relative deviation has, however large."""

_RARE: Final = 1 / 3600
"""Entries a second that may always come."""


class RateSeries:
    """Counts of one source and level."""

    __slots__ = (
        "_actual",
        "_deviation",
        "_expected",
        "_slot",
        "_slot_count",
        "_slot_seconds",
        "_weight",
        "base",
        "calm",
        "last",
        "ring",
    )

    def __init__(self, head: int) -> None:
        self.base = Seasonal()
        self.ring = SlidingCount(RING, head)
        self.last = head
        self.calm = -WINDOWS[-1]
        """Watched second at which the last finding was over: longer windows hold it."""
        self._actual = self._expected = 0.0
        self._slot = -1
        self._slot_count = self._slot_seconds = 0.0
        self._deviation = [0.0] * len(WINDOWS)
        self._weight = [0.0] * len(WINDOWS)

    def count(self, window: int) -> int:
        """Entries of WINDOWS[window]."""
        return self.ring.last(WINDOWS[window] // STEP + 1)

    def rate(self, second: int) -> float:
        """Usual entries a second, on a day such as this."""
        prior = _RECENT_PRIOR
        low, high = _RECENT_LIMITS
        ratio = (self._actual + prior) / (self._expected + prior)
        return self.base.rate(second) * min(high, max(low, ratio)) + _RARE

    def spread(self, window: int) -> float:
        """How far the rate varies, over itself."""
        square = (self._deviation[window] + _SPREAD**2 * _SPREAD_PRIOR) / (
            self._weight[window] + _SPREAD_PRIOR
        )
        low, high = _SPREAD_LIMITS
        return min(high, max(low, math.sqrt(max(0.0, square))))

    def learn(self, second: int, minute: int, *, calm: bool) -> None:
        """Take in the minute before the last one; `minute` numbers it."""
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
        self._slot_count = self._slot_seconds = 0.0

    def accept(self, factor: float) -> None:
        """What was unusual is usual from now on."""
        self.base.scale(factor)
        self._actual = self._expected = 0.0
        self.skip()

    def restore_spread(self, count: float, expected: float) -> None:
        """A minute of the past."""
        for window in (0, 1, 2):
            self._add_deviation(window, count, expected, 1.0)

    def _before(self, seconds: int) -> int:
        """Entries of so many seconds before the last minute."""
        return self.ring.last(seconds // STEP + _LAG) - self.ring.last(_LAG)

    def _end_slot(self, second: int) -> None:
        slot = slot_of(second)
        if slot != self._slot:
            if self._slot >= 0 and self._slot_seconds >= SLOT / 2:
                self.base.learn(self._slot, self._slot_count / self._slot_seconds)
            self._slot = slot
            self.skip()

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
