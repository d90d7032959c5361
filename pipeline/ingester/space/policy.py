"""How full the disk is, and what follows; pure, free bytes and time are arguments.

    PLENTY --- free below `low` ---> LOW --- free below `floor`, or refused ---> FULL
       ^------ above it again ------- ^----- reserve held, and free above `low_again`

LOW: what was replaced goes soon, the files shrink, and entries go when it lasts. FULL:
the reserve is given up, so that deleting works, and producers have to wait.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

MB: Final = 1_000_000

LOW_SHARE: Final = 0.1
RESERVE_SHARE: Final = 0.05
"""Of the file system, at most: settings for a large disk must not fill a small one."""

FLOOR_SHARE: Final = 0.025
FLOOR_MOST: Final = 16 * MB
"""What a few commits take, and those of others who write there."""

AGAIN_SHARE: Final = 1.125
"""Of the low-water mark, until it counts as passed again."""

STAY_SECONDS: Final = 1.0
"""In FULL at least: room that is gone in a moment is none."""


class Stage(Enum):
    """How full the disk is."""

    PLENTY = "plenty"
    LOW = "low"
    FULL = "full"


class Marks(NamedTuple):
    """Bytes of one file system."""

    low: int
    floor: int
    reserve: int

    @property
    def low_again(self) -> int:
        """Free from here on, there is plenty."""
        return int(self.low * AGAIN_SHARE)

    @property
    def doubtful(self) -> int:
        """A commit that is refused with less than this free is so for want of room."""
        return max(self.low, 2 * self.floor)

    @property
    def resume(self) -> int:
        """Free from here on, without a reserve, one is made and producers go on."""
        return self.reserve + 2 * self.floor


def marks_of(total: int, low_water_mb: int, reserve_mb: int) -> Marks:
    """Of a file system with `total` bytes, by the settings."""
    low = min(low_water_mb * MB, int(total * LOW_SHARE))
    reserve = min(reserve_mb * MB, int(total * RESERVE_SHARE))
    return Marks(low, min(FLOOR_MOST, int(total * FLOOR_SHARE)), reserve)


class Level:
    """The stage, as it was seen to change; `now` in seconds, of a steady clock."""

    def __init__(self) -> None:
        self.stage = Stage.PLENTY
        self.since = 0.0

    def see(self, free: int, marks: Marks, now: float, *, refused: bool) -> bool:
        """Take in how much is free; whether the stage is another one now.

        `refused`: a commit waits that the disk has refused.
        """
        before, self.stage = self.stage, self._next(free, marks, now, refused=refused)
        if self.stage is not before:
            self.since = now
        return self.stage is not before

    def _next(self, free: int, marks: Marks, now: float, *, refused: bool) -> Stage:
        if self.stage is Stage.FULL:
            stays = refused or now - self.since < STAY_SECONDS or free < marks.resume
            return Stage.FULL if stays else _above(free - marks.reserve, marks)
        if free < (marks.doubtful if refused else marks.floor):
            return Stage.FULL
        if self.stage is Stage.LOW:
            return _above(free, marks)
        return Stage.LOW if free < marks.low else Stage.PLENTY


def _above(free: int, marks: Marks) -> Stage:
    return Stage.LOW if free < marks.low_again else Stage.PLENTY
