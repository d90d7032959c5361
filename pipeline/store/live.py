"""Which blocks count: a compacted block takes the place of all that it covers.

A block covers commits, `first` to `last`. A compacted one with a higher id replaces
every block whose commits are all among its own. Ranges of live blocks never overlap, so
they stand in one list, and what a new block replaces are neighbours in it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Generic, Protocol, TypeVar


class Covering(Protocol):
    """Anything that stands for a range of commits, both inclusive."""

    @property
    def id(self) -> int: ...

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...


Item = TypeVar("Item", bound=Covering)


class Live(Generic[Item]):
    """The live blocks in the order of their commits."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._firsts: list[int] = []

    def add(self, item: Item) -> list[Item]:
        """A block with a higher id than any before of its commits; what it replaces."""
        if not self.items or item.first > self.items[-1].last:
            self.items.append(item)
            self._firsts.append(item.first)
            return []
        low = bisect_left(self._firsts, item.first)
        high = bisect_right(self._firsts, item.last)
        replaced = self.items[low:high]
        self.items[low:high] = [item]
        self._firsts[low:high] = [item.first]
        return replaced

    def within(self, first: int, last: int) -> list[Item]:
        """The blocks that share a commit with this range."""
        low = bisect_right(self._firsts, first)
        if low and self.items[low - 1].last >= first:
            low -= 1
        return self.items[low : bisect_right(self._firsts, last)]

    def discard(self, item: Item) -> None:
        """Forget a block, if it is live."""
        place = bisect_left(self._firsts, item.first)
        if place < len(self.items) and self.items[place].id == item.id:
            del self.items[place], self._firsts[place]
