"""Memory has a bound on both sides, and nothing is lost for it."""

from __future__ import annotations

from tests.faults.memory import flooded_ingester


def test_an_ingester_stays_within_its_memory(tmp_path):
    """Whatever eight services pour in."""
    found = flooded_ingester(tmp_path, long=False)

    assert found.holds, found
    assert found.entries == 240_000
