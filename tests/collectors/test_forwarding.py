"""Batches with numbers of their own: what is sent, and how each call ends."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from pipeline.collectors.forwarding import (
    AWAY,
    CALLS_MAX,
    DISK_FULL,
    FOLLOWED_MAX,
    FRESH_AGE,
    HELLO_AGAIN,
    RESEND_FIRST,
    Call,
    Ended,
    Ending,
    Fate,
    Forwarding,
)
from pipeline.delivery.stream import Streams, Verdict
from pipeline.wire.frame import (
    Acknowledgement,
    Header,
    Reply,
    Status,
    crc_matches,
    parse_header,
)

PRODUCER = bytes(range(16))
BOOT = b"1" * 16
SECOND = 1_000_000_000
LATE = 5 * SECOND
ROOM = 1000


def call(sequence: int, span: int = 1, **changes: object) -> Call:
    """A call with these numbers, of 10 bytes."""
    fields = {"producer": PRODUCER, "base": 1} | changes
    header = Header(1, 0, b"", sequence, 1, span, span, 0, 0)._replace(**fields)  # type: ignore[arg-type]
    return Call(header, b"x" * 10, LATE, lambda _: None)


def reply(accepted: int, kind: Reply = Reply.ACK, **changes: object) -> Acknowledgement:
    """An answer: all that is accepted is durable."""
    made = Acknowledgement(kind, Status.OK, 0, BOOT, accepted, accepted, 0, 1 << 24)
    return made._replace(**changes)  # type: ignore[arg-type]


def sent(made: Forwarding, now: int = 0) -> list[int]:
    """First numbers of all that it wants to send."""
    found = []
    while (taken := made.take(now)) is not None:
        assert crc_matches(*taken[1])
        found.append(parse_header(taken[1][0]).sequence)
    return found


def endings(ended: Ended) -> list[tuple[int, Fate, bool]]:
    """Each by its first number, how it ended, and whether it was a duplicate."""
    return [(c.header.sequence, e.fate, e.is_duplicate) for c, e in ended]


def greeted(accepted: int = 0, *calls: Call) -> Forwarding:
    """One whose producer's HELLO has come."""
    made = Forwarding(ROOM)
    assert made.add(call(accepted + 1, 0), 0) is None
    made.acknowledge(PRODUCER, reply(accepted, Reply.HELLO), 0)
    made.wishes.clear()
    for each in calls:
        assert made.add(each, 0) is None
    return made


def test_nothing_is_sent_before_a_hello() -> None:
    """Which is asked for by a subscription."""
    made = Forwarding(ROOM)
    assert made.add(call(1), 0) is None
    assert list(made.wishes) == [(PRODUCER, True)]
    assert sent(made) == []

    assert made.acknowledge(PRODUCER, reply(0, Reply.HELLO), 1) == []
    assert sent(made) == [1]
    assert sent(made) == []
    assert endings(made.acknowledge(PRODUCER, reply(1), 2)) == [
        (1, Fate.DURABLE, False)
    ]
    assert (made.bytes, made.calls) == (0, 0)


def test_calls_that_follow_go_out_together() -> None:
    """And end with the answer that covers them."""
    made = greeted(0, call(1, 5), call(6, 5), call(11))

    assert made.wishes == made.wishes.__class__()
    assert sent(made) == [1, 6, 11]
    assert endings(made.acknowledge(PRODUCER, reply(10), 1)) == [
        (1, Fate.DURABLE, False),
        (6, Fate.DURABLE, False),
    ]


def test_a_retry_is_sent_and_known_as_a_duplicate() -> None:
    """The ingester counts it; what it says then ends the call."""
    made = greeted(20, call(11, 10))

    assert sent(made) == [11]
    (ended,) = made.acknowledge(PRODUCER, reply(20), 1)
    assert ended[1] == Ending(Fate.DURABLE, 20, 21, is_duplicate=True)


def test_a_retry_of_what_is_on_its_way_is_a_duplicate() -> None:
    """Its first try is not answered yet."""
    made = greeted(0, call(1, 5), call(1, 5))

    assert sent(made) == [1, 1]
    assert endings(made.acknowledge(PRODUCER, reply(5), 1)) == [
        (1, Fate.DURABLE, False),
        (1, Fate.DURABLE, True),
    ]


@pytest.mark.parametrize("numbers", [(12, 1), (30, 5), (8, 5), (11, 0)])
def test_what_does_not_follow_is_asked_about_first(numbers: tuple[int, int]) -> None:
    """Another way may have led there since; without numbers it is a question."""
    made = greeted(10, call(*numbers))

    assert list(made.wishes) == [(PRODUCER, False), (PRODUCER, True)]
    assert sent(made) == []
    (ended,) = made.acknowledge(PRODUCER, reply(10, Reply.HELLO), 1)
    fate = Fate.OUT_OF_ORDER if numbers[1] else Fate.DURABLE
    assert ended[1] == Ending(fate, 10, 11)


def test_a_hello_may_put_it_in_order() -> None:
    """What came before it went through another gateway."""
    made = greeted(10, call(31))

    assert made.acknowledge(PRODUCER, reply(30, Reply.HELLO), 1) == []
    assert sent(made) == [31]


def test_a_base_above_the_gap_is_sent() -> None:
    """Its producer has given up what is missing."""
    assert sent(greeted(10, call(15, 2, base=15))) == [15]
    assert sent(greeted(10, call(16, 2, base=15))) == []


def test_what_is_old_is_asked_about_again() -> None:
    """The ingester may have been another one since."""
    made = greeted(10)
    assert made.add(call(11), FRESH_AGE) is None

    assert sent(made, FRESH_AGE) == []
    made.acknowledge(PRODUCER, reply(10, Reply.HELLO), FRESH_AGE)
    assert sent(made, FRESH_AGE) == [11]


def test_a_nack_refuses_what_does_not_follow_and_sends_the_rest_again() -> None:
    """Its first batch was lost on the way, with what it was sent upon."""
    made = greeted(10, call(11, 5), call(16), call(17))
    assert sent(made) == [11, 16, 17]

    assert made.acknowledge(PRODUCER, reply(10, Reply.NACK), 1) == []
    assert sent(made) == [11, 16, 17]
    made = greeted(10, call(11, 5))
    assert sent(made) == [11]
    (ended,) = made.acknowledge(PRODUCER, reply(13, Reply.NACK), 1)
    assert ended[1] == Ending(Fate.OUT_OF_ORDER, 13, 14)


def test_a_new_boot_sends_again_what_it_does_not_have() -> None:
    """What its predecessor had only accepted is gone; it is no duplicate."""
    made = greeted(10, call(11), call(12))
    assert sent(made) == [11, 12]
    made.acknowledge(PRODUCER, reply(12, durable=10), 1)

    again = reply(11, Reply.HELLO, boot=b"2" * 16)
    assert endings(made.acknowledge(PRODUCER, again, 2)) == [(11, Fate.DURABLE, False)]
    assert sent(made) == [12]


def test_without_an_answer_it_is_sent_again() -> None:
    """After a second, then after two; not while the ingester says that it has it."""
    made = greeted(0, call(1))
    assert sent(made) == [1]
    assert made.expire(RESEND_FIRST - 1) == []
    assert sent(made) == []

    made.expire(RESEND_FIRST)
    assert sent(made, RESEND_FIRST) == [1]
    made.acknowledge(PRODUCER, reply(1, durable=0), 3 * RESEND_FIRST - 1)
    made.expire(3 * RESEND_FIRST)
    assert sent(made) == []
    assert made.resent == 1


def test_a_hello_that_does_not_come_is_asked_for_again() -> None:
    """The ingester drops what a subscriber has no room for."""
    made = Forwarding(ROOM)
    made.add(call(1), 0)
    made.expire(HELLO_AGAIN - 1)
    assert len(made.wishes) == 1

    made.expire(HELLO_AGAIN)
    assert list(made.wishes)[1:] == [(PRODUCER, False), (PRODUCER, True)]


@pytest.mark.parametrize(
    ("status", "problem"), [(Status.OK, AWAY), (Status.DISK_FULL, DISK_FULL)]
)
def test_a_late_call_has_its_reason(status: Status, problem: str) -> None:
    """And nothing of it stays."""
    made = greeted(0, call(1))
    sent(made)
    made.acknowledge(PRODUCER, reply(1, durable=0, status=status), 1)

    ((_, ending),) = made.expire(LATE)
    assert (ending.fate, ending.problem) == (Fate.LATE, problem)
    assert (made.bytes, made.calls, sent(made, LATE)) == (0, 0, [])


def test_a_retry_that_a_hello_knows_is_never_late() -> None:
    """An ingester that no longer receives has told that it is there."""
    made = greeted(20, call(11, 10))
    sent(made)

    assert endings(made.expire(LATE)) == [(11, Fate.DURABLE, True)]


def test_a_full_disk_holds_back_what_is_not_sent() -> None:
    """As long as the ingester says."""
    made = greeted(0)
    full = reply(0, Reply.HELLO, status=Status.DISK_FULL, retry_ms=250)
    made.acknowledge(PRODUCER, full, 0)
    made.add(call(1), 1)

    assert sent(made, 249_999_999) == []
    assert sent(made, 250_000_000) == [1]


def test_what_the_socket_has_no_room_for_is_next() -> None:
    """In its order."""
    made = greeted(0, call(1), call(2))
    taken = made.take(0)
    assert taken is not None
    made.untake(taken[0])

    assert sent(made) == [1, 2]


def test_bytes_calls_and_producers_are_bounded() -> None:
    """One batch may always go; the longest idle producer makes room."""
    made = Forwarding(15)
    assert made.add(call(1), 0) is None
    assert made.add(call(2), 0) == "the memory for entries on their way is full"

    made = greeted(0)
    for number in range(CALLS_MAX):
        assert made.add(call(number + 1, 0), 0) is None
    assert "calls of this producer" in str(made.add(call(1, 0), 0))

    made = Forwarding(100 * FOLLOWED_MAX)
    ids = [number.to_bytes(16, "big") for number in range(FOLLOWED_MAX + 1)]
    for each in ids[:FOLLOWED_MAX]:
        assert made.add(call(1, producer=each), 0) is None
    assert "producers wait" in str(made.add(call(1, producer=ids[-1]), 0))
    made.acknowledge(ids[7], reply(0, Reply.HELLO), 0)
    made.take(0)
    made.acknowledge(ids[7], reply(1), 0)
    made.wishes.clear()
    assert made.add(call(1, producer=ids[-1]), 0) is None
    assert list(made.wishes) == [(ids[7], False), (ids[-1], True)]
    assert made.followed == FOLLOWED_MAX


class Client:
    """Sends numbers 1, 2, 3, ... in batches, each again until it is told the end."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.next = 1
        self.span = chance.randint(1, 5)
        self.waits = 0
        self.duplicates = 0

    def hear(self, ending: Ending) -> None:
        """One of the ways has answered; a late answer to an earlier try is ignored."""
        assert ending.fate is not Fate.OUT_OF_ORDER
        self.waits -= 1
        if ending.fate is Fate.DURABLE and ending.durable >= self.next + self.span - 1:
            self.duplicates += ending.is_duplicate
            self.next += self.span
            self.span = self.chance.randint(1, 5)


class World:
    """One client, two gateways that lose messages, an ingester that is killed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.client = Client(self.chance)
        self.ways = [Forwarding(ROOM), Forwarding(ROOM)]
        self.streams = Streams()
        self.boot = 1
        self.now = 0
        self.taken: list[int] = []
        self.durable: list[int] = []

    def step(self) -> None:
        """One of the things that may happen."""
        self.now += self.chance.randint(1, 300_000_000)
        way = self.chance.choice(self.ways)
        if not self.client.waits:
            made = call(self.client.next, self.client.span)
            made.deadline = self.now + LATE
            made.done = self.client.hear
            self.client.waits += way.add(made, self.now) is None
        for each in self.ways:
            self.tell(each.expire(self.now))
            while each.wishes:
                _, wanted = each.wishes.popleft()
                if wanted and self.is_lucky():
                    self.greet(each)
            while (taken := each.take(self.now)) is not None:
                if self.is_lucky():
                    self.ingest(parse_header(taken[1][0]))
        if self.chance.random() < 0.5:
            self.commit()
        elif self.chance.random() < 0.1:
            self.kill()

    def is_lucky(self) -> bool:
        """Whether a message arrives."""
        return self.chance.random() < 0.8

    def tell(self, ended: Iterable[tuple[Call, Ending]]) -> None:
        """As the relay's thread does."""
        for each, ending in ended:
            each.done(ending)

    def answer(self, kind: Reply) -> None:
        """To whoever follows, if it arrives."""
        stream = self.streams.get(PRODUCER)
        marks = {"durable": stream.durable, "boot": bytes([self.boot]) * 16}
        for way in self.ways:
            if self.is_lucky():
                found = reply(stream.accepted, kind, **marks)
                self.tell(way.acknowledge(PRODUCER, found, self.now))

    def greet(self, way: Forwarding) -> None:
        """As the ingester: when all that was accepted is durable."""
        self.commit()
        found = reply(len(self.durable), Reply.HELLO, boot=bytes([self.boot]) * 16)
        self.tell(way.acknowledge(PRODUCER, found, self.now))

    def ingest(self, header: Header) -> None:
        """As the ingester."""
        stream = self.streams.get(PRODUCER)
        verdict = stream.judge(header, self.now)
        if verdict is Verdict.TAKE:
            stream.take(header, {})
            self.taken += range(header.sequence, header.last + 1)
        elif verdict is Verdict.DUPLICATE:
            self.answer(Reply.ACK)
        elif verdict is Verdict.NACK:
            self.answer(Reply.NACK)

    def commit(self) -> None:
        """What was taken is durable."""
        stream = self.streams.get(PRODUCER)
        self.durable += self.taken
        self.taken = []
        stream.durable = stream.accepted
        self.answer(Reply.ACK)

    def kill(self) -> None:
        """What was not durable is gone."""
        self.boot += 1
        self.taken = []
        self.streams = Streams()
        stream = self.streams.get(PRODUCER)
        stream.accepted = stream.durable = len(self.durable)


@pytest.mark.parametrize("seed", range(0, 200, 20))
def test_every_number_is_stored_once_whatever_happens(seed: int) -> None:
    """Twenty worlds a seed; a client that only goes on when it is told to."""
    for each in range(seed, seed + 20):
        world = World(each)
        for _ in range(150):
            world.step()

        assert world.durable == list(range(1, len(world.durable) + 1))
        assert world.client.next - 1 <= len(world.durable)
        assert len(world.durable) > 30
