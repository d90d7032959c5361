"""The ingester's side: the verdict table, row by row, and what is remembered."""

import pytest

from pipeline.delivery import stream as stream_module
from pipeline.delivery.stream import (
    FINISHED_AGE,
    IDLE_AGE,
    NACK_INTERVAL,
    REASONS_MAX,
    Stream,
    Streams,
    Verdict,
)
from pipeline.wire.frame import Flag
from tests.wire.messages import NOW, PRODUCER, header


def known(stored: int = 0) -> Stream:
    """A producer of which 10 numbers are taken."""
    return Stream(PRODUCER, 10, 10, stored)


@pytest.mark.parametrize(
    ("sequence", "base", "span", "verdict"),
    [
        # a duplicate: all of it is accepted
        (1, 1, 10, Verdict.DUPLICATE),
        (10, 1, 1, Verdict.DUPLICATE),
        # the next number
        (11, 1, 1, Verdict.TAKE),
        (11, 11, 5, Verdict.TAKE),
        # a gap that the sender has given up
        (15, 15, 1, Verdict.TAKE),
        # a gap that the sender can still fill
        (15, 11, 1, Verdict.NACK),
        (15, 14, 1, Verdict.NACK),
        (12, 1, 1, Verdict.NACK),
        # straddles what is accepted
        (10, 1, 2, Verdict.NACK),
        (10, 10, 2, Verdict.NACK),
        (1, 1, 100, Verdict.NACK),
    ],
)
def test_the_verdict_follows_from_the_numbers(
    sequence: int, base: int, span: int, verdict: Verdict
) -> None:
    """The table of PROTOCOL.md, with `accepted` 10."""
    judged = known().judge(header(sequence=sequence, base=base, span=span), NOW)

    assert judged is verdict


def test_a_new_producer_starts_at_1() -> None:
    """Or at its base, when what was before is given up."""
    new = Stream(PRODUCER)

    assert new.judge(header(), NOW) is Verdict.TAKE
    assert new.judge(header(sequence=7, base=7), NOW) is Verdict.TAKE
    assert new.judge(header(sequence=7, base=6), NOW) is Verdict.NACK


def test_nacks_are_at_most_one_per_100_ms() -> None:
    """A window of wrong batches is one mistake."""
    stream, gap = known(), header(sequence=15)

    assert stream.judge(gap, NOW) is Verdict.NACK
    assert stream.judge(gap, NOW + NACK_INTERVAL - 1) is Verdict.IGNORE
    assert stream.judge(gap, NOW + NACK_INTERVAL) is Verdict.NACK


def test_taking_moves_accepted_and_the_ledger() -> None:
    """Every number is stored, rejected or lost."""
    stream = known(stored=10)

    given_up = header(sequence=14, base=14, span=7, rows=6, dropped_total=3)
    stream.take(given_up, {"entry_level": 2})

    assert (stream.accepted, stream.durable) == (20, 10)
    assert (stream.lost, stream.stored, stream.rejected) == (3, 14, 3)
    assert stream.reasons == {"entry_level": 2, "by the sender": 1}
    assert stream.accepted == stream.lost + stream.stored + stream.rejected
    assert (stream.dropped, stream.finished) == (3, False)


def test_a_file_counts_bytes_and_keeps_its_tail() -> None:
    """What was blank is no rejected entry, and its last field is no counter."""
    stream = known(stored=1)

    stream.take(
        header(sequence=11, span=90, rows=2, flags=Flag.FILE, dropped_total=77), {}
    )

    assert (stream.kind, stream.accepted, stream.tail) == ("file", 100, 77)
    assert (stream.stored, stream.rejected, stream.dropped) == (3, 0, 0)


def test_reasons_are_bounded() -> None:
    """They come from whoever sends; the count stays right."""
    stream = known()

    stream.reject({str(number): 1 for number in range(REASONS_MAX + 5)})

    assert len(stream.reasons) == REASONS_MAX + 1
    assert stream.reasons["other"] == 5
    assert stream.rejected == REASONS_MAX + 5


def test_a_batch_with_fin_finishes_until_another_comes() -> None:
    """A sender that goes on is not finished."""
    stream = known()

    stream.take(header(sequence=11, flags=Flag.FIN), {})
    assert stream.finished

    stream.take(header(sequence=12), {})
    assert not stream.finished


def test_idle_and_finished_producers_are_forgotten() -> None:
    """After 30 days, or an hour; never one whose commit still runs, nor a file."""
    streams = Streams(
        [
            Stream(b"file", 1, 1, touched=NOW - IDLE_AGE - 1, kind="file"),
            Stream(b"idle", 1, 1, touched=NOW - IDLE_AGE - 1),
            Stream(b"done", 1, 1, touched=NOW - FINISHED_AGE - 1, finished=True),
            Stream(b"open", 2, 1, touched=NOW - IDLE_AGE - 1),
            Stream(b"here", 1, 1, touched=NOW - FINISHED_AGE - 1),
        ]
    )

    streams.expire(NOW)

    assert streams.forgotten == [b"idle", b"done"]
    assert streams.peek(b"open")
    assert streams.peek(b"here")
    assert streams.peek(b"file")


def test_the_longest_idle_makes_room_for_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table is bounded; what a commit still needs stays."""
    monkeypatch.setattr(stream_module, "PRODUCERS_MAX", 3)
    streams = Streams([Stream(name, 1, 1) for name in (b"a", b"b", b"c")])
    streams.get(b"a")

    streams.get(b"b").accepted = 2
    streams.get(b"d")
    streams.get(b"e")

    assert streams.forgotten == [b"c", b"a"]
    assert len(streams) == 3


def test_strangers_do_not_fill_the_list_of_the_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who never had a batch taken is in no database."""
    monkeypatch.setattr(stream_module, "PRODUCERS_MAX", 2)
    streams = Streams()

    for number in range(100):
        streams.get(bytes([number]))

    assert (len(streams), streams.forgotten) == (2, [])


def test_idle_time_counts_while_the_ingester_runs() -> None:
    """What the database says of earlier may come from a clock that was wrong."""
    streams = Streams([Stream(b"idle", 1, 1, seen=0)])

    streams.expire(NOW)
    assert streams.forgotten == []
    streams.expire(NOW + IDLE_AGE + 1)

    assert streams.forgotten == [b"idle"]


def test_those_that_cost_least_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finished before who may go on, files last, whatever their age."""
    monkeypatch.setattr(stream_module, "PRODUCERS_MAX", 5)
    streams = Streams(
        [
            Stream(b"file", 1, 1, kind="file"),
            Stream(b"idle", 1, 1),
            Stream(b"open", 2, 1, finished=True),
            Stream(b"done", 1, 1, finished=True),
            Stream(b"more", 1, 1, finished=True),
        ]
    )
    streams.get(b"new1").accepted = 1
    streams.get(b"more").finished = False  # it goes on, though it was to be the next
    for name in (b"new2", b"new3", b"new4"):
        streams.get(name).accepted = 1

    assert streams.forgotten == [b"done", b"idle", b"more", b"file"]


def test_a_farewell_finishes_and_counts_nothing() -> None:
    """FIN over the last number; over an earlier one it is an old batch."""
    stream = known()

    assert not stream.duplicate(header(sequence=9, rows=0, flags=Flag.FIN))
    assert not stream.finished

    farewell = header(sequence=10, rows=0, flags=Flag.FIN, dropped_total=4)
    assert stream.duplicate(farewell)
    assert (stream.finished, stream.duplicates, stream.dropped) == (True, 0, 4)
    assert not stream.duplicate(farewell)
