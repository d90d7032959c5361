"""What is usual at a time of day: learnt slot by slot, day by day; pure.

A day has 48 slots. Each keeps an average over the days that gives the newest a third of
the weight, so that a week forgets what was before and one odd day doesn't make a norm.
Between the middles of two slots a rate is interpolated: a daily wave has no steps. Of
rare entries a slot tells little: the hours around and the day's mean count beside it.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

DAY: Final = 86_400
SLOTS: Final = 48
SLOT: Final = DAY // SLOTS

NEWEST: Final = 1 / 3
"""Weight of the newest day."""

UNKNOWN: Final = -1.0

PRIOR: Final = 10.0
"""Entries of two slots at which these count as much as the hours around, and of those
hours at which they count as much as the day."""
_NEAR: Final = 8


def slot_of(second: int) -> int:
    """Which slot of its day, by UTC."""
    return second % DAY // SLOT


class Seasonal:
    """A rate for each slot of the day, and one for slots that never were."""

    __slots__ = ("_day", "_mean", "_slots")

    def __init__(self) -> None:
        self._slots = array("f", [UNKNOWN]) * SLOTS
        self._mean = UNKNOWN
        self._day = 0.0

    @property
    def known(self) -> bool:
        """Whether there is any slot."""
        return self._mean != UNKNOWN

    def has(self, slot: int) -> bool:
        """Whether a day told of this slot."""
        return self._slots[slot] >= 0

    def learn(self, slot: int, rate: float) -> None:
        """One day's rate of a slot."""
        old = self._slots[slot]
        self._slots[slot] = rate if old < 0 else old + NEWEST * (rate - old)
        # the newest slot is the best guess for those that never were
        self._mean = rate if self._mean < 0 else self._mean + 0.5 * (rate - self._mean)
        known = [one for one in self._slots if one >= 0]
        self._day = sum(known) / len(known)

    def scale(self, factor: float) -> None:
        """The whole day is so many times higher from now on."""
        for slot, rate in enumerate(self._slots):
            if rate >= 0:
                self._slots[slot] = rate * factor
        self._day *= factor
        if self._mean >= 0:
            self._mean *= factor

    def rate(self, second: int) -> float:
        """What is usual at a moment; 0 when nothing is known."""
        place = second % DAY / SLOT - 0.5
        slot = math.floor(place)
        share = place - slot
        before, after = self._slots[slot % SLOTS], self._slots[(slot + 1) % SLOTS]
        if before < 0 or after < 0:
            known = max(before, after)
            local = known if known >= 0 else max(0.0, self._mean)
        else:
            local = before + share * (after - before)
        near = self._around(slot)
        told = _NEAR * SLOT * self._day
        near = (near * told + self._day * PRIOR) / (told + PRIOR)
        told = 2 * SLOT * near
        return (local * told + near * PRIOR) / (told + PRIOR)

    def _around(self, slot: int) -> float:
        """The mean of the slots around, as far as they are known."""
        first = (slot - _NEAR // 2 + 1) % SLOTS
        slots = self._slots[first : first + _NEAR]
        if first + _NEAR > SLOTS:
            slots += self._slots[: first + _NEAR - SLOTS]
        if min(slots) < 0:
            return self._day
        return sum(slots) / _NEAR
