"""What goes next when room is short: DEBUG, then the oldest blocks, ERROR last; pure.

One thing at a time: its room comes free only when nobody reads what it replaced, and
more must not go than is needed. Of what is no DEBUG a fifth goes in ten minutes at
most: a disk that something else fills would take everything otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol

PATIENCE_SECONDS: Final = 5.0
"""Room that is short for less than this comes back by itself."""

DEBUG_SECONDS: Final = 60.0
"""Between two looks for DEBUG in all blocks."""

FAILURES_MAX: Final = 3
"""One after another, until whole blocks go instead of parts of them."""

RATION_SHARE: Final = 0.2
RATION_SECONDS: Final = 600.0


class Sized(Protocol):
    """What of a block counts here."""

    @property
    def last(self) -> int: ...

    @property
    def rows(self) -> int: ...

    @property
    def size(self) -> int: ...


class Step(Enum):
    """What goes; the value is the query that has it."""

    DEBUG = "level:<=DEBUG"
    OLD = "level:<ERROR"
    ERROR = ""
    """Whole blocks, whatever they hold."""


class Action(NamedTuple):
    """The next thing to do."""

    step: Step
    blocks: int
    """Of the oldest, how many."""


class Ration:
    """How many rows may still go, within RATION_SECONDS."""

    def __init__(self) -> None:
        self._until = 0.0
        self._left = 0

    def left(self, blocks: Sequence[Sized], now: float) -> int:
        """Rows; a new ration is a share of what there is."""
        if now >= self._until:
            self._until = now + RATION_SECONDS
            self._left = int(sum(block.rows for block in blocks) * RATION_SHARE)
        return self._left

    def take(self, rows: int) -> None:
        """So many rows have gone."""
        self._left = max(0, self._left - rows)


class Reclaim:
    """Which step it is, and what that was good for."""

    def __init__(self, *, can_rewrite: bool = True) -> None:
        """Without rewriting only whole blocks go."""
        self.ration = Ration()
        self.is_spent = False
        """Whether more is needed than may go."""

        self._can_rewrite = can_rewrite
        self._has_debug = True
        self._debug_at = 0.0
        self._asked_to = self._swept_to = 0
        self._failures = 0

    def next(
        self, blocks: Sequence[Sized], needed: int, short_for: float, now: float
    ) -> Action | None:
        """What to do to have `needed` more bytes.

        `blocks` are the live ones, the oldest first; `short_for` in seconds.
        """
        self.is_spent = False
        if needed <= 0 or short_for < PATIENCE_SECONDS or not blocks:
            return None
        swept = sum(block.last <= self._swept_to for block in blocks)
        step = self._step(now, all_swept=swept == len(blocks))
        if step is Step.DEBUG:
            self._debug_at = now + DEBUG_SECONDS
            return Action(step, len(blocks))
        left = self.ration.left(blocks, now)
        if step is Step.OLD:
            more = _enough(blocks[swept:], needed, left)
            count = swept + more if more else 0
        else:
            # the newest block tells who has sent what, so it isn't dropped as a whole
            count = _enough(blocks[:-1], needed, left)
        if not count:
            self.is_spent = self._has_debug = True
            return None
        self._asked_to = blocks[count - 1].last
        return Action(step, count)

    def _step(self, now: float, *, all_swept: bool) -> Step:
        if not self._can_rewrite or self._failures >= FAILURES_MAX:
            return Step.ERROR
        if self._has_debug and now >= self._debug_at:
            return Step.DEBUG
        return Step.ERROR if all_swept else Step.OLD

    def done(self, step: Step, rows: int, *, failed: bool = False) -> None:
        """A step took so many rows out, or failed, which alone takes nothing else.

        What is below ERROR goes from one block after the other, until all were swept.
        Where that fails again and again, as without room to write a block anew, whole
        blocks go.
        """
        if step is not Step.DEBUG:
            self.ration.take(rows)
        if failed:
            self._failures += 1
            return
        if step is not Step.ERROR:  # which says nothing of blocks written anew
            self._failures = 0
        if step is Step.OLD:
            self._swept_to = self._asked_to
        else:
            self._has_debug = step is Step.ERROR and not rows

    def relax(self) -> None:
        """There is room again: the next time begins with DEBUG."""
        self._has_debug, self._debug_at = True, 0.0
        self._swept_to = self._failures = 0
        self.is_spent = False


def _enough(blocks: Sequence[Sized], needed: int, rows: int) -> int:
    """How many of the oldest have the bytes, and not more than so many rows."""
    count = size = 0
    for block in blocks:
        rows -= block.rows
        if rows < 0 or size >= needed:
            break
        count += 1
        size += block.size
    return count
