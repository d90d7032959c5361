"""Batches that their callers have numbered: turns, limits, endings, refusals."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.collectors.forwarding import CALLS_MAX, Ending, Fate
from pipeline.entry import Entry
from pipeline.gateway.errors import BUSY, INVALID_PARAMS, OUT_OF_ORDER, RpcError
from pipeline.gateway.numbered import (
    SMALL_ROWS,
    Numbered,
    Numbers,
    Rows,
    check_rows,
    check_size,
)
from pipeline.limits import BATCH_ROWS, NUMBER_MAX
from pipeline.wire.codec import decode_batch

PRODUCER = bytes(range(16))
DURABLE = Ending(Fate.DURABLE, 9, 10)


class Wire:
    """Takes calls as the relay does, and ends each at once, or never."""

    def __init__(self, ending=DURABLE, problem=None):
        self.ending = ending
        self.problem = problem
        self.calls = []

    def submit(self, call):
        """As `Relay.submit`."""
        self.calls.append(call)
        if self.problem is None and self.ending is not None:
            call.done(self.ending)
        return self.problem


def numbered(wire, timeout=5):
    """With a clock that stands still."""
    return Numbered(wire, timeout, lambda: 1_000)


def rows(count, *, bad=()):
    """So many entries, those at these places rejected."""
    places = [place for place in range(count) if place not in bad]
    entries = [Entry(place, "s", 9, f"m{place}", {}, [], None) for place in places]
    return Rows(entries, places, count, 100 * len(entries))


async def call(made, given, sequence=1, base=1):
    """One call, from its turn to its ending."""
    async with made.turn(PRODUCER):
        sent = await made.send(Numbers(PRODUCER, sequence, base, 7), given)
    return await made.wait(sent)


def error_of(work):
    """The error that it ends with."""
    with pytest.raises(RpcError) as caught:
        asyncio.run(work)
    return caught.value


@pytest.mark.parametrize("count", [3, SMALL_ROWS + 1])
def test_a_batch_keeps_its_numbers(count):
    """Whether it is encoded in the event loop or on a thread."""
    wire = Wire()
    assert asyncio.run(call(numbered(wire), rows(count), 5, 4)) == DURABLE

    (sent,) = wire.calls
    header = sent.header
    assert (header.producer, header.sequence, header.base) == (PRODUCER, 5, 4)
    assert (header.span, header.rows, header.dropped_total) == (count, count, 7)
    assert sent.deadline == 1_000 + 5 * 10**9
    assert decode_batch(header, sent.payload, 0).batch.rows == count


@pytest.mark.parametrize("bad", [{0}, {1, 3}, {0, 1, 2, 3}])
def test_rejected_entries_keep_their_numbers(bad):
    """All of them may be rejected."""
    wire = Wire()
    asyncio.run(call(numbered(wire), rows(4, bad=bad)))

    (sent,) = wire.calls
    assert (sent.header.span, sent.header.rows) == (4, 4 - len(bad))
    decoded = decode_batch(sent.header, sent.payload, 0)
    offsets = [] if decoded.batch is None else decoded.offsets.tolist()
    assert offsets == [place for place in range(4) if place not in bad]


@pytest.mark.parametrize(
    ("sequence", "expected", "problem"),
    [
        (20, 11, "11 to 19 have not come"),
        (5, 7, "of 5 to 7 some are stored, others are not"),
    ],
)
def test_out_of_order_says_what_is_expected(sequence, expected, problem):
    """As a number, so that a client can go on from there."""
    made = numbered(Wire(Ending(Fate.OUT_OF_ORDER, 10, expected)))
    error = error_of(call(made, rows(3), sequence))

    assert error.code == OUT_OF_ORDER
    assert error.data == {"field": "sequence", "problem": problem, "expected": expected}
    assert made.counters["numbered_out_of_order"] == 1


@pytest.mark.parametrize(
    ("wire", "problem", "stored"),
    [
        (Wire(Ending(Fate.LATE, problem="why")), "not on disk within 5 s: why", "perh"),
        (Wire(problem="full"), "full", "no"),
    ],
)
def test_busy_says_when_to_call_again(wire, problem, stored):
    """And what may be stored already."""
    made = numbered(wire)
    error = error_of(call(made, rows(1)))

    assert error.code == BUSY
    assert error.data["problem"] == problem
    assert error.data["retry_after_ms"] > 0
    assert error.data["stored"].startswith(stored)
    assert made.counters["numbered_busy"] == 1


def test_a_relay_that_does_not_answer_is_not_waited_for():
    """Its thread may have ended."""
    error = error_of(call(numbered(Wire(None), -0.99), rows(1)))

    assert "does not answer" in error.data["problem"]


def test_calls_of_one_producer_are_handed_over_in_their_order():
    """A large first one is encoded on a thread; others do not wait for it."""
    wire = Wire(None)
    made = numbered(wire)

    async def hand_over(sequence, count, producer=PRODUCER):
        async with made.turn(producer):
            await made.send(Numbers(producer, sequence, 1, 0), rows(count))

    async def test():
        size = 20 * SMALL_ROWS
        await asyncio.gather(
            hand_over(1, size), hand_over(size + 1, 1), hand_over(1, 1, b"o" * 16)
        )

    asyncio.run(test())
    order = [(sent.header.producer, sent.header.sequence) for sent in wire.calls]
    own = [number for producer, number in order if producer == PRODUCER]
    assert own == [1, 20 * SMALL_ROWS + 1]
    assert order[0] == (b"o" * 16, 1)


def test_a_producer_s_turns_are_bounded_and_forgotten():
    """Beyond the bound a call is told to come again."""
    made = numbered(Wire())

    async def test():
        gate = asyncio.Event()

        async def wait():
            async with made.turn(PRODUCER):
                await gate.wait()

        tasks = [asyncio.create_task(wait()) for _ in range(CALLS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(RpcError) as caught:
            async with made.turn(PRODUCER):
                pass
        gate.set()
        await asyncio.gather(*tasks)
        return caught.value

    assert asyncio.run(test()).code == BUSY
    assert made._turns == {}


@pytest.mark.parametrize(
    ("check", "field", "expected"),
    [
        (lambda: check_rows(1, BATCH_ROWS + 1), "logs", f"{BATCH_ROWS:,}"),
        (lambda: check_rows(NUMBER_MAX - 1, 2), "sequence", "2^62"),
        (lambda: check_size(11, 10, "compressed"), "logs", "10 bytes compressed"),
    ],
)
def test_a_limit_is_named(check, field, expected):
    """With the field that is beyond it."""
    with pytest.raises(RpcError) as caught:
        check()

    assert caught.value.code == INVALID_PARAMS
    assert caught.value.data["field"] == field
    assert expected in caught.value.data["expected"]
