"""When blocks that were replaced may go."""

from __future__ import annotations

import pytest

from pipeline.ingester.compaction.purging import PinError, Purging


def test_after_their_time() -> None:
    """Nothing goes before its time, and what is gone is not asked for again."""
    purging = Purging(keep=60)
    purging.replaced(5, 0.0)
    purging.replaced(7, 10.0)

    assert [purging.due(now) for now in (59.0, 60.0, 69.0, 70.0)] == [None, 5, 5, 7]
    purging.purged(5)
    assert [purging.due(now) for now in (69.0, 70.0)] == [None, 7]


def test_what_failed_stands_behind_newer_ones() -> None:
    """Blocks to be tried again neither hide newer ones nor outlive them."""
    purging = Purging(keep=60)
    purging.replaced(5, 0.0)
    purging.replaced(7, 10.0)
    purging.purged(5)
    purging.replaced(5, 60.0)

    assert purging.due(120.0) == 7
    purging.purged(7)
    assert purging.due(1000.0) is None


def test_what_is_pinned_stays_until_its_holder_is_done_or_dead() -> None:
    """What was replaced before the pin may go; a pin that nobody renews ends."""
    purging = Purging(keep=60)
    purging.replaced(5, 0.0)
    assert purging.pin("backup", None, 10, 50.0) == 5
    purging.replaced(7, 51.0)

    assert purging.due(200.0 - 141) is None
    assert purging.pin("backup", None, 1000, 59.5) == 5
    assert purging.due(500.0) == 5
    purging.purged(5)
    assert purging.due(500.0) is None
    assert purging.due(2000.0) == 7
    assert purging.status(2000.0) == {"pins": 0, "pins_broken": 0}


def test_a_pin_given_back_holds_nothing() -> None:
    """At once."""
    purging = Purging(keep=60)
    purging.pin("backup", None, 1000, 0.0)
    purging.replaced(7, 0.0)
    assert purging.due(100.0) is None
    assert purging.unpin("backup")
    assert purging.due(100.0) == 7


def test_a_broken_pin_is_told_only_when_blocks_are_gone() -> None:
    """Where the room was needed; until then its holder may go on."""
    purging = Purging(keep=60)
    purging.pin("backup", None, 1000, 0.0)
    purging.replaced(7, 0.0)
    purging.break_pins()
    assert purging.pin("backup", 0, 1000, 1.0) == 0
    purging.break_pins()
    purging.purged(7)
    with pytest.raises(PinError, match="are gone"):
        purging.pin("backup", 0, 1000, 2.0)
    assert purging.status(2.0) == {"pins": 0, "pins_broken": 2}
