"""Batches that their senders have numbered: which to send now, what became of each.

Whoever forwards them, as the gateway does, holds a call until it is durable, out of
order or late.  Pure: calls and acknowledgements go in, frames and endings come out;
time is an argument, in monotonic nanoseconds.

The ingester alone knows where a producer is, for other ways lead there, too.  So a call
is sent when a HELLO, or an answer of a moment ago, says that it follows; one that does
not is refused on a HELLO or a NACK, never on what was heard earlier.  A batch that is
there already is sent as well: the ingester drops it and counts it.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.wire.frame import Acknowledgement, Header, Reply, Status, pack_header

FOLLOWED_MAX: Final = 1_000
"""Producers whose acknowledgements are asked for; then the longest idle one is left."""

CALLS_MAX: Final = 64
"""Calls of one producer that wait together."""

FRESH_AGE: Final = 200_000_000
"""Nanoseconds: no ingester ends and starts again within them, so what it said holds."""

HELLO_AGAIN: Final = 500_000_000
"""Nanoseconds: a HELLO may be lost when many are asked for at once."""

RESEND_FIRST: Final = 1_000_000_000
"""Nanoseconds without an answer before a batch is sent again; then it doubles."""

AWAY: Final = "the ingester is away or slow"
DISK_FULL: Final = "the disk is full, or refuses: nothing can be stored at present"


class Fate(Enum):
    """How a call may end."""

    DURABLE = auto()
    OUT_OF_ORDER = auto()
    LATE = auto()


class Ending(NamedTuple):
    """What became of a call."""

    fate: Fate
    durable: int = 0
    expected: int = 0
    """The number that the producer's next batch begins with."""

    is_duplicate: bool = False
    """Whether its numbers were there, or on their way, before it came."""

    problem: str = ""
    """Why it is late."""


@dataclass(slots=True, eq=False)
class Call:
    """A batch that somebody waits for until `deadline`; with span 0 a question only.

    `done` is called once, wherever the call is found to have ended.
    """

    header: Header
    payload: bytes
    deadline: int
    done: Callable[[Ending], None]
    is_duplicate: bool = False
    sent: int | None = None
    times: int = 0
    """How often it was sent."""

    patience: int = RESEND_FIRST
    crc: int = field(init=False)

    def __post_init__(self) -> None:
        self.crc = crc32(self.payload)

    @property
    def asks(self) -> bool:
        """Whether it has no numbers, and only asks how far its producer is."""
        return self.header.span == 0

    @property
    def last(self) -> int:
        """The highest number it covers."""
        return self.header.last

    def follows(self, accepted: int) -> bool:
        """Whether the ingester takes it behind `accepted`."""
        if self.header.sequence == accepted + 1:
            return True
        return self.header.base > accepted + 1 and (
            self.header.sequence == self.header.base
        )


Ended = list[tuple[Call, Ending]]


@dataclass(slots=True, eq=False)
class _Producer:
    """What is known of one, and the calls that wait, in the order of their numbers."""

    identity: bytes
    calls: list[Call] = field(default_factory=list)
    accepted: int = 0
    durable: int = 0
    boot: bytes = b""
    status: int = Status.OK
    is_greeted: bool = False
    asked: int | None = None
    heard: int | None = None
    resume: int = 0

    def hear(self, reply: Acknowledgement, now: int) -> bool:
        """Take in an answer; whether what was sent and is not accepted is gone."""
        restarted = self.boot not in (b"", reply.boot)
        self.boot, self.status, self.heard = reply.boot, reply.status, now
        self.accepted, self.durable = reply.accepted, reply.durable
        self.is_greeted |= reply.kind == Reply.HELLO
        if reply.status != Status.OK:
            self.resume = now + reply.retry_ms * 1_000_000
        return restarted or reply.kind == Reply.NACK

    def is_fresh(self, now: int) -> bool:
        """Whether what was heard can be relied on."""
        return (
            self.is_greeted
            and self.heard is not None
            and (now - self.heard < FRESH_AGE)
        )

    def misses_hello(self, now: int) -> bool:
        """Whether it has to be asked for again."""
        if self.is_greeted or self.asked is None:
            return False
        return now - self.asked >= HELLO_AGAIN

    def in_order(self) -> tuple[list[Call], list[Call], int]:
        """Calls that follow each other, those that don't, and the last number then."""
        run, good, bad = self.accepted, list[Call](), list[Call]()
        for call in self.calls:
            if call.asks or call.last <= run:
                good.append(call)
            elif call.follows(run):
                good.append(call)
                run = call.last
            else:
                bad.append(call)
        return good, bad, run

    def problem(self) -> str:
        """Why nothing is stored."""
        return DISK_FULL if self.status == Status.DISK_FULL else AWAY


class Forwarding:
    """All producers that are followed, and all calls that wait."""

    def __init__(self, bytes_max: int) -> None:
        """`bytes_max` bounds the payloads held together; one batch may always go."""
        self._bytes_max = bytes_max
        self._producers: dict[bytes, _Producer] = {}
        """The one used last at the end."""

        self._ready: dict[bytes, _Producer] = {}
        """Those that may have something to send."""

        self.bytes = 0
        self.calls = 0
        self.resent = 0
        self.wishes: deque[tuple[bytes, bool]] = deque()
        """Producers to follow (True) or to leave, in this order."""

    @property
    def followed(self) -> int:
        """Producers whose acknowledgements are asked for."""
        return len(self._producers)

    def add(self, call: Call, now: int) -> str | None:
        """Hold a call until it ends; or why there is no room for it."""
        identity = call.header.producer
        producer = self._producers.pop(identity, None)
        if producer is not None:
            self._producers[identity] = producer
        problem = self._maybe_full(call, producer)
        if problem is not None:
            return problem
        if producer is None:
            producer = self._producers[identity] = _Producer(identity)
        known = [producer.accepted, *(other.last for other in producer.calls)]
        call.is_duplicate = not call.asks and call.last <= max(known)
        insort(producer.calls, call, key=lambda other: other.header.sequence)
        self.bytes += len(call.payload)
        self.calls += 1
        if call.asks or not producer.is_fresh(now) or call in producer.in_order()[1]:
            self._ask(producer, now)
        self._ready[identity] = producer
        return None

    def take(self, now: int) -> tuple[Call, tuple[bytes, bytes]] | None:
        """The next call to send, with its frames; None when there is none now."""
        for identity, producer in list(self._ready.items()):
            if not producer.is_greeted:
                del self._ready[identity]
                continue
            if now < producer.resume:
                continue
            for call in producer.calls:
                if call.sent is None and not call.asks:
                    call.sent = now
                    call.times += 1
                    header = pack_header(call.header, call.crc)
                    return call, (header, call.payload)
            del self._ready[identity]
        return None

    def untake(self, call: Call) -> None:
        """The socket did not take it: it is sent when there is room."""
        call.sent = None
        call.times -= 1

    def acknowledge(self, identity: bytes, reply: Acknowledgement, now: int) -> Ended:
        """Take in what the ingester says; the calls that end by it."""
        producer = self._producers.get(identity)
        if producer is None:
            return []
        ended: Ended = []
        is_gone = producer.hear(reply, now)
        if is_gone or reply.kind == Reply.HELLO:
            ended += self._judge(producer)
        for call in list(producer.calls):
            is_answered = call.asks and reply.kind == Reply.HELLO
            if is_answered or (call.sent is not None and call.last <= reply.durable):
                ended.append(self._end(producer, call, Fate.DURABLE))
        if is_gone:
            self._rewind(producer)
        if producer.calls:
            self._ready[identity] = producer
        return ended

    def expire(self, now: int) -> Ended:
        """What is due: calls that are late, and what is asked or sent again."""
        ended: Ended = []
        for producer in [one for one in self._producers.values() if one.calls]:
            for call in list(producer.calls):
                if now >= call.deadline:
                    known = producer.is_greeted and call.last <= producer.durable
                    fate = Fate.DURABLE if known and not call.asks else Fate.LATE
                    ended.append(self._end(producer, call, fate))
                elif self._is_overdue(producer, call, now):
                    call.sent, call.patience = None, 2 * call.patience
                    self.resent += 1
                    self._ready[producer.identity] = producer
            if producer.calls and producer.misses_hello(now):
                self._ask(producer, now)
        return ended

    def _judge(self, producer: _Producer) -> Ended:
        """End what does not follow; what of it has come before is a duplicate."""
        for call in producer.calls:
            if not call.times and not call.asks:
                call.is_duplicate |= call.last <= producer.accepted
        _, bad, run = producer.in_order()
        return [self._end(producer, call, Fate.OUT_OF_ORDER, run + 1) for call in bad]

    def _rewind(self, producer: _Producer) -> None:
        """Send again what the ingester does not have."""
        for call in producer.calls:
            if call.last > producer.accepted and call.sent is not None:
                call.sent = None
                self.resent += 1

    def _is_overdue(self, producer: _Producer, call: Call, now: int) -> bool:
        if call.sent is None or now - call.sent < call.patience:
            return False
        silent = producer.heard is None or now - producer.heard >= RESEND_FIRST
        return silent or call.last > producer.accepted

    def _ask(self, producer: _Producer, now: int) -> None:
        """Have a HELLO come: a subscription is the question."""
        if producer.asked is not None:
            self.wishes.append((producer.identity, False))
        self.wishes.append((producer.identity, True))
        producer.is_greeted = False
        producer.asked = now

    def _end(
        self, producer: _Producer, call: Call, fate: Fate, expected: int = 0
    ) -> tuple[Call, Ending]:
        producer.calls.remove(call)
        self.bytes -= len(call.payload)
        self.calls -= 1
        problem = producer.problem() if fate is Fate.LATE else ""
        expected = expected or producer.accepted + 1
        is_duplicate = call.is_duplicate and fate is Fate.DURABLE
        return call, Ending(fate, producer.durable, expected, is_duplicate, problem)

    def _maybe_full(self, call: Call, producer: _Producer | None) -> str | None:
        """Why there is no room; makes room for one more producer."""
        if self.bytes and self.bytes + len(call.payload) > self._bytes_max:
            return "the memory for entries on their way is full"
        if producer is not None and len(producer.calls) >= CALLS_MAX:
            return f"{CALLS_MAX} calls of this producer wait already"
        if producer is not None or len(self._producers) < FOLLOWED_MAX:
            return None
        idle = _first_idle(self._producers.values())
        if idle is None:
            return f"{FOLLOWED_MAX:,} producers wait already"
        del self._producers[idle.identity]
        self.wishes.append((idle.identity, False))
        return None


def _first_idle(producers: Iterable[_Producer]) -> _Producer | None:
    return next((one for one in producers if not one.calls), None)
