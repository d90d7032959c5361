"""What a full disk refuses, and what it takes all the same."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.ingester.batcher import Policy
from pipeline.ingester.intake import Cut, Intake
from pipeline.wire.frame import Reply
from tests.wire.messages import NOW, PRODUCER, batch, entry, plain


@pytest.fixture
def intake() -> Intake:
    """An ingester's, that knows nobody."""
    return Intake(b"B" * 16, [], Policy())


def rows_of(count: int) -> list[Any]:
    """Entries 0, 1, 2, ..."""
    return [entry(str(number)) for number in range(count)]


def kept(cut: Cut) -> int:
    """Rows of a commit."""
    return sum(part.batch.rows for parts in cut.blocks for part in parts)


def test_a_full_disk_takes_no_batch(intake: Intake) -> None:
    """Its sender goes on holding it, and sends it again later."""
    intake.receive(batch(rows_of(3)), NOW)
    intake.is_refusing = True
    intake.receive(batch(rows_of(2), 4), NOW)

    assert intake.replies == {PRODUCER: Reply.NACK}
    assert intake.streams.get(PRODUCER).accepted == 3
    assert intake.counters["batches_refused"] == 1
    assert kept(intake.cut(NOW)) == 3


def test_a_full_disk_counts_plain_entries_in_the_ledger(intake: Intake) -> None:
    """Nobody holds them."""
    intake.is_refusing = True
    intake.receive([plain([{"source": "a", "message": "0"}] * 3)], NOW)

    assert intake.counters["entries_refused"] == 3
    cut = intake.cut(NOW)
    assert not kept(cut)
    assert cut.marks[0].reasons == {"disk_full": 3}


def test_a_full_disk_takes_what_the_ingester_says(intake: Intake) -> None:
    """There is a reserve for it."""
    intake.is_refusing = True
    intake.receive([plain([{"source": "a", "message": "0"}])], NOW, is_own=True)

    assert kept(intake.cut(NOW)) == 1


def test_a_full_disk_acknowledges_what_is_there(intake: Intake) -> None:
    """A sender that has lost an answer gets it."""
    intake.receive(batch(rows_of(3)), NOW)
    intake.is_refusing = True
    intake.receive(batch(rows_of(3)), NOW)

    assert intake.replies == {PRODUCER: Reply.ACK}
