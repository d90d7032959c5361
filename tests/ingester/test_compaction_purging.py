"""When blocks that were replaced may go."""

from __future__ import annotations

from pipeline.ingester.compaction.purging import Purging


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
