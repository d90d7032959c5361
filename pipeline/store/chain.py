"""The chain of what was done to blocks: each event's hash covers the one before it.

Replaying the events gives the blocks that must be there and how many entries they have
in all; a block that was removed or changed in another way than by an event is thus
found.  Pure: what is stored of it, and when, is `chaining`'s.  Layout in FORMAT.md.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

import msgpack

from pipeline.errors import StoreError

STATE, ADDED, SWAPPED = "state", "added", "swapped"
"""Kinds: all blocks there are; blocks of commits; a block in the place of others."""

BEGUN, SUMMARY, SALVAGED, UNEXPLAINED = "begun", "summary", "salvaged", "unexplained"
"""Reasons of a state: the chain begins; older events go; a damaged database was built
anew; blocks were found otherwise than the chain says."""

COMPACTION, DELETION = "compaction", "deletion"
"""Reasons of a swap that others gave none: with all entries, and without some."""

TOTAL: Final = "added"
"""Key of the sums: entries that ever came; the others are what became of them."""

NO_HASH: Final = bytes(32)

_FRESH: Final = struct.Struct("<7q2I")
"""id, committed, tier, rows, bytes, minimum, maximum, header_crc, data_crc"""

_COMPACTED: Final = struct.Struct("<9qI")
"""id, first, last, committed, tier, rows, bytes, minimum, maximum, header_crc"""

_LENGTH: Final = struct.Struct("<Q")


class Held(NamedTuple):
    """A block as the chain has it; commits `first` to `last`, both inclusive."""

    id: int
    first: int
    last: int
    rows: int
    digest: bytes
    is_whole: bool
    """Whether the digest covers the block, not just the numbers of its header."""


class Event(NamedTuple):
    """What was done: `gone` are ids of blocks that count no more."""

    kind: str
    time: int
    reason: str
    blocks: list[Held]
    gone: list[int]
    sums: dict[str, int]
    """Of a state: entries by what became of them so far."""

    previous: bytes
    """Of a state: the hash of the event before, so that it can be believed alone."""


def fresh_head(*numbers: int) -> bytes:
    """What a digest covers of a fresh block's numbers, in the order of _FRESH."""
    return _FRESH.pack(*numbers)


def compacted_head(fixed: Sequence[int], header_crc: int, checksums: bytes) -> bytes:
    """The same of a compacted block: its nine numbers and its CRCs."""
    return _COMPACTED.pack(*fixed, header_crc) + checksums


def digest_of(head: bytes, *parts: Sequence[bytes]) -> bytes:
    """SHA-256 of a header's numbers and of each part, with its length before it."""
    found = sha256(head)
    for pieces in parts:
        found.update(_LENGTH.pack(sum(map(len, pieces))))
        for piece in pieces:
            found.update(piece)
    return found.digest()


def added(blocks: Sequence[Held], now: int) -> Event:
    """Blocks were committed; `now` in ns."""
    return Event(ADDED, now, "", list(blocks), [], {}, b"")


def swapped(block: Held, gone: Sequence[int], reason: str, now: int) -> Event:
    """A block took others' place; without rows they were dropped."""
    return Event(SWAPPED, now, reason, [block], list(gone), {}, b"")


def pack(event: Event) -> bytes:
    """The bytes that are kept, and that the hash covers."""
    packed: bytes = msgpack.packb(event)
    return packed


def unpack(data: bytes) -> Event:
    """The event; raises StoreError when it is none."""
    try:
        kind, time, reason, blocks, gone, sums, previous = msgpack.unpackb(data)
        held = [Held(*each) for each in blocks]
    except (TypeError, ValueError) as error:
        raise StoreError(f"an event of the chain is none: {error}") from None
    kinds = (str, int, str, list, dict, bytes)
    if not all(map(isinstance, (kind, time, reason, gone, sums, previous), kinds)):
        raise StoreError("an event of the chain has a value of the wrong kind")
    if not all(_is_held(each) for each in held) or not all(_is_int(gone)):
        raise StoreError("an event of the chain has a block that is none")
    return Event(kind, time, reason, held, gone, sums, previous)


def _is_held(held: Held) -> bool:
    numbers = all(_is_int(held[:4]))
    return numbers and type(held.digest) is bytes and type(held.is_whole) is bool


def _is_int(values: Iterable[Any]) -> Iterable[bool]:
    return (type(value) is int for value in values)


def hash_of(previous: bytes, packed: bytes) -> bytes:
    """Of an event: SHA-256 of the hash before it and its bytes."""
    return sha256(previous + packed).digest()


@dataclass(slots=True)
class State:
    """What the events so far add up to."""

    live: dict[int, Held] = field(default_factory=dict)
    sums: Counter[str] = field(default_factory=Counter)
    newest: int = 0
    """The highest commit that an event has named; later blocks are not in it yet."""

    is_begun: bool = False

    @property
    def rows(self) -> int:
        """Entries of the blocks that count."""
        return sum(held.rows for held in self.live.values())

    def apply(self, event: Event) -> list[str]:
        """Follow an event; what is wrong with it, in words."""
        for held in event.blocks:
            self.newest = max(self.newest, held.last)
        if event.kind == STATE:
            return self._restate(event)
        if not self.is_begun:
            return ["the chain begins in the middle"]
        if event.kind == ADDED:
            return self._add(event.blocks)
        if event.kind == SWAPPED and len(event.blocks) == 1:
            return self._swap(event)
        return [f"an event of the kind {event.kind!r}"]

    def state(self, reason: str, previous: bytes, now: int) -> Event:
        """The event that says it all at once; `now` in ns."""
        return restated(self.live.values(), self, reason, previous, now)

    def balance(self) -> str | None:
        """What does not add up: each entry is there or went by an event."""
        gone = sum(count for key, count in self.sums.items() if key != TOTAL)
        if self.sums[TOTAL] == self.rows + gone:
            return None
        return (
            f"{self.sums[TOTAL]} entries came, {self.rows} are there and {gone} went by"
            " an event"
        )

    def _restate(self, event: Event) -> list[str]:
        live = {held.id: held for held in event.blocks}
        found = []
        is_same = (live, event.sums) == (self.live, dict(self.sums))
        if self.is_begun and event.reason == SUMMARY and not is_same:
            found.append("a summary that is not what the events before it add up to")
        self.live, self.sums = live, Counter(event.sums)
        self.is_begun = True
        return found

    def _add(self, blocks: Sequence[Held]) -> list[str]:
        found = []
        for held in blocks:
            if held.id in self.live:
                found.append(f"block {held.id} was added twice")
            self.live[held.id] = held
            self.sums[TOTAL] += held.rows
        return found

    def _swap(self, event: Event) -> list[str]:
        (block,) = event.blocks
        absent = [each for each in event.gone if each not in self.live]
        gone = [self.live.pop(each) for each in event.gone if each in self.live]
        fewer = sum(held.rows for held in gone) - block.rows
        if block.rows:
            self.live[block.id] = block
        if fewer:
            self.sums[event.reason] += fewer
        found = [f"block {each}, which went, was not there" for each in absent]
        is_inside = all(
            block.first <= held.first and held.last <= block.last for held in gone
        )
        if not is_inside or fewer < 0 or (fewer and event.reason == COMPACTION):
            found.append(f"block {block.id} is not made of those that it replaced")
        return found


def restated(
    blocks: Iterable[Held], before: State, reason: str, previous: bytes, now: int
) -> Event:
    """A state of these blocks; what is there no more went for the reason."""
    held = sorted(blocks)
    sums = Counter(before.sums)
    rows = sum(each.rows for each in held)
    came = sum(each.rows for each in held if each.first > before.newest)
    sums[TOTAL] += came
    if (fewer := before.rows + came - rows) and before.is_begun:
        sums[reason] += fewer
    return Event(STATE, now, reason, held, [], dict(sums), previous)


class Covering(Protocol):
    """A block as its header has it."""

    @property
    def id(self) -> int: ...

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...

    @property
    def rows(self) -> int: ...


def newer(state: State, live: Sequence[Covering]) -> list[int] | None:
    """The blocks that came after the chain's last event; None when those before are
    not what it says."""
    found, known = [], 0
    for block in live:
        held = state.live.get(block.id)
        if held is not None:
            known += 1
            if held[1:4] != (block.first, block.last, block.rows):
                return None
        elif block.id > state.newest and block.id == block.first == block.last:
            found.append(block.id)
        else:
            return None
    return found if state.is_begun and known == len(state.live) else None


def linked(rows: Sequence[tuple[int, bytes, bytes]]) -> list[tuple[int, bytes, bytes]]:
    """Of rows (id, hash, event) in the order of ids, several maybe with the same one,
    the newest stretch that begins with a state and whose hashes follow each other."""
    stretch: list[tuple[int, bytes, bytes]] = []
    newer: list[tuple[int, bytes, bytes]] = []
    for row in rows:
        for each in (newer, stretch):
            if each and row[0] == each[-1][0] + 1 and _follows(each[-1][1], row):
                each.append(row)
                break
        else:
            if _is_sound_state(row) and row not in (*stretch[-1:], *newer[-1:]):
                stretch, newer = newer or stretch, [row]
    return newer or stretch


def _follows(previous: bytes, row: tuple[int, bytes, bytes]) -> bool:
    return hash_of(previous, row[2]) == row[1]


def _is_sound_state(row: tuple[int, bytes, bytes]) -> bool:
    try:
        event = unpack(row[2])
    except StoreError:
        return False
    return event.kind == STATE and hash_of(event.previous, row[2]) == row[1]
