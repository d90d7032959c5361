"""Memory has a bound on both sides, and nothing is lost for it."""

from __future__ import annotations

from tests.faults.memory import collector_alone, flooded_ingester


def test_an_ingester_stays_within_its_memory(tmp_path):
    """Whatever eight services pour in."""
    found = flooded_ingester(tmp_path, long=False)

    assert found.holds, found
    assert found.entries == 240_000


def test_a_collector_stays_within_its_memory(tmp_path):
    """With nobody to take its entries; what its policy gives up is counted."""
    found = collector_alone(tmp_path, long=False)

    assert found.holds, found
    assert found.entries > 0
