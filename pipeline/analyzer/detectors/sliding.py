"""Counts of a window that slides, and the clock that it slides by; pure.

A window slides by the time of arrival. An entry counts at its own second, so that a
late batch falls where it belongs, with two exceptions: a second after `now` counts as
now (a clock that is ahead neither hides errors nor keeps them longer), and one before
the window is not counted (replayed old logs say nothing of the present).
"""

from __future__ import annotations

from array import array
from typing import Final

JUMP: Final = 120
"""Seconds between two calls that nobody can have watched: a clock was set, or the
process did not run."""


class Ticker:
    """Seconds that passed: a clock that is set back stops it, but never turns it back.

    `elapsed` is all of them, `watched` leaves jumps out.
    """

    def __init__(self) -> None:
        self.elapsed = 0
        self.watched = 0
        self.jumps = 0
        self._now: int | None = None

    def advance(self, now: int) -> int:
        """Go on to `now`; the seconds since the last time, negative for a set clock."""
        passed = 0 if self._now is None else now - self._now
        self._now = now
        self.elapsed += max(0, passed)
        if 0 <= passed <= JUMP:
            self.watched += passed
        else:
            self.jumps += 1
        return passed


class SlidingCount:
    """A ring of counts, one for each step of the window, and their sum."""

    __slots__ = ("_counts", "head", "total")

    def __init__(self, steps: int, head: int) -> None:
        self.total = 0
        self.head = head
        self._counts = array("Q", bytes(8 * steps))

    def advance(self, head: int) -> None:
        """Let the window end at this step; what it leaves behind is forgotten."""
        counts = self._counts
        steps = len(counts)
        for step in range(max(self.head, head - steps) + 1, head + 1):
            self.total -= counts[step % steps]
            counts[step % steps] = 0
        self.head = max(self.head, head)

    def add(self, step: int, count: int) -> None:
        """Count at a step, unless the window is past it."""
        steps = len(self._counts)
        if self.head - steps < step <= self.head:
            self._counts[step % steps] += count
            self.total += count

    def last(self, steps: int) -> int:
        """What the newest so many steps hold."""
        counts, size, head = self._counts, len(self._counts), self.head
        if steps >= size:
            return self.total
        end = head % size + 1
        if steps <= end:
            return sum(counts[end - steps : end])
        return sum(counts[:end]) + sum(counts[size + end - steps :])

    def first(self) -> int | None:
        """The oldest step that holds any."""
        counts = self._counts
        size = len(counts)
        for step in range(self.head - size + 1, self.head + 1):
            if counts[step % size]:
                return step
        return None
