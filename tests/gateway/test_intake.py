"""Entries on their way to the disk: parts, ids, time-outs, a full memory."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from pipeline.entry import Entry, decode_id
from pipeline.gateway.errors import BUSY, RpcError
from pipeline.gateway.intake import SUBMIT_BYTES, SUBMIT_ROWS, Intake

PRODUCER = bytes(range(16))


class Wire:
    """Takes batches as the collector does, and says at will that they are durable."""

    def __init__(self, room=1000, runs=1):
        self.room = room
        self.runs = runs
        self.batches = []

    def submit(self, rows, on_durable=None):
        """As `Collector.submit`; the callback comes in `runs` pieces."""
        if len(self.batches) >= self.room:
            return False
        first = 1 + sum(map(len, self.batches))
        self.batches.append(list(rows))
        if on_durable is not None and self.runs:
            borders = [len(rows) * run // self.runs for run in range(self.runs + 1)]
            for start, end in pairwise(borders):
                on_durable(PRODUCER, first + start, end - start)
        return True


def row(number=1):
    """An entry at this time."""
    return Entry(number, "s", 9, "m", {}, [], None)


def error_of(work):
    """The error that it ends with."""
    with pytest.raises(RpcError) as caught:
        asyncio.run(work)
    return caught.value


def test_an_id_is_made_of_time_producer_and_number():
    """As the store makes it."""

    async def test():
        return await Intake(Wire(), 5).store(row(7))

    assert decode_id(asyncio.run(test())) == (7, PRODUCER, 1)


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_all_are_stored_in_parts(runs):
    """Each fits a frame; their order stays."""
    wire = Wire(runs=runs)
    rows = [row(number) for number in range(2 * SUBMIT_ROWS + 1)]
    asyncio.run(Intake(wire, 5).store_all(rows, [100] * len(rows)))

    assert [len(batch) for batch in wire.batches] == [SUBMIT_ROWS, SUBMIT_ROWS, 1]
    assert [one for batch in wire.batches for one in batch] == rows


def test_big_entries_make_small_parts():
    """One that is too big for a part is one by itself."""
    wire = Wire()
    sizes = [SUBMIT_BYTES // 2, SUBMIT_BYTES // 2, 1, 2 * SUBMIT_BYTES, 1]
    asyncio.run(Intake(wire, 5).store_all([row()] * 5, sizes))

    assert [len(batch) for batch in wire.batches] == [2, 1, 1, 1]


def test_nothing_to_store_is_stored():
    """An empty list is no error."""
    wire = Wire()
    asyncio.run(Intake(wire, 5).store_all([], []))

    assert wire.batches == []


def test_a_full_memory_refuses_at_once():
    """Nothing of it is stored, and the error says so."""
    error = error_of(Intake(Wire(room=0), 5).store(row()))

    assert (error.code, error.data["stored"]) == (BUSY, "no")


def test_a_full_disk_refuses_at_once():
    """Who logs can hold an entry longer than the gateway lives."""
    wire = Wire()
    intake = Intake(wire, 5, lambda: True)

    for call in (intake.store(row()), intake.store_all([row()], [100])):
        error = error_of(call)
        assert (error.code, error.data["stored"]) == (BUSY, "no")
        assert "disk is full" in error.data["problem"]
    with pytest.raises(RpcError):
        intake.receive(row())
    assert wire.batches == []


def test_a_memory_that_fills_is_waited_for_and_then_told():
    """How much was handed over is in the error."""
    rows = [row()] * (2 * SUBMIT_ROWS)
    intake = Intake(Wire(room=1), 0.05)
    error = error_of(intake.store_all(rows, [100] * len(rows)))

    assert (error.data["stored"], error.data["handed_over"]) == ("some", SUBMIT_ROWS)


def test_what_is_not_durable_in_time_may_still_be():
    """The error says so, with the time after which to ask again."""
    error = error_of(Intake(Wire(runs=0), 0.01).store(row()))

    assert error.code == BUSY
    assert error.data["stored"].startswith("later")
    assert error.data["retry_after_ms"] > 0
