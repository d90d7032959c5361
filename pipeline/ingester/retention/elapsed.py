"""How old a block is: by time that has passed, not by what a clock was set to; pure.

A clock that jumps a year ahead would make everything a year old, and one that jumps
back would keep what came before for another year. So the ages of blocks count time that
was seen to pass. What nobody saw (the program was off, the machine slept, the clock was
set) counts as a day at most. A jump is remembered with the commit it came after, for
as long as there are older blocks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple, Protocol

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND

UNSEEN_MOST: Final = DAY
"""What a time that nobody saw counts at most."""

BACK_LEAST: Final = 600 * SECOND
"""A clock that is set back by less is not worth remembering."""

JUMPS_MAX: Final = 1000
"""Remembered; the oldest two become one."""


class Jump(NamedTuple):
    """After this commit the clock went ahead by so many ns that did not pass."""

    commit: int
    by: int


class Covering(Protocol):
    """What of a block counts here."""

    @property
    def last(self) -> int: ...

    @property
    def committed(self) -> int: ...


class Elapsed:
    """The jumps of one store's clock; times in ns."""

    def __init__(self, seen: int, last: int = 0, jumps: Sequence[Jump] = ()) -> None:
        self.seen = seen
        """The clock when it was last looked at."""

        self.last = last
        """The newest commit then."""

        self.jumps = list(jumps)
        self._passed: int | None = None

    def look(self, clock: int, passed: int, blocks: Sequence[Covering]) -> bool:
        """See the time of day and a clock that can't be set; whether it jumped.

        `blocks` are the live ones, in the order of their commits: those that are new
        tell of jumps between two looks.
        """
        seen = 0 if self._passed is None else max(0, passed - self._passed)
        new = list(takewhile(lambda block: block.last > self.last, reversed(blocks)))
        moments = [(block.last, block.committed) for block in reversed(new)]
        before, found = (self.last, self.seen), []
        for commit, at in [*moments, (0, clock)]:
            by = _unseen(at - before[1], seen)
            if by:
                found.append(Jump(before[0], by))
            before = commit, at
        self.jumps += found
        self.seen, self._passed = clock, passed
        self.last = max([self.last, *(last for last, _ in moments)])
        return bool(found)

    def ages(self, blocks: Sequence[Covering]) -> list[int]:
        """Of blocks in the order of their commits; none is younger than a later one."""
        ages, left, skipped, newer = [], list(self.jumps), 0, 0
        for block in reversed(blocks):
            while left and left[-1].commit >= block.last:
                skipped += left.pop().by
            newer = max(newer, self.seen - block.committed - skipped)
            ages.append(newer)
        return ages[::-1]

    def forget(self, oldest_commit: int) -> None:
        """Jumps that came before all that is stored matter no more."""
        self.jumps = [jump for jump in self.jumps if jump.commit >= oldest_commit]
        while len(self.jumps) > JUMPS_MAX:
            first, second, *rest = self.jumps
            self.jumps = [Jump(second.commit, first.by + second.by), *rest]

    def pack(self) -> str:
        """As JSON, to be kept beside the blocks."""
        return json.dumps({"seen": self.seen, "last": self.last, "jumps": self.jumps})

    @classmethod
    def unpack(cls, text: str) -> Elapsed:
        """What `pack` has made; raises ValueError for anything else."""
        try:
            found: dict[str, Any] = json.loads(text)
            jumps = [Jump(int(commit), int(by)) for commit, by in found["jumps"]]
            return cls(int(found["seen"]), int(found["last"]), jumps)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of a clock: {error}") from None


def _unseen(ahead: int, seen: int) -> int:
    """What of a difference is a jump: `seen` of it may have passed, or a day."""
    if ahead > seen + UNSEEN_MOST:
        return ahead - UNSEEN_MOST
    return ahead if ahead < -BACK_LEAST else 0
