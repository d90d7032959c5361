"""Which blocks go, by age and by room; pure.

Whole blocks go, the oldest commits first. What was replaced but may still be read takes
room too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple, Protocol

ROOM_SHARE: Final = 0.88
"""Of the room, what blocks may take; the rest is for the WAL and for what comes until
they are looked at again."""

LOW_SHARE: Final = 0.86
"""Once above, they go down to this, so that a tombstone drops more than one block."""

PRESSED_SHARE: Final = 0.92
"""Above it what was replaced goes as soon as PRESSED_KEEP_SECONDS have passed."""

PRESSED_KEEP_SECONDS: Final = 5.0

MASS_SHARE: Final = 0.2
"""Of all entries: more than that at once may be a mistake."""

HOLD_AGE_SECONDS: Final = 3600.0
HOLD_SIZE_SECONDS: Final = 600.0
"""Until a mass deletion is done, if it is still to be done then."""


class Sized(Protocol):
    """What of a block counts here."""

    @property
    def rows(self) -> int: ...

    @property
    def size(self) -> int: ...


class Room(NamedTuple):
    """Bytes: what there may be, and what is taken."""

    most: int
    used: int
    """Of the file's pages that are in use, and the WAL."""

    leaving: int
    """Of them, of blocks that were dropped, until nobody reads them any more."""

    @property
    def staying(self) -> int:
        """What is left of it when they have gone."""
        return max(0, self.used - self.leaving)

    @property
    def is_pressed(self) -> bool:
        """Whether readers have to hurry."""
        return self.used > PRESSED_SHARE * self.most


def expired(ages: Sequence[int], most: int) -> int:
    """How many of the oldest blocks are above an age (both in ns)."""
    for place, age in enumerate(ages):
        if age <= most:
            return place
    return len(ages)


def too_much(blocks: Sequence[Sized], room: Room) -> int:
    """How many of the oldest blocks have to go for the room; the newest stays."""
    if room.staying <= ROOM_SHARE * room.most:
        return 0
    excess = room.staying - LOW_SHARE * room.most
    gone = accumulate(block.size for block in blocks[:-1])
    for count, size in enumerate(gone, 1):
        if size >= excess:
            return count
    return max(0, len(blocks) - 1)


def is_mass(blocks: Sequence[Sized], count: int) -> bool:
    """Whether the first so many have a large share of all entries."""
    total = sum(block.rows for block in blocks)
    return sum(block.rows for block in blocks[:count]) > MASS_SHARE * total


class Hold:
    """Lets a mass deletion pass only when it is asked for again later."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: float | None = None
        self._is_open = False

    def passes(self, is_mass: bool, now: float) -> bool:
        """Whether to go on; `now` in seconds, of a clock that can't be set.

        One that passes does so to its end, in however many steps.
        """
        if not is_mass:
            self._since, self._is_open = None, False
            return True
        if self._since is None:
            self._since = now
        self._is_open = self._is_open or now - self._since >= self.seconds
        return self._is_open
