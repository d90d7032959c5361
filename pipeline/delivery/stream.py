"""What the ingester knows of each producer, and what a batch's numbers mean.

Pure: a header goes in, a verdict comes out; the ingester acts on it.  Rules, with
`accepted` the highest number taken and last = sequence + span - 1:

1. last <= accepted: a duplicate; drop it and acknowledge again.
2. sequence == accepted + 1: take.
3. base > accepted + 1 and sequence == base: take, and the numbers between are lost:
   the sender has said that they will never come.
4. anything else is a gap or straddles `accepted`: drop and NACK, at most one per
   100 ms; the sender goes on at accepted + 1.

`durable` follows `accepted` when a commit has ended.  `now` is monotonic everywhere: a
clock that is set must neither hold back a NACK nor forget who is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from heapq import nsmallest
from typing import Final

from pipeline.wire.frame import Flag, Header

NACK_INTERVAL: Final = 100_000_000
"""Nanoseconds: one NACK rewinds the sender; more of them only repeat it."""

FINISHED_AGE: Final = 3600 * 1_000_000_000
IDLE_AGE: Final = 30 * 24 * FINISHED_AGE
"""Nanoseconds; a session's id is never used again."""

FILE_AGE: Final = 400 * 24 * FINISHED_AGE
"""Nanoseconds; a file's mark is all that tells how far it was read."""

BY_SENDER: Final = "by the sender"
"""Reason of numbers that a batch covers without a row for them."""

REASONS_MAX: Final = 32
"""Reasons kept apart for one producer."""

PRODUCERS_MAX: Final = 100_000
"""Producers remembered; at the limit one is forgotten, see `_worth`."""

VICTIMS: Final = 256
"""Chosen at a time: looking at 100,000 producers for each new one would take 10 ms."""


class Verdict(Enum):
    """What to do with a batch."""

    TAKE = auto()
    DUPLICATE = auto()
    NACK = auto()
    IGNORE = auto()


@dataclass(slots=True)
class Stream:
    """One producer: its marks, and the ledger of what became of its numbers."""

    producer: bytes
    accepted: int = 0
    durable: int = 0
    stored: int = 0
    lost: int = 0
    duplicates: int = 0
    rejected: int = 0
    dropped: int = 0
    seen: int = 0
    """Time of day of its last batch, for the ledger."""

    finished: bool = False
    kind: str = "session"
    tail: int = 0
    """Of a file, at `accepted`; numbers are then bytes, `stored` entries."""

    reasons: dict[str, int] = field(default_factory=dict)
    """Rejected entries by reason."""

    source: str = ""
    """Of its first entry, so that people know whose ledger it is."""

    began: int = 0
    """Time of day of its first batch."""

    nacked: int = -NACK_INTERVAL
    touched: int | None = None
    """When its last batch came; idle time counts from the start of the process."""

    waiting: bool = False
    """Whether a HELLO is owed once `durable` has reached `accepted`."""

    def judge(self, header: Header, now: int) -> Verdict:
        """What the rules say of a batch, without taking it."""
        self.touched = now
        if header.last <= self.accepted:
            return Verdict.DUPLICATE
        following = self.accepted + 1
        if header.sequence == following:
            return Verdict.TAKE
        if header.base > following and header.sequence == header.base:
            return Verdict.TAKE
        return self.refuse(now)

    def refuse(self, now: int) -> Verdict:
        """NACK, unless one went out less than NACK_INTERVAL ago."""
        if now - self.nacked < NACK_INTERVAL:
            return Verdict.IGNORE
        self.nacked = now
        return Verdict.NACK

    def take(self, header: Header, rejected: Mapping[str, int]) -> None:
        """Move `accepted` over a batch, some of whose rows can't be stored."""
        self.lost += header.sequence - self.accepted - 1
        self.accepted = header.last
        self.finished = bool(header.flags & Flag.FIN)
        self.stored += header.rows - sum(rejected.values())
        self.reject(rejected)
        if header.flags & Flag.FILE:
            self.kind, self.tail = "file", header.dropped_total
            return
        self.dropped = max(self.dropped, header.dropped_total)
        if header.span > header.rows:
            self.reject({BY_SENDER: header.span - header.rows})

    def reject(self, reasons: Mapping[str, int]) -> None:
        """Count what can't be stored, by reason."""
        for reason, count in reasons.items():
            self.rejected += count
            known = reason in self.reasons or len(self.reasons) < REASONS_MAX
            name = reason if known else "other"
            self.reasons[name] = self.reasons.get(name, 0) + count

    def copy(self) -> Stream:
        """As it is now, for a thread that reads it while it goes on."""
        return replace(self, reasons=dict(self.reasons))

    def duplicate(self, header: Header) -> bool:
        """Count what came twice; whether its FIN is news.

        The farewell of a sender that had nothing left to send is an empty batch over
        its last number.
        """
        self.duplicates += header.rows
        ends = header.last == self.accepted and header.flags & Flag.FIN
        if not ends or self.finished or header.flags & Flag.FILE:
            return False
        self.finished = True
        self.dropped = max(self.dropped, header.dropped_total)
        return True


class Streams:
    """All producers, the one used last at the end; forgotten ones start at zero."""

    def __init__(self, known: Iterable[Stream] = ()) -> None:
        self._streams = {stream.producer: stream for stream in known}
        self.forgotten: list[bytes] = []
        """Producers dropped from memory since the last commit, to be deleted there."""

        self._victims: dict[bytes, None] = {}
        """Who goes next; not any more when a batch of it comes."""

    def __len__(self) -> int:
        return len(self._streams)

    def get(self, producer: bytes) -> Stream:
        """The producer's stream; a new one for a producer not seen before."""
        stream = self._streams.pop(producer, None)
        self._victims.pop(producer, None)
        if stream is None:
            stream = Stream(producer)
            if len(self._streams) >= PRODUCERS_MAX:
                self._make_room()
        self._streams[producer] = stream
        return stream

    def peek(self, producer: bytes) -> Stream | None:
        """The producer's stream, if there is one; its age stays."""
        return self._streams.get(producer)

    def expire(self, now: int, file_age: int = FILE_AGE) -> None:
        """Forget who has finished an hour ago or has been idle for 30 days.

        Files, which don't finish, are kept for `file_age` nanoseconds.
        """
        gone = []
        for stream in self._streams.values():
            if stream.touched is None:
                stream.touched = now
            idle = now - stream.touched > _age(stream, file_age)
            if idle and _is_settled(stream):
                gone.append(stream.producer)
        for producer in gone:
            self._forget(producer)

    def _make_room(self) -> None:
        if not self._victims:
            idle = (each for each in self._streams.values() if _is_settled(each))
            least = nsmallest(VICTIMS, idle, _worth)  # of equal ones the oldest first
            self._victims = {
                each.producer: None
                for each in least
                if each.kind != "file" or least[0].kind == "file"
            }
        if self._victims:
            self._forget(next(iter(self._victims)))

    def _forget(self, producer: bytes) -> None:
        self._victims.pop(producer, None)
        # One without a mark is in no database: strangers must not fill the list.
        if self._streams.pop(producer).accepted:
            self.forgotten.append(producer)


def _is_settled(stream: Stream) -> bool:
    return stream.durable >= stream.accepted


def _worth(stream: Stream) -> int:
    """What forgetting it costs: nothing; nothing any more; `lost`; a file read anew."""
    if not stream.accepted:
        return 0
    if stream.kind == "file":
        return 3
    return 1 if stream.finished or stream.kind == "plain" else 2


def _age(stream: Stream, file_age: int) -> int:
    if stream.kind == "file":
        return file_age
    return FINISHED_AGE if stream.finished else IDLE_AGE
