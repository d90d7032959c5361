"""What one message does: kept, answered, buried, counted; and what it can't do."""

from typing import Any

import msgpack
import numpy as np
import pytest

from pipeline.batch.encode import encode_rows
from pipeline.compression import compress
from pipeline.delivery.window import Window
from pipeline.ingester.batcher import Policy
from pipeline.ingester.intake import LETTERS_MAX, Cut, Intake
from pipeline.limits import BATCH_ROWS, DEAD_LETTER_BYTES
from pipeline.store.block import Block, seal_block
from pipeline.wire.frame import Codec, Flag, Reply
from tests.wire.messages import NOW, PRODUCER, batch, entry, message, plain, rows

BOOT = b"B" * 16
OTHER = b"o" * 16


@pytest.fixture
def intake() -> Intake:
    """An ingester's, that knows nobody."""
    return Intake(BOOT, [], Policy())


def stored(cut: Cut) -> list[tuple[bytes, int, str]]:
    """(producer, number, message) of each row of a commit."""
    found = []
    for number, parts in enumerate(cut.blocks, 1):
        sealed = seal_block(parts)
        block = Block(number, sealed.data, sealed.runs)
        places = np.arange(block.rows)
        messages = block.batch.columns["message"].values()
        found += [
            (*identity, text)
            for identity, text in zip(block.identities(places), messages, strict=True)
        ]
    return found


def entries(count: int) -> list[Any]:
    """Entries 0, 1, 2, ..."""
    return [entry(str(number)) for number in range(count)]


def test_a_batch_is_kept_and_its_mark_moves(intake: Intake) -> None:
    """Accepted now, durable when the commit has ended."""
    intake.receive(batch(entries(3)), NOW)
    stream = intake.streams.get(PRODUCER)
    assert (stream.accepted, stream.durable) == (3, 0)

    cut = intake.cut(NOW)
    assert intake.committed(cut) == [stream]

    assert (stream.accepted, stream.durable, stream.stored) == (3, 3, 3)
    assert stored(cut) == [(PRODUCER, number + 1, str(number)) for number in range(3)]


def test_a_producer_is_known_by_its_first_source(intake: Intake) -> None:
    """And since when, however many it has later."""
    intake.receive(batch([entry("1", source="api"), entry("2")]), NOW)
    intake.receive(batch(entries(1), 3), NOW + 5)

    (mark,) = intake.cut(NOW + 9).marks
    assert (mark.source, mark.began, mark.seen) == ("api", NOW, NOW + 5)


def test_marks_are_those_of_the_cut(intake: Intake) -> None:
    """What came while the commit ran is not durable yet."""
    intake.receive(batch(entries(3)), NOW)
    cut = intake.cut(NOW)
    intake.receive(batch(entries(2), 4), NOW)

    (stream,) = intake.committed(cut)

    assert (stream.accepted, stream.durable) == (5, 3)


def test_a_duplicate_is_dropped_and_acknowledged_again(intake: Intake) -> None:
    """The sender may not have heard of it."""
    for _ in range(2):
        intake.receive(batch(entries(3)), NOW)

    assert intake.replies == {PRODUCER: Reply.ACK}
    assert intake.counters["duplicates"] == 3
    assert len(stored(intake.cut(NOW))) == 3


def test_a_gap_is_answered_with_a_nack(intake: Intake) -> None:
    """And nothing of it is kept."""
    intake.receive(batch(entries(3), 5), NOW)

    assert intake.replies == {PRODUCER: Reply.NACK}
    assert stored(intake.cut(NOW)) == []


def test_a_nack_outranks_an_acknowledgement(intake: Intake) -> None:
    """In one turn a producer gets one answer."""
    intake.receive(batch(entries(3)), NOW)
    intake.receive(batch(entries(3), 9), NOW)
    intake.receive(batch(entries(3)), NOW)

    assert intake.replies == {PRODUCER: Reply.NACK}


def test_bad_bytes_are_answered_with_a_nack(intake: Intake) -> None:
    """If their producer is known; they are a dead letter in any case."""
    head, payload = batch(entries(1), 4)
    intake.receive([head, payload + b"x"], NOW)
    assert intake.replies == {}

    intake.receive(batch(entries(3)), NOW)
    intake.receive([head, payload + b"x"], NOW)

    assert intake.replies == {PRODUCER: Reply.NACK}
    assert intake.counters["dead_letter.bad_crc"] == 2


def test_a_batch_that_can_not_be_read_does_not_stop_its_stream(intake: Intake) -> None:
    """Its rows count as rejected, and the next batch is taken."""
    poison = message(b"poison" * 1000, span=5, rows=5)
    intake.receive(poison, NOW)
    intake.receive(batch(entries(2), 6), NOW)

    cut = intake.cut(NOW)

    (stream,) = cut.marks
    assert (stream.accepted, stream.rejected, stream.stored) == (7, 5, 2)
    (letter,) = cut.letters
    assert (letter.reason, letter.producer, letter.size) == (
        "bad_version",
        PRODUCER,
        6000,
    )
    assert letter.body == (b"poison" * 1000)[:DEAD_LETTER_BYTES]


def test_numbers_without_rows_are_those_that_the_sender_rejected(
    intake: Intake,
) -> None:
    """Their place is kept, and a batch may have no row at all."""
    intake.receive(message(b"", span=5, rows=0), NOW)
    intake.receive(batch(entries(2), 6), NOW)

    cut = intake.cut(NOW)

    (stream,) = cut.marks
    assert (stream.accepted, stream.stored) == (7, 2)
    assert stream.reasons == {"by the sender": 5}
    assert [number for _, number, _ in stored(cut)] == [6, 7]
    assert cut.letters == []


def test_a_payload_of_no_rows_is_empty(intake: Intake) -> None:
    """Or else somebody has lost the count."""
    intake.receive(message(b"x", span=5, rows=0), NOW)

    (letter,) = intake.cut(NOW).letters
    assert letter.reason == "bad_count"


def test_rejected_entries_are_counted_by_reason(intake: Intake) -> None:
    """Per producer, and those of plain messages under the boot's id."""
    intake.receive([plain([{"message": "no source"}])], NOW)

    (mark,) = intake.cut(NOW).marks

    assert (mark.kind, mark.rejected) == ("plain", 1)
    assert mark.reasons == {"entry_source": 1}


def test_a_rejected_row_keeps_its_number(intake: Intake) -> None:
    """Its neighbours keep theirs, and a copy of it is buried."""
    maps = [{"source": "a", "message": text} for text in ("0", None, "2")]

    intake.receive(rows(maps), NOW)

    cut = intake.cut(NOW)
    assert [(number, text) for _, number, text in stored(cut)] == [(1, "0"), (3, "2")]
    (letter,) = cut.letters
    assert (letter.reason, letter.producer) == ("entry_message", PRODUCER)
    assert msgpack.unpackb(letter.body) == maps[1]


def test_numbers_that_will_never_come_are_lost(intake: Intake) -> None:
    """The sender's base says so."""
    intake.receive(batch(entries(2)), NOW)
    intake.receive(batch(entries(2), 10, base=10, dropped_total=4), NOW)

    (mark,) = intake.cut(NOW).marks

    assert (mark.lost, mark.stored, mark.dropped, mark.accepted) == (7, 4, 4, 11)


def test_plain_entries_get_the_boot_as_producer(intake: Intake) -> None:
    """And running numbers, over all their senders."""
    intake.receive([plain({"source": "a", "message": "0"})], NOW)
    intake.receive([b"topic", plain([{"message": "1"}, {"message": "2"}])], NOW)

    cut = intake.cut(NOW)

    assert stored(cut) == [(BOOT, number + 1, str(number)) for number in range(3)]
    assert [(mark.kind, mark.accepted) for mark in cut.marks] == [("plain", 3)]
    assert intake.committed(cut) == []


def test_plain_entries_never_fill_more_than_a_batch(intake: Intake) -> None:
    """999 that wait and 65,536 that come at once are two batches."""
    one = {"source": "a", "message": "m"}
    intake.receive([plain([one] * 999)], NOW)
    intake.receive([plain([one] * BATCH_ROWS)], NOW)

    assert len(stored(intake.cut(NOW))) == 999 + BATCH_ROWS
    assert intake.counters["dead_letter.bad_batch"] == 0


def test_large_plain_entries_don_t_pile_up(intake: Intake) -> None:
    """They are sealed by bytes, too, and then make the commit due."""
    large = plain({"source": "a", "message": "m" * (1 << 20)})

    for _ in range(12):
        intake.receive([large], NOW)

    assert intake.due(NOW)
    assert len(stored(intake.cut(NOW))) == 12


def test_compressed_batches_make_blocks_that_can_be_read(intake: Intake) -> None:
    """Four batches of 30 MiB come as a few KiB each and don't fit one block."""
    payload = compress(encode_rows([entry("x" * (1 << 19))] * 60))

    for sequence in range(1, 241, 60):
        numbers = {"sequence": sequence, "span": 60, "rows": 60}
        intake.receive(message(payload, codec=Codec.ZSTD, **numbers), NOW)
        assert intake.due(NOW)

    cut = intake.cut(NOW)
    assert len(cut.blocks) == 2
    assert len(stored(cut)) == 240


@pytest.mark.parametrize("depth", [33, 500, 1000])
def test_a_plain_entry_nested_too_deep_is_buried_without_its_depth(
    intake: Intake, depth: int
) -> None:
    """What is kept of it says who sent it."""
    value: Any = 1
    deep = b"\x91" * depth + b"\x01"
    value = plain({"source": "a", "message": "m", "x": 0})[:-1] + deep

    intake.receive([value], NOW)

    (letter,) = intake.cut(NOW).letters
    assert letter.reason == "entry_metadata"
    assert msgpack.unpackb(letter.body) == {"source": "a", "message": "m"}


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "bad_frames"),
        ([b"a", b"b", b"c"], "bad_frames"),
        ([b""], "bad_msgpack"),
        ([b"topic", b""], "bad_msgpack"),
        ([b"topic", plain(7)], "not_an_entry"),
        ([b"RLP9" + bytes(60), b""], "bad_version"),
        ([b"RLP1", b""], "bad_header"),
        ([bytes(64), b""], "bad_magic"),
        ([batch(entries(1))[0]], "bad_msgpack"),
    ],
)
def test_any_other_message_is_a_dead_letter(
    intake: Intake, frames: list[bytes], reason: str
) -> None:
    """With its reason as a counter."""
    intake.receive(frames, NOW)

    assert intake.counters[f"dead_letter.{reason}"] == 1
    (letter,) = intake.cut(NOW).letters
    assert (letter.reason, letter.size) == (reason, len(b"".join(frames)))


@pytest.mark.parametrize("frames", [[b"a", b"b", b"c"], [b""], [b"topic", plain(7)]])
def test_a_plain_message_that_can_not_be_read_is_in_the_ledger(
    intake: Intake, frames: list[bytes]
) -> None:
    """As one rejected entry, by its reason; a batch's sender has a ledger itself."""
    intake.receive([bytes(64), b""], NOW)
    assert intake.cut(NOW).marks == []

    intake.receive(frames, NOW)

    cut = intake.cut(NOW)
    (mark,) = cut.marks
    assert (mark.kind, mark.rejected, mark.seen) == ("plain", 1, NOW)
    assert mark.reasons == {cut.letters[0].reason: 1}


def test_a_farewell_is_committed_and_answered(intake: Intake) -> None:
    """It finishes its producer, whose last batch came without FIN."""
    intake.receive(batch(entries(2)), NOW)
    intake.committed(intake.cut(NOW))
    intake.replies.clear()
    window = Window(PRODUCER, NOW)
    window.add(batch(entries(2))[1], 2, 0)
    window.take(NOW, 0)
    assert window.farewell(0) is None
    window.give_up_oldest()
    frames = window.farewell(0)
    assert frames is not None

    intake.receive(frames, NOW)

    (mark,) = intake.cut(NOW).marks
    assert (mark.finished, mark.accepted, mark.duplicates) == (True, 2, 0)
    assert intake.replies == {PRODUCER: Reply.ACK}


def test_a_flood_of_bad_messages_is_counted_not_kept(intake: Intake) -> None:
    """The store must not fill up with it."""
    for _ in range(LETTERS_MAX + 5):
        intake.receive([b"bad"], NOW)

    assert len(intake.cut(NOW).letters) == LETTERS_MAX
    assert intake.counters["dead_letters_not_kept"] == 5


def test_a_flush_makes_the_commit_due_soon(intake: Intake) -> None:
    """After 5 ms instead of 50; a duplicate's flush counts, too."""
    intake.receive(batch(entries(1)), NOW)
    assert not intake.due(NOW + 10_000_000)

    intake.receive(batch(entries(1), flags=Flag.FLUSH), NOW)

    assert intake.due(NOW + 5_000_000)


def test_a_producer_that_comes_back_is_not_forgotten_with_its_old_mark(
    intake: Intake,
) -> None:
    """What is to be deleted and what is new may stand in one commit."""
    intake.receive(batch(entries(1), flags=Flag.FIN), NOW)
    intake.committed(intake.cut(NOW))
    intake.streams.expire(NOW + 3_601_000_000_000)
    intake.receive(batch(entries(1), 2, base=2), NOW)

    cut = intake.cut(NOW)

    assert [mark.producer for mark in cut.marks] == cut.forgotten == [PRODUCER]


def test_the_time_of_day_may_be_set_back(intake: Intake) -> None:
    """Entries get the new one; a commit and a NACK are due as if nothing had been."""
    intake.epoch = 1_000_000_000_000
    intake.receive([plain({"source": "a", "message": "0"})], 0)
    intake.receive(batch(entries(1), 5), 0)
    intake.replies.clear()

    intake.epoch = 0
    intake.receive([plain({"source": "a", "message": "1"})], 100_000_000)
    intake.receive(batch(entries(1), 5), 100_000_000)

    assert intake.replies == {PRODUCER: Reply.NACK}
    assert intake.due(100_000_000)
    (parts,) = intake.cut(100_000_000).blocks
    times = [part.batch.column("timestamp") for part in parts]
    assert [list(time.numbers) for time in times if time] == [
        [1_000_000_000_000, 100_000_000]
    ]
