"""The sender's side: what is held, what is sent next, and again."""

import pytest

from pipeline.delivery.window import (
    TIMEOUT_FIRST,
    TIMEOUT_LAST,
    WINDOW_BYTES,
    WINDOW_ROWS,
    Window,
)
from pipeline.limits import BATCH_ROWS
from pipeline.wire.frame import (
    Acknowledgement,
    Flag,
    Header,
    Reply,
    Status,
    crc_matches,
    parse_header,
)
from tests.wire.messages import PRODUCER

BOOT = b"1" * 16
MS = 1_000_000


def window(*counts: int, size: int = 100) -> Window:
    """One that holds batches of these many entries."""
    made = Window(PRODUCER, 0)
    for count in counts:
        made.add(b"x" * size, count, 0)
    return made


def reply(
    durable: int,
    accepted: int | None = None,
    kind: Reply = Reply.ACK,
    **fields: object,
) -> Acknowledgement:
    """An acknowledgement."""
    accepted = durable if accepted is None else accepted
    made = Acknowledgement(kind, Status.OK, 0, BOOT, durable, accepted, 0, 1 << 24)
    return made._replace(**fields)  # type: ignore[arg-type]


def sent(made: Window, now: int = 0, *, fin: bool = False) -> list[Header]:
    """Headers of all that it wants to send."""
    found = []
    while (frames := made.take(now, 0, fin=fin)) is not None:
        assert crc_matches(*frames)
        found.append(parse_header(frames[0]))
    return found


def sequences(made: Window, now: int = 0) -> list[int]:
    """First numbers of all that it wants to send."""
    return [header.sequence for header in sent(made, now)]


def test_batches_are_numbered_on_from_1() -> None:
    """Each number once; base is the lowest that is held."""
    headers = sent(window(3, 2, 1))

    assert [(h.sequence, h.span, h.rows, h.base) for h in headers] == [
        (1, 3, 3, 1),
        (4, 2, 2, 1),
        (6, 1, 1, 1),
    ]


def test_nothing_is_sent_twice_on_its_own() -> None:
    """Until something says so."""
    made = window(1, 1)
    assert sequences(made) == [1, 2]

    assert made.idle()
    assert sequences(made) == []


def test_what_the_socket_does_not_take_is_next_again() -> None:
    """In the same order."""
    made = window(1, 1)
    made.take(0, 0)
    made.take(0, 0)

    made.untake()

    assert sequences(made) == [2]


def test_an_acknowledgement_lets_go_of_what_is_durable() -> None:
    """Accepted alone does not."""
    made = window(3, 2)
    sent(made)

    assert not made.acknowledge(reply(0, 5), 1)
    assert made.rows == 5
    assert made.acknowledge(reply(3, 5), 2)
    assert (made.rows, made.bytes, made.durable) == (2, 100, 3)


def test_a_batch_is_let_go_whole() -> None:
    """Half durable is held."""
    made = window(3)
    sent(made)

    made.acknowledge(reply(2, 3), 1)

    assert made.rows == 3


def test_the_base_follows_what_is_held() -> None:
    """So the ingester knows what can't come any more."""
    made = window(3, 2, 1)
    made.take(0, 0)
    made.acknowledge(reply(3), 1)

    assert [(h.sequence, h.base) for h in sent(made)] == [(4, 4), (6, 4)]


def test_a_nack_rewinds_to_what_was_accepted() -> None:
    """The batch after it is next."""
    made = window(1, 1, 1)
    sent(made)

    made.acknowledge(reply(0, 1, Reply.NACK), 1)

    assert sequences(made) == [2, 3]
    assert made.resent == 2


def test_hello_rewinds() -> None:
    """The other side may have begun anew, or not have heard of all."""
    made = window(1, 1, 1)
    sent(made)

    made.acknowledge(reply(1, 1, Reply.HELLO), 1)

    assert sequences(made) == [2, 3]


def test_a_new_boot_rewinds_even_without_hello() -> None:
    """Its memory is empty: what was accepted and not durable is gone."""
    made = window(1, 1, 1)
    sent(made)
    made.acknowledge(reply(1, 3), 1)

    made.acknowledge(reply(1, 1, boot=b"2" * 16), 2)

    assert sequences(made) == [2, 3]


def test_rows_in_flight_are_bounded() -> None:
    """Whole blocks."""
    blocks = WINDOW_ROWS // BATCH_ROWS
    made = window(*[BATCH_ROWS] * (blocks - 1), BATCH_ROWS - 1, 1, 1)
    assert len(sequences(made)) == blocks + 1

    made.acknowledge(reply(WINDOW_ROWS), 1)

    assert sequences(made) == [WINDOW_ROWS + 1]


def test_bytes_in_flight_are_bounded() -> None:
    """16 MiB, and a batch larger than that alone."""
    assert len(sent(window(1, 1, 1, size=WINDOW_BYTES // 2))) == 2
    assert len(sent(window(1, 1, size=WINDOW_BYTES + 1))) == 1


def test_the_batch_that_fills_the_window_asks_for_a_commit() -> None:
    """Otherwise both sides would wait for the ingester's 50 ms."""
    quarters = WINDOW_ROWS // (BATCH_ROWS // 4)

    flags = [h.flags for h in sent(window(*[BATCH_ROWS // 4] * (quarters + 1)))]

    assert flags == [0] * (quarters - 1) + [Flag.FLUSH]


def test_flush_and_fin_stand_on_the_batches_that_need_them() -> None:
    """FIN only on the last, when all is sent."""
    made = window(1)
    made.add(b"x", 1, 0, flush=True)
    assert [h.flags for h in sent(made)] == [0, Flag.FLUSH]

    made = window(1, 1)
    assert [h.flags for h in sent(made, fin=True)] == [0, Flag.FLUSH | Flag.FIN]


def test_without_progress_all_is_sent_again() -> None:
    """After a second, then two, then four, at most ten."""
    made = window(1, 1)
    sent(made)
    now, waits = 0, []
    while len(waits) < 6:
        before = now
        while not made.expire(now):
            now += 100 * MS
        waits.append((now - before) // 1_000_000_000)
        assert sequences(made, now) == [1, 2]

    assert waits == [1, 2, 4, 8, 10, 10]
    assert (TIMEOUT_FIRST, TIMEOUT_LAST) == (10**9, 10**10)


def test_progress_starts_the_time_out_anew() -> None:
    """Accepting is progress, too."""
    made = window(1, 1)
    sent(made)
    assert made.expire(TIMEOUT_FIRST)
    sent(made, TIMEOUT_FIRST)

    made.acknowledge(reply(0, 1), 2 * TIMEOUT_FIRST)

    assert not made.expire(3 * TIMEOUT_FIRST - 1)
    assert made.expire(3 * TIMEOUT_FIRST)


def test_nothing_expires_while_nothing_is_in_flight() -> None:
    """However long it was quiet."""
    made = window(1)
    assert not made.expire(100 * TIMEOUT_FIRST)

    sent(made, 100 * TIMEOUT_FIRST)

    assert not made.expire(101 * TIMEOUT_FIRST - 1)


def test_a_full_disk_is_waited_for() -> None:
    """As long as the ingester says."""
    made = window(1, 1)
    made.take(0, 0)

    made.acknowledge(reply(0, status=Status.DISK_FULL, retry_ms=250), 0)

    assert sequences(made, 249 * MS) == []
    assert sequences(made, 250 * MS) == [2]


@pytest.mark.parametrize("in_flight", [0, 1, 2])
def test_giving_up_the_oldest_moves_the_base(in_flight: int) -> None:
    """The ingester counts the hole as lost."""
    made = window(3, 2, 1)
    for _ in range(in_flight):
        made.take(0, 0)

    assert made.give_up_oldest() == 3

    assert made.rows == 3
    assert {h.base for h in sent(made)} == {4}


def test_what_was_rejected_is_known() -> None:
    """The ingester's count of this producer's rows that can't be stored."""
    made = window(3)
    sent(made)

    made.acknowledge(reply(3, rejected=2), 1)

    assert (made.rejected, made.largest) == (2, 1 << 24)


def test_a_batch_may_cover_more_numbers_than_rows() -> None:
    """Numbers of rejected rows, or the bytes of a file with its tail."""
    window = Window(PRODUCER, 0, start=100)
    window.add(b"ab", 2, 0, span=50, tail=77)

    frames = window.take(0, 0)

    assert frames is not None
    header = parse_header(frames[0])
    assert (header.sequence, header.base, header.span, header.rows) == (101, 101, 50, 2)
    assert (header.flags & Flag.FILE, header.dropped_total) == (Flag.FILE, 77)
    assert window.last == 150


def test_numbers_are_left_out_only_behind_what_is_durable() -> None:
    """Before that the batch behind the hole would be a gap."""
    made = window(3)
    made.skip(10)
    made.add(b"x", 2, 0)
    assert sequences(made) == [1]

    made.acknowledge(reply(3), 1)

    assert [(h.sequence, h.base) for h in sent(made)] == [(10, 10)]


def test_a_small_window_asks_for_a_commit_when_it_is_full() -> None:
    """It may have less memory than the ingester waits for."""
    made = Window(PRODUCER, 0, limit_bytes=250)
    for _ in range(3):
        made.add(b"x" * 100, 1, 0)

    assert [header.flags for header in sent(made)] == [0, Flag.FLUSH]


def test_a_window_knows_where_it_can_go_on() -> None:
    """What a predecessor of the same id sent may end in the middle of a batch."""
    window = Window(PRODUCER, 0, start=10)
    assert window.boundary(10)
    assert not window.boundary(11)

    window.add(b"x", 5, 0)
    window.add(b"x", 5, 0)

    assert [place for place in range(8, 22) if window.boundary(place)] == [
        8,
        9,
        10,
        15,
        20,
    ]


def test_a_session_notices_that_another_sends_under_its_id() -> None:
    """By numbers that it never gave, never sent, or gave to the middle of a batch."""
    made = window(3, 2)
    sent(made)
    made.add(b"x", 4, 0)

    assert [place for place in range(12) if not made.is_forged(reply(0, place))] == [
        0,
        3,
        5,
    ]
    assert made.is_forged(reply(9, 9))
