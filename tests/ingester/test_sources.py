"""Who may write which source: of the audit nobody but the ingester, entry by entry."""

from __future__ import annotations

import pytest

from pipeline.ingester.batcher import Policy
from pipeline.ingester.intake import Intake
from tests.ingester.test_intake import BOOT, stored
from tests.wire.messages import NOW, PRODUCER, batch, entry, plain, rows


@pytest.fixture
def intake() -> Intake:
    """An ingester's, that knows nobody."""
    return Intake(BOOT, [], Policy())


MIXED = [entry("0"), entry("1", source="audit"), entry("2"), entry("3", source="audit")]
REASON = "dead_letter.entry_source"


@pytest.mark.parametrize("form", ["columns", "rows"])
def test_a_forged_audit_entry_is_refused_and_the_others_kept(
    intake: Intake, form: str
) -> None:
    """They keep their numbers, and what was refused is a dead letter and counted."""
    maps = [row._asdict() for row in MIXED]
    intake.receive(batch(MIXED) if form == "columns" else rows(maps), NOW)
    cut = intake.cut(NOW)

    assert stored(cut) == [(PRODUCER, 1, "0"), (PRODUCER, 3, "2")]
    assert (intake.counters["rejected"], intake.counters[REASON]) == (2, 2)
    assert "append-only" in cut.letters[0].detail
    assert intake.streams.get(PRODUCER).accepted == len(MIXED)


def test_a_batch_of_forged_entries_alone_is_refused(intake: Intake) -> None:
    """Its sender is told that it is done with."""
    intake.receive(batch([entry("0", source="audit")]), NOW)
    cut = intake.cut(NOW)

    assert stored(cut) == []
    assert [mark.accepted for mark in cut.marks] == [1]


def test_a_plain_entry_can_not_be_forged(intake: Intake) -> None:
    """In an array among others, or by the frame that names its sender."""
    maps = [row._asdict() for row in MIXED]
    intake.receive([plain(maps)], NOW)
    intake.receive([b"audit", plain({"message": "4"})], NOW)

    assert [text for *_, text in stored(intake.cut(NOW))] == ["0", "2"]
    assert intake.counters[REASON] == 3


def test_the_ingester_writes_the_audit(intake: Intake) -> None:
    """It alone."""
    intake.receive([plain(entry("1", source="audit")._asdict())], NOW, is_own=True)

    assert [text for *_, text in stored(intake.cut(NOW))] == ["1"]
