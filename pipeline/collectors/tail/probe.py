"""Asks the ingester which streams of a file it knows, and so where to go on; pure.

Generations are used one after another, so the first that the ingester doesn't know ends
the search.  They are asked for in growing groups: most files have one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.collectors.tail.identity import Inode, producer_of
from pipeline.wire.frame import Acknowledgement, file_tail

GENERATIONS_MAX: Final = 1024
"""Files with the same inode and first line, one after another, that are told apart."""

_FIRST_GROUP: Final = 1
_LARGEST_GROUP: Final = 16
"""At once: the ingester keeps 32 messages for a subscriber that is slow to read."""


class Mark(NamedTuple):
    """How far the ingester has a stream."""

    producer: bytes
    generation: int
    reply: Acknowledgement


@dataclass(slots=True)
class _Search:
    """One inode's generations so far."""

    inode: Inode
    used: list[Mark] = field(default_factory=list)
    asked: dict[bytes, int] = field(default_factory=dict)
    """Producers without an answer yet, and their generations."""

    found: dict[int, Mark] = field(default_factory=dict)
    next: int = 0
    group: int = _FIRST_GROUP
    unused: int | None = None


class Probe:
    """The streams that a file may go on with: its own, and those that it may copy."""

    def __init__(self, fingerprint: bytes, own: Inode, others: Sequence[Inode]) -> None:
        self.fingerprint = fingerprint
        self._own = _Search(own)
        self._searches = [self._own, *map(_Search, dict.fromkeys(others))]

    @property
    def is_done(self) -> bool:
        """Whether all answers are there."""
        return all(s.unused is not None and not s.asked for s in self._searches)

    @property
    def waiting(self) -> list[bytes]:
        """Producers that have not answered."""
        return [producer for search in self._searches for producer in search.asked]

    def questions(self) -> list[bytes]:
        """The next producers to ask, if all that were asked have answered."""
        new: list[bytes] = []
        for search in self._searches:
            if search.asked or search.unused is not None:
                continue
            stop = min(search.next + search.group, GENERATIONS_MAX)
            for generation in range(search.next, stop):
                producer = producer_of(search.inode, self.fingerprint, generation)
                search.asked[producer] = generation
                new.append(producer)
            search.next = stop
            search.group = min(4 * search.group, _LARGEST_GROUP)
        return new

    def answer(self, producer: bytes, reply: Acknowledgement | None) -> None:
        """What a HELLO said; None: it is in use by another file of this process."""
        for search in self._searches:
            generation = search.asked.pop(producer, None)
            if generation is None:
                continue
            if reply is None:
                reply = _TAKEN
            search.found[generation] = Mark(producer, generation, reply)
            if not search.asked:
                _settle(search)

    def own(self) -> Mark | None:
        """The last stream of the file itself; None: it was never read."""
        used = self._own.used
        return used[-1] if used else None

    def fresh(self) -> tuple[bytes, int] | None:
        """Producer and generation of a new stream; None when there were too many."""
        generation = self._own.unused or 0
        if generation >= GENERATIONS_MAX:
            return None
        return producer_of(self._own.inode, self.fingerprint, generation), generation

    def copied(self) -> list[Mark]:
        """Streams of other files with the same first line, the last ones first."""
        return [mark for s in self._searches[1:] for mark in reversed(s.used)]


_TAKEN: Final = Acknowledgement(0, 0, 0, b"", -1, -1, 0, 0)
"""Matches nothing, and isn't unused."""


def _settle(search: _Search) -> None:
    """Take in a group that is complete."""
    for generation in sorted(search.found):
        mark = search.found[generation]
        if mark.reply.durable == 0:
            search.unused = generation
            break
        search.used.append(mark)
    search.found.clear()
    if search.unused is None and search.next >= GENERATIONS_MAX:
        search.unused = GENERATIONS_MAX


def matches(mark: Mark, size: int, before: Callable[[int], bytes]) -> bool:
    """Whether a file of `size` bytes goes on where the stream is.

    `before` gives the bytes that end at an offset.
    """
    durable = mark.reply.durable
    return 0 < durable <= size and file_tail(before(durable)) == mark.reply.tail
